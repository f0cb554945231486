package keyspace

import (
	"bytes"
	"cmp"

	"github.com/spillwaydb/spillway/core/rdb"
)

// collection is the object behind a large set, hash or sorted set. It is in the
// order of its members' hashes, so that a SCAN cursor is a place in that order
// whatever comes and goes; a sorted set has a second tree by score.
type collection struct {
	items  tree[element]
	ranks  tree[element] // sorted sets only
	ranked bool
	bytes  int64
}

var _ object = (*collection)(nil)

// element is a member (set), a member and its score (sorted set), or a field and
// its value (hash). Its bytes are never written after it is made.
type element struct {
	key, val []byte
	score    float64
	hash     uint64 // of key, hashBits wide
}

// hashBits is how many bits of a member's hash order it: few enough that a
// cursor fits every client's integers.
const hashBits = 48

// elementCost is what an element takes besides its bytes: its node and the
// slack of the allocator.
const elementCost = 144

func newCollection(t Type) *collection {
	c := &collection{items: newTree[element]()}
	switch t {
	case Set, Hash:
	case ZSet:
		c.ranked, c.ranks = true, newTree[element]()
	default:
		panic(rdb.UnknownType(t))
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

func (c *collection) size() int { return c.items.size() }

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

// add puts an element in its place, or what is new of it in the place of the
// one with its key. c is not yet, or not at that moment, accounted for.
func (c *collection) add(e element) {
	pos, found := c.find(e.hash, e.key)
	if !found {
		c.items.insert(pos, e, 1)
		if c.ranked {
			c.ranks.insert(c.rank(e.score, e.key), e, 1)
		}
		c.bytes += c.cost(&e)
		return
	}
	old := *c.items.at(pos)
	e.key = old.key
	c.bytes += int64(len(e.val) - len(old.val))
	*c.items.write(pos, 0) = e
	if c.ranked {
		c.ranks.remove(c.rank(old.score, old.key))
		c.ranks.insert(c.rank(e.score, e.key), e, 1)
	}
}

// remove takes out the element at a position.
func (c *collection) remove(pos int) element {
	e := c.items.remove(pos)
	if c.ranked {
		c.ranks.remove(c.rank(e.score, e.key))
	}
	c.bytes -= c.cost(&e)
	return e
}
