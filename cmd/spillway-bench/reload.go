package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// load compares how long a start takes from a snapshot. The servers have the
// whole machine, for that is what they have at a start.
func (b *bench) load() error {
	return b.restart("load", "no", func(s *server) error { return s.rdb.Save(context.Background()).Err() })
}

// replay compares how long a start takes from the log alone.
func (b *bench) replay() error {
	return b.restart("replay", "yes", func(*server) error { return nil })
}

// restart compares starts with one kind of data after the other.
func (b *bench) restart(scenario, appendOnly string, prepare func(*server) error) error {
	for i, d := range datasets() {
		if i > 0 && b.quick || !b.chosen.MatchString(d.name) {
			continue
		}
		if err := b.restartWith(d, options{scenario: scenario, appendOnly: appendOnly, fsync: b.fsync}, prepare); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) restartWith(d dataset, o options, prepare func(*server) error) (err error) {
	f, err := b.fleet(o)
	if err != nil {
		return err
	}
	done := b.report.begin()
	defer func() {
		for _, s := range f {
			err = errors.Join(err, s.kill(), os.RemoveAll(s.dir))
		}
		if err != nil {
			b.report.undo(done)
		}
	}()
	keys := make(map[*server]int64)
	for _, s := range f {
		b.progress("%s: %s, into %s", o.scenario, d.name, s.name)
		if _, err := s.start(); err != nil {
			return err
		}
		b.report.saw(s)
		err := s.feed(d.commands(b.keys), d.feed)
		if err == nil {
			keys[s], err = s.rdb.DBSize(s.ctx).Result()
		}
		if err == nil {
			err = prepare(s)
		}
		if err == nil {
			err = s.shutdown()
		}
		if err != nil {
			return s.blame(err)
		}
	}
	n := d.counts(b.keys)
	workload := fmt.Sprintf("%s, %d of them, all CPUs", d.name, n)
	return f.starts(b.rounds, func(s *server, took time.Duration) error {
		cpu, err := s.cpu()
		if err != nil {
			return err
		}
		got, err := s.rdb.DBSize(s.ctx).Result()
		if err == nil && got != keys[s] {
			err = fmt.Errorf("it has %d keys of %d after the start", got, keys[s])
		}
		if err != nil {
			return err
		}
		b.report.add(figure{Scenario: o.scenario, Workload: workload, Metric: d.per + "s a second", Unit: "1/s", More: true},
			s.name, float64(n)/took.Seconds())
		b.report.add(figure{Scenario: o.scenario, Workload: workload, Metric: "CPU per " + d.per, Unit: "µs"},
			s.name, float64(cpu.all.Nanoseconds())/1e3/float64(n))
		return nil
	})
}

// starts has every server start and end in turn, so many times, and has each looked at
// when it serves.
func (f fleet) starts(rounds int, look func(s *server, took time.Duration) error) error {
	for round := range rounds {
		for i := range f {
			s := f[(round+i)%len(f)]
			s.bench.progress("%s: %s starts", s.options.scenario, s.name)
			took, err := s.start()
			if err != nil {
				return err
			}
			if err := look(s, took); err != nil {
				return s.blame(err)
			}
			if err := s.kill(); err != nil {
				return err
			}
		}
	}
	return nil
}
