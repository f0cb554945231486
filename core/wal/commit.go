package wal

import (
	"math"
	"sync"
	"time"
)

// never is a mark that no fsync reaches: who waits for it wants the baton.
const never = math.MaxUint64

// baton is the right to gather, write and replace segments. One caller holds
// it; who wants it, or a result of its holder, waits here. When it is passed
// on, those that the holder's work has served are let go, and one of the
// others, who came meanwhile, becomes the next holder, on behalf of them all.
//
// Clients that send their next write when they have the reply to their last
// would form two groups, one waiting while the other's fsync runs. So whoever
// is about to fsync lets the others catch up first, see assemble.
type baton struct {
	mu      sync.Mutex
	held    bool
	waiters []*waiter
	served  []*waiter // scratch of release

	crowd  int           // who was there lately: served by the last release, or still waiting then
	wanted int           // the holder waits for so many waiters; 0: it does not
	full   chan struct{} // tells it that they are there
	misses int           // assemblies in a row that few came to
	pass   int           // fsyncs to come that do without one
	spare  sync.Pool     // of *waiter
}

const (
	// Below quickSync a client is hardly back before the fsync is over.
	quickSync = 200 * time.Microsecond
	// maxAssembly bounds what a slow fsync may cost a client who comes first.
	maxAssembly = 2 * time.Millisecond
	// maxMisses bounds how many fsyncs, 2 to the power of it, do without an
	// assembly after that many in vain.
	maxMisses = 6
)

type waiter struct {
	mark uint64
	lead chan bool // true: you hold the baton; false: you are served
}

// waiter returns a waiter that goes back to spare.
func (b *baton) waiter(mark uint64) *waiter {
	w, ok := b.spare.Get().(*waiter)
	if !ok {
		w = &waiter{lead: make(chan bool, 1)}
	}
	w.mark = mark
	return w
}

// Commit makes everything appended before the call as durable as the policy
// says. Under Always it returns when it is fsynced: a caller who finds nobody
// at it does it, for all who wait. Under the others it returns at once, unless
// too much is waiting to be written or, under EverySec, what should be durable
// by now is not. An error means that what was appended may
// be lost, and must not be acknowledged. The caller holds no locks.
func (l *Log) Commit() error { return l.CommitTo(l.Mark()) }

// CommitTo is Commit for what was appended before Mark returned mark. It costs
// nothing if that is durable already.
func (l *Log) CommitTo(mark uint64) error {
	if l.Policy() != Always {
		l.kick()
		l.Throttle()
		l.hold()
		if lost := l.lost.Load(); lost != nil {
			return l.outcome(mark, lost)
		}
		return nil
	}
	if l.synced.Load() < mark && l.failure.Load() == nil {
		l.lead(mark, true)
	}
	lost := l.lost.Load()
	if lost == nil {
		return nil
	}
	return l.outcome(mark, lost)
}

// outcome is what Commit returns on a log that has failed at some time.
func (l *Log) outcome(mark uint64, lost *span) error {
	f := l.failure.Load()
	switch {
	case !lost.has(mark):
		if f != nil && lost.upTo != never && l.synced.Load() < mark {
			return f.err // appended after the Cut, which has not taken place yet
		}
		return nil
	case f != nil:
		return f.err
	}
	return errLost
}

// Sync writes and fsyncs everything appended before the call, whatever the
// policy.
func (l *Log) Sync() error {
	mark := l.Mark()
	l.lead(mark, true)
	if lost := l.lost.Load(); lost != nil {
		return l.outcome(mark, lost)
	}
	return nil
}

// Flush writes everything appended before the call, without fsync.
func (l *Log) Flush() error {
	l.lead(never, false)
	return l.Err()
}

// Throttle holds the caller back while too much is waiting to be written, by
// letting it write. The caller holds no locks.
func (l *Log) Throttle() {
	if l.pending.Load() > maxPending {
		l.lead(never, false)
	}
}

// lead returns once mark is durable or the log has failed; with never, once
// everything appended before the call is written, too.
func (l *Log) lead(mark uint64, sync bool) {
	b := &l.baton
	b.mu.Lock()
	if b.held {
		w := b.waiter(mark)
		b.waiters = append(b.waiters, w)
		if b.wanted > 0 && len(b.waiters) >= b.wanted {
			b.wanted = 0
			b.full <- struct{}{} // never blocks: the holder takes it before it wants again
		}
		b.mu.Unlock()
		lead := <-w.lead
		b.spare.Put(w)
		if !lead {
			return
		}
	} else {
		b.held = true
		b.mu.Unlock()
	}
	if l.synced.Load() < mark {
		if sync {
			l.assemble()
		}
		l.round(sync)
	}
	l.release()
}

// assemble has the holder of the baton wait, for no longer than the last fsync
// took, until those are back that were there lately: one fsync then serves them
// all instead of half of them. When they do not come, time after time, it is
// tried less often.
func (l *Log) assemble() {
	last := time.Duration(l.counters.lastSync.Load())
	if last < quickSync || l.Policy() != Always {
		return
	}
	b := &l.baton
	b.mu.Lock()
	want := b.crowd - 1
	if len(b.waiters) >= want {
		b.mu.Unlock()
		return
	}
	if b.pass > 0 {
		b.pass--
		b.mu.Unlock()
		return
	}
	b.wanted = want
	b.mu.Unlock()

	late, stop := l.clock.NewTicker(min(last, maxAssembly))
	defer stop()
	select {
	case <-b.full:
	case <-late:
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.wanted == 0 {
		select {
		case <-b.full: // it was full in the same moment
		default:
		}
	}
	b.wanted = 0
	if len(b.waiters)*8 >= want*7 {
		b.misses = 0
		return
	}
	b.misses = min(b.misses+1, maxMisses)
	b.pass = 1 << b.misses
}

// take waits for the baton.
func (l *Log) take() {
	b := &l.baton
	b.mu.Lock()
	if !b.held {
		b.held = true
		b.mu.Unlock()
		return
	}
	w := b.waiter(never)
	b.waiters = append(b.waiters, w)
	b.mu.Unlock()
	<-w.lead
	b.spare.Put(w)
}

// release passes the baton on and lets those go that are served.
func (l *Log) release() {
	b := &l.baton
	b.mu.Lock()
	synced, failed := l.synced.Load(), l.failure.Load() != nil
	var next *waiter
	keep, served := b.waiters[:0], b.served[:0]
	for _, w := range b.waiters {
		switch {
		case w.mark <= synced || failed && w.mark != never:
			served = append(served, w)
		case next == nil:
			next = w
		default:
			keep = append(keep, w)
		}
	}
	clear(b.waiters[len(keep):])
	b.waiters = keep
	b.held = next != nil
	b.crowd = len(served) + len(keep) + 1
	if next != nil {
		b.crowd++
		next.lead <- true // never blocks: a waiter gets one message
	}
	for i, w := range served {
		w.lead <- false
		served[i] = nil
	}
	b.served = served
	b.mu.Unlock()
}
