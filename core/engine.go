package core

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spillwaydb/spillway/core/persist"
	"github.com/spillwaydb/spillway/core/session"
	"github.com/spillwaydb/spillway/core/sink"
)

// BGSave implements command.Engine: it asks for a snapshot checkpoint and
// returns at once. With schedule set, a request while another kind of job is
// in flight is carried out after it.
func (db *DB) BGSave(schedule bool) (string, error) {
	_, err := db.persist.Begin(context.Background(), sink.KindSnapshot, "BGSAVE")
	if errors.Is(err, persist.ErrOtherInFlight) && schedule {
		db.persist.Schedule(sink.KindSnapshot)
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
	if db.persist.Log() == nil && !db.opts.ReadOnly {
		db.logger.Info("BGREWRITEAOF: appendonly is off, there is no log to rewrite")
		return "Append only file is disabled: nothing to rewrite", nil
	}
	if db.persist.InFlight() == sink.KindSnapshot {
		db.persist.Schedule(sink.KindRewrite)
		return "Background append only file rewriting scheduled", nil
	}
	if _, err := db.persist.Begin(context.Background(), sink.KindRewrite, "BGREWRITEAOF"); err != nil {
		return "", replyError(err)
	}
	return "Background append only file rewriting started", nil
}

// Save implements command.Engine: it returns once a snapshot checkpoint of
// this moment or later is committed and durable.
func (db *DB) Save() error { return db.runJob(sink.KindSnapshot, "SAVE") }

// RewriteAOF is BGREWRITEAOF that waits for the commit. For embedders and tests.
func (db *DB) RewriteAOF() error { return db.runJob(sink.KindRewrite, "rewrite") }

func (db *DB) runJob(kind sink.Kind, why string) error {
	out, err := db.persist.Begin(context.Background(), kind, why)
	if err != nil {
		return replyError(err)
	}
	if err := <-out; err != nil {
		return fmt.Errorf("ERR %w", err)
	}
	return nil
}

// replyError gives an error the code a client expects.
func replyError(err error) error {
	if errors.Is(err, persist.ErrShuttingDown) || errors.Is(err, ErrReadOnly) {
		return fmt.Errorf("ERR %w", err)
	}
	return err
}

// LastSave implements command.Engine.
func (db *DB) LastSave() int64 {
	return db.persist.LastSave().Unix()
}

// Reload implements command.Engine (DEBUG RELOAD): it takes a checkpoint,
// empties the keyspace and recovers it from disk while no command runs.
func (db *DB) Reload() error {
	if db.Loading() {
		return errors.New(session.ErrLoading)
	}
	for {
		if err := db.runJob(sink.KindSnapshot, "DEBUG RELOAD"); err != nil {
			return err
		}
		db.gate.Lock()
		if db.persist.LogOn() || db.persist.Unsaved() == 0 {
			break // what came after the cut is in the log, or there is nothing
		}
		db.gate.Unlock()
	}
	defer db.gate.Unlock()
	if db.persist.LogOn() {
		if err := db.persist.Log().Sync(); err != nil {
			return fmt.Errorf("ERR %w", err)
		}
	}
	db.ks.Empty()
	if _, err := db.load(context.Background(), db.persist.Manifest()); err != nil {
		return fmt.Errorf("ERR Error trying to load the checkpoint: %w", err)
	}
	return nil
}

// SetActiveExpire implements command.Engine.
func (db *DB) SetActiveExpire(on bool) { db.activeExpire.Store(on) }

// Uptime is the time since Open.
func (db *DB) Uptime() time.Duration { return db.clock.Now().Sub(db.started) }
