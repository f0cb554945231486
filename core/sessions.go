package core

import (
	"errors"

	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/session"
	"github.com/spillwaydb/spillway/core/wal"
)

// Session runs one client's commands, see [DB.Session].
type Session = session.Session

// Session returns a client of the engine for the program that embeds it: its Do
// runs commands. It belongs to one goroutine, and there may be any number of them.
func (db *DB) Session() *Session { return db.runtime.New(nil) }

// SessionFor is Session for a server: client, which embeds the session, is what
// commands know the client by.
func (db *DB) SessionFor(client command.Client) *Session { return db.runtime.New(client) }

// initSessions makes what the sessions know of the engine.
func (db *DB) initSessions() {
	rt := &db.runtime
	rt.Keyspace, rt.Events, rt.Watches = db.ks, db.events, db.watches
	rt.Stats, rt.SlowLog, rt.Latency = db.stats, db.slowlog, db.latency
	rt.Engine, rt.Clock, rt.Gate, rt.Dirty = db, db.clock, &db.gate, &db.dirty
	rt.Log, rt.Committed, rt.Removed = db.log.Load, db.committed, db.removed
	rt.Loading, rt.RefusesWrites = db.Loading, db.refusesWrites
	rt.Stopping = func() *session.Stopping {
		if p := db.stopping.Load(); p != nil {
			return &p.Stopping
		}
		return nil
	}
	rt.MaxMemory = db.MaxMemory
	rt.Eviction = func() session.Eviction {
		s := db.settings.Load()
		return session.Eviction{Policy: s.maxMemoryPolicy, Samples: s.maxMemorySamples}
	}
	rt.Password = func() string { return db.settings.Load().requirePass }
}

// committed takes in how a commit has ended that a session has written for. Of a
// log that is only being switched on nothing is promised yet, and what is written
// behind a failure is worth nothing before the checkpoint that ends it is committed.
func (db *DB) committed(log *wal.Log, err error) error {
	if err != nil && db.based.Load() != log {
		return nil
	}
	f := db.failed.Load()
	switch {
	case err != nil:
		db.fail(err)
	case f != nil:
		err = f.err
	default:
		return nil
	}
	return errors.New(logFailure(err))
}

// refusesWrites is the reply to a write that is not to be carried out, because
// persistence is broken or this is only a look, or "".
func (db *DB) refusesWrites() string {
	if db.opts.ReadOnly {
		return errReadOnlyWrite
	}
	if f := db.failed.Load(); f != nil {
		return "MISCONF " + f.text
	}
	if db.savesHoldWrites() {
		return "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. " +
			"Commands that may modify the data set are disabled, because this instance is configured to report errors during writes " +
			"if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis logs for details about the RDB error."
	}
	return ""
}

// savesHoldWrites tells whether writes are refused because the last save failed.
func (db *DB) savesHoldWrites() bool {
	if !db.saveFailed.Load() {
		return false
	}
	s := db.settings.Load()
	return s.stopOnSaveError && len(s.save) > 0
}

// MaxMemory is maxmemory, 0 for none.
func (db *DB) MaxMemory() int64 { return db.settings.Load().maxMemory }
