package command

import (
	"bytes"
	"cmp"
	"math"
	"slices"

	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/rdb"
)

// A SORT reads first, and sorts then what it has read, which needs no lock. Keys that BY
// and GET name are any keys. A SORT that looks at few reads them under the locks of all
// shards, at one moment. One that looks at many has a copy of its collection, as it was
// in the beginning, and visits the shards for the others: each is read at a moment of its
// own, a BY before a GET.

// sorting is what a SORT has read, in whatever order it is.
type sorting struct {
	all     []sorted
	set     bool     // the collection has no order of its own
	by      optional // by element, in the order of the collection
	got     optional // of len(q.get) for each of all, once they are in their order
	ordered bool     // and limited to what is asked for
}

// sorted is an element, and what it is sorted by.
type sorted struct {
	element []byte
	score   float64
	by      []byte // with ALPHA and BY; nil: there is no such key
	at      int    // its place in the collection
}

// optional is values, or nil where there is none.
type optional struct {
	values members
	there  []bool
}

func (o *optional) add(v []byte) {
	o.values.add(v)
	o.there = append(o.there, v != nil)
}

func (o *optional) at(i int) []byte {
	if !o.there[i] {
		return nil
	}
	return o.values.at(i)
}

// readsKeys tells whether other keys are read than the one that is sorted.
func (q *sortQuery) readsKeys() bool {
	return q.by != nil && namesKeys(q.by) || slices.ContainsFunc(q.get, namesKeys)
}

// namesKeys tells whether a pattern of BY or GET names a key for each element.
func namesKeys(pattern []byte) bool { return bytes.IndexByte(pattern, '*') >= 0 }

// looksAt is how many elements and other keys are looked at, of a collection of n.
func (q *sortQuery) looksAt(n int) int {
	from, to := q.part(n)
	all := n
	if q.by != nil && namesKeys(q.by) && !q.unsorted {
		all += n
	}
	for _, pattern := range q.get {
		if namesKeys(pattern) {
			all += to - from
		}
	}
	return all
}

// elements copies the elements of the key that is sorted, in the order they have.
func (c *Ctx) elements(t keyspace.Type) *sorting {
	s := &sorting{set: t == keyspace.Set}
	s.by.values.bytes, s.got.values.bytes = []byte{}, []byte{} // so that none that is there is nil
	if t == keyspace.String {                                  // there is no such key
		return s
	}
	key := c.Args[1]
	bytes := members{bytes: []byte{}} // so that no element is nil
	add := func(v []byte) bool {
		bytes.add(v)
		return true
	}
	switch d := c.db(key); t {
	case keyspace.List:
		d.List(key).Each(0, false, add)
	case keyspace.Set:
		d.Set(key).Each(add)
	case keyspace.ZSet:
		z := d.ZSet(key)
		z.EachRank(0, z.Len()-1, false, func(m []byte, _ float64) bool { return add(m) })
	default:
		panic(rdb.UnknownType(t))
	}
	s.all = make([]sorted, bytes.len())
	for i := range s.all {
		s.all[i].element, s.all[i].at = bytes.at(i), i
	}
	return s
}

// readBy reads what the elements are sorted by, if that is other keys. It is false as
// visit is.
func (c *Ctx) readBy(q *sortQuery, s *sorting) bool {
	if q.by == nil || q.unsorted {
		return true
	}
	return c.readNamed(len(s.all), func(i int) (pattern, element []byte) { return q.by, s.all[i].element }, s.by.add)
}

// readGot reads what GET names of the elements that are asked for, if that is other keys.
// It is false as visit is.
func (c *Ctx) readGot(q *sortQuery, s *sorting) bool {
	if !slices.ContainsFunc(q.get, namesKeys) {
		return true
	}
	n := len(q.get)
	return c.readNamed(n*len(s.all), func(i int) (pattern, element []byte) { return q.get[i%n], s.all[i/n].element }, s.got.add)
}

// readNamed calls add with what byPattern returns for each of n pairs, in their order:
// under the locks, or where there are none, in visits. It is false as visit is.
func (c *Ctx) readNamed(n int, pair func(i int) (pattern, element []byte), add func(v []byte)) bool {
	if c.detached == nil {
		for i := range n {
			add(c.byPattern(pair(i)))
		}
		return true
	}
	copies, made := c.detached, c.made
	c.detached, c.made = nil, nil // other keys are looked up where they are
	defer func() { c.detached, c.made = copies, made }()
	step := visitStep * c.KS.NumShards()
	for from := 0; from < n; from += step {
		some := func(i int) (pattern, element []byte) { return pair(from + i) }
		if !c.visitNamed(min(step, n-from), some, add) {
			return false
		}
	}
	return true
}

// visitBytes is how much of values is copied in a visit, but for the last of them.
const visitBytes = 1 << 20

// visitNamed is a step of readNamed: it goes to each shard for all that is there.
func (c *Ctx) visitNamed(n int, pair func(i int) (pattern, element []byte), add func(v []byte)) bool {
	shards := make([][]int, c.KS.NumShards()) // what is read there, of the pairs
	for i := range n {
		if pattern, element := pair(i); namesKeys(pattern) {
			key, _ := c.named(pattern, element)
			shard := c.shardOf(key)
			shards[shard] = append(shards[shard], i)
		}
	}
	read := optional{values: members{bytes: []byte{}}}
	at := make([]int, n) // where in read the value of each pair is
	for shard, here := range shards {
		for len(here) > 0 {
			if !c.visit(shard, func(*keyspace.Shard) {
				for k, most := 0, len(read.values.bytes)+visitBytes; k < visitStep && len(here) > 0 && len(read.values.bytes) < most; k++ {
					at[here[0]] = len(read.there)
					read.add(c.byPattern(pair(here[0])))
					here = here[1:]
				}
			}) {
				return false
			}
		}
	}
	for i := range n {
		if pattern, element := pair(i); namesKeys(pattern) {
			add(read.at(at[i]))
		} else {
			add(c.byPattern(pattern, element))
		}
	}
	return true
}

// part is the part of n elements that is asked for.
func (q *sortQuery) part(n int) (from, to int) {
	first, most := min(max(q.offset, 0), int64(n)), min(max(q.most, -1), int64(n))
	if most < 0 {
		most = int64(n)
	}
	return int(first), int(min(first+most, int64(n)))
}

// order brings the elements in their order and takes the part that is asked for, or
// returns false when they are not numbers. It needs no lock.
func (s *sorting) order(q *sortQuery) bool {
	if s.ordered {
		return true
	}
	from, to := q.part(len(s.all))
	switch {
	case q.unsorted && !q.desc:
	case q.unsorted:
		if !s.set {
			slices.Reverse(s.all)
		}
	case !s.weigh(q):
		return false
	default:
		compare := q.compare()
		if to < len(s.all)/8 {
			s.all = least(s.all, to, compare)
		}
		slices.SortFunc(s.all, compare)
	}
	s.all, s.ordered = s.all[from:to], true
	return true
}

// weigh finds what each element is sorted by.
func (s *sorting) weigh(q *sortQuery) bool {
	for i := range s.all {
		by := s.all[i].element
		if q.by != nil {
			if by = s.by.at(i); by == nil {
				continue
			}
		}
		if q.alpha {
			s.all[i].by = by
			continue
		}
		var ok bool
		if s.all[i].score, ok = sortScore(by); !ok {
			return false
		}
	}
	return true
}

// compare returns the order of the elements. What is sorted by the same stays in the
// order of the collection.
func (q *sortQuery) compare() func(a, b sorted) int {
	text := bytes.Compare
	if q.store == nil {
		text = collate
	}
	return func(a, b sorted) (n int) {
		switch {
		case !q.alpha:
			if n = cmp.Compare(a.score, b.score); n == 0 {
				n = bytes.Compare(a.element, b.element)
			}
		case a.by == nil || b.by == nil:
			n = cmp.Compare(present(a.by), present(b.by))
		default:
			n = text(a.by, b.by)
		}
		if q.desc {
			n = -n
		}
		if n == 0 {
			n = cmp.Compare(a.at, b.at)
		}
		return n
	}
}

// least returns the k smallest of all, no two of which are equal, in whatever order.
// What it takes hardly depends on k while that is small.
func least(all []sorted, k int, compare func(a, b sorted) int) []sorted {
	heap := slices.Clone(all[:k]) // the largest is first, and each before its two children
	sink := func(i int) {
		for {
			child := 2*i + 1
			if child+1 < k && compare(heap[child], heap[child+1]) < 0 {
				child++
			}
			if child >= k || compare(heap[i], heap[child]) >= 0 {
				return
			}
			heap[i], heap[child] = heap[child], heap[i]
			i = child
		}
	}
	for i := k/2 - 1; i >= 0; i-- {
		sink(i)
	}
	for _, s := range all[k:] {
		if k > 0 && compare(s, heap[0]) < 0 {
			heap[0] = s
			sink(0)
		}
	}
	return heap
}

// each calls fn for each value of the result, nil for one that is not there.
func (s *sorting) each(q *sortQuery, fn func(v []byte)) {
	read := len(s.got.there) > 0
	for n, e := range s.all {
		if len(q.get) == 0 {
			fn(e.element)
		}
		for i, pattern := range q.get {
			switch {
			case read:
				fn(s.got.at(n*len(q.get) + i))
			case string(pattern) == "#":
				fn(e.element)
			default:
				fn(nil) // without a star no key is named
			}
		}
	}
}

// values copies the result, to be stored; what is not there is empty then.
func (s *sorting) values(q *sortQuery) *members {
	out := new(members)
	s.each(q, out.add)
	return out
}

func present(b []byte) int {
	if b == nil {
		return 0
	}
	return 1
}

// collate compares as strcoll does in the C locale: up to a zero byte.
func collate(a, b []byte) int { return bytes.Compare(clip(a, len(a)), clip(b, len(b))) }

// sortScore reads a number as parseBound does, and refuses what C says ERANGE of.
func sortScore(b []byte) (float64, bool) {
	b = clip(b, len(b))
	f, n, exact := strtod(b)
	return f, n == len(b) && exact && !math.IsNaN(f)
}
