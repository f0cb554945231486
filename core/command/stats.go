package command

import "sync/atomic"

// Stats are the counters that commands and the engine share. They only grow,
// but for Reset.
type Stats struct {
	Commands             atomic.Int64 // processed, counted by the executor
	Errors               atomic.Int64 // error replies
	ExpiredKeys          atomic.Int64
	ExpireTimeCapReached atomic.Int64 // expiry cycles that ran out of time
	EvictedKeys          atomic.Int64

	_      [64]byte // the counters of every read, on a line of their own
	Hits   atomic.Int64
	Misses atomic.Int64
	_      [48]byte
}

// Reset zeroes every counter (CONFIG RESETSTAT).
func (s *Stats) Reset() {
	for _, n := range []*atomic.Int64{
		&s.Commands, &s.Errors, &s.ExpiredKeys, &s.ExpireTimeCapReached, &s.EvictedKeys, &s.Hits, &s.Misses,
	} {
		n.Store(0)
	}
}
