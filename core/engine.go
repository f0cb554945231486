package core

import (
	"errors"
	"fmt"
	"time"

	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/sink"
)

// BGSave implements command.Engine: it asks for a snapshot checkpoint and
// returns at once. With schedule set, a request while another kind of job is
// in flight is carried out after it.
func (db *DB) BGSave(schedule bool) (string, error) {
	_, err := db.ckpt.start(sink.KindSnapshot, "BGSAVE", false)
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
	if db.log.Load() == nil {
		db.logger.Info("BGREWRITEAOF: appendonly is off, there is no log to rewrite")
		return "Append only file is disabled: nothing to rewrite", nil
	}
	if j := db.ckpt.inFlight(); j != nil && j.kind == sink.KindSnapshot {
		db.ckpt.schedule(sink.KindRewrite)
		return "Background append only file rewriting scheduled", nil
	}
	if _, err := db.ckpt.start(sink.KindRewrite, "BGREWRITEAOF", false); err != nil {
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
	out, err := db.ckpt.start(kind, why, startLog)
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
	if _, err := c.start(kind, "scheduled", false); err != nil {
		c.log.Warn("scheduled checkpoint not started", "kind", kind, "error", err)
	}
}

// replyError gives an error the code a client expects.
func replyError(err error) error {
	if errors.Is(err, errShuttingDown) {
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

// Shutdown implements command.Engine: it cancels the job in flight, saves when
// the mode asks for it, makes the log durable, and then has the owner end the
// process. When saving fails the engine goes on and the error says so.
func (db *DB) Shutdown(mode command.ShutdownMode) error {
	if db.opts.OnShutdown == nil {
		return errors.New("ERR SHUTDOWN is not available: the engine is embedded in another program")
	}
	if err := db.PrepareShutdown(mode); err != nil {
		return err
	}
	go db.opts.OnShutdown()
	return nil
}

// PrepareShutdown does what must precede the end of the process: it cancels
// the job in flight, takes a last snapshot if the mode asks for one, and makes
// the log durable. The owner calls it on SIGTERM.
func (db *DB) PrepareShutdown(mode command.ShutdownMode) error {
	save := mode == command.ShutdownSave || mode == command.ShutdownDefault && len(db.settings.Load().save) > 0
	for try := 0; save; try++ {
		db.ckpt.cancel("shutdown")
		out, err := db.ckpt.start(sink.KindSnapshot, "shutdown", false)
		if err == nil {
			err = db.ckpt.wait(out)
		} else if try < 10 {
			continue // a trigger was faster; cancel that one too
		}
		if err != nil {
			db.logger.Error("the snapshot before the shutdown failed; the shutdown is called off", "error", err)
			return errors.New("ERR Errors trying to SHUTDOWN. Check logs.")
		}
		break
	}
	if log := db.log.Load(); log != nil {
		if err := log.Sync(); err != nil && mode != command.ShutdownNoSave {
			db.logger.Error("the log could not be made durable; the shutdown is called off", "error", err)
			return errors.New("ERR Errors trying to SHUTDOWN. Check logs.")
		}
	}
	return nil
}

// cancel ends the job in flight, if any, and waits until it is rolled back.
func (c *checkpointer) cancel(why string) {
	c.mu.Lock()
	j := c.job
	c.scheduled = ""
	if j == nil {
		c.mu.Unlock()
		return
	}
	out := make(chan error, 1)
	j.waiters = append(j.waiters, out)
	j.cancel()
	c.mu.Unlock()
	c.log.Info("checkpoint cancelled", "job", j.id, "why", why)
	_ = c.wait(out) // finish has logged it; it may even have been committed
}

// Reload implements command.Engine (DEBUG RELOAD): it takes a checkpoint,
// empties the keyspace and recovers it from disk while no command runs.
func (db *DB) Reload() error {
	for {
		if err := db.runJob(sink.KindSnapshot, "DEBUG RELOAD", false); err != nil {
			return err
		}
		db.gate.Lock()
		if db.log.Load() != nil || db.dirty.Load() == db.dirtySaved.Load() {
			break // what came after the cut is in the log, or there is nothing
		}
		db.gate.Unlock()
	}
	defer db.gate.Unlock()
	if log := db.log.Load(); log != nil {
		if err := log.Sync(); err != nil {
			return fmt.Errorf("ERR %w", err)
		}
	}
	for i := range db.ks.NumShards() {
		s := db.ks.Shard(i)
		s.Lock()
		for n := range db.opts.Databases {
			s.DB(n).Flush()
		}
		s.Unlock()
	}
	db.ckpt.mu.Lock()
	m := db.ckpt.manifest.Clone()
	db.ckpt.mu.Unlock()
	if _, err := db.load(m); err != nil {
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
	db.ckpt.mu.Lock()
	m := db.ckpt.manifest
	db.ckpt.mu.Unlock()
	size := log.Stats().SegmentBytes
	if m.Base != nil {
		size += m.Base.Bytes()
	}
	for i := 0; i+1 < len(m.Segments); i++ {
		if st, err := db.fs.Stat(m.Segments[i].Path); err == nil {
			size += st.Size()
		}
	}
	return size
}

func (db *DB) keep() int { return db.opts.Keep }

// Uptime is the time since Open.
func (db *DB) Uptime() time.Duration { return db.clock.Now().Sub(db.started) }
