package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

const (
	probeEvery = time.Millisecond
	// settle is for how long the load runs before a BGSAVE.
	settle    = 3 * time.Second
	saveLimit = 10 * time.Minute
)

// bgsave compares the latency of a prober while both save, under a load of
// pipelined SETs unless it is to be alone.
func (b *bench) bgsave() error {
	ours, theirs, err := b.servers("bgsave", b.appendOnly, true)
	if err != nil {
		return err
	}
	// The prober has the load's CPU to share. It must not wait for it.
	if err := syscall.Setpriority(syscall.PRIO_PROCESS, 0, -10); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "spillway-bench: the prober runs at normal priority, its latencies include waiting for its CPU:", err)
	}
	return both(ours, theirs, func() error {
		for _, s := range []*server{ours, theirs} {
			if err := s.fill(b.keys); err != nil {
				return err
			}
		}
		load := "under a SET load at pipeline 16"
		if b.proberOnly {
			load = "without a load"
		}
		b.title(fmt.Sprintf("BGSAVE of %d keys %s; a prober's SET, open loop, every %v", b.keys, load, probeEvery))
		names := []string{"p50 before", "p99.9 before", "p50 during", "p99 during", "p99.9 during", "longest during"}
		figures := make([][2][]float64, len(names))
		var took [2][]float64
		for range b.rounds {
			for i, s := range []*server{ours, theirs} {
				p, start, end, err := s.saveAndProbe(b.keys, !b.proberOnly)
				if err != nil {
					return fmt.Errorf("%s: %w", s.name, err)
				}
				before := start.Add(-settle)
				for n, f := range []float64{
					p.quantile(0.5, before, start), p.quantile(0.999, before, start),
					p.quantile(0.5, start, end), p.quantile(0.99, start, end), p.quantile(0.999, start, end), p.quantile(1, start, end),
				} {
					figures[n][i] = append(figures[n][i], f)
				}
				took[i] = append(took[i], end.Sub(start).Seconds())
			}
		}
		for n, name := range names {
			b.report(name, "ms", figures[n][0], figures[n][1])
		}
		b.report("duration", "s", took[0], took[1])
		freeze, err := ours.info("spillway_last_freeze_usec")
		if err != nil {
			return err
		}
		us, err := strconv.ParseFloat(freeze, 64)
		b.report("freeze at the cut", "µs", []float64{us}, nil)
		return err
	})
}

// saveAndProbe runs a load, if there is to be one, and a prober, and a BGSAVE in
// the middle.
func (s *server) saveAndProbe(keys int, load bool) (p *prober, start, end time.Time, err error) {
	ctx, cancel := context.WithCancel(context.Background())
	loaded := make(chan error, 1)
	if load {
		go func() { loaded <- s.keepLoaded(ctx, keys) }()
	} else {
		close(loaded)
	}
	defer func() {
		cancel()
		err = errors.Join(err, <-loaded)
	}()
	if p, err = s.probe(keys, probeEvery); err != nil {
		return nil, start, end, err
	}
	time.Sleep(settle)
	start = time.Now()
	err = s.rdb.BgSave(ctx).Err()
	for err == nil && time.Since(start) < saveLimit {
		var running string
		if running, err = s.info("rdb_bgsave_in_progress"); running == "0" {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	end = time.Now()
	if e := p.end(); err == nil {
		err = e
	}
	if err == nil {
		var status string
		if status, err = s.info("rdb_last_bgsave_status"); err == nil && status != "ok" {
			err = fmt.Errorf("the BGSAVE failed: rdb_last_bgsave_status is %s", status)
		}
	}
	return p, start, end, err
}

// keepLoaded runs redis-benchmark, below the prober's priority, until ctx ends.
func (s *server) keepLoaded(ctx context.Context, keys int) error {
	load := loadCommand(s, "set", 16, 1_000_000_000, keys)
	load = exec.Command("nice", append([]string{"-n", "15"}, load.Args...)...)
	if err := load.Start(); err != nil {
		return err
	}
	<-ctx.Done()
	err := load.Process.Kill()
	_ = load.Wait() // killed, of course
	return err
}
