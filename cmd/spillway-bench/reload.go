package main

import (
	"context"
	"errors"
	"fmt"
)

// load compares how long a start takes from a snapshot. Both servers have the
// whole machine, for that is what they have at a start.
func (b *bench) load() error {
	return b.restart("load", "no", "a start from a snapshot", func(s *server) error {
		return s.rdb.Save(context.Background()).Err()
	})
}

// replay compares how long a start takes from the log alone.
func (b *bench) replay() error {
	return b.restart("replay", "yes", "a start from the log", func(*server) error { return nil })
}

func (b *bench) restart(scenario, appendOnly, what string, prepare func(*server) error) (err error) {
	ours, theirs, err := b.servers(scenario, appendOnly, false)
	if err != nil {
		return err
	}
	b.title(fmt.Sprintf("%s with %d keys, both CPUs", what, b.keys))
	var speed [2][]float64
	for i, s := range []*server{ours, theirs} {
		if _, err := s.start(); err != nil {
			return err
		}
		if err := errors.Join(s.fill(b.keys), prepare(s), s.shutdown()); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		for range b.rounds {
			took, err := s.start()
			if err != nil {
				return err
			}
			n, err := s.rdb.DBSize(context.Background()).Result()
			if err == nil && n != int64(b.keys) {
				err = fmt.Errorf("%s has %d keys of %d after the start", s.name, n, b.keys)
			}
			if err := errors.Join(err, s.kill()); err != nil {
				return err
			}
			speed[i] = append(speed[i], float64(b.keys)/took.Seconds())
		}
	}
	b.report("keys a second", "1/s", speed[0], speed[1])
	return nil
}

// shutdown ends the server as it should be ended, without a save.
func (s *server) shutdown() error {
	s.rdb.ShutdownNoSave(context.Background())
	_ = s.rdb.Close()
	err := s.cmd.Wait()
	s.cmd = nil
	return err
}
