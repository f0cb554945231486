package core

import (
	"context"
	"errors"
	"fmt"

	"github.com/spillwaydb/spillway/core/sink"
)

// What INFO's aof_state says. The policy's promise is made in logOn alone.
const (
	logOff      = "off"
	logStarting = "starting" // wanted; its base is not committed yet
	logOn       = "on"
	logStopping = "stopping" // not wanted any more
)

// logOn tells whether the log is in service, and together with a committed base:
// whether what is in it counts.
func (db *DB) logOn() bool {
	log := db.log.Load()
	return log != nil && log == db.based.Load()
}

func (db *DB) logState() string {
	want, on := db.settings.Load().appendOnly, db.logOn()
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

// LogOn implements command.Engine: it takes the checkpoint that the log follows,
// behind the job in flight if there is one, and returns when that is committed.
// Until then clients write as before, and nothing is promised of the log. When the
// checkpoint fails the log stays off, as in Redis.
func (db *DB) LogOn() error {
	if db.Loading() {
		if db.opts.AppendOnly {
			return nil // it is a part of the start
		}
		return db.giveUpLog(errors.New("the data is still being loaded"))
	}
	for db.settings.Load().appendOnly {
		if db.logOn() {
			return db.logErr()
		}
		c := db.ckpt
		j, out := c.join()
		if j == nil {
			var err error
			out, err = c.start(context.Background(), sink.KindSnapshot, "appendonly yes", true)
			switch {
			case errors.Is(err, errShuttingDown):
				return db.giveUpLog(err)
			case err != nil:
				continue // another job was faster
			}
		}
		if err := c.wait(out); err != nil && (j == nil || j.startLog) {
			return db.giveUpLog(err)
		}
	}
	return errors.New("it was switched off meanwhile")
}

// logErr is why what is in the log, which is on, does not count nevertheless.
func (db *DB) logErr() error {
	db.noteLogFailure()
	if f := db.failed.Load(); f != nil {
		return fmt.Errorf("the log has failed, and is on again once a checkpoint is committed, which is tried again and again: %w", f.err)
	}
	return nil
}

// giveUpLog takes the wish for a log back that cannot be had, and says so as
// Redis does.
func (db *DB) giveUpLog(err error) error {
	_ = db.change(func(s *settings) error {
		s.appendOnly = db.logOn()
		return nil
	})
	return fmt.Errorf("Unable to turn on AOF. Check server logs. The reason: %w", err)
}

// join returns the job in flight and a channel that gets its outcome; nil is none.
func (c *checkpointer) join() (*job, <-chan error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.job == nil {
		return nil, nil
	}
	out := make(chan error, 1)
	c.job.waiters = append(c.job.waiters, out)
	return c.job, out
}

// reconcileLog makes the log follow the setting. A client that sets it waits for
// LogOn; where nobody does, because an embedding program has set it, switching it
// on is tried here until it succeeds. Switching it off leaves what is logged for
// the next start, gives up a rewrite in flight and waits for a snapshot.
func (db *DB) reconcileLog() {
	want, log := db.settings.Load().appendOnly, db.log.Load()
	c := db.ckpt
	j := c.inFlight()
	switch {
	case want && log == nil:
		c.mu.Lock()
		failed := c.logStarts
		c.mu.Unlock()
		if j != nil || !failed.due(db.clock.Now(), logRetry) {
			return
		}
		if _, err := c.try(context.Background(), sink.KindSnapshot, "appendonly yes", true, failed.err != nil); err != nil {
			db.logger.Warn("the log is not switched on yet", "error", err)
		}
	case !want && j != nil && j.startLog:
		c.cancel("appendonly no")
	case !want && log != nil:
		if j != nil && j.kind == sink.KindSnapshot {
			return // it is what somebody asked for, and counts on the log
		}
		c.cancel("appendonly no")
		if !c.retireLog() {
			return
		}
		db.healed() // of a log that failed nothing is promised any more
		db.logger.Info("the log is off: the next checkpoint replaces it")
	}
}
