package keyspace

import (
	"bytes"

	"github.com/spillwaydb/spillway/core/rdb/packed"
)

// ZSetRef is the sorted set at a key. It is valid while the shard's lock is
// held. Slices it hands out must not be written. What a callback gets is valid
// during the callback, which may read other handles.
//
// A small sorted set is a listpack, see zset_packed.go.
type ZSetRef struct{ ref }

// ZSet returns the sorted set at key, which must be absent or a sorted set. A
// member added to an absent key creates it; one without members does not exist.
func (d *DB) ZSet(key []byte) ZSetRef { return ZSetRef{ref{d, key, ZSet}} }

// Len is the number of members, 0 when the key is absent.
func (z ZSetRef) Len() int {
	b := z.find()
	if b.packed() {
		return b.list().Len() / 2
	}
	return z.heap(b).items.size()
}

// Score returns a member's score.
func (z ZSetRef) Score(member []byte) (float64, bool) {
	b := z.find()
	if b.packed() {
		score, _, ok := scoreOf(b.list(), member)
		return score, ok
	}
	e, ok := z.get(b, member)
	if !ok {
		return 0, false
	}
	return e.score, true
}

// Add gives a member a score and tells whether the member is new or its score
// changed. The score must not be NaN; minus zero becomes zero.
func (z ZSetRef) Add(member []byte, score float64) (added, changed bool) {
	score = plusZero(score)
	b := z.find()
	if b.packed() {
		return z.addPacked(b, member, score)
	}
	hash, p := z.seek(z.heap(b), member)
	if p.found {
		if e := p.element(); e.score == score {
			return false, false
		}
	}
	z.putAt(b, p, hash, member, nil, score)
	return !p.found, p.found
}

// Remove removes a member and tells whether it was there.
func (z ZSetRef) Remove(member []byte) bool {
	b := z.find()
	if !b.packed() {
		return z.del(b, member)
	}
	l := b.list()
	n := packed.NewNeedle(member)
	at, _ := l.Find(&n, 2)
	if at < 0 {
		return false
	}
	z.cut(b, at, l.Next(l.Next(at)), 2)
	return true
}

// Pop removes the member with the lowest score, or the last one, of a set that is not empty. The
// member is valid until the next call of a handle that returns slices, or changes anything.
func (z ZSetRef) Pop(last bool) (member []byte, score float64) {
	b := z.find()
	if b.packed() {
		l := b.list()
		at := l.First()
		if last {
			at = l.Prev(l.Prev(l.End()))
		}
		second := l.Next(at)
		member, score = z.scratch().take(l.Entry(at)), scoreAt(l, second)
		z.cut(b, at, l.Next(second), 2)
		return member, score
	}
	rank := 0
	if last {
		rank = z.heap(b).size() - 1
	}
	p := z.heap(b).ranks.spotAt(rank)
	member, score = z.scratch().takeBytes(p.s.key(p.i, p.s.count())), orderScore(p.s.order(p.i))
	z.change(b, func(o object) {
		c := o.(*collection)
		_, item := z.seek(c, member)
		c.items.remove(item, 1, &z.scratch().spares)
		c.ranks.pop(p, last, &z.scratch().spares)
	})
	return member, score
}

// Rank returns a member's position in the order of scores.
func (z ZSetRef) Rank(member []byte) (int, bool) {
	b := z.find()
	if b.packed() {
		_, rank, ok := scoreOf(b.list(), member)
		return rank, ok
	}
	e, ok := z.get(b, member)
	if !ok {
		return 0, false
	}
	return z.heap(b).ranks.lower(scoreOrder(e.score), e.key, false), true
}

// LowerScore counts the members with a score below min, or with excl up to
// and including it: the rank that a range from least begins at.
func (z ZSetRef) LowerScore(least float64, excl bool) int {
	below := func(score float64) bool { return score < least || excl && score == least }
	b := z.find()
	if b.packed() {
		return lowerPacked(b.list(), func(l packed.Listpack, at int) bool { return below(scoreAt(l, l.Next(at))) })
	}
	order := scoreOrder(plusZero(least))
	if excl {
		order++ // the next score there is, or none
	}
	return z.heap(b).ranks.lower(order, nil, false)
}

// LowerLex counts the members that sort before member, or with excl up to and
// including it. All members must have the same score, as for ZRANGEBYLEX.
func (z ZSetRef) LowerLex(member []byte, excl bool) int {
	below := func(m []byte) bool {
		n := bytes.Compare(m, member)
		return n < 0 || excl && n == 0
	}
	b := z.find()
	if b.packed() {
		return lowerPacked(b.list(), func(l packed.Listpack, at int) bool {
			var text [20]byte
			return below(l.Entry(at).Text(text[:0]))
		})
	}
	ranks := &z.heap(b).ranks
	first := ranks.spotAt(0)
	return ranks.lower(first.s.order(first.i), member, excl)
}

// EachRank calls fn for the members of ranks start to stop, both included,
// from stop down to start when reverse, until it returns false. Both ranks must
// exist unless there are none. fn must not change the set.
func (z ZSetRef) EachRank(start, stop int, reverse bool, fn func(member []byte, score float64) bool) {
	b := z.find()
	if b == nil || start > stop {
		return
	}
	from, left := start, stop-start+1
	if reverse {
		from = stop
	}
	if b.packed() {
		z.eachPackedRank(b.list(), from, left, reverse, fn)
		return
	}
	z.heap(b).eachRank(from, reverse, func(e *element) bool {
		left--
		return fn(e.key, e.score) && left > 0
	})
}

// Scan visits about count members from a cursor on and returns the next
// cursor, 0 at the end. Members present all the while are visited at least
// once. A small sorted set is visited whole.
func (z ZSetRef) Scan(cursor uint64, count int, fn func(member []byte, score float64)) (next uint64) {
	b := z.find()
	if !b.packed() {
		return z.heap(b).scan(cursor, count, func(e *element) { fn(e.key, e.score) })
	}
	z.eachPacked(b, func(m, _ []byte, score float64) bool {
		fn(m, score)
		return true
	})
	return 0
}
