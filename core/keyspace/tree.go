package keyspace

import (
	"math/rand/v2"
	"sync/atomic"

	"github.com/spillwaydb/spillway/core/keyspace/arena"
	"github.com/spillwaydb/spillway/internal/turn"
)

// tree is a sequence of elements with copy-on-write: a treap whose nodes know
// how much is below them, so that an element is found, inserted and removed by
// its position in O(log n). Ordered collections find the position with lower.
// See Seidel and Aragon, "Randomized Search Trees" (1996).
//
// An element takes as many positions as it weighs: one, or for a chunk of a
// list as many as it has items. Elements are inserted, split off and cut at
// their first position only.
//
// clone takes constant time. A node counts who has it, the nodes above it and the roots of
// trees, as one of a sheafTree does: what has one count on the whole path from the root is the tree's own, and
// changed in place; of what others have too a change makes a copy, so that a write to a frozen
// collection of any size copies one path. Trees that are given up without free leave counts that are
// too high, which costs their nodes a copy once more.
//
// What elements refer to is told apart in one of two ways. What is on the Go heap is marked with the tree that
// may write it (own). Elements that have blocks of a pool (lodger) are counted by them, a count
// for each node, and free gives back those that nobody else has.
type tree[E any] struct {
	root *node[E]
	own  *owner
	pool *arena.Pool // of lodgers, nil for elements on the Go heap
}

// owner marks whose something is. It has a size so that every one has an address
// of its own.
type owner struct{ _ byte }

// lodger is an element with a block of a pool.
type lodger interface{ block() arena.Block }

type node[E any] struct {
	el          E
	left, right *node[E]
	n           int // positions from here down
	w           uint32
	prio        uint32
	others      atomic.Int32 // who has it besides one
}

func newTree[E any]() tree[E] { return tree[E]{own: new(owner)} }

// clone returns a copy. Neither owns what they share from then on.
// Reading does not look at owners and counts.
func (t *tree[E]) clone() tree[E] {
	t.own = new(owner)
	return t.fork()
}

// fork is clone of a tree whose elements nobody writes any more. It does not write t.
func (t *tree[E]) fork() tree[E] {
	if t.root != nil {
		t.root.others.Add(1)
	}
	return tree[E]{t.root, new(owner), t.pool}
}

// free lets go of all that the tree has, and may yield in between.
func (t *tree[E]) free(yield bool) {
	t.root.release(t.pool, yield)
	t.root = nil
}

func (t *tree[E]) size() int { return t.root.size() }

func (n *node[E]) size() int {
	if n == nil {
		return 0
	}
	return n.n
}

func (n *node[E]) weight() int { return int(n.w) }

func (n *node[E]) count() { n.n = n.weight() + n.left.size() + n.right.size() }

// edit returns n, which the caller has, or in its place a copy when others have it too.
func (t *tree[E]) edit(n *node[E]) *node[E] {
	if n.others.Load() == 0 {
		return n
	}
	c := &node[E]{el: n.el, left: n.left, right: n.right, n: n.n, w: n.w, prio: n.prio}
	if t.pool != nil {
		lodging(&c.el).Hold()
	}
	for _, kid := range [...]*node[E]{c.left, c.right} {
		if kid != nil {
			kid.others.Add(1)
		}
	}
	n.release(t.pool, false) // goes no deeper: c has what is below
	return c
}

// lodging is the block of an element of a tree with a pool.
func lodging[E any](e *E) arena.Block { return any(e).(lodger).block() } //nolint:forcetypeassert // the pool says so

// release lets go of n. Who is the last to do so lets go of what is below, which the collector does
// without a pool, and may yield in between.
func (n *node[E]) release(pool *arena.Pool, yield bool) {
	if n == nil || n.others.Add(-1) >= 0 || pool == nil {
		return
	}
	if b := lodging(&n.el); b.Drop() {
		pool.Free(b)
	}
	n.left.release(pool, yield)
	n.right.release(pool, yield)
	if yield && n.prio%releaseYield == 0 {
		turn.Yield()
	}
}

// releaseYield is about how many nodes go between two yields: some microseconds.
const releaseYield = 64

// at returns the element at position i, which must exist.
func (t *tree[E]) at(i int) *E {
	el, _ := t.seek(i)
	return el
}

// seek is at that also returns the first position of the element.
func (t *tree[E]) seek(i int) (el *E, first int) {
	n := t.root
	for {
		switch before := n.left.size(); {
		case i < before:
			n = n.left
		case i >= before+n.weight():
			i -= before + n.weight()
			first += before + n.weight()
			n = n.right
		default:
			return &n.el, first + before
		}
	}
}

// lower counts the positions of the leading elements that less is true for; it
// must be false for all that follow.
func (t *tree[E]) lower(less func(*E) bool) int {
	pos := 0
	for n := t.root; n != nil; {
		if less(&n.el) {
			pos += n.left.size() + n.weight()
			n = n.right
		} else {
			n = n.left
		}
	}
	return pos
}

// insert puts e, which weighs so much, before position i.
func (t *tree[E]) insert(i int, e E, weight int) {
	x := &node[E]{el: e, n: weight, w: uint32(weight), prio: rand.Uint32()} // balance, not a secret
	t.root = t.put(t.root, i, x)
}

func (t *tree[E]) put(n *node[E], i int, x *node[E]) *node[E] {
	if n == nil {
		return x
	}
	if x.prio > n.prio {
		x.left, x.right = t.split(n, i)
		x.count()
		return x
	}
	n = t.edit(n)
	n.n += x.weight()
	if before := n.left.size(); i <= before {
		n.left = t.put(n.left, i, x)
	} else {
		n.right = t.put(n.right, i-before-n.weight(), x)
	}
	return n
}

// split divides the elements below n into the first i positions and the rest.
func (t *tree[E]) split(n *node[E], i int) (l, r *node[E]) {
	if n == nil {
		return nil, nil
	}
	n = t.edit(n)
	if before := n.left.size(); i <= before {
		l, n.left = t.split(n.left, i)
		n.count()
		return l, n
	} else {
		n.right, r = t.split(n.right, i-before-n.weight())
		n.count()
		return n, r
	}
}

// merge joins two trees, all of l before all of r.
func (t *tree[E]) merge(l, r *node[E]) *node[E] {
	switch {
	case l == nil:
		return r
	case r == nil:
		return l
	case l.prio > r.prio:
		l = t.edit(l)
		l.right = t.merge(l.right, r)
		l.count()
		return l
	default:
		r = t.edit(r)
		r.left = t.merge(l, r.left)
		r.count()
		return r
	}
}

// remove takes the element at position i out and returns it, with its block if it has one.
func (t *tree[E]) remove(i int) E {
	var gone *node[E]
	t.root, gone = t.drop(t.root, i)
	return gone.el
}

func (t *tree[E]) drop(n *node[E], i int) (rest, gone *node[E]) {
	n = t.edit(n)
	before := n.left.size()
	if before <= i && i < before+n.weight() {
		return t.merge(n.left, n.right), n
	}
	if i < before {
		n.left, gone = t.drop(n.left, i)
	} else {
		n.right, gone = t.drop(n.right, i-before-n.weight())
	}
	n.n -= gone.weight()
	return n, gone
}

// write returns the element at position i for changing it. Its weight grows by
// so much.
func (t *tree[E]) write(i, grow int) *E {
	t.root = t.edit(t.root)
	n := t.root
	for {
		n.n += grow
		switch before := n.left.size(); {
		case i < before:
			n.left = t.edit(n.left)
			n = n.left
		case i >= before+n.weight():
			i -= before + n.weight()
			n.right = t.edit(n.right)
			n = n.right
		default:
			n.w = uint32(n.weight() + grow) // not negative
			return &n.el
		}
	}
}

// cut keeps the elements of positions from up to, not including, to.
func (t *tree[E]) cut(from, to int) {
	l, behind := t.split(t.root, to)
	before, l := t.split(l, from)
	t.root = l
	before.release(t.pool, false)
	behind.release(t.pool, false)
}

// each calls fn for the elements from the one at position i on, in order or
// backwards, until it returns false.
func (t *tree[E]) each(i int, reverse bool, fn func(*E) bool) {
	if reverse {
		t.root.descend(i, fn)
	} else {
		t.root.ascend(i, fn)
	}
}

func (n *node[E]) ascend(i int, fn func(*E) bool) bool {
	if n == nil || i >= n.n {
		return true
	}
	before := n.left.size()
	if i < before && !n.left.ascend(i, fn) {
		return false
	}
	if i < before+n.weight() && !fn(&n.el) {
		return false
	}
	return n.right.ascend(max(0, i-before-n.weight()), fn)
}

func (n *node[E]) descend(i int, fn func(*E) bool) bool {
	if n == nil || i < 0 {
		return true
	}
	before := n.left.size()
	if i >= before+n.weight() && !n.right.descend(i-before-n.weight(), fn) {
		return false
	}
	if i >= before && !fn(&n.el) {
		return false
	}
	return n.left.descend(min(i, before-1), fn)
}
