package core

import (
	"context"
	"errors"
	"time"

	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/sink"
)

// Tick does once what the engine does by itself ten times a second: it applies
// finished checkpoint work, expires keys, pulls the automatic triggers, and
// retries what failed. The engine's own goroutine calls it; with
// Options.ManualTick the caller does. It is safe for concurrent use.
func (db *DB) Tick() {
	db.tickMu.Lock()
	defer db.tickMu.Unlock()
	db.ckpt.apply()
	db.noteLogFailure()
	if db.activeExpire.Load() {
		db.expireCycle()
	}
	if db.opts.ReadOnly {
		return
	}
	db.reconcileLog()
	db.triggers()
	db.retryTargets()
	db.ckpt.archive.tick()
}

// loop is the engine's goroutine.
func (db *DB) loop() {
	defer close(db.loopDone)
	ticks, stop := db.clock.NewTicker(tickInterval)
	defer stop()
	for n := 0; ; {
		select {
		case <-db.closing:
			return
		case d := <-db.ckpt.done:
			db.ckpt.pump.Lock()
			db.ckpt.complete(d)
			db.ckpt.pump.Unlock()
		case <-ticks:
			db.Tick()
			if n++; n%reclaimTicks == 0 {
				db.reclaim()
			}
		}
	}
}

// expireCycle removes keys whose deadline has passed, a few per lock hold, for
// at most a share of the tick.
func (db *DB) expireCycle() {
	if db.failed.Load() != nil {
		return // a DEL could not be logged; the deadline on disk says the same
	}
	start := db.clock.Now()
	now := start.UnixMilli()
	budget := tickInterval * expireBudget / 100
	for i := range db.ks.NumShards() {
		for n := range db.opts.Databases {
			for db.expireSome(i, n, now) {
				if db.clock.Now().Sub(start) > budget {
					db.stats.ExpireTimeCapReached.Add(1)
					return
				}
			}
		}
	}
	db.latency.Note("expire-cycle", db.clock.Now().Sub(start), start)
}

// expireSome expires up to expireKeysPerLock keys of one database of a shard
// and tells whether more may be due.
func (db *DB) expireSome(shard, n int, now int64) (more bool) {
	db.gate.RLock()
	defer db.gate.RUnlock()
	s := db.ks.Shard(shard)
	s.Lock()
	defer s.Unlock()
	d := s.DB(n)
	if d.Expires() == 0 {
		return false
	}
	return d.ExpireCycle(now, expireKeysPerLock, func(key []byte) {
		db.removed(command.EventExpired, shard, n, key)
	})
}

// removed takes in that the engine itself removes a key: it logs that, unless
// the key stays on disk, and tells those who listen. The caller holds the
// shard's lock.
func (db *DB) removed(ev command.Event, shard, n int, key []byte) {
	db.events.Removed(ev, shard, n, key)
	if db.opts.ReadOnly {
		return
	}
	if log := db.log.Load(); log != nil {
		log.Append(shard, n, [][]byte{verbDel, key})
	}
	db.dirty.Add(1)
}

var verbDel = []byte("DEL")

// triggers starts the checkpoint that a save point or the log's growth asks
// for. While one is in flight it is skipped, never queued.
func (db *DB) triggers() {
	kind, why, again := db.dueTrigger()
	if kind == "" {
		db.skipped = ""
		return
	}
	if j := db.ckpt.inFlight(); j != nil {
		// One line per job in flight, not ten a second.
		if note := string(kind) + why; db.skipped != note {
			db.skipped = note
			db.logger.Info("automatic checkpoint skipped: one is in flight", "wanted", kind, "why", why, "in_flight", j.kind, "job", j.id)
		}
		return
	}
	db.skipped = ""
	if _, err := db.ckpt.try(context.Background(), kind, why, false, again); err != nil {
		db.logger.Warn("automatic checkpoint not started", "kind", kind, "why", why, "error", err)
	}
}

// dueTrigger says which checkpoint is due now and why; "" means none. again says
// that it repeats one that failed.
func (db *DB) dueTrigger() (kind sink.Kind, why string, again bool) {
	now := db.clock.Now()
	c := db.ckpt
	c.mu.Lock()
	last, failed := c.lastSave, c.attempts
	base, segments := c.manifest.GrowthBase, len(c.manifest.Segments)
	inFlight := c.job
	c.mu.Unlock()
	if f := db.failed.Load(); f != nil {
		// Persistence is broken: only a fresh checkpoint heals it.
		if inFlight == nil && now.Sub(db.healTried) >= healInterval {
			again = !db.healTried.Before(f.at)
			db.healTried = now
			return sink.KindSnapshot, "re-establishing persistence after a log failure", again
		}
		return "", "", false
	}
	if db.savesHoldWrites() {
		// Nobody can write, so no save point may ever fire.
		if inFlight == nil && failed.due(now, heldRetry) {
			return sink.KindSnapshot, "writes are refused until a save succeeds", true
		}
		return "", "", false
	}
	if !failed.due(now, saveRetry) {
		return "", "", false
	}
	s := db.settings.Load()
	changes := db.dirty.Load() - db.dirtySaved.Load()
	for _, p := range s.save {
		if changes > 0 && changes >= p.Changes && now.Sub(last) >= time.Duration(p.Seconds)*time.Second {
			if inFlight != nil && inFlight.kind == sink.KindSnapshot {
				return "", "", false // that very save is what is running
			}
			return sink.KindSnapshot, p.String(), false
		}
	}
	if why := c.archive.wantsBase(); why != "" && inFlight == nil {
		return sink.KindSnapshot, why, false
	}
	if log := db.log.Load(); log != nil && s.rewritePct > 0 {
		size := db.LogSize()
		if size >= s.rewriteMin && (size-max(base, 1))*100 >= max(base, 1)*int64(s.rewritePct) {
			if inFlight != nil && inFlight.kind == sink.KindRewrite {
				return "", "", false
			}
			return sink.KindRewrite, "log growth", false
		}
	}
	if segments > maxSegments && inFlight == nil {
		return sink.KindRewrite, "the log has many segments", false
	}
	return "", "", false
}

// retryTargets feeds, in the background and one attempt at a time, the
// best-effort sinks that missed a committed set.
func (db *DB) retryTargets() {
	if db.clock.Now().Sub(db.targetsTried) >= time.Duration(db.retryAfter.Load()) {
		db.feedTargets("a best-effort sink is still behind", db.ckpt.pipe.Retry)
	}
}

// feedTargets runs feed in the background unless an attempt is under way. A
// failure makes the next attempt wait for longer.
func (db *DB) feedTargets(complaint string, feed func(context.Context) error) {
	if !db.retrying.CompareAndSwap(false, true) {
		return
	}
	db.targetsTried = db.clock.Now()
	db.ckpt.bg.Add(1)
	go func() {
		defer db.ckpt.bg.Done()
		defer db.retrying.Store(false)
		err := feed(context.Background())
		if errors.Is(err, sink.ErrClosed) {
			return // the next start tries again
		}
		if err != nil {
			wait := min(2*time.Duration(db.retryAfter.Load()), retryLast)
			db.retryAfter.Store(int64(wait))
			db.logger.Warn(complaint, "error", err, "next_attempt_in", wait)
			return
		}
		db.retryAfter.Store(int64(retryFirst))
	}()
}

// noteLogFailure turns a failure of the log that no client has met yet into
// the refusal of writes.
func (db *DB) noteLogFailure() {
	if db.logOn() {
		if err := db.log.Load().Err(); err != nil {
			db.fail(err)
		}
	}
}
