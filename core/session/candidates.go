package session

import (
	"bytes"
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
)

// candidates are the keys that were found the best ones to evict, among those that were
// sampled so far, of all shards. A few samples at a time come near an exact policy that
// way, as Redis's eviction pool does.
type candidates struct {
	turn atomic.Uint64 // the shard to sample next

	mu     sync.Mutex // no lock is taken under it
	policy string     // by which they were ranked
	best   []candidate
}

// candidate is a key that may be evicted, and what it scored when it was sampled.
type candidate struct {
	shard, db int
	key       []byte
	score     int64
}

// maxCandidates is how many are remembered, as in Redis.
const maxCandidates = 16

// offer adds a key, which is copied, if it is better than one of those that are there.
func (cs *candidates) offer(policy string, c candidate) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.policy != policy {
		cs.policy, cs.best = policy, cs.best[:0]
	}
	if i := slices.IndexFunc(cs.best, func(o candidate) bool { return o.shard == c.shard && o.db == c.db && bytes.Equal(o.key, c.key) }); i >= 0 {
		cs.best = slices.Delete(cs.best, i, i+1)
	}
	i, _ := slices.BinarySearchFunc(cs.best, c.score, func(o candidate, score int64) int { return cmp.Compare(o.score, score) })
	if len(cs.best) == maxCandidates {
		if i == 0 {
			return
		}
		cs.best = slices.Delete(cs.best, 0, 1)
		i--
	}
	c.key = bytes.Clone(c.key)
	cs.best = slices.Insert(cs.best, i, c)
}

// take takes the best one out.
func (cs *candidates) take(policy string) (c candidate, ok bool) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	n := len(cs.best)
	if n == 0 || cs.policy != policy {
		return c, false
	}
	c = cs.best[n-1]
	cs.best[n-1] = candidate{}
	cs.best = cs.best[:n-1]
	return c, true
}
