package persist

import (
	"context"
	"errors"
	"fmt"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/core/wal"
)

// What INFO's aof_state says. The policy's promise is made in logOn alone.
const (
	logOff      = "off"
	logStarting = "starting" // wanted; its base is not committed yet
	logOn       = "on"
	logStopping = "stopping" // not wanted any more
)

// Log is the log in service, nil if there is none. It is so from the cut on that
// it begins at; whether what is in it counts, LogOn tells.
func (p *Persister) Log() *wal.Log { return p.log.Load() }

// LogOn tells whether the log is in service, and together with a committed base:
// whether what is in it counts.
func (p *Persister) LogOn() bool {
	log := p.log.Load()
	return log != nil && log == p.based.Load()
}

// LogState is where the log stands between being off and on, in INFO's words.
func (p *Persister) LogState() string {
	want, on := p.env.Settings().AppendOnly, p.LogOn()
	switch {
	case want && on:
		return logOn
	case want:
		return logStarting
	case on:
		return logStopping
	}
	return logOff
}

// SwitchOn takes the checkpoint that the log follows, behind the job in flight if
// there is one, and returns when that is committed, or when the log is not wanted
// any more. gaveUp tells that the error is why there will be no log; without it
// the log is on, or was switched off by somebody else.
func (p *Persister) SwitchOn() (gaveUp bool, err error) {
	for p.env.Settings().AppendOnly {
		if p.LogOn() {
			return false, p.logErr()
		}
		j, out := p.join()
		if j == nil {
			var err error
			out, err = p.start(context.Background(), sink.KindSnapshot, "appendonly yes", true)
			switch {
			case errors.Is(err, ErrShuttingDown):
				return true, err
			case err != nil:
				continue // another job was faster
			}
		}
		if err := <-out; err != nil && (j == nil || j.startLog) {
			return true, err
		}
	}
	return false, errors.New("it was switched off meanwhile")
}

// logErr is why what is in the log, which is on, does not count nevertheless.
func (p *Persister) logErr() error {
	p.CheckLog()
	if err := p.Failure(); err != nil {
		return fmt.Errorf("the log has failed, and is on again once a checkpoint is committed, which is tried again and again: %w", err)
	}
	return nil
}

// LogStartError is why the log, which is wanted, could not be switched on yet;
// nil if it is on or nothing has failed.
func (p *Persister) LogStartError() error {
	p.mu.Lock()
	err := p.logStarts.err
	p.mu.Unlock()
	if err == nil || p.LogState() != logStarting {
		return nil
	}
	return err
}

// join returns the job in flight and a channel that gets its outcome; nil is none.
func (p *Persister) join() (*job, <-chan error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.job == nil {
		return nil, nil
	}
	out := make(chan error, 1)
	p.job.waiters = append(p.job.waiters, out)
	return p.job, out
}

// reconcileLog makes the log follow the setting. A client that sets it waits for
// LogOn; where nobody does, because an embedding program has set it, switching it
// on is tried here until it succeeds. Switching it off leaves what is logged for
// the next start, gives up a rewrite in flight and waits for a snapshot.
func (p *Persister) reconcileLog() {
	want, log := p.env.Settings().AppendOnly, p.log.Load()
	j := p.inFlight()
	switch {
	case want && log == nil:
		p.mu.Lock()
		failed := p.logStarts
		p.mu.Unlock()
		if j != nil || !failed.due(p.clock.Now(), logRetry) {
			return
		}
		if _, err := p.try(context.Background(), sink.KindSnapshot, "appendonly yes", true, failed.err != nil); err != nil {
			p.logger.Warn("the log is not switched on yet", "error", err)
		}
	case !want && j != nil && j.startLog:
		p.Cancel("appendonly no")
	case !want && log != nil:
		if j != nil && j.kind == sink.KindSnapshot {
			return // it is what somebody asked for, and counts on the log
		}
		p.Cancel("appendonly no")
		if !p.retireLog() {
			return
		}
		p.health.heal() // of a log that failed nothing is promised any more
		p.logger.Info("the log is off: the next checkpoint replaces it")
	}
}

// openActive opens the log behind the recovered state, creating its first segment
// when there is none.
func (p *Persister) openActive() error {
	m := p.ledger.current()
	if len(m.Segments) == 0 {
		if _, err := p.ledger.rotate(true, true); err != nil {
			return fmt.Errorf("creating the log: %w", err)
		}
		m = p.ledger.current()
	}
	active := m.Segments[len(m.Segments)-1]
	l, err := p.openLog(active.Path)
	if err != nil {
		return err
	}
	p.env.Barrier(func() {
		l.Begin()
		p.log.Store(l)
	})
	p.env.Order.Flush()
	p.based.Store(l)
	l.SetPolicy(p.env.Settings().Fsync) // CONFIG SET may have come in between
	p.sealed(active.ID)
	return nil
}

// openLog opens a segment. It takes nothing before its Begin.
func (p *Persister) openLog(path string) (*wal.Log, error) {
	l, err := p.env.Order.OpenLog(p.fs, path, p.env.Settings().Fsync)
	if err != nil {
		return nil, fmt.Errorf("opening the log: %w", err)
	}
	return l, nil
}

// stopLog takes the log out of service without touching the manifest, unless
// CONFIG SET wants it meanwhile and wanted says that this counts. It tells
// whether it did.
func (p *Persister) stopLog(wanted bool) (stopped bool) {
	var l *wal.Log
	p.env.Barrier(func() {
		p.env.Frozen(func(s Settings) {
			if stopped = !wanted || !s.AppendOnly; stopped {
				if l = p.log.Swap(nil); l != nil {
					l.End()
				}
			}
		})
	})
	if l != nil {
		if err := l.Close(); err != nil {
			p.logger.Warn("closing the log", "error", err)
		}
	}
	return stopped
}
