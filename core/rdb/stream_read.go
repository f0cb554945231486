package rdb

import (
	"encoding/binary"
	"slices"

	"github.com/spillwaydb/spillway/core/rdb/packed"
)

// streamReader keeps what was read of a stream. It serves for one stream after the other.
type streamReader struct {
	d      *decoder
	info   StreamInfo
	nodes  []packed.StreamNode
	groups []readGroup
	taken  int             // bytes of nodes
	live   uint64          // entries, in those that were handed out too
	last   packed.StreamID // of the entries, 0-0 for none
	value  Stream
}

// readGroup is a consumer group, readConsumer a consumer, with slices for sequences.
type (
	readGroup struct {
		StreamGroup
		pending   []StreamPending
		consumers []readConsumer
	}
	readConsumer struct {
		StreamConsumer
		pending []packed.StreamID
	}
)

// stream takes a stream in one of the three versions of its encoding.
func (d *decoder) stream(enc byte) (*Stream, error) {
	r := &d.streams
	if cap(r.nodes) > keptItems {
		r.nodes = nil
	}
	*r = streamReader{d: d, nodes: r.nodes[:0], groups: r.groups[:0], value: r.value}
	for _, part := range []func(byte) error{r.readNodes, r.readInfo, r.readGroups} {
		if err := part(enc); err != nil {
			return nil, err
		}
	}
	if d.active != nil {
		if err := r.setActive(d.active); err != nil {
			return nil, err
		}
	}
	s := r.stream()
	if d.parted {
		s.Has = nil
	}
	return s, nil
}

// stream returns what was read.
func (r *streamReader) stream() *Stream {
	s := &r.value
	if s.Nodes == nil {
		s.Nodes, s.Groups = r.eachNode, r.eachGroup
	}
	s.StreamInfo, s.NumNodes, s.NumGroups, s.Has = r.info, len(r.nodes), len(r.groups), r.has
	return s
}

func (r *streamReader) eachNode(yield func(packed.StreamNode) bool) {
	for _, n := range r.nodes {
		if !yield(n) {
			return
		}
	}
}

func (r *streamReader) eachGroup(yield func(StreamGroup) bool) {
	for i := range r.groups {
		if !yield(r.groups[i].group()) {
			return
		}
	}
}

func (g *readGroup) group() StreamGroup {
	out := g.StreamGroup
	out.NumPending, out.Pending = len(g.pending), slices.Values(g.pending)
	out.Get = func(id packed.StreamID) StreamPending {
		i, _ := g.find(id)
		return g.pending[i]
	}
	out.NumConsumers = len(g.consumers)
	out.Consumers = func(yield func(StreamConsumer) bool) {
		for i := range g.consumers {
			c := g.consumers[i].StreamConsumer
			c.NumPending, c.Pending = len(g.consumers[i].pending), slices.Values(g.consumers[i].pending)
			if !yield(c) {
				return
			}
		}
	}
	return out
}

// find returns where a pending entry is.
func (g *readGroup) find(id packed.StreamID) (i int, found bool) {
	return slices.BinarySearchFunc(g.pending, id, func(p StreamPending, id packed.StreamID) int { return p.ID.Compare(id) })
}

// has looks for an entry.
func (r *streamReader) has(id packed.StreamID) bool {
	i, found := slices.BinarySearchFunc(r.nodes, id, func(n packed.StreamNode, id packed.StreamID) int { return n.Master.Compare(id) })
	if !found {
		i--
	}
	if i < 0 {
		return false
	}
	n := r.nodes[i]
	for e, ok := n.First(); ok; e, ok = n.Next(&e) {
		if e.ID == id && !e.Deleted {
			return true
		}
	}
	return false
}

// readNodes takes the entries.
func (r *streamReader) readNodes(byte) error {
	d := r.d
	var master packed.StreamID
	first := true
	return d.count(func() error {
		if r.taken >= partBytes && d.part != nil {
			d.obj.Stream = r.stream()
			d.obj.Stream.Has = nil
			if err := d.handOut(); err != nil {
				return err
			}
			r.nodes, r.taken = r.nodes[:0], 0
		}
		key, err := d.str()
		if err != nil {
			return err
		}
		if len(key) != packed.StreamIDSize {
			return d.corrupt("a stream node whose ID has %d bytes", len(key))
		}
		node := packed.StreamNode{Master: packed.StreamIDOf(key)}
		if node.Items, err = d.str(); err != nil {
			return err
		}
		sum, err := packed.CheckStreamNode(node.Master, node.Items)
		if err != nil {
			return d.corrupt("%v", err)
		}
		if !first && (!master.Less(node.Master) || !r.last.Less(node.Master)) {
			return d.corrupt("stream nodes out of order")
		}
		first, master = false, node.Master
		r.taken += len(node.Items)
		if sum.Live > 0 {
			r.last = sum.Last
		}
		r.live += uint64(sum.Live)
		if r.info.First.IsZero() && sum.Live > 0 {
			for e, ok := node.First(); ok; e, ok = node.Next(&e) {
				if !e.Deleted {
					r.info.First = e.ID
					break
				}
			}
		}
		r.nodes = append(r.nodes, node)
		return nil
	})
}

// readInfo takes what is known of a stream besides its entries.
func (r *streamReader) readInfo(enc byte) (err error) {
	d, s := r.d, &r.info
	if s.Length, err = d.length(); err != nil {
		return err
	}
	if s.Length != r.live {
		return d.corrupt("a stream of %d entries that says %d", r.live, s.Length)
	}
	if s.Last, err = r.id(); err != nil {
		return err
	}
	if s.Last.Less(r.last) { // the next entry would get an ID that is taken
		return d.corrupt("a stream whose last ID is %s, with the entry %s", s.Last, r.last)
	}
	if enc == encStream {
		s.EntriesAdded = s.Length
		return nil
	}
	if s.First, err = r.id(); err != nil {
		return err
	}
	if s.MaxDeleted, err = r.id(); err != nil {
		return err
	}
	s.EntriesAdded, err = d.length()
	return err
}

// id takes an ID of two lengths.
func (r *streamReader) id() (id packed.StreamID, err error) {
	if id.MS, err = r.d.length(); err == nil {
		id.Seq, err = r.d.length()
	}
	return id, err
}

// rawID takes an ID of 16 bytes.
func (r *streamReader) rawID() (packed.StreamID, error) {
	p, err := r.d.take(packed.StreamIDSize)
	if err != nil {
		return packed.StreamID{}, err
	}
	return packed.StreamIDOf(p), nil
}

// time takes a time in milliseconds.
func (r *streamReader) time() (int64, error) {
	p, err := r.d.take(8)
	if err != nil {
		return 0, err
	}
	return int64(binary.LittleEndian.Uint64(p)), nil
}

// readGroups takes the consumer groups.
func (r *streamReader) readGroups(enc byte) error {
	d := r.d
	return d.count(func() (err error) {
		var g readGroup
		if g.Name, err = d.str(); err != nil {
			return err
		}
		if n := len(r.groups); n > 0 && string(r.groups[n-1].Name) >= string(g.Name) {
			return d.corrupt("the groups of a stream are out of order, or one is there twice: %.100q", g.Name)
		}
		if g.Last, err = r.id(); err != nil {
			return err
		}
		g.EntriesRead = r.info.EntriesRead(g.Last)
		if enc != encStream {
			read, err := d.length()
			if err != nil {
				return err
			}
			g.EntriesRead = int64(read) // -1 was written as the largest length
		}
		if err := r.readPending(&g); err != nil {
			return err
		}
		if err := r.readConsumers(enc, &g); err != nil {
			return err
		}
		r.groups = append(r.groups, g)
		return nil
	})
}

// readPending takes the pending entries of a group.
func (r *streamReader) readPending(g *readGroup) error {
	return r.d.count(func() (err error) {
		var p StreamPending
		if p.ID, err = r.rawID(); err != nil {
			return err
		}
		if p.Delivered, err = r.time(); err != nil {
			return err
		}
		if p.Count, err = r.d.length(); err != nil {
			return err
		}
		if n := len(g.pending); n > 0 && !g.pending[n-1].ID.Less(p.ID) || p.ID.IsZero() {
			return r.d.corrupt("the pending entries of group %.100q are out of order", g.Name)
		}
		g.pending = append(g.pending, p)
		return nil
	})
}

// readConsumers takes the consumers of a group. Each of its pending entries must be
// one consumer's.
func (r *streamReader) readConsumers(enc byte, g *readGroup) error {
	d := r.d
	owned := make([]bool, len(g.pending)) // as many as were there
	left := len(owned)
	err := d.count(func() (err error) {
		var c readConsumer
		if c.Name, err = d.str(); err != nil {
			return err
		}
		if n := len(g.consumers); n > 0 && string(g.consumers[n-1].Name) >= string(c.Name) {
			return d.corrupt("the consumers of group %.100q are out of order, or one is there twice: %.100q", g.Name, c.Name)
		}
		if c.Seen, err = r.time(); err != nil {
			return err
		}
		c.Active = c.Seen // as Redis takes it where it is not told
		if enc == encStream3 {
			if c.Active, err = r.time(); err != nil {
				return err
			}
		}
		err = d.count(func() error {
			id, err := r.rawID()
			if err != nil {
				return err
			}
			i, found := g.find(id)
			if n := len(c.pending); !found || owned[i] || n > 0 && !c.pending[n-1].Less(id) {
				return d.corrupt("consumer %.100q of group %.100q has an entry out of order, of another, or that is not pending", c.Name, g.Name)
			}
			owned[i] = true
			left--
			c.pending = append(c.pending, id)
			return nil
		})
		g.consumers = append(g.consumers, c)
		return err
	})
	if err == nil && left > 0 {
		err = d.corrupt("group %.100q has %d pending entries that are of no consumer", g.Name, left)
	}
	return err
}

// Entries calls fn for the entries of a stream that were not deleted, in their order,
// until it returns false. What fn gets of node is valid during the call.
func (s *Stream) Entries(fn func(node packed.StreamNode, e *packed.StreamEntry) bool) {
	for node := range s.Nodes {
		for e, ok := node.First(); ok; e, ok = node.Next(&e) {
			if !e.Deleted && !fn(node, &e) {
				return
			}
		}
	}
}

// Dangling returns the entries that are pending in a group although they were deleted,
// in their order.
func (s *Stream) Dangling() []packed.StreamID {
	var ids []packed.StreamID
	for g := range s.Groups {
		for p := range g.Pending {
			if !s.Has(p.ID) {
				ids = append(ids, p.ID)
			}
		}
	}
	slices.SortFunc(ids, packed.StreamID.Compare)
	return slices.Compact(ids)
}
