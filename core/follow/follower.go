package follow

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/wal"
)

const (
	firstRetry = 100 * time.Millisecond // the wait before a broken link is made again
	lastRetry  = 5 * time.Second        // what it grows to
	ackEvery   = time.Second            // as Redis's replicas do
)

// Target is what the data go to. Its methods are called by one goroutine.
type Target interface {
	// Following is where the data stand.
	Following() keyspace.Following
	// Databases is how many there are.
	Databases() int
	// Apply executes commands and notes where the data stand behind them, as one
	// unit, which becomes durable later. A *StopError says that it never will. Other
	// errors say that it cannot now: nothing was executed.
	Apply(cmds []wal.Cmd, at keyspace.Following) error
	// Durable is the offset up to which everything is durable. Any goroutine.
	Durable() int64
	// Sync waits until everything that was applied is, and tells whether it is.
	Sync() bool
}

// StopError says why a Follower gave up for good: what the source has cannot be held.
type StopError struct{ Err error }

func (e *StopError) Error() string { return e.Err.Error() }
func (e *StopError) Unwrap() error { return e.Err }

// Follower keeps a target at what a source has.
type Follower struct {
	source Source
	target Target
	log    hclog.Logger
	status status
}

// New returns a Follower, which does nothing before Run.
func New(s Source, t Target, log hclog.Logger) *Follower {
	f := &Follower{source: s, target: t, log: log.With("master", s.Address)}
	f.status.init(s.Clock, t.Following())
	return f
}

// Run follows until ctx ends, and returns nil then, or a *StopError.
func (f *Follower) Run(ctx context.Context) error {
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		err := f.follow(ctx)
		f.status.down(err)
		var stop *StopError
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.As(err, &stop):
			f.status.stop(err)
			f.log.Error("not following any more", "error", err)
			return err
		}
		if f.status.tell(err) {
			f.log.Warn("the link to the master is down: it is made again", "error", err)
		}
		if f.status.takeProgress() {
			wait = firstRetry
		}
		ticks, stopTicks := f.source.Clock.NewTicker(wait)
		select {
		case <-ctx.Done():
		case <-ticks:
		}
		stopTicks()
	}
}

// follow makes a link and lives with it.
func (f *Follower) follow(ctx context.Context) error {
	f.status.set(Connecting)
	l, err := Dial(ctx, f.source)
	if err != nil {
		return err
	}
	defer func() { _ = l.Close() }() // it was only read from
	at := f.target.Following()
	id := ""
	if at.State == keyspace.FollowStream {
		id = at.ID
	}
	answer, err := l.Sync(id, at.Offset)
	if err != nil {
		return err
	}
	f.status.up()
	if answer.Full {
		f.log.Info("taking over the dataset", "bytes", l.Size(), "offset", answer.Offset)
		at = keyspace.Following{From: f.source.Address, ID: answer.ID, Offset: answer.Offset}
		f.status.begin(l.Size(), at.Offset)
	} else {
		if at.From = f.source.Address; answer.ID != "" {
			at.ID = answer.ID
		}
		f.log.Info("going on", "offset", at.Offset)
	}
	stopAcks := f.acknowledge(l, answer.Full)
	defer stopAcks()
	if answer.Full {
		if err := f.load(l, at); err != nil {
			return err
		}
		at.State = keyspace.FollowStream
		f.log.Info("the dataset is here", "offset", at.Offset, "id", at.ID)
	}
	f.status.stream(at)
	return f.stream(ctx, l, at)
}

// acknowledge tells the master each second how far the data are.
func (f *Follower) acknowledge(l *Link, loading bool) (stop func()) {
	ticks, stopTicks := f.source.Clock.NewTicker(ackEvery)
	done, gone := make(chan struct{}), make(chan struct{})
	if !loading {
		_ = l.Ack(f.acknowledged()) // the link's end is found by its reader
	}
	go func() {
		defer close(gone)
		for {
			select {
			case <-done:
				return
			case <-ticks:
			}
			if f.status.loading() {
				_ = l.Alive()
			} else {
				_ = l.Ack(f.acknowledged())
			}
		}
	}()
	return func() {
		stopTicks()
		close(done)
		_ = l.Close() // it may wait in a write
		<-gone
	}
}

// acknowledged is what the master is told: what is durable, and the PINGs behind it,
// which leave nothing to be kept.
func (f *Follower) acknowledged() int64 {
	noted, applied := f.status.noted.Load(), f.status.offset.Load() // in this order: noted is never behind
	if durable := f.target.Durable(); durable < noted {
		return durable
	}
	return applied
}

// apply is Target.Apply of what came from the source.
func (f *Follower) apply(cmds []wal.Cmd, at keyspace.Following) error {
	err := f.target.Apply(cmds, at)
	if err == nil {
		return nil
	}
	return fmt.Errorf("applying what the master has sent: %w", err)
}
