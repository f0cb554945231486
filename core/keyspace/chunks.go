package keyspace

import (
	"github.com/spillwaydb/spillway/core/keyspace/arena"
	"github.com/spillwaydb/spillway/core/rdb/packed"
)

// chunks is the object behind a large list: listpacks of up to the size that a
// packed list may have, in a tree by position. An item larger than that has a
// chunk of its own. A write copies the path to a chunk, and the chunk, if a
// view can see them.
type chunks struct {
	tree  tree[chunk]
	n     int // of chunks
	bytes int64
}

var _ object = (*chunks)(nil)

// chunk is consecutive items of a list, a listpack in a block of a pool. Its weight in the tree is how
// many. There may be room on both sides of it, so that a push at either end moves
// next to nothing: at the front it is the header of the listpack.
type chunk struct {
	arena.Block        // all of it
	from, to    uint32 // where in it the listpack is
}

const (
	// chunkCost is what a chunk takes besides its block: its node.
	chunkCost = 80
	// chunksAtOnce is of how many chunks a list may be to be freed at once.
	chunksAtOnce = 16
)

func newChunks(pool *arena.Pool) *chunks {
	t := newTree[chunk]()
	t.pool = pool
	return &chunks{tree: t}
}

func (c *chunks) clone() object { return &chunks{tree: c.tree.clone(), n: c.n, bytes: c.bytes} }

func (c *chunks) memory() int64 { return c.bytes }

func (c *chunks) onHeap() int64 { return int64(c.n) * chunkCost }

func (c *chunks) size() int { return c.tree.size() }

func (c *chunks) freesAtOnce() bool { return c.n <= chunksAtOnce }

func (c *chunks) free() { c.tree.free(!c.freesAtOnce()) }

func (e *chunk) block() arena.Block { return e.Block }

// items is the listpack.
func (e *chunk) items() packed.Listpack { return packed.Listpack(e.Data[e.from:e.to:e.to]) }

func (e *chunk) cost() int64 { return int64(chunkCost + arena.PoolHead + len(e.Data)) }

// chunkLimit is how large a chunk may become by more than one item.
type chunkLimit struct{ bytes, items int }

func (m chunkLimit) fits(bytes, items int) bool { return bytes <= m.bytes && items <= m.items }

// inPool is the limit of chunks that lie in a pool, whose blocks come in sizes that a whole one would just
// not fit.
func (m chunkLimit) inPool() chunkLimit { return chunkLimit{m.bytes - arena.PoolHead, m.items} }

// newChunk returns a chunk of a listpack of size bytes, which the caller writes: it has room for room bytes at
// least, of which the listpack is in the middle.
func (c *chunks) newChunk(size, room int) chunk {
	b := c.tree.pool.Alloc(max(size, room))
	b.Data = b.Data[:cap(b.Data)]
	from := (len(b.Data) - size) / 2
	return chunk{b, uint32(from), uint32(from + size)} // of a listpack
}

// letGo lets go of a chunk that is in the tree no more.
func (c *chunks) letGo(e chunk) {
	if e.Drop() {
		c.tree.pool.Free(e.Block)
	}
}

// add makes entries, so many, a chunk before position i.
func (c *chunks) add(i int, entries []byte, count int) {
	c.addChunk(i, c.newChunk(packed.ListHeader+len(entries)+1, 0), entries, count)
}

// addEnd makes an item's entry a chunk at an end of the list, where more will come.
func (c *chunks) addEnd(i int, entry []byte, m chunkLimit) {
	const ends = packed.ListHeader + 1
	c.clip(max(i-1, 0))
	e := c.newChunk(ends+len(entry), min(m.bytes, ends+m.items*len(entry)))
	if e.to -= e.from; i == 0 {
		e.to = uint32(len(e.Data))
	}
	e.from = e.to - uint32(ends+len(entry)) // of a listpack
	c.addChunk(i, e, entry, 1)
}

// addChunk makes e, which has room for entries and nothing else, a chunk before position i.
func (c *chunks) addChunk(i int, e chunk, entries []byte, count int) {
	packed.SealList(append(packed.AppendListHeader(e.items()[:0]), entries...), count)
	c.tree.insert(i, e, count)
	c.n++
	c.bytes += e.cost()
}

// clip gives back what the chunk at position i has more than it needs, for it is full.
func (c *chunks) clip(i int) {
	e := c.tree.at(i)
	if size := arena.Size(arena.PoolHead + len(e.items())); size > len(e.Data)-len(e.Data)/16 {
		return
	}
	e = c.tree.write(i, 0)
	c.bytes -= e.cost()
	c.move(e, c.newChunk(len(e.items()), 0), 0, 0, nil)
	c.bytes += e.cost()
}

// drop removes the chunk at position i.
func (c *chunks) drop(i int) {
	e := c.tree.remove(i)
	c.n--
	c.bytes -= e.cost()
	c.letGo(e)
}

// splice replaces cut bytes at a place of the chunk at position i by entries,
// with which the chunk has added items more. It keeps one at least.
func (c *chunks) splice(i, at, cut int, entries []byte, added int, m chunkLimit) {
	e := c.tree.write(i, added)
	c.bytes -= e.cost()
	size := int(e.to-e.from) - cut + len(entries)
	if e.Sole() && size <= len(e.Data) && size >= len(e.Data)/4 {
		e.splice(at, cut, entries)
	} else {
		room := size
		if added > 0 && size < m.bytes { // more will come
			room = min(size+size/2, m.bytes)
		}
		c.move(e, c.newChunk(size, room), at, cut, entries)
	}
	e.items().Spliced(added)
	c.bytes += e.cost()
}

// move puts what e holds, of which cut bytes at a place are replaced by entries, in another chunk, which e is then.
func (c *chunks) move(e *chunk, to chunk, at, cut int, entries []byte) {
	old := e.items()
	fresh := to.items()
	copy(fresh, old[:at])
	copy(fresh[at:], entries)
	copy(fresh[at+len(entries):], old[at+cut:])
	c.letGo(*e)
	*e = to
}

// splice replaces cut bytes at a place by entries, for which there is room on one side or on both
// together. It moves the shorter part if it can.
func (e *chunk) splice(at, cut int, entries []byte) {
	from, to, grow := int(e.from), int(e.to), len(entries)-cut
	before, behind := e.Data[from:from+at], e.Data[from+at+cut:to]
	switch room := len(e.Data) - to; {
	case grow <= from && (grow > room || len(before) < len(behind)):
		from -= grow
		copy(e.Data[from:], before)
	case grow <= room:
		copy(e.Data[from+at+len(entries):], behind)
	default: // grow is positive, and it comes to lie in the middle
		middle := (len(e.Data) - (to - from + grow)) / 2
		if middle < from {
			copy(e.Data[middle:], before)
		}
		copy(e.Data[middle+at+len(entries):], behind)
		if middle > from {
			copy(e.Data[middle:], before)
		}
		from = middle
	}
	copy(e.Data[from+at:], entries)
	e.from, e.to = uint32(from), uint32(from+len(before)+len(entries)+len(behind)) // of a listpack
}

// insert puts an item's entry before position i, which may be the end.
func (c *chunks) insert(i int, entry []byte, m chunkLimit) {
	n := c.size()
	if n == 0 {
		c.add(0, entry, 1)
		return
	}
	e, first := c.tree.seek(min(i, n-1))
	count, at := e.items().Len(), i-first
	fits := func(e *chunk) bool { return m.fits(len(e.items())+len(entry), e.items().Len()+1) }
	if fits(e) {
		c.splice(first, e.items().Seek(at), 0, entry, 1, m)
		return
	}
	if at > 0 && at < count {
		place := e.items().Seek(at)
		tail := e.items()[place:e.items().End()]
		c.add(first+count, tail, count-at)
		c.splice(first, place, len(tail), nil, at-count, m)
		c.insert(i, entry, m)
		return
	}
	if at == 0 && i > 0 {
		if e, first := c.tree.seek(i - 1); fits(e) {
			c.splice(first, e.items().End(), 0, entry, 1, m)
			return
		}
	}
	if i == 0 || i == n {
		c.addEnd(i, entry, m)
		return
	}
	c.add(i, entry, 1)
}

// set replaces the item at position i.
func (c *chunks) set(i int, entry []byte, m chunkLimit) {
	e, first := c.tree.seek(i)
	at := e.items().Seek(i - first)
	cut := e.items().Next(at) - at
	if count := e.items().Len(); count == 1 || m.fits(len(e.items())-cut+len(entry), 0) {
		c.splice(first, at, cut, entry, 0, m)
		return
	}
	c.remove(i, m)
	c.insert(i, entry, m)
}

// remove removes the item at position i.
func (c *chunks) remove(i int, m chunkLimit) {
	e, first := c.tree.seek(i)
	if e.items().Len() == 1 {
		c.drop(first)
		return
	}
	at := e.items().Seek(i - first)
	c.splice(first, at, e.items().Next(at)-at, nil, -1, m)
	c.join(first, m)
}

// join merges the chunk at position i with a neighbour if both have become
// small.
func (c *chunks) join(i int, m chunkLimit) {
	e, first := c.tree.seek(i)
	if len(e.items()) > m.bytes/4 {
		return
	}
	next := first + e.items().Len()
	if next == c.size() {
		if first == 0 {
			return
		}
		next = first
		e, first = c.tree.seek(first - 1)
	}
	more := c.tree.at(next).items()
	count := e.items().Len() + more.Len()
	if m.fits(2*(len(e.items())+len(more)), count) {
		c.splice(first, e.items().End(), 0, more[more.First():more.End()], more.Len(), m)
		c.drop(first + count)
	}
}

// trim keeps the items of positions from up to, not including, to: one at least.
func (c *chunks) trim(from, to int, m chunkLimit) {
	if n := c.size(); to < n {
		e, first := c.tree.seek(to)
		if at := to - first; at > 0 {
			place, end := e.items().Seek(at), e.items().End()
			c.splice(first, place, end-place, nil, at-e.items().Len(), m)
		}
		c.forget(to, c.size())
		c.tree.cut(0, to)
	}
	if from > 0 {
		e, first := c.tree.seek(from)
		if at := from - first; at > 0 {
			begin, place := e.items().First(), e.items().Seek(at)
			c.splice(first, begin, place-begin, nil, -at, m)
			from = first
		}
		c.forget(0, from)
		c.tree.cut(from, c.size())
	}
}

// forget takes the chunks of positions from up to, not including, to out of
// the account.
func (c *chunks) forget(from, to int) {
	if from == to {
		return
	}
	c.tree.each(from, false, func(e *chunk) bool {
		c.n--
		c.bytes -= e.cost()
		from += e.items().Len()
		return from < to
	})
}

// removeEqual removes the items that are the needle: the first count of them,
// the last -count, or with 0 all. It returns how many that were.
func (c *chunks) removeEqual(n *packed.Needle, count int) (removed int) {
	if count < 0 {
		for i := c.size(); i > 0 && removed < -count; {
			e, first := c.tree.seek(i - 1)
			total := e.items().Count(n)
			most := min(total, -count-removed)
			c.filter(first, n, total-most, most)
			removed += most
			i = first
		}
		return removed
	}
	for i := 0; i < c.size() && (count == 0 || removed < count); {
		most := c.tree.at(i).items().Count(n)
		if count > 0 {
			most = min(most, count-removed)
		}
		removed += most
		i += c.filter(i, n, 0, most)
	}
	return removed
}

// filter removes so many items that are the needle from the chunk at position
// i, after the first skip of them, and returns how many items it has left.
func (c *chunks) filter(i int, n *packed.Needle, skip, remove int) (left int) {
	items := c.tree.at(i).items()
	left = items.Len() - remove
	switch {
	case remove == 0:
	case left == 0:
		c.drop(i)
	default:
		e := c.tree.write(i, -remove)
		c.bytes -= e.cost()
		to := c.newChunk(len(items), 0)
		to.to = to.from + uint32(len(appendFiltered(to.items()[:0], items, n, skip, remove))) // of a listpack
		c.letGo(*e)
		*e = to
		c.bytes += e.cost()
	}
	return left
}

// each calls fn for the items from position from on, backwards when reverse,
// until it returns false. It pushes the texts of integers and pops none.
func (c *chunks) each(from int, reverse bool, num *texts, fn func(v []byte) bool) {
	if from < 0 || from >= c.size() {
		return
	}
	_, first := c.tree.seek(from)
	c.tree.each(from, reverse, func(e *chunk) bool {
		l := e.items()
		at := l.First()
		switch {
		case first >= 0:
			at = l.Seek(from - first)
			first = -1 // the others are visited whole
		case reverse:
			at = l.Prev(l.End())
		}
		return eachItem(l, at, reverse, num, fn)
	})
}
