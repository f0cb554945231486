package core

import (
	"bytes"
	"time"

	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/internal/turn"
)

// Tick does once what the engine does by itself ten times a second: it
// expires keys, gives memory back, pulls the automatic triggers, and
// retries what failed. The engine's own goroutine calls it; with
// Options.ManualTick the caller does. It is safe for concurrent use.
func (db *DB) Tick() {
	if db.debugging.PauseCron.Load() {
		return
	}
	db.tickMu.Lock()
	defer db.tickMu.Unlock()
	defer db.ticks.Add(1)
	db.stats.Sample(db.clock.Now())
	db.countHeapRoom()
	db.notePeak()
	db.persist.CheckLog()
	if db.activeExpire.Load() && !db.runtime.Frozen() {
		db.expireCycle()
	}
	db.compact()
	db.runtime.ServeWaiting()
	db.limitTracking()
	if db.opts.ReadOnly {
		return
	}
	evicting := db.allow(evictBudget)
	db.runtime.MakeRoom(evicting.goesOn)
	db.persist.Tick()
}

// allowance is how long one of a tick's tasks may work. Now and then others have the
// processor: on a server with one, nobody is served meanwhile.
type allowance struct {
	clock      Clock
	most, used time.Duration
	since      time.Time // when it last had the processor
}

// stretch is how long a task works before others have the processor. With every step they
// would have many times what it has, where there are many clients.
const stretch = 500 * time.Microsecond

// allow begins a task that may take that share of a tick.
func (db *DB) allow(percent int) allowance {
	return allowance{clock: db.clock, most: tickInterval * time.Duration(percent) / 100, since: db.clock.Now()}
}

// goesOn is called between two steps, and tells whether there may be another.
func (a *allowance) goesOn() bool {
	took := a.clock.Now().Sub(a.since)
	switch {
	case a.used+took > a.most:
		return false
	case took >= stretch:
		a.used += took
		turn.Yield()
		a.since = a.clock.Now()
	}
	return true
}

// total is how long the task has worked by now.
func (a *allowance) total() time.Duration { return a.used + a.clock.Now().Sub(a.since) }

// Ticks counts what Tick has done to its end. A supervisor who sees it stand still
// knows that the engine hangs.
func (db *DB) Ticks() uint64 { return db.ticks.Load() }

// loop is the engine's goroutine.
func (db *DB) loop() {
	defer close(db.loopDone)
	ticks, stop := db.clock.NewTicker(tickInterval)
	defer stop()
	for n := 0; ; {
		select {
		case <-db.closing:
			return
		case <-ticks:
			db.Tick()
			if n++; n%reclaimTicks == 0 {
				db.reclaim()
			}
		}
	}
}

// limitTracking forgets what is remembered of keys for CLIENT TRACKING beyond
// tracking-table-max-keys, which may have been lowered.
func (db *DB) limitTracking() {
	if !db.tracking.Over() {
		return
	}
	db.gate.RLock()
	defer db.gate.RUnlock()
	for i := range db.ks.NumShards() {
		s := db.ks.Shard(i)
		s.Lock()
		db.tracking.Limit(i, nil)
		s.Unlock()
	}
}

// expireCycle removes keys, and fields of hashes, whose deadline has passed, a few per lock hold, for
// at most a share of the tick.
func (db *DB) expireCycle() {
	if db.persist.Failure() != nil {
		return // a DEL could not be logged; the deadline on disk says the same
	}
	work := db.allow(expireBudget)
	start := work.since
	now := start.UnixMilli()
	defer func() {
		took := work.total()
		db.stats.ExpireTime.Add(int64(took))
		db.latency.Note("expire-cycle", took, start)
	}()
	for i := range db.ks.NumShards() {
		for n := range db.opts.Databases {
			for db.expireSome(i, n, now) {
				if !work.goesOn() {
					db.stats.ExpireTimeCapReached.Add(1)
					return
				}
			}
		}
	}
}

// expireSome expires up to expireKeysPerLock keys and fields of one database of a shard
// and tells whether more may be due.
func (db *DB) expireSome(shard, n int, now int64) (more bool) {
	db.gate.RLock()
	defer db.gate.RUnlock()
	s := db.ks.Shard(shard)
	if !s.LockUnlessBusy() {
		return false // the next cycle comes
	}
	defer s.Unlock()
	d := s.DB(n)
	if d.Expires()+d.Dated() == 0 {
		return false
	}
	return d.ExpireCycle(now, expireKeysPerLock, func(key []byte) {
		db.removed(nil, command.EventExpired, shard, n, key)
	}, func(key []byte, atMost int) int {
		return db.expireFields(shard, n, key, now, atMost)
	})
}

// expireFields removes fields of a hash that have expired, and tells how many. They are
// logged as one command. The caller holds the shard's lock.
func (db *DB) expireFields(shard, n int, key []byte, now int64, atMost int) int {
	d := db.ks.Shard(shard).DB(n)
	logged := [][]byte{verbHDel, key}
	removed := command.ExpireFields(d.Hash(key), now, atMost, func(field []byte) {
		logged = append(logged, bytes.Clone(field))
	})
	db.took(shard, n, logged, int64(removed))
	db.events.FieldsRemoved(shard, n, key, removed, d.Hash(key).Len() == 0)
	return removed
}

// removed takes in that the engine itself removes a key: it logs that, unless
// the key stays on disk, and tells those who listen. The caller holds the
// shard's lock. by is the client for whose command that is done, nil for none.
func (db *DB) removed(by command.Client, ev command.Event, shard, n int, key []byte) {
	db.events.Removed(by, ev, shard, n, key)
	db.took(shard, n, [][]byte{verbDel, key}, 1)
}

// took logs what the engine itself has removed, unless that stays on disk, and counts
// it as so many changes. The caller holds the shard's lock.
func (db *DB) took(shard, n int, logged [][]byte, changes int64) {
	if db.opts.ReadOnly {
		return
	}
	if db.order.Taken() {
		db.order.Append(shard, n, logged)
	} else {
		db.order.Skip(shard)
	}
	db.persist.Changed(changes)
}

var (
	verbDel  = []byte("DEL")
	verbHDel = []byte("HDEL")
)
