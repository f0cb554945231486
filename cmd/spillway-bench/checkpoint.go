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

const checkpointLimit = 10 * time.Minute

// checkpoint is a command that has a server write all keys in the background, and what INFO
// calls it.
type checkpoint struct {
	scenario  string
	command   string
	scheduled string // the fields, "" for none: it is to begin soon
	running   string
	outcome   string
	copied    string // bytes that a child has copied
}

var (
	bgsave  = checkpoint{"bgsave", "BGSAVE", "", "rdb_bgsave_in_progress", "rdb_last_bgsave_status", "rdb_last_cow_size"}
	rewrite = checkpoint{"rewrite", "BGREWRITEAOF", "aof_rewrite_scheduled", "aof_rewrite_in_progress", "aof_last_bgrewrite_status", "aof_last_cow_size"}
)

// saved is one checkpoint of a server.
type saved struct {
	probes     *prober
	start, end time.Time // of the checkpoint
	before     latencies
	during     latencies
	late       latencies // of the prober itself, meanwhile
	peak       float64   // resident bytes
	written    float64
}

// bgsave compares the latency of a prober through a BGSAVE.
func (b *bench) bgsave() error {
	saves, load, err := b.checkpoints(bgsave, b.appendOnly)
	if err != nil {
		return err
	}
	for _, s := range b.specs {
		b.report.Timelines = append(b.report.Timelines, middle(saves[s.name]).timeline(s.name, b.keys, load))
	}
	return nil
}

// rewrite compares it through a BGREWRITEAOF, for which there has to be a log.
func (b *bench) rewrite() error {
	_, _, err := b.checkpoints(rewrite, "yes")
	return err
}

// checkpoints has all servers take checkpoints beside a prober, under a load of pipelined
// SETs unless the prober is to be alone. It returns those of each server, and what the load
// was.
func (b *bench) checkpoints(what checkpoint, appendOnly string) (saves map[string][]saved, load string, err error) {
	load = "under a SET load at pipeline 16"
	if b.proberOnly {
		load = "without a load"
	}
	name := fmt.Sprintf("%s of %d keys %s", what.command, b.keys, load)
	done := b.report.begin()
	saves = make(map[string][]saved)
	err = b.with(options{scenario: what.scenario, appendOnly: appendOnly, fsync: b.fsync, pinned: true}, func(f fleet) error {
		for i := range f {
			b.progress("%s: %d keys into %s", what.scenario, b.keys, f[i].name)
			if err := f.turn(i, func(s *server) error { return s.feed(b.keys, stringsOf(64)) }); err != nil {
				return err
			}
		}
		return f.rounds(b.rounds, func(s *server) error {
			b.progress("%s: %s at work", what.scenario, s.name)
			one, err := s.saveAndProbe(what)
			if err != nil {
				return err
			}
			saves[s.name] = append(saves[s.name], one)
			return s.noteSave(what.scenario, name, one)
		})
	})
	if err != nil {
		b.report.undo(done)
		return nil, "", err
	}
	return saves, load, nil
}

// noteSave adds a checkpoint to the report.
func (s *server) noteSave(scenario, workload string, one saved) error {
	note := func(metric, unit string, value float64) {
		s.bench.report.add(figure{Scenario: scenario, Workload: workload, Metric: metric, Unit: unit}, s.name, value)
	}
	note("p50 before", "ms", one.before.quantile(0.5))
	note("p99.9 before", "ms", one.before.quantile(0.999))
	note("p50 during", "ms", one.during.quantile(0.5))
	note("p99 during", "ms", one.during.quantile(0.99))
	note("p99.9 during", "ms", one.during.quantile(0.999))
	note("longest during", "ms", one.during.quantile(1))
	note("sent late by the prober, p99.9 during, in no latency", "ms", one.late.quantile(0.999))
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

// saveAndProbe runs a load, if there is to be one, and a prober, and a checkpoint in
// the middle.
func (s *server) saveAndProbe(what checkpoint) (one saved, err error) {
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
	info, err := s.take(ctx, what)
	one.end = time.Now()
	if err != nil {
		return one, err
	}
	if one.peak, err = s.peak(); err != nil {
		return one, err
	}
	if copied := count(info, what.copied); copied > 0 {
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
	if one.during, err = one.probes.around(one.start, one.end); err != nil {
		return one, err
	}
	one.late, err = one.probes.late(one.start, one.end)
	return one, err
}

// take runs a checkpoint to its end, and returns INFO as of then.
func (s *server) take(ctx context.Context, what checkpoint) (info map[string]string, err error) {
	began := time.Now()
	if err := s.rdb.Do(ctx, what.command).Err(); err != nil {
		return nil, err
	}
	for time.Since(began) < checkpointLimit {
		if info, err = s.info(); err != nil {
			return nil, err
		}
		if info[what.running] == "0" && info[what.scheduled] != "1" {
			if status := info[what.outcome]; status != "ok" {
				return nil, fmt.Errorf("the %s failed: %s is %s", what.command, what.outcome, status)
			}
			return info, nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return nil, fmt.Errorf("the %s has not ended after %v", what.command, checkpointLimit)
}

// untilKilled runs a load that has to go on until ctx ends.
func untilKilled(ctx context.Context, load *exec.Cmd) error {
	if out, err := load.CombinedOutput(); ctx.Err() == nil {
		return fmt.Errorf("the load ended by itself: %w: %s", err, lastLine(string(out)))
	}
	return nil
}
