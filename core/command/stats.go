package command

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Stats are the counters that commands and the engine share. They only grow,
// but for Reset.
type Stats struct {
	ExpiredKeys          atomic.Int64
	ExpiredSubkeys       atomic.Int64 // fields of hashes
	ExpireTimeCapReached atomic.Int64 // expiry cycles that ran out of time
	ExpireTime           atomic.Int64 // nanoseconds that expiry cycles took
	MovedKeys            atomic.Int64 // keys that were moved to give memory back
	CompactTime          atomic.Int64 // nanoseconds that this took
	Compacting           atomic.Bool  // it goes on with the next tick
	EvictedKeys          atomic.Int64
	LazyFreed            atomic.Int64 // values that Redis gives back in a thread of its own, see lazyfree.go
	Latency              atomic.Bool  // latency-tracking: durations are kept by command

	calls  []stripe
	errors errorCounts

	mu     sync.Mutex
	rates  []*Rate
	resets []func()

	_      [64]byte // the counters of every read, on a line of their own
	Hits   atomic.Int64
	Misses atomic.Int64
	_      [48]byte
}

// NewStats returns counters at zero. Durations are kept, as is Redis's default.
func NewStats() *Stats {
	s := &Stats{calls: make([]stripe, min(runtime.GOMAXPROCS(0), mostStripes))}
	s.Latency.Store(true)
	return s
}

// Reset zeroes every counter (CONFIG RESETSTAT).
func (s *Stats) Reset() {
	for _, n := range []*atomic.Int64{&s.ExpiredKeys, &s.ExpiredSubkeys, &s.ExpireTimeCapReached, &s.ExpireTime, &s.MovedKeys, &s.CompactTime, &s.EvictedKeys, &s.LazyFreed, &s.Hits, &s.Misses} {
		n.Store(0)
	}
	for i := range s.calls {
		s.calls[i].reset()
	}
	s.errors.reset()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, reset := range s.resets {
		reset()
	}
	for _, r := range s.rates {
		r.reset()
	}
}

// OnReset has reset called by Reset, which counters of another part need.
func (s *Stats) OnReset(reset func()) {
	s.mu.Lock()
	s.resets = append(s.resets, reset)
	s.mu.Unlock()
}
