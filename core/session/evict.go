package session

import (
	"math"
	"strings"

	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/keyspace"
)

// makeRoom evicts keys until the keyspace is within limit, as the policy says,
// and tells whether it is. It gives up every lock the session holds.
func (s *Session) makeRoom(limit int64) bool {
	if s.rt.Keyspace.UsedBytes() <= limit || s.rt.Frozen() {
		return true
	}
	e := s.rt.Eviction()
	if e.Policy == "noeviction" || s.rt.RefusesWrites() != "" {
		return false
	}
	s.release()
	s.enter()
	defer s.release()
	misses := 0
	for s.rt.Keyspace.UsedBytes() > limit {
		if s.evictOne(e) {
			misses = 0
			continue
		}
		if misses++; misses > 2*s.rt.Keyspace.NumShards() {
			return false // nothing left that may go
		}
	}
	return true
}

// evictOne removes the best candidate among a few sampled keys of one shard.
func (s *Session) evictOne(with Eviction) bool {
	n := s.nextEvict % s.rt.Keyspace.NumShards()
	s.nextEvict++
	shard := s.rt.Keyspace.Shard(n)
	if !shard.LockUnlessBusy() {
		return false
	}
	defer shard.Unlock()
	volatile := strings.HasPrefix(with.Policy, "volatile-")
	now := s.rt.Clock.Now().UnixMilli()
	var victim []byte
	best, bestDB := int64(math.MinInt64), 0
	for i := range s.rt.Keyspace.NumDatabases() {
		d := shard.DB(i)
		if d.Len() == 0 || volatile && d.Expires() == 0 {
			continue
		}
		d.Sample(with.Samples, volatile, s.ctx.Rand, func(key []byte, e keyspace.Entry) {
			if score := evictionScore(with.Policy, e, now, s); score > best {
				best, bestDB = score, i
				victim = append(victim[:0], key...)
			}
		})
	}
	if victim == nil {
		return false
	}
	shard.DB(bestDB).Delete(victim)
	s.rt.Removed(command.EventEvicted, n, bestDB, victim)
	return true
}

// evictionScore ranks a key for eviction: among those sampled, the one with the
// highest score goes.
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
