package keyspace

import (
	"bytes"
	"iter"

	"github.com/spillwaydb/spillway/core/rdb"
	"github.com/spillwaydb/spillway/core/rdb/packed"
)

// value is the stream as it is written. It aliases the stream.
func (s *StreamValue) value() *rdb.Stream {
	return &rdb.Stream{
		StreamInfo: s.info,
		NumNodes:   s.nodes.size(),
		Nodes: func(yield func(packed.StreamNode) bool) {
			s.nodes.each(0, false, func(n *streamNode) bool { return yield(n.StreamNode) })
		},
		NumGroups: s.groups.size(),
		Groups: func(yield func(rdb.StreamGroup) bool) {
			s.groups.each(0, false, func(g *StreamGroup) bool { return yield(g.value()) })
		},
		Has: s.Has,
	}
}

func (g *StreamGroup) value() rdb.StreamGroup {
	return rdb.StreamGroup{
		Name: g.name, Last: g.last, EntriesRead: g.read,
		NumPending: g.pending.size(),
		Pending: func(yield func(rdb.StreamPending) bool) {
			g.pending.each(0, func(p *pendingEntry) bool { return yield(p.StreamPending) })
		},
		Get:          func(id StreamID) rdb.StreamPending { return g.pending.get(id).StreamPending },
		NumConsumers: g.consumers.size(),
		Consumers: func(yield func(rdb.StreamConsumer) bool) {
			g.consumers.each(0, false, func(c *StreamConsumer) bool {
				return yield(rdb.StreamConsumer{Name: c.name, Seen: c.seen, Active: c.active, NumPending: c.pending.size(), Pending: c.ids()})
			})
		},
	}
}

func (c *StreamConsumer) ids() iter.Seq[StreamID] {
	return func(yield func(StreamID) bool) {
		c.pending.each(0, func(id *pendingID) bool { return yield(StreamID(*id)) })
	}
}

// load adds what a file has of a stream, or a part of it, to one that is new or has the parts before. What it keeps is copied.
func (s *StreamValue) load(v *rdb.Stream) {
	s.info = v.StreamInfo
	for n := range v.Nodes {
		n.Items = bytes.Clone(n.Items)
		s.nodes.insert(s.nodes.size(), streamNode{n, s.nodes.own}, 1)
		s.bytes += int64(streamNodeCost + cap(n.Items))
	}
	for v := range v.Groups {
		s.CreateGroup(v.Name, v.Last, v.EntriesRead)
		s.EditGroup(v.Name, func(g *StreamGroup) { g.load(&v) })
	}
}

// load fills a group that is new.
func (g *StreamGroup) load(v *rdb.StreamGroup) {
	for p := range v.Pending {
		g.pending.insert(pendingEntry{StreamPending: p})
	}
	for vc := range v.Consumers {
		g.CreateConsumer(vc.Name, vc.Seen)
		c := g.editConsumer(vc.Name)
		c.active = vc.Active
		for id := range vc.Pending {
			c.pending.insert(pendingID(id))
			g.pending.edit(id, func(e *pendingEntry) { e.consumer = c.number })
		}
	}
}
