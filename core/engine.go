package core

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spillwaydb/spillway/core/session"
	"github.com/spillwaydb/spillway/core/sink"
)

// BGSave implements command.Engine: it asks for a snapshot checkpoint and
// returns at once. With schedule set, a request while another kind of job is
// in flight is carried out after it.
func (db *DB) BGSave(schedule bool) (string, error) {
	_, err := db.ckpt.start(context.Background(), sink.KindSnapshot, "BGSAVE", false)
	if errors.Is(err, errOtherInFlight) && schedule {
		db.ckpt.schedule(sink.KindSnapshot)
		return "Background saving scheduled", nil
	}
	if err != nil {
		return "", replyError(err)
	}
	return "Background saving started", nil
}

// BGRewriteAOF implements command.Engine. Without a log it does nothing and
// says so; while a snapshot is in flight it is scheduled, as in Redis.
func (db *DB) BGRewriteAOF() (string, error) {
	if db.log.Load() == nil && !db.opts.ReadOnly {
		db.logger.Info("BGREWRITEAOF: appendonly is off, there is no log to rewrite")
		return "Append only file is disabled: nothing to rewrite", nil
	}
	if j := db.ckpt.inFlight(); j != nil && j.kind == sink.KindSnapshot {
		db.ckpt.schedule(sink.KindRewrite)
		return "Background append only file rewriting scheduled", nil
	}
	if _, err := db.ckpt.start(context.Background(), sink.KindRewrite, "BGREWRITEAOF", false); err != nil {
		return "", replyError(err)
	}
	return "Background append only file rewriting started", nil
}

// Save implements command.Engine: it returns once a snapshot checkpoint of
// this moment or later is committed and durable.
func (db *DB) Save() error { return db.runJob(sink.KindSnapshot, "SAVE", false) }

// RewriteAOF is BGREWRITEAOF that waits for the commit. For embedders and tests.
func (db *DB) RewriteAOF() error { return db.runJob(sink.KindRewrite, "rewrite", false) }

func (db *DB) runJob(kind sink.Kind, why string, startLog bool) error {
	out, err := db.ckpt.start(context.Background(), kind, why, startLog)
	if err != nil {
		return replyError(err)
	}
	if err := db.ckpt.wait(out); err != nil {
		return fmt.Errorf("ERR %w", err)
	}
	return nil
}

// schedule remembers a kind to start when the job in flight ends; when that
// has just ended, it starts now.
func (c *checkpointer) schedule(kind sink.Kind) {
	c.mu.Lock()
	if c.job != nil {
		c.scheduled = kind
		c.mu.Unlock()
		return
	}
	c.mu.Unlock()
	if _, err := c.start(context.Background(), kind, "scheduled", false); err != nil {
		c.log.Warn("scheduled checkpoint not started", "kind", kind, "error", err)
	}
}

// replyError gives an error the code a client expects.
func replyError(err error) error {
	if errors.Is(err, errShuttingDown) || errors.Is(err, ErrReadOnly) {
		return fmt.Errorf("ERR %w", err)
	}
	return err
}

// LastSave implements command.Engine.
func (db *DB) LastSave() int64 {
	db.ckpt.mu.Lock()
	defer db.ckpt.mu.Unlock()
	return db.ckpt.lastSave.Unix()
}

// Reload implements command.Engine (DEBUG RELOAD): it takes a checkpoint,
// empties the keyspace and recovers it from disk while no command runs.
func (db *DB) Reload() error {
	if db.Loading() {
		return errors.New(session.ErrLoading)
	}
	for {
		if err := db.runJob(sink.KindSnapshot, "DEBUG RELOAD", false); err != nil {
			return err
		}
		db.gate.Lock()
		if db.logOn() || db.dirty.Load() == db.dirtySaved.Load() {
			break // what came after the cut is in the log, or there is nothing
		}
		db.gate.Unlock()
	}
	defer db.gate.Unlock()
	if db.logOn() {
		if err := db.log.Load().Sync(); err != nil {
			return fmt.Errorf("ERR %w", err)
		}
	}
	db.ks.Empty()
	if _, err := db.load(context.Background(), db.ckpt.current()); err != nil {
		return fmt.Errorf("ERR Error trying to load the checkpoint: %w", err)
	}
	return nil
}

// SetActiveExpire implements command.Engine.
func (db *DB) SetActiveExpire(on bool) { db.activeExpire.Store(on) }

// LogSize is what a start would have to read: the base and the log behind it,
// in bytes. The growth trigger compares it with what it was after the last
// checkpoint.
func (db *DB) LogSize() int64 {
	log := db.log.Load()
	if log == nil {
		return 0
	}
	m := db.ckpt.current()
	size := log.Stats().SegmentBytes
	if m.Base != nil {
		size += m.Base.Bytes()
	}
	for i := 0; i+1 < len(m.Segments); i++ {
		size += db.ckpt.sizeOf(m.Segments[i])
	}
	return size
}

// Checkpoints tells whether a checkpoint is in flight, and how many have been
// committed since Open.
func (db *DB) Checkpoints() (inFlight bool, committed int64) {
	return db.ckpt.inFlight() != nil, db.ckpt.saves.Load()
}

func (db *DB) keep() int { return db.opts.Keep }

// Uptime is the time since Open.
func (db *DB) Uptime() time.Duration { return db.clock.Now().Sub(db.started) }
