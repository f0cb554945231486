package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"time"
)

const saveLimit = 10 * time.Minute

// saved is one BGSAVE of a server.
type saved struct {
	probes     *prober
	start, end time.Time // of the BGSAVE
	before     latencies
	during     latencies
	peak       float64 // resident bytes
	written    float64
}

// bgsave compares the latency of a prober while all save, under a load of
// pipelined SETs unless it is to be alone.
func (b *bench) bgsave() error {
	load := "under a SET load at pipeline 16"
	if b.proberOnly {
		load = "without a load"
	}
	name := fmt.Sprintf("BGSAVE of %d keys %s", b.keys, load)
	done := b.report.begin()
	saves := make(map[string][]saved)
	err := b.with(options{scenario: "bgsave", appendOnly: b.appendOnly, fsync: b.fsync, pinned: true}, func(f fleet) error {
		for i := range f {
			b.progress("bgsave: %d keys into %s", b.keys, f[i].name)
			if err := f.turn(i, func(s *server) error { return s.feed(b.keys, stringsOf(64)) }); err != nil {
				return err
			}
		}
		return f.rounds(b.rounds, func(s *server) error {
			b.progress("bgsave: %s saves", s.name)
			one, err := s.saveAndProbe()
			if err != nil {
				return err
			}
			saves[s.name] = append(saves[s.name], one)
			return s.noteSave(name, one)
		})
	})
	if err != nil {
		b.report.undo(done)
		return err
	}
	for _, s := range b.specs {
		b.report.Timelines = append(b.report.Timelines, middle(saves[s.name]).timeline(s.name, b.keys, load))
	}
	return nil
}

// noteSave adds a BGSAVE to the report.
func (s *server) noteSave(workload string, one saved) error {
	note := func(metric, unit string, value float64) {
		s.bench.report.add(figure{Scenario: "bgsave", Workload: workload, Metric: metric, Unit: unit}, s.name, value)
	}
	note("p50 before", "ms", one.before.quantile(0.5))
	note("p99.9 before", "ms", one.before.quantile(0.999))
	note("p50 during", "ms", one.during.quantile(0.5))
	note("p99 during", "ms", one.during.quantile(0.99))
	note("p99.9 during", "ms", one.during.quantile(0.999))
	note("longest during", "ms", one.during.quantile(1))
	note("duration", "s", one.end.Sub(one.start).Seconds())
	note("peak resident memory, copies of a child included", "MB", one.peak/1e6)
	if s.bench.report.Machine.OnDisk {
		note("written to disk", "MB", one.written/1e6)
	}
	info, err := s.info()
	if err != nil {
		return err
	}
	if us := count(info, "spillway_last_freeze_usec"); us >= 0 {
		note("freeze at the cut", "µs", us)
	}
	return nil
}

// middle is the save whose p99.9 is in the middle.
func middle(saves []saved) saved {
	slices.SortFunc(saves, func(a, b saved) int {
		return int(1000 * (a.during.quantile(0.999) - b.during.quantile(0.999)))
	})
	return saves[(len(saves)-1)/2]
}

// saveAndProbe runs a load, if there is to be one, and a prober, and a BGSAVE in
// the middle.
func (s *server) saveAndProbe() (one saved, err error) {
	b := s.bench
	ctx, cancel := context.WithCancel(s.ctx)
	loaded := make(chan error, 1)
	if b.proberOnly {
		close(loaded)
	} else {
		load := s.load(ctx, "redis-benchmark", "-p", s.port, "-c", "50", "-d", "64", "-r", strconv.Itoa(b.keys),
			"-n", "1000000000", "-P", "16", "-t", "set", "--csv")
		go func() { loaded <- untilKilled(ctx, load) }()
	}
	defer func() {
		cancel()
		err = errors.Join(err, <-loaded)
	}()
	if one.probes, err = s.probe("key:", b.keys); err != nil {
		return one, err
	}
	defer func() { err = errors.Join(err, one.probes.end()) }()
	time.Sleep(b.settle)
	if err := s.forgetPeak(); err != nil {
		return one, err
	}
	wrote, err := s.written()
	if err != nil {
		return one, err
	}
	one.start = time.Now()
	info, err := s.save(ctx)
	one.end = time.Now()
	if err != nil {
		return one, err
	}
	if one.peak, err = s.peak(); err != nil {
		return one, err
	}
	if copied := count(info, "rdb_last_cow_size"); copied > 0 {
		one.peak += copied
	}
	if one.written, err = s.written(); err != nil {
		return one, err
	}
	one.written -= wrote
	time.Sleep(b.settle)
	if err := one.probes.end(); err != nil {
		return one, err
	}
	if one.before, err = one.probes.between(one.start.Add(-b.settle), one.start); err != nil {
		return one, err
	}
	one.during, err = one.probes.around(one.start, one.end)
	return one, err
}

// save runs a BGSAVE to its end, and returns INFO as of then.
func (s *server) save(ctx context.Context) (info map[string]string, err error) {
	began := time.Now()
	if err := s.rdb.BgSave(ctx).Err(); err != nil {
		return nil, err
	}
	for time.Since(began) < saveLimit {
		if info, err = s.info(); err != nil {
			return nil, err
		}
		if info["rdb_bgsave_in_progress"] == "0" {
			if status := info["rdb_last_bgsave_status"]; status != "ok" {
				return nil, fmt.Errorf("the BGSAVE failed: rdb_last_bgsave_status is %s", status)
			}
			return info, nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return nil, fmt.Errorf("the BGSAVE has not ended after %v", saveLimit)
}

// untilKilled runs a load that has to go on until ctx ends.
func untilKilled(ctx context.Context, load *exec.Cmd) error {
	if out, err := load.CombinedOutput(); ctx.Err() == nil {
		return fmt.Errorf("the load ended by itself: %w: %s", err, lastLine(string(out)))
	}
	return nil
}
