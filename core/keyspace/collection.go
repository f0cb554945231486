package keyspace

import (
	"bytes"
	"cmp"
)

// collection is the object behind every list, set, hash and sorted set. A list
// is in the order of its items. The others are in the order of their members'
// hashes, so that a SCAN cursor is a place in that order whatever comes and
// goes; a sorted set has a second tree by score.
type collection struct {
	items  tree
	ranks  tree // sorted sets only
	ranked bool
	bytes  int64
}

var _ object = (*collection)(nil)

// hashBits is how many bits of a member's hash order it: few enough that a
// cursor fits every client's integers.
const hashBits = 48

// elementCost is what an element takes besides its bytes: its node and the
// slack of the allocator.
const elementCost = 144

func newCollection(t Type) *collection {
	c := &collection{items: newTree()}
	if t == ZSet {
		c.ranked, c.ranks = true, newTree()
	}
	return c
}

func (c *collection) clone() object {
	n := &collection{items: c.items.clone(), ranked: c.ranked, bytes: c.bytes}
	if c.ranked {
		n.ranks = c.ranks.clone()
	}
	return n
}

func (c *collection) memory() int64 { return c.bytes }

// cost is what an element adds to memory.
func (c *collection) cost(e *element) int64 {
	n := int64(elementCost + len(e.key) + len(e.val))
	if c.ranked {
		n += elementCost
	}
	return n
}

// compareMember orders by hash, then by the member itself.
func compareMember(e *element, hash uint64, key []byte) int {
	if n := cmp.Compare(e.hash, hash); n != 0 {
		return n
	}
	return bytes.Compare(e.key, key)
}

// find returns where key is in the order of members, or belongs.
func (c *collection) find(hash uint64, key []byte) (pos int, found bool) {
	pos = c.items.lower(func(e *element) bool { return compareMember(e, hash, key) < 0 })
	return pos, pos < c.items.size() && compareMember(c.items.at(pos), hash, key) == 0
}

// rank returns where a score and member are in the order of scores, or belong.
func (c *collection) rank(score float64, key []byte) int {
	return c.ranks.lower(func(e *element) bool {
		if n := cmp.Compare(e.score, score); n != 0 {
			return n < 0
		}
		return bytes.Compare(e.key, key) < 0
	})
}

// scan visits at least count elements from a cursor on and returns the next
// cursor, 0 at the end. Elements with one hash are visited together.
func (c *collection) scan(cursor uint64, count int, fn func(*element)) (next uint64) {
	from := c.items.lower(func(e *element) bool { return e.hash < cursor })
	seen, last := 0, uint64(0)
	c.items.each(from, false, func(e *element) bool {
		if seen >= count && e.hash != last {
			next = e.hash
			return false
		}
		seen++
		last = e.hash
		fn(e)
		return true
	})
	return next
}

// ref is what the handles have in common: a key, and its collection as read.
// It is valid while the shard's lock is held.
type ref struct {
	d   *DB
	key []byte
	typ Type
}

// read returns the collection, nil when the key is absent.
func (r ref) read() *collection {
	b, ok := r.d.lookup(r.key)
	if !ok {
		return nil
	}
	return r.d.object(b).(*collection)
}

// write returns the collection for changing it, made if the key is absent.
func (r ref) write() *collection {
	if _, ok := r.d.lookup(r.key); !ok {
		r.d.newObject(r.key, r.typ, newCollection(r.typ))
	}
	return r.d.writableObject(r.key).(*collection)
}

// grow accounts for a change of memory.
func (r ref) grow(c *collection, delta int64) {
	c.bytes += delta
	r.d.account(delta)
}

// Len is the number of elements, 0 when the key is absent.
func (r ref) Len() int {
	if c := r.read(); c != nil {
		return c.items.size()
	}
	return 0
}

// hash is the hash that orders members.
func (r ref) hash(member []byte) uint64 { return r.d.ks.hash(member) >> (64 - hashBits) }

// put stores a member with its value, replacing its old one.
func (r ref) put(member, val []byte) (created bool) {
	c := r.write()
	e := element{key: bytes.Clone(member), val: bytes.Clone(val), hash: r.hash(member)}
	pos, found := c.find(e.hash, member)
	if found {
		old := c.items.at(pos)
		e.key = old.key
		delta := int64(len(val) - len(old.val))
		c.items.set(pos, e)
		r.grow(c, delta)
		return false
	}
	c.items.insert(pos, e)
	r.grow(c, c.cost(&e))
	return true
}

// get finds a member.
func (r ref) get(member []byte) (*element, bool) {
	c := r.read()
	if c == nil {
		return nil, false
	}
	pos, found := c.find(r.hash(member), member)
	if !found {
		return nil, false
	}
	return c.items.at(pos), true
}

// del removes a member, and the key with its last one.
func (r ref) del(member []byte) bool {
	if _, ok := r.get(member); !ok {
		return false
	}
	c := r.write()
	pos, _ := c.find(r.hash(member), member)
	r.removeAt(c, pos)
	return true
}

// removeAt removes the element at a position, and the key with its last one.
func (r ref) removeAt(c *collection, pos int) element {
	e := c.items.remove(pos)
	if c.ranked {
		c.ranks.remove(c.rank(e.score, e.key))
	}
	r.grow(c, -c.cost(&e))
	if c.items.size() == 0 {
		r.d.Delete(r.key)
	}
	return e
}
