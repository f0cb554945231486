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
	ranks  tree[element] // of sorted sets, and of hashes with deadlines
	ranked bool
	dated  bool // hashes only: ranks has the fields with a deadline, by that
	bytes  int64
}

var _ object = (*collection)(nil)

// element is a member (set), a member and its score (sorted set), or a field and
// its value (hash), with its deadline for a score. Its bytes are never written after it is made.
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
	n := &collection{items: c.items.clone(), ranked: c.ranked, dated: c.dated, bytes: c.bytes}
	if c.ranked || c.dated {
		n.ranks = c.ranks.clone()
	}
	return n
}

func (c *collection) memory() int64 { return c.bytes }

func (c *collection) size() int { return c.items.size() }

// cost is what an element adds to memory.
func (c *collection) cost(e *element) int64 {
	n := int64(elementCost + len(e.key) + len(e.val))
	if c.inRanks(e) {
		n += elementCost
	}
	return n
}

// inRanks tells whether an element is in the second tree too.
func (c *collection) inRanks(e *element) bool { return c.ranked || c.dated && e.score != 0 }

// rankElement puts an element into the second tree if it belongs there. The first
// one alone has its value.
func (c *collection) rankElement(e element) {
	if c.inRanks(&e) {
		e.val = nil
		c.ranks.insert(c.rank(e.score, e.key), e, 1)
	}
}

// unrank takes an element out of the second tree if it is there.
func (c *collection) unrank(e *element) {
	if c.inRanks(e) {
		c.ranks.remove(c.rank(e.score, e.key))
	}
}

// firstDeadline is the first deadline among the fields of a hash, 0 for none.
func (c *collection) firstDeadline() int64 {
	if c.ranked || c.ranks.size() == 0 {
		return 0
	}
	return int64(c.ranks.at(0).score)
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
	if !c.ranked && !c.dated && e.score != 0 {
		c.dated, c.ranks = true, newTree[element]()
	}
	pos, found := c.find(e.hash, e.key)
	if !found {
		c.items.insert(pos, e, 1)
		c.rankElement(e)
		c.bytes += c.cost(&e)
		return
	}
	old := *c.items.at(pos)
	e.key = old.key
	c.bytes += c.cost(&e) - c.cost(&old)
	*c.items.write(pos, 0) = e
	if c.ranked || c.dated {
		c.unrank(&old)
		c.rankElement(e)
	}
}

// remove takes out the element at a position.
func (c *collection) remove(pos int) element {
	e := c.items.remove(pos)
	c.unrank(&e)
	c.bytes -= c.cost(&e)
	return e
}
