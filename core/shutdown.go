package core

import (
	"context"
	"errors"
	"sync"

	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/persist"
	"github.com/spillwaydb/spillway/core/session"
	"github.com/spillwaydb/spillway/core/sink"
)

// The replies of a shutdown; the first two are Redis's.
var (
	errShutdownFailed = errors.New("ERR Errors trying to SHUTDOWN. Check logs.")
	errNoShutdown     = errors.New("ERR No shutdown in progress.")
)

// stopping is a shutdown under way. From its start on no write is let in.
type stopping struct {
	session.Stopping
	ctx   context.Context // ended by SHUTDOWN ABORT
	abort context.CancelFunc

	mu      sync.Mutex
	decided bool
}

// PrepareShutdown does what must precede the end of the process: it cancels
// the job in flight, takes a last snapshot if the mode asks for one, and makes
// the log durable. Writes wait meanwhile and are refused once it has returned
// nil; after an error, unless force overrules it, they go on. The owner calls
// it on SIGTERM.
//
// A second call waits for the first and succeeds if that does; with
// ShutdownNoSave it calls the first one off. A script that has run for longer than
// busy-reply-threshold does not hold it up: it is ended, and when it had written no
// snapshot is taken. While loading there is nothing to
// do: the disk has everything.
func (db *DB) PrepareShutdown(mode command.ShutdownMode, force bool) error {
	if db.Loading() {
		return nil
	}
	p := &stopping{Stopping: session.Stopping{Done: make(chan struct{})}}
	p.ctx, p.abort = context.WithCancel(context.Background())
	defer p.abort()
	for !db.stopping.CompareAndSwap(nil, p) {
		first := db.stopping.Load()
		if first == nil {
			continue
		}
		if mode == command.ShutdownNoSave {
			_ = admin{db}.AbortShutdown() // it may be over just now
		}
		<-first.Done
		if first.Down {
			return nil
		}
	}
	// Who has passed the gate before the swap finishes first; see admit.
	db.runtime.EndScripts(true)
	db.gate.Lock()
	db.gate.Unlock() //nolint:staticcheck // a barrier
	db.runtime.EndScripts(false)
	if db.runtime.ScriptAbandoned() {
		mode = command.ShutdownNoSave // memory has half of a script, the log nothing
	}
	err := db.finalSave(p, mode)
	if err == nil {
		err = db.finalSync(mode)
	}
	if err == nil && mode != command.ShutdownNoSave {
		db.persist.Drain(p.ctx)
	}
	if err != nil && force && p.ctx.Err() == nil {
		db.logger.Warn("the shutdown goes on all the same: it is forced")
		err = nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx.Err() != nil {
		err = errShutdownFailed
	}
	p.decided, p.Down = true, err == nil
	if err != nil {
		db.logger.Warn("the shutdown is called off")
		db.stopping.Store(nil)
	}
	close(p.Done)
	return err
}

// Down tells whether a shutdown is decided: nothing is written any more, and the owner is
// about to end the process. Any goroutine.
func (db *DB) Down() bool {
	p := db.stopping.Load()
	if p == nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.Down
}

// finalSave takes the snapshot that the mode asks for. It cancels the job in
// flight, which began too early to be the last.
func (db *DB) finalSave(p *stopping, mode command.ShutdownMode) error {
	if db.opts.ReadOnly || mode == command.ShutdownNoSave || mode == command.ShutdownDefault && len(db.settings.Load().save) == 0 {
		return nil
	}
	for try := 0; ; try++ {
		db.persist.Cancel("shutdown")
		out, err := db.persist.Begin(p.ctx, sink.KindSnapshot, "shutdown")
		if err == nil {
			err = <-out
		} else if try < 10 && !errors.Is(err, persist.ErrShuttingDown) {
			continue // a trigger was faster; cancel that one too
		}
		if err != nil {
			db.logger.Error("the snapshot before the shutdown failed", "error", err)
			return errShutdownFailed
		}
		return nil
	}
}

// finalSync makes the log durable.
func (db *DB) finalSync(mode command.ShutdownMode) error {
	log := db.persist.Log()
	if log == nil {
		return nil
	}
	if err := log.Sync(); err != nil {
		db.logger.Error("the log could not be made durable before the shutdown", "error", err)
		if mode != command.ShutdownNoSave {
			return errShutdownFailed
		}
	}
	return nil
}
