package keyspace

import (
	"slices"

	"github.com/spillwaydb/spillway/core/rdb/packed"
)

// StreamID is the ID of an entry of a stream.
type StreamID = packed.StreamID

// identified is what has an ID. It holds no pointers, so that the collector does not
// look into a run of it.
type identified interface {
	ident() StreamID
	// rank is by what runs are told apart that have nothing of interest: see eachUpTo.
	rank() int64
}

// series is a sequence of elements by ascending ID, in runs of up to runSize: so a
// million elements are some thousands of objects. It is copied on write as a tree is.
type series[E identified] struct{ tree tree[run[E]] }

// run is consecutive elements of a series, one at least. Its weight in the tree is how
// many.
type run[E identified] struct {
	items []E
	own   *owner // of the tree that may write items in place
	least int64  // rank in it
}

const (
	runSize = 128
	runCost = 160 // what a run takes besides its elements: its node, in the group and for its consumer
)

func newSeries[E identified]() series[E] { return series[E]{newTree[run[E]]()} }

// fork returns a copy of a series that nobody writes any more, since what it lies in
// was copied. It writes nothing of s.
func (s *series[E]) fork() series[E] { return series[E]{s.tree.fork()} }

func (s *series[E]) size() int { return s.tree.size() }

// cost estimates the bytes that the elements take, of so many bytes each. Elements come
// in ascending order mostly, so that runs are full.
func (s *series[E]) cost(each int64) int64 {
	n := int64(s.size())
	return n*each*17/16 + (n+runSize-1)/runSize*runCost
}

func (r *run[E]) last() StreamID { return r.items[len(r.items)-1].ident() }

// seek returns the first position that has an ID or one behind it, which may be size.
func (s *series[E]) seek(id StreamID) int {
	pos := s.tree.lower(func(r *run[E]) bool { return r.last().Less(id) })
	if pos == s.size() {
		return pos
	}
	i, _ := s.tree.at(pos).find(id)
	return pos + i
}

func (r *run[E]) find(id StreamID) (int, bool) {
	return slices.BinarySearchFunc(r.items, id, func(e E, id StreamID) int { return e.ident().Compare(id) })
}

// at returns the element at a position, for reading.
func (s *series[E]) at(i int) *E {
	r, first := s.tree.seek(i)
	return &r.items[i-first]
}

// get finds an element, for reading; nil if there is none.
func (s *series[E]) get(id StreamID) *E {
	if i := s.seek(id); i < s.size() {
		if e := s.at(i); (*e).ident() == id {
			return e
		}
	}
	return nil
}

// write returns the run at a position for writing, with grow elements more to come,
// and where in it the position is.
func (s *series[E]) write(i, grow int) (r *run[E], at int) {
	_, first := s.tree.seek(i)
	r = s.tree.write(i, grow)
	if r.own != s.tree.own {
		r.items, r.own = append(make([]E, 0, max(len(r.items)+grow, cap(r.items))), r.items...), s.tree.own
	}
	return r, i - first
}

// edit has fn change an element, but for its ID, and tells whether it is there.
func (s *series[E]) edit(id StreamID, fn func(e *E)) bool {
	i := s.seek(id)
	if i == s.size() || (*s.at(i)).ident() != id {
		return false
	}
	r, at := s.write(i, 0)
	old := r.items[at].rank()
	fn(&r.items[at])
	switch now := r.items[at].rank(); {
	case now <= r.least:
		r.least = now
	case old == r.least:
		r.least = leastOf(r.items)
	}
	return true
}

func leastOf[E identified](items []E) int64 {
	least := items[0].rank()
	for i := range items {
		least = min(least, items[i].rank())
	}
	return least
}

// insert adds an element whose ID is not there.
func (s *series[E]) insert(e E) {
	n := s.size()
	i := s.seek(e.ident())
	if n == 0 {
		s.add(0, []E{e})
		return
	}
	// Behind a run there is more room than before the next one: elements come in
	// ascending order mostly.
	r, first := s.tree.seek(max(i-1, 0))
	switch {
	case len(r.items) < runSize:
		w, _ := s.write(first, 1)
		w.items = slices.Insert(w.items, i-first, e)
		w.least = min(w.least, e.rank())
	case i == first+len(r.items):
		s.add(i, append(make([]E, 0, 8), e))
	default:
		half := slices.Clone(r.items[runSize/2:])
		w, _ := s.write(first, runSize/2-len(r.items))
		w.items = w.items[:runSize/2]
		w.least = leastOf(w.items)
		s.add(first+runSize/2, half)
		s.insert(e)
	}
}

// add makes items a run at a position.
func (s *series[E]) add(i int, items []E) {
	s.tree.insert(i, run[E]{items, s.tree.own, leastOf(items)}, len(items))
}

// remove removes an element, and tells whether it was there.
func (s *series[E]) remove(id StreamID) bool {
	i := s.seek(id)
	if i == s.size() || (*s.at(i)).ident() != id {
		return false
	}
	r, first := s.tree.seek(i)
	if len(r.items) == 1 {
		s.tree.remove(first)
		return true
	}
	w, at := s.write(i, -1)
	gone := w.items[at].rank()
	if w.items = slices.Delete(w.items, at, at+1); gone == w.least {
		w.least = leastOf(w.items)
	}
	s.join(first)
	return true
}

// join merges the run at a position with the next if both have become small.
func (s *series[E]) join(i int) {
	r, first := s.tree.seek(i)
	next := first + len(r.items)
	if len(r.items) > runSize/4 || next == s.size() {
		return
	}
	if more := *s.tree.at(next); len(r.items)+len(more.items) <= runSize/2 {
		s.tree.remove(next)
		w, _ := s.write(first, len(more.items))
		w.items, w.least = append(w.items, more.items...), min(w.least, more.least)
	}
}

// each calls fn for the elements from a position on until it returns false.
func (s *series[E]) each(i int, fn func(e *E) bool) {
	if i >= s.size() {
		return
	}
	_, first := s.tree.seek(i)
	skip := i - first
	s.tree.each(i, false, func(r *run[E]) bool {
		for k := skip; k < len(r.items); k++ {
			if !fn(&r.items[k]) {
				return false
			}
		}
		skip = 0
		return true
	})
}

// eachUpTo calls fn for the elements of a rank up to a limit until it returns false. It
// looks into no run that has none, and asks for the limit again before each element.
func (s *series[E]) eachUpTo(limit func() int64, fn func(e *E) bool) {
	s.tree.each(0, false, func(r *run[E]) bool {
		if r.least > limit() {
			return true
		}
		for k := range r.items {
			if r.items[k].rank() <= limit() && !fn(&r.items[k]) {
				return false
			}
		}
		return true
	})
}
