package core

import (
	"math"
	"time"

	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/script"
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

// BlockedClients is how many clients a command blocks, or CLIENT PAUSE holds back.
func (db *DB) BlockedClients() int { return db.runtime.BlockedClients() }

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
	rt.Loading = func() bool { return db.Loading() || db.takingOver() }
	rt.RefusesWrites = func() string {
		if msg := db.replicaRefuses(); msg != "" {
			return msg
		}
		return db.persist.RefusesWrites()
	}
	if db.opts.ReadOnly {
		rt.RefusesWrites = func() string { return errReadOnlyWrite }
	}
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
	rt.BusyThreshold = func() time.Duration {
		return time.Duration(min(db.settings.Load().busyThreshold, math.MaxInt64/int64(time.Millisecond))) * time.Millisecond
	}
	rt.DeprecatedLua = func() bool { return db.settings.Load().deprecatedLua }
	rt.ScriptLog = db.logScript
	rt.Closing = db.closing
	rt.Init()
}

// logScript writes a line of a script to the log. Redis's levels are debug, verbose,
// notice and warning.
func (db *DB) logScript(level int, msg string) {
	logger := db.logger.Named("script")
	switch level {
	case script.LogDebug:
		logger.Trace(msg)
	case script.LogVerbose:
		logger.Debug(msg)
	case script.LogNotice:
		logger.Info(msg)
	default:
		logger.Warn(msg)
	}
}

// Cluster tells whether the engine is the only node of a cluster.
func (db *DB) Cluster() bool { return db.opts.Cluster }

// MaxMemory is maxmemory, 0 for none.
func (db *DB) MaxMemory() int64 { return db.settings.Load().maxMemory }
