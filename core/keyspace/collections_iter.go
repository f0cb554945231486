package keyspace

import (
	"fmt"

	"github.com/spillwaydb/spillway/core/rdb"
	"github.com/spillwaydb/spillway/core/rdb/packed"
)

// An element of a collection is, to those who visit all of them, an item
// (list, in order), a member (set), a member and its score (sorted set, by
// score), a field and its value, with its deadline for a score (hash).

// eachElement calls fn for every element of the collection in b until it
// returns false. It pushes the texts of integers and pops none of them. No lock
// is held.
func (d *dbView) eachElement(b blob, num *texts, fn func(a, b []byte, score float64) bool) {
	if b.packed() {
		eachPacked(b, num, fn)
		return
	}
	switch o := d.object(b).(type) {
	case *chunks:
		o.each(0, false, num, func(v []byte) bool { return fn(v, nil, 0) })
	case *collection:
		one := func(e *element) bool { return fn(e.key, e.val, e.score) }
		if o.ranked {
			o.eachRank(0, false, one)
		} else {
			o.eachItem(one)
		}
	default:
		panic(rdb.UnknownType(b.typ()))
	}
}

// size is the number of elements of the collection in b.
func (d *dbView) size(b blob) (n int, err error) {
	switch b.enc() {
	case encObject:
		return d.object(b).size(), nil
	case encIntset:
		return b.ints().Len(), nil
	}
	switch n = b.list().Len(); b.typ() {
	case List, Set:
		return n, nil
	case Hash:
		return n / b.perField(), nil
	case ZSet:
		return n / 2, nil
	default:
		return 0, fmt.Errorf("keyspace: key %.100q: %w", b.key(), rdb.UnknownType(b.typ()))
	}
}

// eachPacked calls fn for every element in the payload of b until it returns
// false. It pushes the texts of integers and pops none of them.
func eachPacked(b blob, num *texts, fn func(a, b []byte, score float64) bool) {
	if b.enc() == encIntset {
		ints := b.ints()
		for i := range ints.Len() {
			if !fn(num.pushInt(ints.At(i)), nil, 0) {
				return
			}
		}
		return
	}
	t, l := b.typ(), b.list()
	for at := l.First(); at < l.End(); at = l.Next(at) {
		first := num.push(l.Entry(at))
		var second []byte
		var score float64
		switch t {
		case Hash:
			at = l.Next(at)
			second = num.push(l.Entry(at))
			if b.dated() {
				at = l.Next(at)
				score = float64(l.Entry(at).Int)
			}
		case ZSet:
			at = l.Next(at)
			score = scoreAt(l, at)
		case List, Set:
		default:
			panic(rdb.UnknownType(t))
		}
		if !fn(first, second, score) {
			return
		}
	}
}

// eachItem calls fn for the items of a list from a place of l on, which must
// exist, backwards when reverse, until it returns false, which it returns then.
// It pushes the texts of integers and pops none.
func eachItem(l packed.Listpack, at int, reverse bool, num *texts, fn func(v []byte) bool) bool {
	for {
		switch {
		case !fn(num.push(l.Entry(at))):
			return false
		case reverse && at == l.First():
			return true
		case reverse:
			at = l.Prev(at)
		default:
			if at = l.Next(at); at == l.End() {
				return true
			}
		}
	}
}

// appendFiltered appends l without so many entries that are the needle, after
// the first skip of them.
func appendFiltered(dst []byte, l packed.Listpack, n *packed.Needle, skip, remove int) packed.Listpack {
	left := l.Len() - remove
	dst = packed.AppendListHeader(dst)
	from := l.First()
	for at := from; remove > 0; {
		next := l.Next(at)
		switch {
		case !l.Equal(at, n):
		case skip > 0:
			skip--
		default:
			dst = append(dst, l[from:at]...)
			from = next
			remove--
		}
		at = next
	}
	return packed.SealList(append(dst, l[from:l.End()]...), left)
}
