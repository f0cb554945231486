package keyspace

import "math/rand/v2"

// SetRef is the set at a key. It is valid while the shard's lock is held;
// slices it hands out are valid for as long, and must not be written.
type SetRef struct{ ref }

// Set returns the set at key, which must be absent or a set. A member added to
// an absent key creates it; a set without members does not exist.
func (d *DB) Set(key []byte) SetRef { return SetRef{ref{d, key, Set}} }

// Add adds a member and tells whether it is new.
func (s SetRef) Add(member []byte) bool {
	if s.Has(member) {
		return false
	}
	return s.put(member, nil)
}

// Remove removes a member and tells whether it was there.
func (s SetRef) Remove(member []byte) bool { return s.del(member) }

// Has tells whether a member is there.
func (s SetRef) Has(member []byte) bool {
	_, ok := s.get(member)
	return ok
}

// At returns the member at a position of an order that lasts until the next change.
func (s SetRef) At(i int) []byte { return s.read().items.at(i).key }

// Each calls fn for every member until it returns false. fn must not change the set.
func (s SetRef) Each(fn func(member []byte) bool) {
	if c := s.read(); c != nil {
		c.items.each(0, false, func(e *element) bool { return fn(e.key) })
	}
}

// Scan visits about count members from a cursor on and returns the next
// cursor, 0 at the end. Members present all the while are visited at least once.
func (s SetRef) Scan(cursor uint64, count int, fn func(member []byte)) (next uint64) {
	if c := s.read(); c != nil {
		next = c.scan(cursor, count, func(e *element) { fn(e.key) })
	}
	return next
}

// Random returns a member chosen evenly. The set must not be empty.
func (s SetRef) Random(rng *rand.Rand) []byte { return s.At(rng.IntN(s.Len())) }
