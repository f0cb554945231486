package keyspace

import (
	"bytes"

	"github.com/spillwaydb/spillway/core/rdb"
)

// StreamGroup is a consumer group of a stream. What is changed of it is changed in
// [StreamValue.EditGroup].
type StreamGroup struct {
	name      []byte
	last      StreamID // delivered
	read      int64    // entries, or rdb.EntriesUnknown
	pending   series[pendingEntry]
	consumers tree[StreamConsumer] // by name
	names     tree[numbered]       // by number
	next      uint64               // number of a consumer
	bytes     int64                // of names and consumers
	own       *owner               // of the tree that may write it in place
}

// pendingEntry is an entry that was delivered to a consumer, whose number it has, and
// not acknowledged.
type pendingEntry struct {
	rdb.StreamPending
	consumer uint64
}

func (p pendingEntry) ident() StreamID { return p.ID }
func (p pendingEntry) rank() int64     { return p.Delivered }

// pendingID is an entry of a consumer, about which the group knows more.
type pendingID StreamID

func (p pendingID) ident() StreamID { return StreamID(p) }
func (p pendingID) rank() int64     { return 0 }

// StreamConsumer is a consumer of a group.
type StreamConsumer struct {
	name    []byte
	number  uint64 // that no other consumer of the group has ever had
	seen    int64
	active  int64 // or rdb.NeverActive
	pending series[pendingID]
	own     *owner // of the tree that may write it in place
}

// numbered is the name of the consumer of a number.
type numbered struct {
	number uint64
	name   []byte
}

const (
	groupCost    = 320 // what a group takes besides what is in it
	consumerCost = 256 // and a consumer, in both trees
	pendingBytes = 40
	idBytes      = 16
)

// Name returns the name of the group. It must not be written.
func (g *StreamGroup) Name() []byte { return g.name }

// Last returns the last ID that was delivered.
func (g *StreamGroup) Last() StreamID { return g.last }

// EntriesRead returns how many entries the group has read, or rdb.EntriesUnknown.
func (g *StreamGroup) EntriesRead() int64 { return g.read }

// NumPending returns how many entries are pending.
func (g *StreamGroup) NumPending() int { return g.pending.size() }

// NumConsumers returns how many consumers there are.
func (g *StreamGroup) NumConsumers() int { return g.consumers.size() }

// Name returns the name of the consumer. It must not be written.
func (c *StreamConsumer) Name() []byte { return c.name }

// Seen returns when the consumer last asked for entries, in Unix milliseconds.
func (c *StreamConsumer) Seen() int64 { return c.seen }

// Active returns when the consumer was last given entries, in Unix milliseconds, or
// rdb.NeverActive.
func (c *StreamConsumer) Active() int64 { return c.active }

// NumPending returns how many entries of the consumer are pending.
func (c *StreamConsumer) NumPending() int { return c.pending.size() }

// cost estimates the bytes that a group takes.
func (g *StreamGroup) cost() int64 {
	return groupCost + int64(len(g.name)) + g.bytes + g.pending.cost(pendingBytes+idBytes)
}

// NumGroups returns how many groups there are.
func (s *StreamValue) NumGroups() int { return s.groups.size() }

// EachGroup calls fn for the groups, by name, until it returns false.
func (s *StreamValue) EachGroup(fn func(g *StreamGroup) bool) { s.groups.each(0, false, fn) }

// groupAt returns where a group is or would be.
func (s *StreamValue) groupAt(name []byte) (i int, found bool) {
	i = s.groups.lower(func(g *StreamGroup) bool { return bytes.Compare(g.name, name) < 0 })
	return i, i < s.groups.size() && bytes.Equal(s.groups.at(i).name, name)
}

// Group returns a group for reading, nil if there is none of that name.
func (s *StreamValue) Group(name []byte) *StreamGroup {
	if i, found := s.groupAt(name); found {
		return s.groups.at(i)
	}
	return nil
}

// CreateGroup makes a group, and returns false when there is one of that name.
func (s *StreamValue) CreateGroup(name []byte, last StreamID, read int64) bool {
	i, found := s.groupAt(name)
	if found {
		return false
	}
	g := StreamGroup{
		name: bytes.Clone(name), last: last, read: read, own: s.groups.own,
		pending: newSeries[pendingEntry](), consumers: newTree[StreamConsumer](), names: newTree[numbered](),
	}
	s.groups.insert(i, g, 1)
	s.bytes += g.cost()
	return true
}

// DestroyGroup removes a group, and tells whether there was one.
func (s *StreamValue) DestroyGroup(name []byte) bool {
	i, found := s.groupAt(name)
	if found {
		g := s.groups.remove(i)
		s.bytes -= g.cost()
	}
	return found
}

// EditGroup lets fn change a group, and tells whether there is one of that name.
func (s *StreamValue) EditGroup(name []byte, fn func(g *StreamGroup)) bool {
	i, found := s.groupAt(name)
	if !found {
		return false
	}
	g := s.groups.write(i, 0)
	if g.own != s.groups.own {
		// What this was copied from is no longer written, so its trees are shared.
		g.pending = g.pending.fork()
		g.consumers = g.consumers.fork()
		g.names = g.names.fork()
		g.own = s.groups.own
	}
	s.bytes -= g.cost()
	fn(g)
	s.bytes += g.cost()
	return true
}

// SetLast sets the last ID that was delivered, and how many entries up to it.
func (g *StreamGroup) SetLast(id StreamID, read int64) { g.last, g.read = id, read }

// Deliver notes that the group has read the entry of an ID behind its last one.
func (g *StreamGroup) Deliver(s *rdb.StreamInfo, id StreamID) {
	switch {
	case g.read != rdb.EntriesUnknown && !s.HasTombstones(id):
		g.read++
	case s.EntriesAdded > 0:
		g.read = s.EntriesRead(id)
	}
	g.last = id
}

// Lag returns how many entries the group has yet to read, and false where that cannot
// be told.
func (g *StreamGroup) Lag(s *rdb.StreamInfo) (lag int64, ok bool) {
	switch {
	case s.EntriesAdded == 0:
		return 0, true
	case g.read != rdb.EntriesUnknown && !s.HasTombstones(g.last):
		return int64(s.EntriesAdded) - g.read, true
	}
	read := s.EntriesRead(g.last)
	return int64(s.EntriesAdded) - read, read != rdb.EntriesUnknown
}

// consumerAt returns where a consumer is or would be.
func (g *StreamGroup) consumerAt(name []byte) (i int, found bool) {
	i = g.consumers.lower(func(c *StreamConsumer) bool { return bytes.Compare(c.name, name) < 0 })
	return i, i < g.consumers.size() && bytes.Equal(g.consumers.at(i).name, name)
}

// Consumer returns a consumer, nil if there is none of that name.
func (g *StreamGroup) Consumer(name []byte) *StreamConsumer {
	if i, found := g.consumerAt(name); found {
		return g.consumers.at(i)
	}
	return nil
}

// EachConsumer calls fn for the consumers, by name, until it returns false.
func (g *StreamGroup) EachConsumer(fn func(c *StreamConsumer) bool) { g.consumers.each(0, false, fn) }

// CreateConsumer makes a consumer, and returns false when there is one of that name.
func (g *StreamGroup) CreateConsumer(name []byte, seen int64) bool {
	i, found := g.consumerAt(name)
	if found {
		return false
	}
	name = bytes.Clone(name)
	c := StreamConsumer{name: name, number: g.next, seen: seen, active: rdb.NeverActive, pending: newSeries[pendingID](), own: g.consumers.own}
	g.consumers.insert(i, c, 1)
	g.names.insert(g.names.size(), numbered{g.next, name}, 1)
	g.next++
	g.bytes += consumerCost + int64(len(name))
	return true
}

// See notes when a consumer, which must exist, was seen.
func (g *StreamGroup) See(name []byte, now int64) { g.editConsumer(name).seen = now }

// Act notes when a consumer, which must exist, was given entries, or rdb.NeverActive.
func (g *StreamGroup) Act(name []byte, now int64) { g.editConsumer(name).active = now }

// editConsumer returns a consumer, which must exist, for writing.
func (g *StreamGroup) editConsumer(name []byte) *StreamConsumer {
	i, _ := g.consumerAt(name)
	c := g.consumers.write(i, 0)
	if c.own != g.consumers.own {
		c.pending, c.own = c.pending.fork(), g.consumers.own
	}
	return c
}

// nameAt returns where the name of a number is or would be.
func (g *StreamGroup) nameAt(number uint64) int {
	return g.names.lower(func(n *numbered) bool { return n.number < number })
}

// consumerName returns the name of the consumer of a number.
func (g *StreamGroup) consumerName(number uint64) []byte {
	return g.names.at(g.nameAt(number)).name
}

// DeleteConsumer removes a consumer, and what is pending of it. It returns how many
// entries that were, and whether there was such a consumer.
func (g *StreamGroup) DeleteConsumer(name []byte) (pending int, found bool) {
	i, found := g.consumerAt(name)
	if !found {
		return 0, false
	}
	c := g.consumers.remove(i)
	c.pending.each(0, func(id *pendingID) bool {
		g.pending.remove(StreamID(*id))
		return true
	})
	g.names.remove(g.nameAt(c.number))
	g.bytes -= consumerCost + int64(len(c.name))
	return c.pending.size(), true
}
