package keyspace

import (
	"bytes"

	"github.com/spillwaydb/spillway/core/keyspace/arena"
	"github.com/spillwaydb/spillway/core/rdb"
)

// collection is the object behind a large set, hash or sorted set. It is in the
// order of its members' hashes, so that a SCAN cursor is a place in that order
// whatever comes and goes; a sorted set has its members a second time, by score.
type collection struct {
	items  sheaves // by hash
	ranks  sheaves // by score: of sorted sets, and of hashes with deadlines; keys alone
	ranked bool
	dated  bool // hashes only: ranks has the fields with a deadline, by that
}

var _ object = (*collection)(nil)

// hashBits is how many bits of a member's hash order it: few enough that a
// cursor fits every client's integers.
const hashBits = 48

func newCollection(t Type, pool *arena.Pool) *collection {
	c := &collection{items: newSheaves(pool)}
	switch t {
	case Set, Hash:
	case ZSet:
		c.ranked, c.ranks = true, newSheaves(pool)
	default:
		panic(rdb.UnknownType(t))
	}
	return c
}

func (c *collection) clone() object {
	n := &collection{items: c.items.clone(), ranked: c.ranked, dated: c.dated}
	if c.ranked || c.dated {
		n.ranks = c.ranks.clone()
	}
	return n
}

func (c *collection) memory() int64 { return c.items.bytes + c.ranks.bytes }

func (c *collection) onHeap() int64 { return c.items.onHeap() + c.ranks.onHeap() }

func (c *collection) size() int { return c.items.size() }

// freesAtOnce: no order has more sheaves than a node.
func (c *collection) freesAtOnce() bool { return max(c.items.count, c.ranks.count) <= sheafFan/4 }

func (c *collection) free() {
	c.items.tree.free()
	c.ranks.tree.free()
}

// inRanks tells whether an element is in the second order too.
func (c *collection) inRanks(e *element) bool { return c.ranked || c.dated && e.score != 0 }

// firstDeadline is the first deadline among the fields of a hash, 0 for none.
func (c *collection) firstDeadline() int64 {
	if c.ranked || c.ranks.size() == 0 {
		return 0
	}
	return int64(orderScore(c.ranks.tree.at(0).order(0)))
}

// scan visits at least count elements from a cursor on and returns the next
// cursor, 0 at the end. Elements with one hash are visited together.
func (c *collection) scan(cursor uint64, count int, fn func(*element)) (next uint64) {
	seen, last := 0, uint64(0)
	c.items.each(c.items.lower(cursor, nil, false), false, func(hash uint64, e *element) bool {
		if seen >= count && hash != last {
			next = hash
			return false
		}
		seen++
		last = hash
		fn(e)
		return true
	})
	return next
}

// eachItem calls fn for the elements in the order of their hashes until it returns
// false.
func (c *collection) eachItem(fn func(*element) bool) {
	c.items.each(0, false, func(_ uint64, e *element) bool { return fn(e) })
}

// eachRank calls fn for the elements of the second order from a rank on until it
// returns false.
func (c *collection) eachRank(from int, reverse bool, fn func(*element) bool) {
	c.ranks.each(from, reverse, func(order uint64, e *element) bool {
		e.score = orderScore(order)
		return fn(e)
	})
}

// put puts an element, whose key has a hash, in its place, or what is new of it in the
// place of the one with its key. p is what find says of it. e may alias what c
// holds. c is not yet, or not at that moment, accounted for.
func (c *collection) put(p spot, hash uint64, e element, s *scratch) {
	if !c.ranked && !c.dated && e.score != 0 {
		c.dated, c.ranks = true, newSheaves(s.spares.pool)
	}
	var fresh []byte
	if elementSize(&e) < largeElement {
		s.element = appendElement(s.element[:0], &e)
		fresh = s.element
		e = readElement(fresh)
	} else if c.ranked || c.dated {
		e.key = bytes.Clone(e.key)
	}
	if p.found && (c.ranked || c.dated) {
		old := p.element()
		if c.inRanks(&old) && c.inRanks(&e) && old.score == e.score {
			c.items.put(p, hash, &e, fresh, &s.spares)
			return
		}
		c.unrank(&old, s)
	}
	c.items.put(p, hash, &e, fresh, &s.spares)
	if c.inRanks(&e) {
		c.rank(&e, s)
	}
}

// rank puts an element in its place in the second order.
func (c *collection) rank(e *element, s *scratch) {
	order, r := scoreOrder(e.score), element{key: e.key}
	var fresh []byte
	if elementSize(&r) < largeElement {
		s.rank = appendElement(s.rank[:0], &r)
		fresh = s.rank
	}
	c.ranks.admit(order, &s.spares)
	c.ranks.put(s.looked.ranks.find(&c.ranks, order, e.key), order, &r, fresh, &s.spares)
}

// unrank takes an element out of the second order if it is there.
func (c *collection) unrank(e *element, s *scratch) {
	if c.inRanks(e) {
		c.ranks.remove(s.looked.ranks.find(&c.ranks, scoreOrder(e.score), e.key), 1, &s.spares)
	}
}

// remove takes out the element at a spot, which it was found at.
func (c *collection) remove(p spot, s *scratch) {
	if c.ranked || c.dated {
		e := p.element()
		c.unrank(&e, s)
	}
	c.items.remove(p, 1, &s.spares)
}
