package core

import (
	"math"
	"strings"

	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/keyspace"
)

// MaxMemory is maxmemory, 0 for none.
func (db *DB) MaxMemory() int64 { return db.settings.Load().maxMemory }

// makeRoom evicts keys until the keyspace is within limit, as the policy says,
// and tells whether it is. It gives up every lock the session holds.
func (s *Session) makeRoom(limit int64) bool {
	db := s.db
	if db.UsedMemory() <= limit {
		return true
	}
	set := db.settings.Load()
	if set.maxMemoryPolicy == "noeviction" || db.failed.Load() != nil {
		return false
	}
	s.release()
	s.enter()
	defer s.release()
	misses := 0
	for db.UsedMemory() > limit {
		if s.evictOne(set) {
			misses = 0
			continue
		}
		if misses++; misses > 2*db.ks.NumShards() {
			return false // nothing left that may go
		}
	}
	return true
}

// evictOne removes the best candidate among a few sampled keys of one shard.
func (s *Session) evictOne(set *settings) bool {
	db := s.db
	n := s.nextEvict % db.ks.NumShards()
	s.nextEvict++
	shard := db.ks.Shard(n)
	shard.Lock()
	defer shard.Unlock()
	volatile := strings.HasPrefix(set.maxMemoryPolicy, "volatile-")
	now := db.clock.Now().UnixMilli()
	var victim []byte
	best, bestDB := int64(math.MinInt64), 0
	for i := range db.opts.Databases {
		d := shard.DB(i)
		if d.Len() == 0 || volatile && d.Expires() == 0 {
			continue
		}
		d.Sample(set.maxMemorySamples, volatile, s.ctx.Rand, func(key []byte, e keyspace.Entry) {
			if score := evictionScore(set.maxMemoryPolicy, e, now, s); score > best {
				best, bestDB = score, i
				victim = append(victim[:0], key...)
			}
		})
	}
	if victim == nil {
		return false
	}
	shard.DB(bestDB).Delete(victim)
	db.removed(command.EventEvicted, n, bestDB, victim)
	return true
}

// evictionScore is the higher, the sooner a key goes.
func evictionScore(policy string, e keyspace.Entry, now int64, s *Session) int64 {
	switch policy[strings.IndexByte(policy, '-')+1:] {
	case "lru":
		return e.Idle(now)
	case "lfu":
		return -int64(e.Freq(now))
	case "ttl":
		return -e.Deadline()
	}
	return s.ctx.Rand.Int64()
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
