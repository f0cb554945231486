package keyspace

import "math/rand/v2"

// HashRef is the hash at a key. It is valid while the shard's lock is held;
// slices it hands out are valid for as long, and must not be written.
type HashRef struct{ ref }

// Hash returns the hash at key, which must be absent or a hash. A field set on
// an absent key creates it; a hash without fields does not exist.
func (d *DB) Hash(key []byte) HashRef { return HashRef{ref{d, key, Hash}} }

// Get returns a field's value.
func (h HashRef) Get(field []byte) (val []byte, ok bool) {
	e, ok := h.get(field)
	if !ok {
		return nil, false
	}
	return e.val, true
}

// Set sets a field and tells whether it is new.
func (h HashRef) Set(field, val []byte) (created bool) { return h.put(field, val) }

// Del removes a field and tells whether it was there.
func (h HashRef) Del(field []byte) bool { return h.del(field) }

// Each calls fn for every field until it returns false. fn must not change the hash.
func (h HashRef) Each(fn func(field, val []byte) bool) {
	if c := h.read(); c != nil {
		c.items.each(0, false, func(e *element) bool { return fn(e.key, e.val) })
	}
}

// Scan visits about count fields from a cursor on and returns the next cursor,
// 0 at the end. Fields present all the while are visited at least once.
func (h HashRef) Scan(cursor uint64, count int, fn func(field, val []byte)) (next uint64) {
	if c := h.read(); c != nil {
		next = c.scan(cursor, count, func(e *element) { fn(e.key, e.val) })
	}
	return next
}

// Random returns a field chosen evenly. The hash must not be empty.
func (h HashRef) Random(rng *rand.Rand) (field, val []byte) {
	c := h.read()
	e := c.items.at(rng.IntN(c.items.size()))
	return e.key, e.val
}
