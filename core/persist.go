package core

import (
	"github.com/spillwaydb/spillway/core/persist"
)

// persistEnv is what persistence gets to see of the engine.
func (db *DB) persistEnv() persist.Env {
	o := db.opts
	return persist.Env{
		FS: db.fs, Keyspace: db.ks, Order: db.order, Clock: db.clock, Logger: db.logger, Version: o.Version, ReadOnly: o.ReadOnly,
		Pipelines:    Pipelines{Stages: o.Stages, Targets: o.Targets, VerifyDecode: o.VerifyDecode, Keep: o.Keep, Archive: o.Archive},
		DecodeStages: o.DecodeStages, Adopt: o.Adopt,
		Barrier:  db.barrier,
		Settings: func() persist.Settings { return db.settings.Load().persistence() },
		Frozen: func(f func(persist.Settings)) {
			db.setMu.Lock()
			defer db.setMu.Unlock()
			f(db.settings.Load().persistence())
		},
		Events:  o.Events,
		Latency: db.latency.Note,
	}
}

// barrier calls f with every shard locked, while nobody replaces the keyspace.
func (db *DB) barrier(f func()) {
	db.gate.RLock()
	defer db.gate.RUnlock()
	if l := db.ks.Script(); l != nil {
		select {
		case <-l.Done():
		case <-l.Busy():
			db.logger.Warn("persistence waits for a script that runs for too long; SCRIPT KILL, FUNCTION KILL or SHUTDOWN NOSAVE end it")
		}
	}
	db.ks.LockAll()
	defer db.ks.UnlockAll()
	f()
}

// persistence is the part of the settings that persistence looks at.
func (s *settings) persistence() persist.Settings {
	return persist.Settings{
		AppendOnly: s.appendOnly, Fsync: s.fsync, Save: s.save, StopOnSaveError: s.stopOnSaveError,
		RewritePercentage: s.rewritePct, RewriteMinSize: s.rewriteMin,
	}
}

// What belongs to persistence and is a part of the engine's face.
type (
	// Pipelines are what checkpoints and the segments of the log go through.
	Pipelines = persist.Pipelines
	// SavePoint asks for a snapshot after so many seconds when so many keys changed.
	SavePoint = persist.SavePoint
	// Archive says where the log goes besides the data directory.
	Archive = persist.Archive
	// Events are functions to be called when something has happened.
	Events = persist.Events
	// CheckpointEvent is about a checkpoint that has begun or ended.
	CheckpointEvent = persist.CheckpointEvent
	// StepEvent is about a step of a checkpoint that has ended.
	StepEvent = persist.StepEvent
	// SegmentEvent is about the segments of the log.
	SegmentEvent = persist.SegmentEvent
	// SinkEvent is about a sink that is behind, or has caught up.
	SinkEvent = persist.SinkEvent
	// LogEvent is about a log that has failed, or is healed.
	LogEvent = persist.LogEvent
	// ArchiveStats is how the archive stands.
	ArchiveStats = persist.ArchiveStats
	// SinkStateError says that a sink holds what this data directory must not be
	// taken for. [Options.Adopt] goes on in spite of it.
	SinkStateError = persist.SinkStateError
)

// The states of a sink that an engine does not start with.
const (
	SinkForeign = persist.SinkForeign // it holds sets of other data directories only
	SinkLater   = persist.SinkLater   // it holds a later state of this directory
	SinkGoneOn  = persist.SinkGoneOn  // a lineage that this directory follows goes on there
	SinkUnknown = persist.SinkUnknown // it cannot be asked, and this directory is empty
)

// The steps of a checkpoint, see [StepEvent].
const (
	StepRotate  = persist.StepRotate  // the log got its next segment
	StepCut     = persist.StepCut     // the shards are frozen; StepFreeze is a part of it
	StepFreeze  = persist.StepFreeze  // of StepCut: the time in which no command ran
	StepEncode  = persist.StepEncode  // all shards are on the sinks; a StepShard each
	StepShard   = persist.StepShard   // of StepEncode: a shard is on the sinks
	StepMember  = persist.StepMember  // what a stage or a sink has done: of StepShard, or of StepPublish
	StepPublish = persist.StepPublish // the set is visible on the sinks
	StepCommit  = persist.StepCommit  // a start loads it
	StepPrune   = persist.StepPrune   // what it takes the place of is gone; after the commit
)

// ErrReadOnly is wrapped by what an engine with Options.ReadOnly refuses.
var ErrReadOnly = persist.ErrReadOnly

// Archive tells how the archive stands; it is zero where there is none.
func (db *DB) Archive() ArchiveStats { return db.persist.Archive() }

// LogSize is what a start would have to read: the base and the log behind it,
// in bytes. The growth trigger compares it with what it was after the last
// checkpoint.
func (db *DB) LogSize() int64 { return db.persist.LogSize() }

// Checkpoints tells whether a checkpoint is in flight, and how many have been
// committed since Open.
func (db *DB) Checkpoints() (inFlight bool, committed int64) { return db.persist.Checkpoints() }
