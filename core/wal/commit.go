package wal

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// never is a mark that no sync reaches: a caller of lead that has it wants to
// lead.
const never = math.MaxUint64

// group is group commit. One caller at a time is the leader: it gathers, hands
// out, syncs and replaces segments. Callers that come meanwhile follow. When the
// leader is done, those followers that its work has served return, and one of
// the others becomes the next leader, on behalf of them all.
//
// Clients that send their next write when they have the reply to their last
// would form two groups, one waiting while the other's fsync runs. So a leader
// that is about to fsync lets the others catch up first, see awaitGroup.
type group struct {
	mu        sync.Mutex
	led       bool
	followers []*follower
	served    []*follower // scratch of release

	size    int           // of the last group: followers that the last release served, or left waiting
	wanted  int           // the leader waits for so many followers; 0: it does not
	full    chan struct{} // tells it that they are there
	misses  int           // waits in a row that few came to
	skip    int           // fsyncs to come that do without a wait
	spare   sync.Pool     // of *follower
	lastFor atomic.Int64  // how long the last sync took, in nanoseconds
}

const (
	// Below quickSync a client is hardly back before the fsync is over.
	quickSync = 200 * time.Microsecond
	// maxGroupWait bounds what a slow fsync may cost a client that comes first.
	maxGroupWait = 2 * time.Millisecond
	// maxMisses bounds how many fsyncs, 2 to the power of it, do without a wait
	// after that many in vain.
	maxMisses = 6
)

type follower struct {
	mark uint64
	lead chan bool // true: you lead; false: you are served
}

// follower returns a follower that goes back to spare.
func (g *group) follower(mark uint64) *follower {
	w, ok := g.spare.Get().(*follower)
	if !ok {
		w = &follower{lead: make(chan bool, 1)}
	}
	w.mark = mark
	return w
}

// Commit is CommitTo for everything appended before the call.
func (o *Order) Commit() error { return o.CommitTo(o.Mark()) }

// CommitTo returns when every taker that is Awaited has safely what was appended
// before Mark returned mark. It costs one load if they have it already. If nobody
// leads, the caller does, on behalf of all that wait. Without such a taker it
// returns at once, unless too much waits to be handed out, or a taker holds
// writes back for a reason of its own, as the segment file does under EverySec.
// An error means that what was appended may be lost, and must not be
// acknowledged. The caller holds no locks.
func (o *Order) CommitTo(mark uint64) error {
	if mark <= o.safe.Load() {
		return nil
	}
	members := *o.members.Load()
	if len(members) == 0 {
		return nil
	}
	if upTo, awaited := settled(members); !awaited {
		o.kick()
		o.Throttle()
	} else if upTo < mark {
		o.lead(mark, true)
	}
	var err error
	for _, m := range members {
		if m.file != nil {
			m.file.hold()
		}
		if err == nil && m.lost.Load() != nil && m.need() != Optional {
			err = m.outcome(mark)
		}
	}
	return err
}

// noteSafe raises safe when a member has more safely. Where a taker has ever lost
// something safe stays below it, and commits look closer: see Member.outcome.
func (o *Order) noteSafe() {
	upTo := uint64(never)
	for _, m := range *o.members.Load() {
		switch {
		case m.need() == Optional:
		case m.lost.Load() != nil:
			return
		default:
			upTo = min(upTo, m.synced.Load())
		}
	}
	if upTo == never {
		return // the next taker to join begins behind what was safe so far
	}
	raise(&o.safe, upTo)
}

// raise makes v at least n.
func raise(v *atomic.Uint64, n uint64) {
	for {
		old := v.Load()
		if old >= n || v.CompareAndSwap(old, n) {
			return
		}
	}
}

// settled tells up to which generation all takers that commits wait for have
// everything safely, and whether there are such takers. One that has failed is
// not waited for.
func settled(members []*Member) (upTo uint64, awaited bool) {
	upTo = never - 1
	for _, m := range members {
		synced, until := m.synced.Load(), m.until.Load()
		if m.need() != Awaited || until != 0 && synced >= until {
			continue
		}
		awaited = true
		if synced < upTo && m.failure.Load() == nil {
			upTo = synced
		}
	}
	return upTo, awaited
}

func (o *Order) settled() uint64 {
	upTo, _ := settled(*o.members.Load())
	return upTo
}

func (o *Order) awaited() bool {
	_, awaited := settled(*o.members.Load())
	return awaited
}

// Flush hands out everything appended before the call, without a sync.
func (o *Order) Flush() { o.lead(never, false) }

// Throttle holds the caller back while too much waits to be handed out, by
// letting it hand out. The caller holds no locks.
func (o *Order) Throttle() {
	if o.pending.Load() > maxPending {
		o.lead(never, false)
	}
}

// lead returns once mark is settled; with never, once everything appended before
// the call is handed out, too.
func (o *Order) lead(mark uint64, sync bool) {
	g := &o.group
	g.mu.Lock()
	if g.led {
		w := g.follower(mark)
		g.followers = append(g.followers, w)
		if g.wanted > 0 && len(g.followers) >= g.wanted {
			g.wanted = 0
			g.full <- struct{}{} // never blocks: the leader takes it before it wants again
		}
		g.mu.Unlock()
		lead := <-w.lead
		g.spare.Put(w)
		if !lead {
			return
		}
	} else {
		g.led = true
		g.mu.Unlock()
	}
	if o.settled() < mark {
		if sync {
			o.awaitGroup()
		}
		o.round(sync)
	}
	o.release()
}

// awaitGroup has the leader wait, for no longer than the last sync took, until
// those are back that were there lately: one sync then serves them all instead
// of half of them. When they do not come, time after time, it is tried less
// often.
func (o *Order) awaitGroup() {
	g := &o.group
	last := time.Duration(g.lastFor.Load())
	if last < quickSync || !o.awaited() {
		return
	}
	g.mu.Lock()
	want := g.size - 1
	if len(g.followers) >= want {
		g.mu.Unlock()
		return
	}
	if g.skip > 0 {
		g.skip--
		g.mu.Unlock()
		return
	}
	g.wanted = want
	g.mu.Unlock()

	late, stop := o.clock.NewTicker(min(last, maxGroupWait))
	defer stop()
	select {
	case <-g.full:
	case <-late:
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.wanted == 0 {
		select {
		case <-g.full: // it was full in the same moment
		default:
		}
	}
	g.wanted = 0
	if len(g.followers)*8 >= want*7 {
		g.misses = 0
		return
	}
	g.misses = min(g.misses+1, maxMisses)
	g.skip = 1 << g.misses
}

// acquire waits until the caller leads; release must follow.
func (o *Order) acquire() {
	g := &o.group
	g.mu.Lock()
	if !g.led {
		g.led = true
		g.mu.Unlock()
		return
	}
	w := g.follower(never)
	g.followers = append(g.followers, w)
	g.mu.Unlock()
	<-w.lead
	g.spare.Put(w)
}

// release lets those followers return that are served, and makes one of the
// others the leader.
func (o *Order) release() {
	g := &o.group
	g.mu.Lock()
	upTo := o.settled()
	var next *follower
	keep, served := g.followers[:0], g.served[:0]
	for _, w := range g.followers {
		switch {
		case w.mark <= upTo:
			served = append(served, w)
		case next == nil:
			next = w
		default:
			keep = append(keep, w)
		}
	}
	clear(g.followers[len(keep):])
	g.followers = keep
	g.led = next != nil
	g.size = len(served) + len(keep) + 1
	if next != nil {
		g.size++
		next.lead <- true // never blocks: a follower gets one message
	}
	for i, w := range served {
		w.lead <- false
		served[i] = nil
	}
	g.served = served
	g.mu.Unlock()
}
