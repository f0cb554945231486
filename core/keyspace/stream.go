package keyspace

import (
	"slices"

	"github.com/spillwaydb/spillway/core/rdb"
	"github.com/spillwaydb/spillway/core/rdb/packed"
)

// StreamValue is the stream at a key, see [DB.Stream] and [DB.EditStream]. Its entries lie
// in Redis's own encoding, listpacks of some entries each, in a tree by ID; so a
// snapshot copies them as they are. Once a stream is there it stays when it has no
// entries.
type StreamValue struct {
	onHeapOnly
	info   rdb.StreamInfo
	nodes  tree[streamNode]  // by ID; see packed.CheckStreamNode for the order within
	groups tree[StreamGroup] // by name
	bytes  int64
}

var _ object = (*StreamValue)(nil)

// streamNode is a run of entries.
type streamNode struct {
	packed.StreamNode
	own *owner // of the tree that may write Items in place
}

const (
	streamCost     = 160  // what a stream takes without any node
	streamNodeCost = 96   // and a node besides its bytes
	streamNodeRoom = 4096 // at most so much is taken for one before it is needed, as in Redis
)

func newStream() *StreamValue {
	return &StreamValue{nodes: newTree[streamNode](), groups: newTree[StreamGroup](), bytes: streamCost}
}

func (s *StreamValue) clone() object {
	return &StreamValue{info: s.info, nodes: s.nodes.clone(), groups: s.groups.clone(), bytes: s.bytes}
}

func (s *StreamValue) memory() int64 { return s.bytes }

func (s *StreamValue) onHeap() int64 { return s.bytes }

// size is how many entries there are. Unlike other collections a stream is there
// without any.
func (s *StreamValue) size() int { return int(s.info.Length) }

// Stream returns the stream at key for reading, nil when the key is absent. It must
// not hold another type. What is returned is valid until the next change to the shard.
func (d *DB) Stream(key []byte) *StreamValue {
	b, ok := d.lookup(key)
	if !ok {
		return nil
	}
	return d.object(b).(*StreamValue)
}

// EditStream lets fn change the stream at key, which is made if the key is absent. Nothing else of
// the shard may be changed meanwhile.
func (d *DB) EditStream(key []byte, fn func(s *StreamValue)) {
	b, ok := d.lookup(key)
	if !ok {
		d.newObject(key, Stream, newStream())
		b, _ = d.lookup(key)
	}
	s := d.writable(key, b).(*StreamValue)
	before := s.bytes
	fn(s)
	d.account(s.bytes-before, s.bytes-before)
}

// AddEntry adds an entry to the stream at key, which is made if the key is absent: an
// ID behind the stream's last one, and fields and values in turn, at least one of
// each.
func (d *DB) AddEntry(key []byte, id StreamID, pairs [][]byte) {
	m := d.ks.limits.Load().stream()
	d.EditStream(key, func(s *StreamValue) { s.add(id, pairs, m) })
}

// Info tells what is known of the stream besides its entries.
func (s *StreamValue) Info() *rdb.StreamInfo { return &s.info }

// SetInfo replaces what only XSETID changes: the last ID, how many entries were ever
// added, and the largest ID that was deleted.
func (s *StreamValue) SetInfo(last StreamID, added uint64, maxDeleted StreamID) {
	s.info.Last, s.info.EntriesAdded, s.info.MaxDeleted = last, added, maxDeleted
}

// NumNodes returns in how many runs the entries lie.
func (s *StreamValue) NumNodes() int { return s.nodes.size() }

func (n *streamNode) cost() int64 { return int64(streamNodeCost + cap(n.Items)) }

// add is DB.AddEntry.
func (s *StreamValue) add(id StreamID, pairs [][]byte, m chunkLimit) {
	size := 0
	for _, p := range pairs {
		size += len(p)
	}
	// Where XSETID set the last ID back, runs without a live entry may lie behind it.
	n := s.nodes.size()
	var last *streamNode
	for ; n > 0; n-- {
		if last = s.nodes.at(n - 1); last.Master.Less(id) {
			break
		}
		s.bytes -= last.cost()
		s.nodes.remove(n - 1)
	}
	if n == 0 || !last.hasRoom(size, m) {
		if n > 0 {
			s.clip(n - 1)
		}
		// The first run grows with what there is; behind one that is full comes another
		// as large, which does not copy its entries again and again.
		room := min(size+size/2+64, m.bytes)
		if n > 0 {
			room = max(room, min(m.bytes, streamNodeRoom))
		}
		node := packed.NewStreamNode(slices.Grow([]byte(nil), room), id, pairs) // with all that is allocated for it
		s.nodes.insert(n, streamNode{node, s.nodes.own}, 1)
		s.bytes += s.nodes.at(n).cost()
		n++
	}
	s.editNode(n-1, func(node *streamNode) { node.StreamNode = node.grow(size, m).Append(id, pairs) })
	i := &s.info
	i.Length++
	i.EntriesAdded++
	i.Last = id
	if i.Length == 1 {
		i.First = id
	}
}

// hasRoom tells whether an entry of so many bytes may be added to a node.
func (n *streamNode) hasRoom(size int, m chunkLimit) bool {
	if len(n.Items)+size >= m.bytes {
		return false
	}
	live, deleted := n.Counts()
	return live+deleted < m.items
}

// grow gives a node the capacity for more entries as large as this one, so that not
// each of them copies it.
func (n *streamNode) grow(size int, m chunkLimit) packed.StreamNode {
	need := len(n.Items) + size + 64
	if cap(n.Items) >= need {
		return n.StreamNode
	}
	room := max(need, min(need+need/2, m.bytes))
	return packed.StreamNode{Master: n.Master, Items: append(slices.Grow([]byte(nil), room), n.Items...)}
}

// clip gives back what a node has more than it needs, for it is full.
func (s *StreamValue) clip(i int) {
	if n := s.nodes.at(i); cap(n.Items) <= len(n.Items)+len(n.Items)/16 {
		return
	}
	n := s.nodes.write(i, 0)
	s.bytes -= n.cost()
	n.Items, n.own = append(packed.Listpack(nil), n.Items...), s.nodes.own
	s.bytes += n.cost()
}

// editNode lets fn change the node at a position, whose bytes it may write.
func (s *StreamValue) editNode(i int, fn func(n *streamNode)) {
	n := s.nodes.write(i, 0)
	s.bytes -= n.cost()
	if n.own != s.nodes.own {
		n.Items = append(make([]byte, 0, cap(n.Items)), n.Items...)
		n.own = s.nodes.own
	}
	fn(n)
	s.bytes += n.cost()
}

// nodeOf returns the position of the last node that begins at id or before it, -1
// where none does.
func (s *StreamValue) nodeOf(id StreamID) int {
	return s.nodes.lower(func(n *streamNode) bool { return !id.Less(n.Master) }) - 1
}

// find returns the entry of an ID that was not deleted, and the position of its node.
func (s *StreamValue) find(id StreamID) (node int, e packed.StreamEntry, ok bool) {
	if node = s.nodeOf(id); node < 0 {
		return 0, e, false
	}
	e, ok = s.nodes.at(node).Seek(id)
	return node, e, ok && e.ID == id
}

// Has tells whether there is an entry of an ID.
func (s *StreamValue) Has(id StreamID) bool {
	_, _, ok := s.find(id)
	return ok
}

// LastEntry returns the ID of the last entry, and false if there is none.
func (s *StreamValue) LastEntry() (id StreamID, ok bool) {
	if n := s.nodes.size(); n > 0 {
		if e, ok := s.nodes.at(n - 1).Last(); ok && !e.Deleted {
			return e.ID, true
		}
	}
	s.Each(StreamID{}, packed.MaxStreamID, true, func(it *StreamItem) bool {
		id, ok = it.ID, true
		return false
	})
	return id, ok
}

// Delete removes an entry, and tells whether it was there.
func (s *StreamValue) Delete(id StreamID) bool {
	node, e, ok := s.find(id)
	if !ok {
		return false
	}
	if live, _ := s.nodes.at(node).Counts(); live == 1 {
		n := s.nodes.remove(node)
		s.bytes -= n.cost()
	} else {
		s.editNode(node, func(n *streamNode) { n.StreamNode = n.Delete(e) })
	}
	i := &s.info
	i.Length--
	if i.MaxDeleted.Less(id) {
		i.MaxDeleted = id
	}
	if i.Length == 0 || id == i.First {
		s.findFirst()
	}
	return true
}

// findFirst brings info.First up to date.
func (s *StreamValue) findFirst() {
	s.info.First = StreamID{}
	s.Each(StreamID{}, packed.MaxStreamID, false, func(it *StreamItem) bool {
		s.info.First = it.ID
		return false
	})
}

// Count returns how many entries there are from one ID to another, both included, but
// atMost at most.
func (s *StreamValue) Count(from, to StreamID, atMost int) (count int) {
	if to.Less(from) || s.nodes.size() == 0 {
		return 0
	}
	s.nodes.each(max(s.nodeOf(from), 0), false, func(n *streamNode) bool {
		if to.Less(n.Master) {
			return false
		}
		if last, _ := n.Last(); !n.Master.Less(from) && !to.Less(last.ID) {
			live, _ := n.Counts()
			count += live
			return count < atMost
		}
		for e, ok := n.Seek(from); ok && count < atMost; e, ok = n.Next(&e) {
			switch {
			case e.Deleted:
			case to.Less(e.ID):
				return false
			default:
				count++
			}
		}
		return count < atMost
	})
	return min(count, atMost)
}

// StreamItem is an entry that is visited. It is valid during the visit.
type StreamItem struct {
	ID  StreamID
	Len int // how many fields it has

	node packed.StreamNode
	e    packed.StreamEntry
	text [2][20]byte // of integers
}

// Fields calls fn for the fields of an entry, in their order, until it returns false.
// What fn gets is valid during the call.
func (it *StreamItem) Fields(fn func(field, value []byte) bool) {
	it.node.Fields(&it.e, func(field, value packed.Entry) bool {
		return fn(field.Text(it.text[0][:0]), value.Text(it.text[1][:0]))
	})
}

// Each calls fn for the entries from one ID to another, both included, or backwards
// from the second to the first, until it returns false. fn must not change the stream.
func (s *StreamValue) Each(from, to StreamID, reverse bool, fn func(it *StreamItem) bool) {
	var it StreamItem
	s.visit(&it, from, to, reverse, func() bool { return fn(&it) })
}

// Take puts the first of the entries that Each would visit into items, as many as fit, and
// returns how many. They are valid until the stream is changed, but for its groups.
func (s *StreamValue) Take(from, to StreamID, reverse bool, items []StreamItem) (n int) {
	if len(items) == 0 {
		return 0
	}
	var it StreamItem
	s.visit(&it, from, to, reverse, func() bool {
		items[n] = it
		n++
		return n < len(items)
	})
	return n
}

// visit is Each with a place for what is visited.
func (s *StreamValue) visit(it *StreamItem, from, to StreamID, reverse bool, fn func() bool) {
	if to.Less(from) || s.nodes.size() == 0 {
		return
	}
	begin := max(s.nodeOf(from), 0)
	if reverse {
		begin = max(s.nodeOf(to), 0)
	}
	s.nodes.each(begin, reverse, func(n *streamNode) bool {
		it.node = n.StreamNode
		var ok bool
		if reverse {
			it.e, ok = n.Last()
		} else {
			it.e, ok = n.Seek(from)
		}
		for ok {
			it.ID, it.Len = it.e.ID, it.e.Len
			switch early, late := it.ID.Less(from), to.Less(it.ID); {
			case it.e.Deleted: // wherever its ID lies
			case late && !reverse, early && reverse:
				return false
			case late, early:
			case !fn():
				return false
			}
			if reverse {
				it.e, ok = n.Prev(&it.e)
			} else {
				it.e, ok = n.Next(&it.e)
			}
		}
		return true
	})
}
