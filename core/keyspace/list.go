package keyspace

import (
	"bytes"

	"github.com/spillwaydb/spillway/core/rdb/packed"
)

// ListRef is the list at a key. It is valid while the shard's lock is held.
// Slices it hands out must not be written. What a call returns is valid until
// the next call of a handle that returns slices, or changes anything but what
// a Pop returned; what a callback gets is valid during the callback, which may
// read other handles.
//
// A small list is a listpack of its items.
type ListRef struct{ ref }

// List returns the list at key, which must be absent or a list. An item pushed
// to an absent key creates it; a list without items does not exist.
func (d *DB) List(key []byte) ListRef { return ListRef{ref{d, key, List}} }

// Len is the number of items, 0 when the key is absent.
func (l ListRef) Len() int {
	b := l.find()
	if b.packed() {
		return b.list().Len()
	}
	return l.heap(b).items.size()
}

// PushFront adds an item before the first.
func (l ListRef) PushFront(v []byte) { l.InsertAt(0, v) }

// PushBack adds an item behind the last.
func (l ListRef) PushBack(v []byte) { l.InsertAt(l.Len(), v) }

// fits tells whether a packed list may become so long, with so many items.
func (l ListRef) fits(size, items int) bool {
	bytes, most := l.limits().list()
	return size <= bytes && items <= most
}

// InsertAt adds an item before position i, which may be Len.
func (l ListRef) InsertAt(i int, v []byte) {
	b := l.find()
	if b.packed() {
		p := b.list()
		if fresh, ok := l.fresh(v); ok && l.fits(len(p)+len(fresh)-packed.ListHeader, p.Len()+1) {
			l.edit(b, p.Seek(i), 0, fresh, 1)
			return
		}
		l.unpack(b)
	}
	l.change(func(c *collection) {
		e := element{key: bytes.Clone(v)}
		c.items.insert(i, e)
		c.bytes += c.cost(&e)
	})
}

// fresh is the entry of v behind a header, unless v is too large for any
// listpack.
func (l ListRef) fresh(v []byte) ([]byte, bool) {
	if bytes, _ := l.limits().list(); len(v) > bytes {
		return nil, false
	}
	return packed.AppendEntry(l.scratch().entries(), v), true
}

// PopFront removes the first item.
func (l ListRef) PopFront() ([]byte, bool) {
	if l.Len() == 0 {
		return nil, false
	}
	return l.pop(0), true
}

// PopBack removes the last item.
func (l ListRef) PopBack() ([]byte, bool) {
	n := l.Len()
	if n == 0 {
		return nil, false
	}
	return l.pop(n - 1), true
}

// pop removes the item at a position and returns it.
func (l ListRef) pop(i int) (v []byte) {
	b := l.find()
	if b.packed() {
		p := b.list()
		at := p.Seek(i)
		v = l.scratch().take(p.Entry(at))
		l.cut(b, at, p.Next(at), 1)
		return v
	}
	l.change(func(c *collection) { v = c.remove(i).key })
	return v
}

// At returns the item at position i, which must exist.
func (l ListRef) At(i int) []byte {
	b := l.find()
	if b.packed() {
		p := b.list()
		return l.scratch().text(0, p.Entry(p.Seek(i)))
	}
	return l.heap(b).items.at(i).key
}

// SetAt replaces the item at position i, which must exist.
func (l ListRef) SetAt(i int, v []byte) {
	b := l.find()
	if b.packed() {
		p := b.list()
		at := p.Seek(i)
		size := p.Next(at) - at
		if fresh, ok := l.fresh(v); ok && l.fits(len(p)+len(fresh)-packed.ListHeader-size, p.Len()) {
			l.edit(b, at, size, fresh, 0)
			return
		}
		l.unpack(b)
	}
	l.change(func(c *collection) {
		c.bytes += int64(len(v) - len(c.items.at(i).key))
		c.items.set(i, element{key: bytes.Clone(v)})
	})
}

// Remove removes the items equal to v: the first count of them, the last
// -count, or with 0 all. It returns how many that were.
func (l ListRef) Remove(v []byte, count int) (removed int) {
	b := l.find()
	switch {
	case b == nil:
		return 0
	case b.packed():
		return l.removePacked(b, v, count)
	}
	at := l.matches(v, count)
	l.change(func(c *collection) {
		for i := range at {
			if count >= 0 {
				i = len(at) - 1 - i // the last first, so that positions stay what they are
			}
			c.remove(at[i])
		}
	})
	return len(at)
}

// matches finds the items that Remove removes.
func (l ListRef) matches(v []byte, count int) (at []int) {
	i, step, most := 0, 1, count
	if count < 0 {
		i, step, most = l.Len()-1, -1, -max(count, -maxItems)
	}
	l.Each(i, count < 0, func(item []byte) bool {
		if bytes.Equal(item, v) {
			at = append(at, i)
		}
		i += step
		return most == 0 || len(at) < most
	})
	return at
}

// removePacked is Remove for a listpack: what stays is copied into a new one.
func (l ListRef) removePacked(b blob, v []byte, count int) (removed int) {
	p := b.list()
	n := packed.NewNeedle(v)
	total := p.Count(&n)
	skip := 0 // how many of them stay, at the front
	if count < 0 {
		skip = max(total+count, 0)
	} else if count > 0 {
		total = min(total, count)
	}
	if removed = total - skip; removed == 0 {
		return 0
	}
	build := l.scratch().entries()
	from := p.First()
	for at := from; at < p.End(); {
		next := p.Next(at)
		if total > 0 && p.Equal(at, &n) {
			total--
			if skip > 0 {
				skip--
			} else {
				build = append(build, p[from:at]...)
				from = next
			}
		}
		at = next
	}
	build = append(build, p[from:p.End()]...)
	if left := p.Len() - removed; left > 0 {
		build = packed.SealList(build, left)
		l.d.storePayload(l.key, List, encPacked, build)
	} else {
		l.d.Delete(l.key)
	}
	l.scratch().build = build
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
	if b.packed() {
		p := b.list()
		first, end := p.Seek(start), p.Seek(stop+1)
		if stop+1 < n {
			l.splice(end, p.End()-end, nil, stop+1-n)
		}
		if start > 0 {
			l.splice(p.First(), first-p.First(), nil, -start)
		}
		return
	}
	l.change(func(c *collection) {
		gone := func(from, to int) {
			i := from
			c.items.each(from, false, func(e *element) bool {
				if i >= to {
					return false
				}
				i++
				c.bytes -= c.cost(e)
				return true
			})
		}
		gone(0, start)
		gone(stop+1, n)
		c.items.cut(start, stop+1)
	})
}

// Each calls fn for the items from position from on, backwards when reverse,
// until it returns false. fn must not change the list.
func (l ListRef) Each(from int, reverse bool, fn func(v []byte) bool) {
	b := l.find()
	if !b.packed() {
		l.heap(b).items.each(from, reverse, func(e *element) bool { return fn(e.key) })
		return
	}
	p, t := b.list(), &l.scratch().texts
	n := p.Len()
	if from < 0 || from >= n {
		return
	}
	mark := len(*t)
	for at := p.Seek(from); ; {
		more := fn(t.push(p.Entry(at)))
		*t = (*t)[:mark]
		switch {
		case !more, reverse && at == p.First():
			return
		case reverse:
			at = p.Prev(at)
		default:
			if at = p.Next(at); at == p.End() {
				return
			}
		}
	}
}
