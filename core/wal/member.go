package wal

import "sync/atomic"

// Member is a taker's place in an order.
type Member struct {
	order *Order
	taker Taker
	file  *logFile // the taker, if it is one: commits ask it directly

	active  bool // takes blocks: its join has taken place; belongs to the leader
	counted bool // is one of queue.takers; guarded by queue.mu
	joined  chan struct{}
	after   uint64 // the last block before its first; written before joined is closed

	written atomic.Uint64 // generations up to this one were handed to the taker
	synced  atomic.Uint64 // and up to this one it has safely
	until   atomic.Uint64 // commits depend on it for generations up to this one; 0: for all
	failure atomic.Pointer[failure]
	lost    atomic.Pointer[span] // generations that the taker has not got; nil: none
}

// failure is why a taker gets no blocks.
type failure struct{ err error }

// span is the numbers in (after, upTo].
type span struct{ after, upTo uint64 }

func (s span) has(n uint64) bool { return n > s.after && n <= s.upTo }

// Join makes t a taker of everything that is appended from now on. The caller
// holds the locks of all shards, so that a copy of the data that it makes under
// the same locks and the taker's blocks are, together, the data. A join costs no
// I/O; see Wait.
func (o *Order) Join(t Taker) *Member {
	if _, direct := t.(*Backlog); !direct && t.Need() != Awaited {
		t = newDelivery(t, o.maxQueued)
	}
	m := &Member{order: o, taker: t}
	o.join(m)
	return m
}

func (o *Order) join(m *Member) {
	m.joined = make(chan struct{})
	q := &o.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	o.lockBuffers()
	defer o.unlockBuffers()
	if q.closed {
		m.lost.Store(&span{after: m.synced.Load(), upTo: never})
		m.failure.Store(&failure{ErrClosed})
		close(m.joined)
		return
	}
	o.start.Do(func() {
		o.loops.Add(1)
		go o.writeLoop()
	})
	// What was appended in this generation before the join waits for m, too,
	// which does no harm. Commits depend on m from now on.
	gen := o.gen.Load() - 1
	m.written.Store(gen)
	m.synced.Store(gen)
	skipped := o.admit()
	m.counted = true
	o.setMembers(m, true)
	o.divide(func() {
		m.after = o.seq.Add(skipped)
		m.taker.Begin(m.after)
		m.active = true
		close(m.joined)
	})
}

// Wait returns once the join has taken place: everything before it is handed
// out. after is the number of the last block before the taker's first. The
// caller holds no locks.
func (m *Member) Wait() (after uint64, err error) {
	m.order.lead(never, false)
	<-m.joined
	return m.after, m.Err()
}

// Leave ends the membership: after it the taker gets no block any more, and no
// commit depends on it. It waits for a Take that has begun. The caller holds no
// locks.
func (m *Member) Leave() {
	m.order.acquire()
	m.order.round(false)
	m.remove()
	m.order.release()
	if d, ok := m.taker.(*delivery); ok {
		d.stop(nil)
		d.wait()
	}
}

// remove ends the membership. The caller leads.
func (m *Member) remove() {
	o := m.order
	q := &o.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	o.lockBuffers()
	defer o.unlockBuffers()
	o.setMembers(m, false)
	m.uncount()
}

// setMembers replaces the list of members by one with, or without, m. The caller
// holds queue.mu.
func (o *Order) setMembers(m *Member, in bool) {
	list := make([]*Member, 0, 4)
	for _, other := range *o.members.Load() {
		if other != m {
			list = append(list, other)
		}
	}
	if in {
		list = append(list, m)
	}
	o.members.Store(&list)
}

// uncount takes m off queue.takers. The caller holds queue.mu and every
// buffer.mu.
func (m *Member) uncount() {
	if m.counted {
		m.counted = false
		m.order.dismiss()
	}
}

// end has the taker get nothing that is appended from now on; its membership ends
// later. The caller holds the locks of all shards.
func (m *Member) end() {
	o := m.order
	o.queue.mu.Lock()
	defer o.queue.mu.Unlock()
	o.lockBuffers()
	defer o.unlockBuffers()
	until := o.gen.Load()
	m.until.Store(until)
	o.gen.Add(1)
	o.divide(func() {
		if m.takes() {
			m.written.Store(until)
		}
		m.active = false
	})
}

// Err is why the taker gets no blocks any more, nil if it does.
func (m *Member) Err() error {
	if f := m.failure.Load(); f != nil {
		return f.err
	}
	return nil
}

// takes tells whether the taker gets blocks now. The caller leads.
func (m *Member) takes() bool { return m.active && m.failure.Load() == nil }

// advance takes in that the taker has generations up to gen safely.
func (m *Member) advance(gen uint64) {
	raise(&m.synced, gen)
	m.order.noteSafe()
}

// need is how commits depend on the taker now.
func (m *Member) need() Need {
	if m.file != nil {
		return m.file.Need()
	}
	return m.taker.Need()
}

// fail ends what the taker gets. again replaces an earlier failure; otherwise
// the first one stays.
func (m *Member) fail(err error, again bool) {
	m.order.queue.mu.Lock()
	defer m.order.queue.mu.Unlock()
	m.failLocked(err, again)
}

// failLocked is fail for a caller that holds queue.mu. It tells whether err is now
// the failure.
func (m *Member) failLocked(err error, again bool) bool {
	if m.failure.Load() != nil && !again {
		return false
	}
	o := m.order
	o.lockBuffers()
	defer o.unlockBuffers()
	lost := span{after: m.synced.Load(), upTo: never}
	if old := m.lost.Load(); old != nil {
		lost.after = min(lost.after, old.after)
	}
	m.lost.Store(&lost)
	m.failure.Store(&failure{err})
	m.uncount()
	if d, ok := m.taker.(*delivery); ok {
		d.stop(err)
	}
	o.gen.Add(1) // Mark, with nothing to gather, names what is lost
	return true
}

// outcome is what a commit returns as far as it depends on m.
func (m *Member) outcome(mark uint64) error {
	lost, until := m.lost.Load(), m.until.Load()
	if lost == nil || until != 0 && mark > until {
		return nil
	}
	f := m.failure.Load()
	switch {
	case !lost.has(mark):
		if f != nil && lost.upTo != never && m.synced.Load() < mark {
			return f.err // appended after the Cut, which has not taken place yet
		}
		return nil
	case f != nil:
		return f.err
	}
	return errLost
}
