package keyspace

import (
	"github.com/spillwaydb/spillway/core/rdb/packed"
)

// StreamTrim says which of the first entries of a stream are to go.
type StreamTrim struct {
	ByID   bool
	MaxLen uint64   // without ByID: entries to keep
	MinID  StreamID // with ByID: the first that may stay
	// Approximate has whole runs go only, so that more entries may stay than are
	// asked for.
	Approximate bool
	Limit       int // entries to remove at most, in whole runs; 0 for any number
	Refs        StreamRefs
}

// Trim removes entries and returns how many.
func (s *StreamValue) Trim(t StreamTrim) (removed int) {
	if t.Refs != KeepRefs {
		return s.trimEach(t)
	}
	gone := 0 // whole nodes
	length := s.info.Length
	done := false
	s.nodes.each(0, false, func(n *streamNode) bool {
		live, _ := n.Counts()
		done = !t.ByID && length <= t.MaxLen || t.Limit > 0 && removed+live > t.Limit
		if done || !t.takes(n, length, live) {
			return false
		}
		gone++
		removed += live
		length -= uint64(live)
		s.bytes -= n.cost()
		return true
	})
	if gone > 0 {
		s.nodes.cut(gone, s.nodes.size())
	}
	s.info.Length = length
	if !done && !t.Approximate && s.nodes.size() > 0 {
		removed += s.trimNode(t)
	}
	if removed > 0 {
		s.findFirst()
	}
	return removed
}

// takes tells whether a node goes as a whole.
func (t *StreamTrim) takes(n *streamNode, length uint64, live int) bool {
	if !t.ByID {
		return length-uint64(live) >= t.MaxLen
	}
	last, _ := n.Last()
	return last.ID.Less(t.MinID)
}

// trimNode removes the entries of the first node that are to go, but not the node.
func (s *StreamValue) trimNode(t StreamTrim) (removed int) {
	var entries []packed.StreamEntry
	n := s.nodes.at(0)
	for e, ok := n.First(); ok; e, ok = n.Next(&e) {
		if t.ByID && !e.ID.Less(t.MinID) || !t.ByID && s.info.Length <= t.MaxLen {
			break
		}
		if !e.Deleted {
			entries = append(entries, e)
			s.info.Length--
		}
	}
	if len(entries) > 0 {
		s.editNode(0, func(n *streamNode) { n.StreamNode = n.Delete(entries...) })
	}
	return len(entries)
}

// RadixNodes returns how many nodes the radix tree would have in which Redis keeps
// the runs of the stream, which XINFO tells: one for each part of an ID that has one
// continuation, one where there are several, and one for each ID's end.
func (s *StreamValue) RadixNodes() int {
	if s.nodes.size() == 0 {
		return 1
	}
	// Of the IDs in their order only what two neighbours have in common matters.
	// open are the places along the last ID where others branch off.
	type id = [packed.StreamIDSize]byte
	var last id
	var open []int
	nodes, first := 0, true
	closeTo := func(depth int) {
		for len(open) > 0 && open[len(open)-1] > depth {
			at := open[len(open)-1]
			open = open[:len(open)-1]
			from := depth
			if len(open) > 0 {
				from = max(from, open[len(open)-1])
			}
			nodes += branch(from, at)
		}
	}
	leaf := func(depth int) { // the end of the last ID, whose own part begins at depth
		nodes++
		if depth+1 < packed.StreamIDSize {
			nodes++
		}
	}
	s.nodes.each(0, false, func(n *streamNode) bool {
		var key id
		n.Master.AppendKey(key[:0])
		if first {
			last, first = key, false
			return true
		}
		shared := common(last[:], key[:])
		deepest := shared
		if len(open) > 0 {
			deepest = max(deepest, open[len(open)-1])
		}
		leaf(deepest)
		closeTo(shared)
		if len(open) == 0 || open[len(open)-1] < shared {
			open = append(open, shared)
		}
		last = key
		return true
	})
	if len(open) == 0 { // one ID: all of it is one part
		return 2
	}
	leaf(open[len(open)-1])
	for i := len(open) - 1; i > 0; i-- {
		nodes += branch(open[i-1], open[i])
	}
	nodes++ // the first place where IDs branch
	if open[0] > 0 {
		nodes++ // what all of them have in common
	}
	return nodes
}

// branch counts a place where IDs branch, at a depth, and the part before it that begins behind
// another such place.
func branch(above, at int) int {
	if above+1 < at {
		return 2
	}
	return 1
}

// common is how many bytes a and b begin with in common.
func common(a, b []byte) int {
	for i := range a {
		if a[i] != b[i] {
			return i
		}
	}
	return len(a)
}
