package keyspace

// StreamPending is an entry that is pending.
type StreamPending struct {
	ID        StreamID
	Consumer  []byte // must not be written
	Delivered int64  // when, the last time, in Unix milliseconds
	Count     uint64 // how often
}

// of makes what is told of a pending entry.
func (g *StreamGroup) of(p *pendingEntry) StreamPending {
	return StreamPending{p.ID, g.consumerName(p.consumer), p.Delivered, p.Count}
}

// Pending returns a pending entry.
func (g *StreamGroup) Pending(id StreamID) (StreamPending, bool) {
	if p := g.pending.get(id); p != nil {
		return g.of(p), true
	}
	return StreamPending{}, false
}

// EachPending calls fn for what is pending of the group, or with a consumer of that
// one, from an ID on until it returns false.
func (g *StreamGroup) EachPending(c *StreamConsumer, from StreamID, fn func(p StreamPending) bool) {
	if c == nil {
		g.pending.each(g.pending.seek(from), func(p *pendingEntry) bool { return fn(g.of(p)) })
		return
	}
	c.pending.each(c.pending.seek(from), func(id *pendingID) bool {
		p := g.pending.get(StreamID(*id))
		return fn(StreamPending{p.ID, c.name, p.Delivered, p.Count})
	})
}

// NumPendingFrom returns how many entries of a consumer are pending from an ID on.
func (c *StreamConsumer) NumPendingFrom(id StreamID) int {
	return c.pending.size() - c.pending.seek(id)
}

// PendingRange returns the first and the last ID that is pending; something must be.
func (g *StreamGroup) PendingRange() (first, last StreamID) {
	return g.pending.at(0).ID, g.pending.at(g.pending.size() - 1).ID
}

// NextPending returns the first ID that is pending from an ID on.
func (g *StreamGroup) NextPending(from StreamID) (StreamID, bool) {
	i := g.pending.seek(from)
	if i == g.pending.size() {
		return StreamID{}, false
	}
	return g.pending.at(i).ID, true
}

// EachDelivered calls fn for what was last delivered at a time up to a limit, by ID,
// until it returns false. It asks for the limit again each time. Of a million entries it
// looks at those that are within it, and at some thousands of times besides.
func (g *StreamGroup) EachDelivered(limit func() int64, fn func(p StreamPending) bool) {
	g.pending.eachUpTo(limit, func(p *pendingEntry) bool { return fn(g.of(p)) })
}

// Claim makes an entry pending of p.Consumer, which must exist, whosever it was.
func (g *StreamGroup) Claim(p StreamPending) {
	to := g.Consumer(p.Consumer).number
	var from uint64
	there := g.pending.edit(p.ID, func(e *pendingEntry) {
		from = e.consumer
		e.Delivered, e.Count, e.consumer = p.Delivered, p.Count, to
	})
	switch {
	case !there:
		n := pendingEntry{consumer: to}
		n.ID, n.Delivered, n.Count = p.ID, p.Delivered, p.Count
		g.pending.insert(n)
	case from == to:
		return
	default:
		g.editConsumer(g.consumerName(from)).pending.remove(p.ID)
	}
	g.editConsumer(p.Consumer).pending.insert(pendingID(p.ID))
}

// Ack removes a pending entry, and tells whether there was one.
func (g *StreamGroup) Ack(id StreamID) bool {
	p := g.pending.get(id)
	if p == nil {
		return false
	}
	g.editConsumer(g.consumerName(p.consumer)).pending.remove(id)
	return g.pending.remove(id)
}
