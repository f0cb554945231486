package command

import (
	"bytes"
	"cmp"
	"math"
	"slices"
	"strconv"

	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/rdb"
)

// A SORT reads first, and sorts then what it has read, which needs no lock. Keys that BY
// and GET name are any keys: they are read under the locks, at one moment, and not kept
// as copies, which would take as long. What is stored of them is made of what was read
// if a second reading, when it is put in its place, finds the same.

// sorting is what a SORT has read, in whatever order it is.
type sorting struct {
	all     []sorted
	set     bool     // the collection has no order of its own
	by      optional // by element, in the order of the collection
	got     optional // of len(q.get) keys for each of all, when they were read, by sorted.got
	ordered bool     // and limited to what is asked for
}

// sorted is an element, and what it is sorted by.
type sorted struct {
	element []byte
	score   float64
	by      []byte // with ALPHA and BY; nil: there is no such key
	at      int    // its place in the collection
	got     int    // its place in sorting.got
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

func (o *optional) equal(other *optional) bool {
	return slices.Equal(o.there, other.there) && slices.Equal(o.values.ends, other.values.ends) && bytes.Equal(o.values.bytes, other.values.bytes)
}

// readsKeys tells whether other keys are read than the one that is sorted.
func (q *sortQuery) readsKeys() bool {
	return q.by != nil && namesKeys(q.by) || slices.ContainsFunc(q.get, namesKeys)
}

// namesKeys tells whether a pattern of BY or GET names a key for each element.
func namesKeys(pattern []byte) bool { return bytes.IndexByte(pattern, '*') >= 0 }

// readSort reads what is sorted, and the keys that BY and GET name. When a part of the
// elements is asked for it sorts them, so as to read what GET names of these alone; it
// is false then when they are not numbers.
func (c *Ctx) readSort(q *sortQuery, t keyspace.Type) (s *sorting, ok bool) {
	s = new(sorting)
	s.by.values.bytes, s.got.values.bytes = []byte{}, []byte{} // so that none that is there is nil
	s.all, s.set = c.elements(t), t == keyspace.Set
	if q.by != nil && !q.unsorted {
		for i := range s.all {
			s.by.add(c.byPattern(q.by, s.all[i].element))
		}
	}
	if !slices.ContainsFunc(q.get, namesKeys) {
		return s, true
	}
	if from, to := q.part(len(s.all)); to-from < len(s.all) && !s.order(q) {
		return s, false
	}
	for i := range s.all {
		s.all[i].got = i
		for _, pattern := range q.get {
			s.got.add(c.byPattern(pattern, s.all[i].element))
		}
	}
	return s, true
}

// readsSame tells whether s and other, read for the same query and collection, have
// read the same of other keys.
func (s *sorting) readsSame(other *sorting) bool {
	return s.by.equal(&other.by) && s.got.equal(&other.got)
}

// elements copies the elements of the key that is sorted, in the order they have.
func (c *Ctx) elements(t keyspace.Type) (all []sorted) {
	if t == keyspace.String { // there is no such key
		return nil
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
	all = make([]sorted, bytes.len())
	for i := range all {
		all[i].element, all[i].at = bytes.at(i), i
	}
	return all
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
	for _, e := range s.all {
		if len(q.get) == 0 {
			fn(e.element)
		}
		for i, pattern := range q.get {
			switch {
			case read:
				fn(s.got.at(e.got*len(q.get) + i))
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

// sortScore reads a number as C's strtod does, up to a zero byte. Nothing is 0.
func sortScore(b []byte) (float64, bool) {
	b = clip(b, len(b))
	if len(b) == 0 {
		return 0, true
	}
	text := string(bytes.TrimLeft(b, " \t\n\v\f\r"))
	if bytes.IndexByte(b, '_') >= 0 {
		return 0, false
	}
	unsigned := bytes.TrimLeft([]byte(text), "+-")
	if len(unsigned) > 1 && unsigned[0] == '0' && lower(unsigned[1]) == 'x' && !bytes.ContainsAny(unsigned, "pP") {
		text += "p0" // Go wants an exponent
	}
	f, err := strconv.ParseFloat(text, 64)
	return f, err == nil && !math.IsNaN(f)
}
