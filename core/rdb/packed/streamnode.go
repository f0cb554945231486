package packed

import "slices"

// StreamNode is a run of consecutive entries of a stream, as Redis keeps and writes
// them: a listpack that begins with a master entry, whose fields those entries do
// not repeat that have the same.
//
//	live deleted n field*n 0                            the master entry
//	(flags ms seq [n] ([field] value)*n pieces)*        the entries
//
// live and deleted count the entries. ms and seq are what the ID of an entry is
// above Master. With the flag sameFields neither n nor the fields are there. pieces is of how many
// pieces of the listpack the entry consists, itself not counted, so that entries are found backwards. An entry that
// was deleted stays, with the flag deleted.
type StreamNode struct {
	Master StreamID // where the node begins: at or before its first entry
	Items  Listpack
}

// The flags of an entry.
const (
	flagDeleted    = 1
	flagSameFields = 2
)

// StreamEntry is an entry of a node. It is valid until the node is changed.
type StreamEntry struct {
	ID      StreamID
	Deleted bool
	Len     int // how many fields it has

	same  bool // its fields are those of the master entry
	at    int  // the place of its flags
	first int  // of its first field, or of its first value
	end   int  // behind its last piece, 0 when that is not known yet
}

// int returns the integer at a place of the listpack.
func (l Listpack) int(at int) int64 { return decode(l[at:]).Int }

// number returns the integer at a place of the listpack, and the place behind it.
func (l Listpack) number(at int) (v int64, next int) {
	if c := l[at]; c <= int7Max {
		return int64(c), at + 2
	}
	return l.int(at), l.Next(at)
}

// walk returns the place that is n entries of the listpack further on.
func (l Listpack) walk(at, n int) int {
	for ; n > 0; n-- {
		at = l.Next(at)
	}
	return at
}

// Counts returns how many entries the node has, and how many that were deleted.
func (n StreamNode) Counts() (live, deleted int) {
	at := n.Items.First()
	return int(n.Items.int(at)), int(n.Items.int(n.Items.Next(at)))
}

// master returns how many fields the master entry has and where they are.
func (n StreamNode) master() (fields, at int) {
	at = n.Items.walk(n.Items.First(), 2)
	return int(n.Items.int(at)), n.Items.Next(at)
}

// First returns the first entry, deleted ones included, and false if there is none.
func (n StreamNode) First() (StreamEntry, bool) {
	fields, at := n.master()
	return n.entry(n.Items.walk(at, fields+1))
}

// Last returns the last entry, deleted ones included.
func (n StreamNode) Last() (StreamEntry, bool) { return n.before(n.Items.End()) }

// Seek returns the first entry of an ID or one behind it that was not deleted, and
// false if there is none.
func (n StreamNode) Seek(id StreamID) (StreamEntry, bool) {
	l := n.Items
	fields, at := n.master()
	at = l.walk(at, fields+1)
	for end := l.End(); at < end; {
		flags, p := l.number(at)
		ms, p := l.number(p)
		seq, p := l.number(p)
		e := StreamEntry{Len: fields, first: p, at: at}
		e.ID = StreamID{n.Master.MS + uint64(ms), n.Master.Seq + uint64(seq)} // differences wrap around
		pieces := fields
		if e.same = flags&flagSameFields != 0; !e.same {
			var own int64
			own, e.first = l.number(p)
			e.Len, pieces = int(own), 2*int(own)
		}
		if flags&flagDeleted == 0 && !e.ID.Less(id) {
			return e, true
		}
		at = l.walk(e.first, pieces+1)
	}
	return StreamEntry{}, false
}

// Next returns the entry behind e.
func (n StreamNode) Next(e *StreamEntry) (StreamEntry, bool) { return n.entry(n.endOf(e)) }

// Prev returns the entry before e.
func (n StreamNode) Prev(e *StreamEntry) (StreamEntry, bool) { return n.before(e.at) }

// entry reads the entry that begins at a place.
func (n StreamNode) entry(at int) (StreamEntry, bool) {
	l := n.Items
	if at >= l.End() {
		return StreamEntry{}, false
	}
	flags := l.int(at)
	e := StreamEntry{Deleted: flags&flagDeleted != 0, same: flags&flagSameFields != 0, at: at}
	at = l.Next(at)
	e.ID.MS = n.Master.MS + uint64(l.int(at)) // differences wrap around
	at = l.Next(at)
	e.ID.Seq = n.Master.Seq + uint64(l.int(at))
	e.first = l.Next(at)
	if e.same {
		e.Len, _ = n.master()
	} else {
		e.Len = int(l.int(e.first))
		e.first = l.Next(e.first)
	}
	return e, true
}

// before reads the entry that ends at a place.
func (n StreamNode) before(at int) (StreamEntry, bool) {
	l := n.Items
	end := at
	at = l.Prev(at)
	pieces := l.int(at)
	if pieces == 0 { // the end of the master entry
		return StreamEntry{}, false
	}
	for ; pieces > 0; pieces-- {
		at = l.Prev(at)
	}
	e, ok := n.entry(at)
	e.end = end
	return e, ok
}

// endOf is the place behind an entry.
func (n StreamNode) endOf(e *StreamEntry) int {
	if e.end == 0 {
		pieces := e.Len
		if !e.same {
			pieces *= 2
		}
		e.end = n.Items.walk(e.first, pieces+1)
	}
	return e.end
}

// Fields calls fn for the fields of an entry until it returns false.
func (n StreamNode) Fields(e *StreamEntry, fn func(field, value Entry) bool) {
	l, at := n.Items, e.first
	master := 0
	if e.same {
		_, master = n.master()
	}
	for range e.Len {
		var field Entry
		if e.same {
			field = l.Entry(master)
			master = l.Next(master)
		} else {
			field = l.Entry(at)
			at = l.Next(at)
		}
		value := l.Entry(at)
		at = l.Next(at)
		if !fn(field, value) {
			return
		}
	}
	e.end = l.Next(at)
}

// NewStreamNode returns a node without entries whose master entry has the fields of
// the first entry to come: fields and values in turn. It takes dst, which is
// empty, for memory.
func NewStreamNode(dst []byte, first StreamID, pairs [][]byte) StreamNode {
	b := AppendListHeader(dst)
	b = AppendInt(AppendInt(b, 0), 0)
	b = AppendInt(b, int64(len(pairs)/2))
	for i := 0; i < len(pairs); i += 2 {
		b = AppendEntry(b, pairs[i])
	}
	b = AppendInt(b, 0)
	return StreamNode{first, SealList(b, len(pairs)/2+4)}
}

// Append returns the node with an entry more: an ID behind all others, and fields
// and values in turn. It writes in place where the listpack has the capacity.
func (n StreamNode) Append(id StreamID, pairs [][]byte) StreamNode {
	live, _ := n.Counts()
	b, _ := n.Items.replaceInt(n.Items.First(), int64(live+1))
	n.Items = b
	flags, pieces := int64(0), 3+len(pairs)
	if n.sameFields(pairs) {
		flags, pieces = flagSameFields, 3+len(pairs)/2
	} else {
		pieces++
	}
	b = b[:b.End()]
	b = AppendInt(b, flags)
	b = AppendInt(b, int64(id.MS-n.Master.MS)) // differences wrap around
	b = AppendInt(b, int64(id.Seq-n.Master.Seq))
	if flags == 0 {
		b = AppendInt(b, int64(len(pairs)/2))
	}
	for i, p := range pairs {
		if flags == 0 || i%2 == 1 {
			b = AppendEntry(b, p)
		}
	}
	b = AppendInt(b, int64(pieces))
	b = append(b, endByte)
	n.Items = b
	n.Items.Spliced(pieces + 1)
	return n
}

// sameFields tells whether pairs have the fields of the master entry.
func (n StreamNode) sameFields(pairs [][]byte) bool {
	fields, at := n.master()
	if fields != len(pairs)/2 {
		return false
	}
	for i := 0; i < len(pairs); i += 2 {
		needle := NewNeedle(pairs[i])
		if !n.Items.Equal(at, &needle) {
			return false
		}
		at = n.Items.Next(at)
	}
	return true
}

// Delete returns the node with the entries marked as deleted, which must not be yet
// and must come in their order. It writes in place where the listpack has the
// capacity. Entries that were read before are invalid.
func (n StreamNode) Delete(entries ...StreamEntry) StreamNode {
	l, moved := n.Items, 0
	for _, e := range entries {
		flags := int64(flagDeleted)
		if e.same {
			flags |= flagSameFields
		}
		var by int
		l, by = l.replaceInt(e.at+moved, flags)
		moved += by
	}
	live, deleted := n.Counts()
	at := l.First()
	l, _ = l.replaceInt(at, int64(live-len(entries)))
	l, _ = l.replaceInt(l.Next(at), int64(deleted+len(entries)))
	n.Items = l
	return n
}

// replaceInt replaces the integer at a place and tells by how much what follows has
// moved.
func (l Listpack) replaceInt(at int, v int64) (Listpack, int) {
	var buf [16]byte
	entry := AppendInt(buf[:0], v)
	cut := l.Next(at) - at
	if cut == len(entry) {
		copy(l[at:], entry)
		return l, 0
	}
	l = slices.Replace(l, at, at+cut, entry...)
	l.Spliced(0)
	return l, len(entry) - cut
}
