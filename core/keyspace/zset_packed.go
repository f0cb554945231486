package keyspace

import (
	"bytes"
	"math"
	"strconv"

	"github.com/spillwaydb/spillway/core/rdb/packed"
)

// A small sorted set is a listpack of members, each followed by its score, in
// ascending order of scores and, where these are equal, of members.

// scoreAt is the score at a place of l.
func scoreAt(l packed.Listpack, at int) float64 {
	f, _ := l.Entry(at).Float()
	return f
}

// appendScore appends the entry of a score: an integer where it is one, else
// the shortest text that reads back as the same number.
func appendScore(dst []byte, score float64) []byte {
	if i := int64(score); math.Abs(score) < 1<<62 && float64(i) == score {
		return packed.AppendInt(dst, i)
	}
	var text [32]byte
	switch {
	case math.IsInf(score, 1):
		return packed.AppendEntry(dst, append(text[:0], "inf"...))
	case math.IsInf(score, -1):
		return packed.AppendEntry(dst, append(text[:0], "-inf"...))
	}
	return packed.AppendEntry(dst, strconv.AppendFloat(text[:0], score, 'g', -1, 64))
}

// scoreOf finds a member, its score and its rank.
func scoreOf(l packed.Listpack, member []byte) (score float64, rank int, ok bool) {
	n := packed.NewNeedle(member)
	at, rank := l.Find(&n, 2)
	if at < 0 {
		return 0, 0, false
	}
	return scoreAt(l, l.Next(at)), rank, true
}

// lowerPacked counts the leading members that less is true for; it must be
// false for all that follow.
func lowerPacked(l packed.Listpack, less func(l packed.Listpack, at int) bool) (rank int) {
	for at := l.First(); at < l.End() && less(l, at); at = l.Next(l.Next(at)) {
		rank++
	}
	return rank
}

// placeOf is where a score and member belong in l.
func placeOf(l packed.Listpack, score float64, member []byte) int {
	var text [20]byte
	at := l.First()
	for at < l.End() {
		second := l.Next(at)
		s := scoreAt(l, second)
		if s > score || s == score && bytes.Compare(l.Entry(at).Text(text[:0]), member) >= 0 {
			break
		}
		at = l.Next(second)
	}
	return at
}

func (z ZSetRef) addPacked(b blob, member []byte, score float64) (added, changed bool) {
	l, lim := b.list(), z.limits()
	n := packed.NewNeedle(member)
	at, members := l.Find(&n, 2)
	if at >= 0 && scoreAt(l, l.Next(at)) == score {
		return false, false
	}
	if at < 0 && (members >= lim.ZSetEntries || len(member) > lim.ZSetValue) || !fitsList(l, len(member), 32) {
		z.put(z.unpack(b), member, nil, score)
		return at < 0, at >= 0
	}
	fresh := appendScore(packed.AppendEntry(z.scratch().entries(), member), score)
	place := placeOf(l, score, member)
	if at < 0 {
		z.edit(b, place, 0, fresh, 2)
		return true, false
	}
	size := l.Next(l.Next(at)) - at
	if place != at && place != at+size {
		z.splice(at, size, nil, -2)
		if place > at {
			place -= size
		}
		z.edit(b, place, 0, fresh, 2)
	} else { // it stays where it is
		z.edit(b, at, size, fresh, 0)
	}
	return false, true
}

// eachPackedRank calls fn for at most so many members from a rank on, which
// must exist, backwards when reverse, until it returns false.
func (z ZSetRef) eachPackedRank(l packed.Listpack, from, atMost int, reverse bool, fn func(member []byte, score float64) bool) {
	t := &z.scratch().texts
	mark := len(*t)
	for at := l.Seek(2 * from); atMost > 0; atMost-- {
		second := l.Next(at)
		more := fn(t.push(l.Entry(at)), scoreAt(l, second))
		*t = (*t)[:mark]
		switch {
		case !more, reverse && at == l.First(), !reverse && l.Next(second) == l.End():
			return
		case reverse:
			at = l.Prev(l.Prev(at))
		default:
			at = l.Next(second)
		}
	}
}
