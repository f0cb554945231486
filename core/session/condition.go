package session

import (
	"math/bits"
	"sync"
	"sync/atomic"
)

// condition is something out of the ordinary that concerns every command.
type condition uint32

// The conditions.
const (
	clientsPaused  condition = 1 << iota // CLIENT PAUSE is in force, or was and nobody has looked since
	scriptBusy                           // a script has run for longer than busy-reply-threshold
	monitored                            // a client has said MONITOR
	linesReady                           // commands that have waited are to be served
	reachFar                             // one that waits has keys in several shards
	tooFewReplicas                       // there are fewer than min-replicas-to-write
	follows                              // the data are another server's, which alone says what expires
	loads                                // the data are still being loaded
	numConditions  = iota
)

// conditions are those that there are, nearly always none: a word of one bit for
// each, so that a command finds out with one load that nothing has to be looked at. What
// lies behind a bit is kept by whoever sets it.
//
// A command that begins once add has returned sees the bit: the state behind it
// is changed before, and the load of an atomic sees every store that happened before
// it. What a command may have loaded too early counts only for those that run beside
// the setter. Who has to wait for those takes the lock of every shard once
// (Session.awaitUnits): a command looks again when it has its locks, so one that locks
// a shard afterwards sees the bit, and one that has locked it before has ended.
type conditions struct {
	word atomic.Uint32

	mu     sync.Mutex
	counts [numConditions]int // of the reasons for each
}

// load returns the conditions that hold.
func (c *conditions) load() condition { return condition(c.word.Load()) }

// add counts n reasons more for a condition, or fewer; it holds while there are
// any. Any goroutine, under any lock.
func (c *conditions) add(what condition, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	count := &c.counts[bits.TrailingZeros32(uint32(what))]
	before := *count
	*count += n
	switch {
	case before <= 0 && *count > 0:
		c.word.Or(uint32(what))
	case before > 0 && *count <= 0:
		c.word.And(^uint32(what))
	}
}

// set adds a reason for a condition, or takes one away.
func (c *conditions) set(what condition, on bool) {
	n := 1
	if !on {
		n = -1
	}
	c.add(what, n)
}
