package keyspace

import (
	"github.com/spillwaydb/spillway/core/rdb/packed"
)

// StreamRefs says what an entry's deletion does to the consumer groups in which the
// entry is pending.
type StreamRefs uint8

// What it does.
const (
	KeepRefs    StreamRefs = iota // it stays pending there
	DropRefs                      // it is no longer pending anywhere
	RespectRefs                   // an entry that a group has yet to read or to acknowledge is not deleted
)

// Referenced tells whether a group has yet to read the entry of an ID, or to
// acknowledge it.
func (s *StreamValue) Referenced(id StreamID) (referenced bool) {
	s.EachGroup(func(g *StreamGroup) bool {
		referenced = g.last.Less(id) || g.pending.get(id) != nil
		return !referenced
	})
	return referenced
}

// Unreference makes the entry of an ID, which need not be there, one that is pending
// in no group, and tells whether it was in any.
func (s *StreamValue) Unreference(id StreamID) (found bool) {
	var names [][]byte
	s.EachGroup(func(g *StreamGroup) bool {
		if g.pending.get(id) != nil {
			names = append(names, g.name)
		}
		return true
	})
	for _, name := range names {
		s.EditGroup(name, func(g *StreamGroup) { g.Ack(id) })
	}
	return len(names) > 0
}

// trimEach is Trim where each entry is looked up in the groups. Entries that are kept
// for their references are passed over, and later ones go for them.
func (s *StreamValue) trimEach(t StreamTrim) (removed int) {
	for i := 0; i < s.nodes.size(); {
		n := s.nodes.at(i)
		live, _ := n.Counts()
		if !t.ByID && s.info.Length <= t.MaxLen || t.Limit > 0 && removed+live > t.Limit {
			break
		}
		whole := t.takes(n, s.info.Length, live)
		if !whole && t.Approximate {
			break
		}
		gone := s.trimmable(t, n)
		for _, e := range gone {
			if t.Refs == DropRefs {
				s.Unreference(e.ID)
			}
		}
		removed += len(gone)
		s.info.Length -= uint64(len(gone))
		switch {
		case len(gone) == live:
			n := s.nodes.remove(i)
			s.bytes -= n.cost()
		case len(gone) > 0:
			s.editNode(i, func(n *streamNode) { n.StreamNode = n.Delete(gone...) })
			i++
		default:
			i++
		}
		if !whole {
			break
		}
	}
	if removed > 0 {
		s.findFirst()
	}
	return removed
}

// trimmable returns the entries of a node that a trim removes.
func (s *StreamValue) trimmable(t StreamTrim, n *streamNode) (gone []packed.StreamEntry) {
	for e, ok := n.First(); ok; e, ok = n.Next(&e) {
		switch {
		case e.Deleted:
			continue
		case t.ByID && !e.ID.Less(t.MinID), !t.ByID && s.info.Length-uint64(len(gone)) <= t.MaxLen:
			return gone
		case t.Refs == RespectRefs && s.Referenced(e.ID):
			continue
		}
		gone = append(gone, e)
	}
	return gone
}
