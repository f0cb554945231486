package keyspace

import "bytes"

// ListRef is the list at a key. It is valid while the shard's lock is held;
// slices it hands out are valid for as long, and must not be written.
type ListRef struct{ ref }

// List returns the list at key, which must be absent or a list. An item pushed
// to an absent key creates it; a list without items does not exist.
func (d *DB) List(key []byte) ListRef { return ListRef{ref{d, key, List}} }

// PushFront adds an item before the first.
func (l ListRef) PushFront(v []byte) { l.InsertAt(0, v) }

// PushBack adds an item behind the last.
func (l ListRef) PushBack(v []byte) { l.InsertAt(l.Len(), v) }

// InsertAt adds an item before position i, which may be Len.
func (l ListRef) InsertAt(i int, v []byte) {
	c := l.write()
	e := element{key: bytes.Clone(v)}
	c.items.insert(i, e)
	l.grow(c, c.cost(&e))
}

// PopFront removes the first item.
func (l ListRef) PopFront() ([]byte, bool) {
	if l.Len() == 0 {
		return nil, false
	}
	return l.removeAt(l.write(), 0).key, true
}

// PopBack removes the last item.
func (l ListRef) PopBack() ([]byte, bool) {
	n := l.Len()
	if n == 0 {
		return nil, false
	}
	return l.removeAt(l.write(), n-1).key, true
}

// At returns the item at position i, which must exist.
func (l ListRef) At(i int) []byte { return l.read().items.at(i).key }

// SetAt replaces the item at position i, which must exist.
func (l ListRef) SetAt(i int, v []byte) {
	c := l.write()
	delta := int64(len(v) - len(c.items.at(i).key))
	c.items.set(i, element{key: bytes.Clone(v)})
	l.grow(c, delta)
}

// RemoveAt removes the item at position i, which must exist.
func (l ListRef) RemoveAt(i int) { l.removeAt(l.write(), i) }

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
	c := l.write()
	freed := int64(0)
	gone := func(from, to int) {
		i := from
		c.items.each(from, false, func(e *element) bool {
			if i >= to {
				return false
			}
			i++
			freed += c.cost(e)
			return true
		})
	}
	gone(0, start)
	gone(stop+1, n)
	c.items.cut(start, stop+1)
	l.grow(c, -freed)
}

// Each calls fn for the items from position from on, backwards when reverse,
// until it returns false. fn must not change the list.
func (l ListRef) Each(from int, reverse bool, fn func(v []byte) bool) {
	if c := l.read(); c != nil {
		c.items.each(from, reverse, func(e *element) bool { return fn(e.key) })
	}
}
