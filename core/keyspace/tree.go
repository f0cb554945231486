package keyspace

import (
	"math/rand/v2"
)

// tree is a sequence of elements with copy-on-write: a treap whose nodes know
// how many elements are below them, so that an element is found, inserted and
// removed by its position in O(log n). Ordered collections find the position
// with lower. See Seidel and Aragon, "Randomized Search Trees" (1996).
//
// clone takes constant time. A node belongs to the tree that made it; another
// tree that reaches it copies it before the first change, so a write to a
// frozen collection of any size copies one path.
type tree struct {
	root *node
	own  *owner
}

// owner marks whose a node is. It has a size so that every one has an address
// of its own.
type owner struct{ _ byte }

type node struct {
	el          element
	left, right *node
	own         *owner
	n           int // elements from here down
	prio        uint32
}

// element is one item of a collection: an item (list), a member (set), a
// member and its score (sorted set), a field and its value (hash). Its bytes
// are never written after it is made.
type element struct {
	key, val []byte
	score    float64
	hash     uint64 // of key, hashBits wide, for trees in that order
}

func newTree() tree { return tree{own: new(owner)} }

// clone returns a copy. Neither owns a node of what they share from then on.
// Reading does not look at owners.
func (t *tree) clone() tree {
	t.own = new(owner)
	return tree{root: t.root, own: new(owner)}
}

func (t *tree) size() int { return t.root.size() }

func (n *node) size() int {
	if n == nil {
		return 0
	}
	return n.n
}

func (n *node) count() { n.n = 1 + n.left.size() + n.right.size() }

// edit returns n or, when another tree made it, a copy that is t's.
func (t *tree) edit(n *node) *node {
	if n.own == t.own {
		return n
	}
	c := *n
	c.own = t.own
	return &c
}

// at returns the element at position i, which must exist.
func (t *tree) at(i int) *element {
	n := t.root
	for {
		switch before := n.left.size(); {
		case i < before:
			n = n.left
		case i > before:
			i -= before + 1
			n = n.right
		default:
			return &n.el
		}
	}
}

// lower counts the leading elements that less is true for; it must be false
// for all that follow.
func (t *tree) lower(less func(*element) bool) int {
	pos := 0
	for n := t.root; n != nil; {
		if less(&n.el) {
			pos += n.left.size() + 1
			n = n.right
		} else {
			n = n.left
		}
	}
	return pos
}

// insert puts e before position i.
func (t *tree) insert(i int, e element) {
	t.root = t.put(t.root, i, &node{el: e, own: t.own, n: 1, prio: rand.Uint32()}) //nolint:gosec // balance, not a secret
}

func (t *tree) put(n *node, i int, x *node) *node {
	if n == nil {
		return x
	}
	if x.prio > n.prio {
		x.left, x.right = t.split(n, i)
		x.count()
		return x
	}
	n = t.edit(n)
	if before := n.left.size(); i <= before {
		n.left = t.put(n.left, i, x)
	} else {
		n.right = t.put(n.right, i-before-1, x)
	}
	n.n++
	return n
}

// split divides the elements below n into the first i and the rest.
func (t *tree) split(n *node, i int) (l, r *node) {
	if n == nil {
		return nil, nil
	}
	n = t.edit(n)
	if before := n.left.size(); i <= before {
		l, n.left = t.split(n.left, i)
		n.count()
		return l, n
	} else {
		n.right, r = t.split(n.right, i-before-1)
		n.count()
		return n, r
	}
}

// merge joins two trees, all of l before all of r.
func (t *tree) merge(l, r *node) *node {
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

// remove takes the element at position i out and returns it.
func (t *tree) remove(i int) (e element) {
	t.root = t.drop(t.root, i, &e)
	return e
}

func (t *tree) drop(n *node, i int, e *element) *node {
	before := n.left.size()
	if i == before {
		*e = n.el
		return t.merge(n.left, n.right)
	}
	n = t.edit(n)
	if i < before {
		n.left = t.drop(n.left, i, e)
	} else {
		n.right = t.drop(n.right, i-before-1, e)
	}
	n.n--
	return n
}

// set replaces the element at position i.
func (t *tree) set(i int, e element) {
	t.root = t.edit(t.root)
	n := t.root
	for {
		switch before := n.left.size(); {
		case i < before:
			n.left = t.edit(n.left)
			n = n.left
		case i > before:
			i -= before + 1
			n.right = t.edit(n.right)
			n = n.right
		default:
			n.el = e
			return
		}
	}
}

// cut keeps the elements of positions from up to, not including, to.
func (t *tree) cut(from, to int) {
	l, _ := t.split(t.root, to)
	_, t.root = t.split(l, from)
}

// each calls fn for the elements from position i on, in order or backwards,
// until it returns false.
func (t *tree) each(i int, reverse bool, fn func(*element) bool) {
	if reverse {
		t.root.descend(i, fn)
	} else {
		t.root.ascend(i, fn)
	}
}

func (n *node) ascend(i int, fn func(*element) bool) bool {
	if n == nil || i >= n.n {
		return true
	}
	before := n.left.size()
	if i < before && !n.left.ascend(i, fn) {
		return false
	}
	if i <= before && !fn(&n.el) {
		return false
	}
	return n.right.ascend(max(0, i-before-1), fn)
}

func (n *node) descend(i int, fn func(*element) bool) bool {
	if n == nil || i < 0 {
		return true
	}
	before := n.left.size()
	if i > before && !n.right.descend(i-before-1, fn) {
		return false
	}
	if i >= before && !fn(&n.el) {
		return false
	}
	return n.left.descend(min(i, before-1), fn)
}
