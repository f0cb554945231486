package keyspace

import (
	"math/rand/v2"

	"github.com/spillwaydb/spillway/core/rdb/packed"
)

// HashRef is the hash at a key. It is valid while the shard's lock is held.
// Slices it hands out must not be written. What a call returns is valid until
// the next call of a handle that returns slices, or changes anything; what a
// callback gets is valid during the callback, which may read other handles.
//
// A small hash is a listpack of fields, each followed by its value, in the
// order they were added. hash_fields.go says how fields have deadlines.
type HashRef struct{ ref }

// Hash returns the hash at key, which must be absent or a hash. A field set on
// an absent key creates it; a hash without fields does not exist.
func (d *DB) Hash(key []byte) HashRef { return HashRef{ref{d, key, Hash}} }

// Len is the number of fields, 0 when the key is absent.
func (h HashRef) Len() int {
	b := h.find()
	if b.packed() {
		return b.list().Len() / b.perField()
	}
	return h.heap(b).items.size()
}

// Get returns a field's value.
func (h HashRef) Get(field []byte) (val []byte, ok bool) {
	b := h.find()
	if !b.packed() {
		e, ok := h.get(b, field)
		if !ok {
			return nil, false
		}
		return e.val, true
	}
	l := b.list()
	n := packed.NewNeedle(field)
	at, _ := l.Find(&n, b.perField())
	if at < 0 {
		return nil, false
	}
	return h.scratch().text(0, l.Entry(l.Next(at))), true
}

// Set sets a field, which has no deadline then, and tells whether it is new.
func (h HashRef) Set(field, val []byte) (created bool) {
	b, lim := h.find(), h.limits()
	if b.mayHaveDeadlines(h.d) {
		return h.setDated(b, field, val, false)
	}
	if !b.packed() {
		return h.put(b, field, val, 0)
	}
	l := b.list()
	n := packed.NewNeedle(field)
	at, _ := l.Find(&n, 2)
	fields := l.Len() / 2
	if at < 0 {
		fields++
	}
	if len(field) > lim.HashValue || len(val) > lim.HashValue || fields > lim.HashEntries || !fitsList(l, len(field), len(val)) {
		return h.put(h.unpack(b), field, val, 0)
	}
	fresh := h.scratch().entries()
	if at >= 0 {
		at = l.Next(at)
		h.edit(b, at, l.Next(at)-at, packed.AppendEntry(fresh, val), 0)
		return false
	}
	h.edit(b, l.End(), 0, packed.AppendEntry(packed.AppendEntry(fresh, field), val), 2)
	return true
}

// fitsList tells whether a listpack may grow by strings of two lengths.
func fitsList(l packed.Listpack, a, b int) bool {
	return len(l)+packed.EntrySize(a)+packed.EntrySize(b) <= packed.MaxListpack
}

// Del removes a field and tells whether it was there.
func (h HashRef) Del(field []byte) bool {
	b := h.find()
	if b.mayHaveDeadlines(h.d) {
		return h.delDated(b, field)
	}
	if b == nil || !b.packed() {
		return b != nil && h.del(b, field)
	}
	l := b.list()
	n := packed.NewNeedle(field)
	at, _ := l.Find(&n, 2)
	if at < 0 {
		return false
	}
	h.cut(b, at, l.Next(l.Next(at)), 2)
	return true
}

// Each calls fn for every field until it returns false. fn must not change the hash.
func (h HashRef) Each(fn func(field, val []byte) bool) {
	b := h.find()
	if !b.packed() {
		h.heap(b).eachItem(func(e *element) bool { return fn(e.key, e.val) })
		return
	}
	h.eachPacked(b, func(field, val []byte, _ float64) bool { return fn(field, val) })
}

// Scan visits about count fields from a cursor on and returns the next cursor,
// 0 at the end. Fields present all the while are visited at least once. A small
// hash is visited whole.
func (h HashRef) Scan(cursor uint64, count int, fn func(field, val []byte, deadline int64)) (next uint64) {
	if b := h.find(); !b.packed() {
		return h.heap(b).scan(cursor, count, func(e *element) { fn(e.key, e.val, int64(e.score)) })
	}
	h.EachField(func(field, val []byte, deadline int64) bool {
		fn(field, val, deadline)
		return true
	})
	return 0
}

// Random returns a field chosen evenly. The hash must not be empty.
func (h HashRef) Random(rng *rand.Rand) (field, val []byte) {
	b := h.find()
	if !b.packed() {
		c := h.heap(b)
		p := c.items.spotAt(rng.IntN(c.size()))
		e := p.element()
		return e.key, e.val
	}
	l := b.list()
	per := b.perField()
	at := l.Seek(per * rng.IntN(l.Len()/per))
	return h.scratch().text(0, l.Entry(at)), h.scratch().text(1, l.Entry(l.Next(at)))
}
