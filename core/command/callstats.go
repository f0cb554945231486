package command

import (
	"math/bits"
	"slices"
	"sync"
	"time"
)

// mostStripes is how many copies of the counters of commands there are at most, so that
// sessions on many CPUs seldom wait for each other. INFO adds them up. There are no more
// than processors: each client's turn would else find the counters of another copy, which
// are not in the processor's first cache.
const mostStripes = 16

// stripe is one copy.
type stripe struct {
	mu sync.Mutex
	of []callCounts // by Command.index; made when it is first needed
	_  [32]byte
}

// callCounts are the counters of a command.
type callCounts struct {
	calls, nanos, rejected, failed int64
	durations                      *histogram
}

func (s *stripe) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.of)
}

// CallStats is what was counted of a command.
type CallStats struct {
	Command  *Command
	Calls    int64
	Took     time.Duration // all calls together
	Rejected int64         // refused before they were executed
	Failed   int64         // executed, with an error as the reply
	// Durations are those of the calls that have ended while latency-tracking was
	// on; nil for none.
	Durations *Durations
}

// Calls returns the counters of every command that was called or refused, in the
// order of names.
func (s *Stats) Calls() []CallStats {
	sums := make([]CallStats, len(every))
	for i := range s.calls {
		s.calls[i].addTo(sums)
	}
	return slices.DeleteFunc(sums, func(c CallStats) bool { return c.Calls == 0 && c.Rejected == 0 && c.Failed == 0 })
}

func (s *stripe) addTo(sums []CallStats) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, n := range s.of {
		c := &sums[i]
		c.Command = every[i]
		c.Calls += n.calls
		c.Took += time.Duration(n.nanos)
		c.Rejected += n.rejected
		c.Failed += n.failed
		if n.durations != nil {
			c.Durations = n.durations.addTo(c.Durations)
		}
	}
}

// Commands is how many commands were executed.
func (s *Stats) Commands() (n int64) {
	for i := range s.calls {
		n += s.calls[i].commands()
	}
	return n
}

func (s *stripe) commands() (n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.of {
		n += s.of[i].calls
	}
	return n
}

// Tally is what one session counts of its commands before it adds that to the
// Stats: a pipeline of the same few commands costs some additions for each, and
// a lock once. It belongs to one goroutine. The zero value is empty.
type Tally struct {
	used  uint8 // the slots in which something is counted, a bit for each
	slots [4]tallySlot
}

// tallySlot has the calls of one command, which it keeps when it is emptied.
type tallySlot struct {
	cmd                     *Command
	calls, failed, rejected int32
	ended                   int32 // of buckets
	nanos                   int64
	buckets                 [16]uint16 // of the durations of calls that have ended
}

// slot is where cmd is counted. All is added to the Stats when what is there is of
// another command, or full.
func (t *Tally) slot(s *Stats, id int64, cmd *Command) *tallySlot {
	i := uint(cmd.index) % uint(len(t.slots))
	slot := &t.slots[i]
	if slot.cmd != cmd || int(slot.ended) == len(slot.buckets) {
		t.Flush(s, id)
		slot.cmd = cmd
	}
	t.used |= 1 << i
	return slot
}

// Ended counts a call that has ended. began is false for one that was counted
// by Blocked before.
func (t *Tally) Ended(s *Stats, id int64, cmd *Command, took time.Duration, failed, began bool) {
	slot := &t.slots[uint(cmd.index)%uint(len(t.slots))]
	if slot.cmd != cmd || slot.ended == 0 || int(slot.ended) == len(slot.buckets) {
		slot = t.slot(s, id, cmd)
	}
	if began {
		slot.calls++
	}
	if failed {
		slot.failed++
	}
	slot.nanos += int64(took)
	slot.buckets[uint32(slot.ended)%uint32(len(slot.buckets))] = uint16(bucketOf(took))
	slot.ended++
}

// Blocked counts a call that has not ended yet.
func (t *Tally) Blocked(s *Stats, id int64, cmd *Command, took time.Duration) {
	slot := t.slot(s, id, cmd)
	slot.calls++
	slot.nanos += int64(took)
}

// Rejected counts a command that is not executed.
func (t *Tally) Rejected(s *Stats, id int64, cmd *Command) { t.slot(s, id, cmd).rejected++ }

// Flush adds what was counted to s. id is the session's, and chooses a stripe.
func (t *Tally) Flush(s *Stats, id int64) {
	if t.used == 0 {
		return
	}
	durations := s.Latency.Load()
	to := &s.calls[uint64(id)%uint64(len(s.calls))]
	to.mu.Lock()
	if to.of == nil {
		to.of = make([]callCounts, len(every))
	}
	for ; t.used != 0; t.used &= t.used - 1 {
		slot := &t.slots[bits.TrailingZeros8(t.used)%len(t.slots)]
		to.of[slot.cmd.index].take(slot, durations)
	}
	to.mu.Unlock()
}

// take moves what a slot has into c.
func (c *callCounts) take(slot *tallySlot, durations bool) {
	c.calls += int64(slot.calls)
	c.nanos += slot.nanos
	c.failed += int64(slot.failed)
	c.rejected += int64(slot.rejected)
	if durations && slot.ended > 0 {
		if c.durations == nil {
			c.durations = new(histogram)
		}
		c.durations.add(slot.buckets[:slot.ended])
	}
	slot.calls, slot.failed, slot.rejected, slot.nanos, slot.ended = 0, 0, 0, 0, 0
}
