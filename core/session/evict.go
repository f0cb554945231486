package session

import (
	"strings"
	"time"

	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/keyspace"
)

// otherBudget bounds how long a command that may need no memory makes room for what
// the one before it took.
const otherBudget = 500 * time.Microsecond

// makeRoom evicts keys until the keyspace is within limit, as the policy says,
// and tells whether it is, for a command that may need memory: the session's next
// command makes room for what this one takes. It gives up every lock the session holds.
func (s *Session) makeRoom(limit int64) bool {
	s.grew = true
	return s.makeRoomFor(limit, 0, nil)
}

// makeUp makes room for what the session's last command has taken, before one that
// may need none. In Redis every command makes room; here one whose client has written
// nothing before it leaves that to the writers and to the tick.
func (s *Session) makeUp() {
	s.grew = false
	if limit := s.rt.MaxMemory(); limit > 0 {
		s.makeRoomFor(limit, otherBudget, nil)
	}
}

// makeRoomFor is makeRoom for no longer than a time, unless that is 0, and for as long as
// goesOn says, unless that is nil.
func (s *Session) makeRoomFor(limit int64, budget time.Duration, goesOn func() bool) bool {
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
	began := s.rt.Clock.Now()
	defer func() { s.rt.Latency.Note("eviction-cycle", s.rt.Clock.Now().Sub(began), began) }()
	defer s.tellOwn()
	misses := 0
	for s.rt.Keyspace.UsedBytes() > limit {
		if budget > 0 && s.rt.Clock.Now().Sub(began) >= budget || goesOn != nil && !goesOn() {
			return false
		}
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

// MakeRoom evicts keys as the next write would, for as long as goesOn says: memory may
// be over a limit that has been lowered, and there may be no write. It is for the
// engine's tick, and belongs to one goroutine at a time.
func (rt *Runtime) MakeRoom(goesOn func() bool) {
	limit := rt.MaxMemory()
	if limit == 0 || rt.Keyspace.UsedBytes() <= limit {
		return
	}
	s := rt.stewardship()
	s.makeRoomFor(limit, 0, goesOn)
	s.Release()
}

// evictOne adds a few keys of one shard to the candidates, and removes the best of
// them.
func (s *Session) evictOne(with Eviction) bool {
	n := int(s.rt.evicted.turn.Add(1) % uint64(s.rt.Keyspace.NumShards()))
	shard := s.rt.Keyspace.Shard(n)
	if !shard.LockUnlessBusy() {
		return false
	}
	volatile := strings.HasPrefix(with.Policy, "volatile-")
	now := s.rt.Clock.Now().UnixMilli()
	for i := range s.rt.Keyspace.NumDatabases() {
		d := shard.DB(i)
		if d.Len() == 0 || volatile && d.Expires() == 0 {
			continue
		}
		d.Sample(with.Samples, volatile, s.ctx.Rand, func(key []byte, e keyspace.Entry) {
			s.rt.evicted.offer(with.Policy, candidate{n, i, key, s.evictionScore(with.Policy, e, now)})
		})
	}
	shard.Unlock()
	for {
		c, ok := s.rt.evicted.take(with.Policy)
		if !ok {
			return false
		}
		if s.evict(with.Policy, c, now) {
			return true
		}
	}
}

// evict removes a candidate, unless that is gone or has been used since.
func (s *Session) evict(policy string, c candidate, now int64) bool {
	shard := s.rt.Keyspace.Shard(c.shard)
	if !shard.LockUnlessBusy() {
		return false
	}
	defer shard.Unlock()
	d := shard.DB(c.db)
	e, status := d.Get(c.key, 0)
	if status == keyspace.Missing || strings.HasPrefix(policy, "volatile-") && e.Deadline() == 0 {
		return false
	}
	if !strings.HasSuffix(policy, "-random") && s.evictionScore(policy, e, now) < c.score {
		return false
	}
	began := s.rt.Clock.Now()
	d.Delete(c.key)
	s.rt.Removed(s.client, command.EventEvicted, c.shard, c.db, c.key)
	s.rt.Latency.Note("eviction-del", s.rt.Clock.Now().Sub(began), began)
	return true
}

// evictionScore ranks a key for eviction: the one with the highest score goes.
func (s *Session) evictionScore(policy string, e keyspace.Entry, now int64) int64 {
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
