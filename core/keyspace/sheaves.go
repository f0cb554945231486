package keyspace

import (
	"math"

	"github.com/spillwaydb/spillway/core/keyspace/arena"
)

// sheaves is elements by ascending order and key, in a tree of sheaves. It is
// copied on write as a tree is: a write to what is shared copies a path and one
// sheaf.
type sheaves struct {
	tree  sheafTree
	count int   // of sheaves
	bytes int64 // cost of all of them
	gone  gone  // elements in the tree that are none any more
}

// spot is where an element is in sheaves, or belongs: before element i of a sheaf.
// It is good until the next change; clones do not change anything.
type spot struct {
	s     *sheaf // nil in an empty tree
	way   way    // to s
	i     int
	found bool
}

// element reads the element, which must have been found.
func (p *spot) element() element { return readElement(p.s.at(p.i, p.s.count())) }

func newSheaves(pool *arena.Pool) sheaves { return sheaves{tree: sheafTree{pool: pool}} }

func (v *sheaves) clone() sheaves { return sheaves{v.tree.clone(), v.count, v.bytes, v.gone} }

// onHeap is how much of what v takes is on the Go heap: the nodes.
func (v *sheaves) onHeap() int64 { return int64(v.count) * sheafCost }

func (v *sheaves) size() int { return v.tree.size() - v.gone.front - v.gone.back }

// find finds an element, or where it belongs.
func (v *sheaves) find(order uint64, key []byte) spot {
	s, w := v.tree.find(order, key)
	if s == nil {
		return spot{}
	}
	p := spot{s: s, way: w, i: s.lower(order, key, false)}
	if count := s.count(); p.i < count {
		p.found = s.compare(p.i, count, order, key) == 0
	}
	return p
}

// lower counts the elements before an order and a key, or with incl those up to it.
func (v *sheaves) lower(order uint64, key []byte, incl bool) int {
	s, w := v.tree.find(order, key)
	if s == nil {
		return 0
	}
	n := v.tree.first(w) + s.lower(order, key, incl)
	return min(max(n-v.gone.front, 0), v.size())
}

// spotAt is the spot of the element at a position, which must exist.
func (v *sheaves) spotAt(pos int) spot {
	pos += v.gone.front
	s, first, w := v.tree.seek(pos)
	return spot{s: s, way: w, i: pos - first, found: true}
}

// pos is the position in the tree of an element at its spot.
func (v *sheaves) pos(p spot) int {
	if p.s == nil {
		return 0
	}
	return v.tree.first(p.way) + p.i
}

// write returns a sheaf for changing it. Its elements grow by so many, the first of which
// remains the first.
func (v *sheaves) write(w way, grow int) *sheaf { return v.writeFrom(w, grow, math.MaxUint64) }

// writeFrom is write where the first element may become one of an order.
func (v *sheaves) writeFrom(w way, grow int, order uint64) *sheaf {
	s := v.tree.write(w, grow, order)
	v.bytes -= s.cost() // put back by who asked
	return s
}

// add makes s a sheaf before a position.
func (v *sheaves) add(first int, s sheaf) {
	v.tree.insert(first, s)
	v.count++
	v.bytes += s.cost()
}

// put inserts an element at its spot, or replaces the one that is found there.
// fresh is its bytes, which must not alias a sheaf; for a large element, and
// there alone, it may be nil.
func (v *sheaves) put(p spot, order uint64, e *element, fresh []byte, m *spares) {
	if p.found {
		count := p.s.count()
		switch from, to := p.s.offset(p.i, count), p.s.offset(p.i+1, count); {
		case fresh != nil && len(p.s.Data)-(to-from)+len(fresh) <= sheafSize:
			s := v.write(p.way, 0)
			s.splice(p.i, 1, order, fresh, m)
			v.bytes += s.cost()
			return
		case count == 1:
			lone := loneSheaf(order, e, m)
			s := v.write(p.way, 0)
			s.move(lone.Block, m)
			v.bytes += s.cost()
			return
		}
	}
	if fresh != nil {
		if p.found {
			p = v.cut(p, 1, m)
		}
		v.insert(p, order, e, fresh, m)
		return
	}
	lone := loneSheaf(order, e, m) // first: it may alias what goes
	if p.found {
		p = v.cut(p, 1, m)
	}
	v.addBetween(p, lone, m)
}

// insert inserts an element that is not large before its spot.
func (v *sheaves) insert(p spot, order uint64, e *element, fresh []byte, m *spares) {
	for {
		if p.s == nil {
			v.add(0, loneSheaf(order, e, m))
			return
		}
		count := p.s.count()
		if p.s.sizeWith(order, len(fresh)) <= sheafSize {
			s := v.writeFrom(p.way, 1, order)
			s.splice(p.i, 0, order, fresh, m)
			v.bytes += s.cost()
			return
		}
		first := v.tree.first(p.way)
		switch pos, next := first+p.i, first+count; {
		case pos == v.tree.size(), pos == 0:
			v.add(pos, loneSheaf(order, e, m)) // more of them will come in order
			return
		case p.i == count:
			if after, _, w := v.tree.seek(next); after.sizeWith(order, len(fresh)) <= sheafSize {
				p = spot{s: after, way: w}
				continue
			}
			fallthrough
		default:
			if count == 1 {
				v.add(pos, loneSheaf(order, e, m))
				return
			}
			p = v.split(p, middle(p.s, count), m)
		}
	}
}

// middle is the element from which on a sheaf of several is split in halves.
func middle(s *sheaf, count int) int {
	half := (s.offset(0, count) + len(s.Data)) / 2
	m := 1
	for m < count-1 && s.offset(m, count) < half {
		m++
	}
	return m
}

// split splits the sheaf of a spot before its element at, and returns where the spot is
// then.
func (v *sheaves) split(p spot, at int, m *spares) spot {
	count := p.s.count()
	a, b := p.s.part(0, at, m), p.s.part(at, count, m)
	first := v.tree.first(p.way)
	s := v.write(p.way, at-count)
	s.move(a.Block, m)
	v.bytes += s.cost()
	v.add(first+at, b)
	if p.i > at {
		first, p.i = first+at, p.i-at
	}
	p.s, _, p.way = v.tree.seek(first)
	return p
}

// addBetween makes s a sheaf at a spot, which is where a sheaf is split for it.
func (v *sheaves) addBetween(p spot, s sheaf, m *spares) {
	pos := v.pos(p)
	if p.s != nil && p.i > 0 && p.i < p.s.count() {
		v.split(p, p.i, m)
	}
	v.add(pos, s)
}

// remove removes n elements of one sheaf from a spot on.
func (v *sheaves) remove(p spot, n int, m *spares) {
	if p.s.count() == n {
		v.drop(v.tree.first(p.way), m)
		return
	}
	if p = v.cut(p, n, m); len(p.s.Data) <= sheafSize/4 {
		v.join(p, m)
	}
}

// cut removes n elements from a spot on, beside which their sheaf has another one. It
// returns where they belong then.
func (v *sheaves) cut(p spot, n int, m *spares) spot {
	s := v.write(p.way, -n)
	s.splice(p.i, n, 0, nil, m)
	v.bytes += s.cost()
	return spot{s: s, way: p.way, i: p.i}
}

// drop removes the sheaf at a position.
func (v *sheaves) drop(first int, m *spares) {
	s := v.tree.remove(first)
	v.count--
	v.bytes -= s.cost()
	m.give(s.Block)
}

// join merges the sheaf of a spot, which has become small, with a neighbour that is small too.
func (v *sheaves) join(p spot, m *spares) {
	s, first := p.s, v.tree.first(p.way)
	if next := first + s.count(); next < v.tree.size() && v.joinTwo(first, s, next, v.tree.at(next), m) || first == 0 {
		return
	}
	before, at, _ := v.tree.seek(first - 1)
	v.joinTwo(at, before, first, s, m)
}

// joinTwo merges two sheaves that follow on each other, if both are small.
func (v *sheaves) joinTwo(first int, s *sheaf, next int, more *sheaf, m *spares) bool {
	if len(s.Data)+len(more.Data) > sheafSize/2 {
		return false
	}
	both, grow := s.joined(more, m), more.count()
	v.drop(next, m)
	_, _, way := v.tree.seek(first)
	w := v.write(way, grow)
	w.move(both.Block, m)
	v.bytes += w.cost()
	return true
}

// each calls fn for the elements from position from on, in order or backwards, until
// it returns false.
func (v *sheaves) each(from int, reverse bool, fn func(order uint64, e *element) bool) {
	if from < 0 || from >= v.size() {
		return
	}
	left := v.size() - from
	if reverse {
		left = from + 1
	}
	from += v.gone.front
	_, first, _ := v.tree.seek(from)
	var e element
	v.tree.each(from, reverse, func(s *sheaf) bool {
		count := s.count()
		i, step, end := 0, 1, count
		if reverse {
			i, step, end = count-1, -1, -1
		}
		if first >= 0 {
			i, first = from-first, -1 // the others are visited whole
		}
		for ; i != end; i += step {
			e = readElement(s.at(i, count))
			if left--; !fn(s.order(i), &e) || left == 0 {
				return false
			}
		}
		return true
	})
}
