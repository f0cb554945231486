package core

import (
	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/session"
)

// Session runs one client's commands, see [DB.Session].
type Session = session.Session

// Session returns a client of the engine for the program that embeds it: its Do
// runs commands. It belongs to one goroutine, and there may be any number of them.
func (db *DB) Session() *Session { return db.runtime.New(nil, nil) }

// SessionFor is Session for a server: client, which embeds the session, is what
// commands know the client by, and wake is called when a blocked command has to be
// resumed. See [session.Runtime.New].
func (db *DB) SessionFor(client command.Client, wake func()) *Session {
	return db.runtime.New(client, wake)
}

// initSessions makes what the sessions know of the engine.
func (db *DB) initSessions() {
	rt := &db.runtime
	rt.Keyspace, rt.Events, rt.Watches = db.ks, db.events, db.watches
	rt.Hub, rt.Tracking = db.hub, db.tracking
	rt.Stats, rt.SlowLog, rt.Latency = db.stats, db.slowlog, db.latency
	rt.Engine, rt.Clock, rt.Gate = admin{db}, db.clock, &db.gate
	rt.Order = db.order
	rt.Log, rt.Changed, rt.Committed = db.persist.Log, db.persist.Changed, db.persist.Committed
	rt.Removed = db.removed
	rt.Loading, rt.RefusesWrites = db.Loading, db.refusesWrites
	rt.Stopping = func() *session.Stopping {
		if p := db.stopping.Load(); p != nil {
			return &p.Stopping
		}
		return nil
	}
	rt.Cluster = db.opts.Cluster
	rt.MaxMemory = db.MaxMemory
	rt.Eviction = func() session.Eviction {
		s := db.settings.Load()
		return session.Eviction{Policy: s.maxMemoryPolicy, Samples: s.maxMemorySamples}
	}
	rt.Users, rt.ACLFile = db.users, db.aclFile()
	rt.Closing = db.closing
	rt.Init()
}

// refusesWrites is the reply to a write that must not be carried out, because
// persistence is broken or this is only a look, or "".
func (db *DB) refusesWrites() string {
	if db.opts.ReadOnly {
		return errReadOnlyWrite
	}
	return db.persist.RefusesWrites()
}

// Cluster tells whether the engine is the only node of a cluster.
func (db *DB) Cluster() bool { return db.opts.Cluster }

// MaxMemory is maxmemory, 0 for none.
func (db *DB) MaxMemory() int64 { return db.settings.Load().maxMemory }
