package main

import (
	"context"
	"errors"
	"fmt"
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

func (b *bench) restart(scenario, appendOnly string, prepare func(*server) error) (err error) {
	f, err := b.fleet(options{scenario: scenario, appendOnly: appendOnly, fsync: b.fsync})
	if err != nil {
		return err
	}
	done := b.report.begin()
	defer func() {
		for _, s := range f {
			err = errors.Join(err, s.kill())
		}
		if err != nil {
			b.report.undo(done)
		}
	}()
	for _, s := range f {
		b.progress("%s: %d keys into %s", scenario, b.keys, s.name)
		if _, err := s.start(); err != nil {
			return err
		}
		b.report.saw(s)
		err := s.feed(b.keys, stringsOf(64))
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
	for round := range b.rounds {
		for i := range f {
			s := f[(round+i)%len(f)]
			b.progress("%s: %s starts", scenario, s.name)
			took, err := s.start()
			if err != nil {
				return err
			}
			n, err := s.rdb.DBSize(s.ctx).Result()
			if err == nil && n != int64(b.keys) {
				err = fmt.Errorf("it has %d keys of %d after the start", n, b.keys)
			}
			if err != nil {
				return s.blame(err)
			}
			if err := s.kill(); err != nil {
				return err
			}
			b.report.add(figure{Scenario: scenario, Workload: fmt.Sprintf("%d keys, all CPUs", b.keys), Metric: "keys a second", Unit: "1/s", More: true},
				s.name, float64(b.keys)/took.Seconds())
		}
	}
	return nil
}
