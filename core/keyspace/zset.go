package keyspace

import "bytes"

// ZSetRef is the sorted set at a key. It is valid while the shard's lock is
// held; slices it hands out are valid for as long, and must not be written.
type ZSetRef struct{ ref }

// ZSet returns the sorted set at key, which must be absent or a sorted set. A
// member added to an absent key creates it; one without members does not exist.
func (d *DB) ZSet(key []byte) ZSetRef { return ZSetRef{ref{d, key, ZSet}} }

// Score returns a member's score.
func (z ZSetRef) Score(member []byte) (float64, bool) {
	e, ok := z.get(member)
	if !ok {
		return 0, false
	}
	return e.score, true
}

// Add gives a member a score and tells whether the member is new or its score
// changed. The score must not be NaN.
func (z ZSetRef) Add(member []byte, score float64) (added, changed bool) {
	if e, ok := z.get(member); ok && e.score == score {
		return false, false
	}
	c := z.write()
	hash := z.hash(member)
	pos, found := c.find(hash, member)
	e := element{score: score, hash: hash}
	if found {
		old := *c.items.at(pos)
		e.key = old.key
		c.ranks.remove(c.rank(old.score, old.key))
		c.items.set(pos, e)
	} else {
		e.key = bytes.Clone(member)
		c.items.insert(pos, e)
		z.grow(c, c.cost(&e))
	}
	c.ranks.insert(c.rank(score, e.key), e)
	return !found, found
}

// Remove removes a member and tells whether it was there.
func (z ZSetRef) Remove(member []byte) bool { return z.del(member) }

// Rank returns a member's position in the order of scores.
func (z ZSetRef) Rank(member []byte) (int, bool) {
	e, ok := z.get(member)
	if !ok {
		return 0, false
	}
	return z.read().rank(e.score, e.key), true
}

// LowerScore counts the members with a score below min, or with excl up to
// and including it: the rank that a range from min begins at.
func (z ZSetRef) LowerScore(min float64, excl bool) int {
	c := z.read()
	if c == nil {
		return 0
	}
	return c.ranks.lower(func(e *element) bool { return e.score < min || excl && e.score == min })
}

// LowerLex counts the members that sort before member, or with excl up to and
// including it. All members must have the same score, as for ZRANGEBYLEX.
func (z ZSetRef) LowerLex(member []byte, excl bool) int {
	c := z.read()
	if c == nil {
		return 0
	}
	return c.ranks.lower(func(e *element) bool {
		n := bytes.Compare(e.key, member)
		return n < 0 || excl && n == 0
	})
}

// EachRank calls fn for the members of ranks start to stop, both included,
// from stop down to start when reverse, until it returns false. fn must not
// change the set.
func (z ZSetRef) EachRank(start, stop int, reverse bool, fn func(member []byte, score float64) bool) {
	c := z.read()
	if c == nil || start > stop {
		return
	}
	from, left := start, stop-start+1
	if reverse {
		from = stop
	}
	c.ranks.each(from, reverse, func(e *element) bool {
		left--
		return fn(e.key, e.score) && left > 0
	})
}

// Scan visits about count members from a cursor on and returns the next
// cursor, 0 at the end. Members present all the while are visited at least once.
func (z ZSetRef) Scan(cursor uint64, count int, fn func(member []byte, score float64)) (next uint64) {
	if c := z.read(); c != nil {
		next = c.scan(cursor, count, func(e *element) { fn(e.key, e.score) })
	}
	return next
}
