package keyspace

import "github.com/spillwaydb/spillway/core/rdb/packed"

// ListRef is the list at a key. It is valid while the shard's lock is held.
// Slices it hands out must not be written. What a call returns is valid until
// the next call of a handle that returns slices, or changes anything; what a
// callback gets is valid during the callback, which may read other handles.
//
// A small list is a listpack of its items, a large one chunks.
type ListRef struct{ ref }

// List returns the list at key, which must be absent or a list. An item pushed
// to an absent key creates it; a list without items does not exist.
func (d *DB) List(key []byte) ListRef { return ListRef{ref{d, key, List}} }

// chunks is the object of b, for reading.
func (l ListRef) chunks(b blob) *chunks { return l.d.object(b).(*chunks) }

// limit is how large a packed list may become.
func (l ListRef) limit() chunkLimit { return l.limits().list() }

// chunkLimit is how large a chunk may become.
func (l ListRef) chunkLimit() chunkLimit { return l.limit().inPool() }

// changeChunks is change for chunks.
func (l ListRef) changeChunks(b blob, fn func(c *chunks)) {
	l.change(b, func(o object) { fn(o.(*chunks)) })
}

// unpack makes the key hold chunks, the first of which is what b holds, and returns its blob.
func (l ListRef) unpack(b blob) blob {
	c := newChunks(l.d.ks.pool)
	if p := b.list(); b != nil {
		c.add(0, p[p.First():p.End()], p.Len())
	}
	l.d.newObject(l.key, List, c)
	return l.find()
}

// entry is the entry of v, and that behind a header.
func (l ListRef) entry(v []byte) (entry, fresh []byte) {
	s := l.scratch()
	fresh = s.keep(packed.AppendEntry(s.entries(), v))
	return fresh[packed.ListHeader:], fresh
}

// Len is the number of items, 0 when the key is absent.
func (l ListRef) Len() int { return l.lenOf(l.find()) }

// lenOf is Len for who has found the key's blob.
func (l ListRef) lenOf(b blob) int {
	if b.packed() {
		return b.list().Len()
	}
	return l.chunks(b).size()
}

// PushFront adds an item before the first, and returns how many there are then.
func (l ListRef) PushFront(v []byte) int {
	b := l.find()
	n := l.lenOf(b)
	l.insertAt(b, 0, v)
	return n + 1
}

// PushBack adds an item behind the last, and returns how many there are then.
func (l ListRef) PushBack(v []byte) int {
	b := l.find()
	n := l.lenOf(b)
	l.insertAt(b, n, v)
	return n + 1
}

// InsertAt adds an item before position i, which may be Len.
func (l ListRef) InsertAt(i int, v []byte) { l.insertAt(l.find(), i, v) }

func (l ListRef) insertAt(b blob, i int, v []byte) {
	m := l.limit()
	entry, fresh := l.entry(v)
	if b.packed() {
		p := b.list()
		if m.fits(len(p)+len(entry), p.Len()+1) {
			l.edit(b, p.Seek(i), 0, fresh, 1)
			return
		}
		b = l.unpack(b)
	}
	l.changeChunks(b, func(c *chunks) { c.insert(i, entry, m.inPool()) })
}

// PopFront removes the first item.
func (l ListRef) PopFront() ([]byte, bool) {
	b := l.find()
	if b == nil {
		return nil, false
	}
	return l.pop(b, 0), true
}

// PopBack removes the last item.
func (l ListRef) PopBack() ([]byte, bool) {
	b := l.find()
	if b == nil {
		return nil, false
	}
	return l.pop(b, l.lenOf(b)-1), true
}

// pop removes the item at a position and returns it.
func (l ListRef) pop(b blob, i int) (v []byte) {
	if b.packed() {
		p := b.list()
		at := p.Seek(i)
		v = l.scratch().take(p.Entry(at))
		l.cut(b, at, p.Next(at), 1)
		return v
	}
	e, first := l.chunks(b).tree.seek(i)
	v = l.scratch().take(e.items().Entry(e.items().Seek(i - first)))
	l.changeChunks(b, func(c *chunks) { c.remove(i, l.chunkLimit()) })
	return v
}

// At returns the item at position i, which must exist.
func (l ListRef) At(i int) []byte {
	b := l.find()
	p := b.list()
	if !b.packed() {
		e, first := l.chunks(b).tree.seek(i)
		p, i = e.items(), i-first
	}
	return l.scratch().text(0, p.Entry(p.Seek(i)))
}

// SetAt replaces the item at position i, which must exist.
func (l ListRef) SetAt(i int, v []byte) {
	b, m := l.find(), l.limit()
	entry, fresh := l.entry(v)
	if b.packed() {
		p := b.list()
		at := p.Seek(i)
		cut := p.Next(at) - at
		if m.fits(len(p)-cut+len(entry), p.Len()) {
			l.edit(b, at, cut, fresh, 0)
			return
		}
		b = l.unpack(b)
	}
	l.changeChunks(b, func(c *chunks) { c.set(i, entry, m.inPool()) })
}

// Remove removes the items equal to v: the first count of them, the last
// -count, or with 0 all. It returns how many that were.
func (l ListRef) Remove(v []byte, count int) (removed int) {
	b, n := l.find(), packed.NewNeedle(v)
	count = max(count, -maxItems)
	if !b.packed() {
		l.changeChunks(b, func(c *chunks) { removed = c.removeEqual(&n, count) })
		return removed
	}
	p, skip := b.list(), 0
	removed = p.Count(&n)
	switch {
	case count < 0:
		skip = max(removed+count, 0)
		removed -= skip
	case count > 0:
		removed = min(removed, count)
	}
	switch removed {
	case 0:
	case p.Len():
		l.d.Delete(l.key)
	default:
		s := l.scratch()
		l.d.storePayload(l.key, List, encPacked, s.keep(appendFiltered(s.build[:0], p, &n, skip, removed)))
	}
	return removed
}

// Trim keeps the items from start to stop, both included; none when start is
// behind stop.
func (l ListRef) Trim(start, stop int) {
	n := l.Len()
	start, stop = max(start, 0), min(stop, n-1)
	if start > stop {
		if n > 0 {
			l.d.Delete(l.key)
		}
		return
	}
	b := l.find()
	if !b.packed() {
		l.changeChunks(b, func(c *chunks) { c.trim(start, stop+1, l.chunkLimit()) })
		return
	}
	p := b.list()
	first, end := p.Seek(start), p.Seek(stop+1)
	if stop+1 < n {
		l.splice(end, p.End()-end, nil, stop+1-n)
	}
	if start > 0 {
		l.splice(p.First(), first-p.First(), nil, -start)
	}
}

// Each calls fn for the items from position from on, backwards when reverse,
// until it returns false. fn must not change the list.
func (l ListRef) Each(from int, reverse bool, fn func(v []byte) bool) {
	b, t := l.find(), &l.scratch().texts
	mark := len(*t)
	one := func(v []byte) bool {
		more := fn(v)
		*t = (*t)[:mark]
		return more
	}
	if !b.packed() {
		l.chunks(b).each(from, reverse, t, one)
	} else if p := b.list(); from >= 0 && from < p.Len() {
		eachItem(p, p.Seek(from), reverse, t, one)
	}
}
