package keyspace

import (
	"math"
	"math/bits"
	"slices"
	"sync/atomic"

	"github.com/spillwaydb/spillway/core/keyspace/arena"
	"github.com/spillwaydb/spillway/internal/turn"
)

// sheafTree is a sequence of sheaves by ascending order and key, with copy-on-write as in
// tree: a B+tree, in which a place is found by an order, by looking at few lines of memory, or
// by a position. An element has one position; sheaves are inserted and removed at their first.
//
// Beside each child stands a bound: no element in it has a lower order, and none before it a higher one. It is
// not raised with every element that goes, so it need not be the first one's order. Where
// it equals what is looked for the first element itself decides, of which there may be
// many with one order.
//
// A node counts who has it, the nodes above it and the roots of trees, and a sheaf the nodes
// that have it. What has one count on the whole path from the root is the tree's own, and changed in place;
// of what others have too a change makes a copy. So what a version alone had is known when it goes, and
// the memory of its sheaves, which the collector does not know of, is given back.
type sheafTree struct {
	root  *sheafNode // nil: empty
	pool  *arena.Pool
	shape int // another one after each sheaf that comes or goes
}

// sheafFan is how many children a node has at the most.
const sheafFan = 24

// sheafNode is a node of a sheafTree. What a search reads comes first, in four lines of memory, and
// a change that leaves positions and bounds as they are writes to none.
type sheafNode struct {
	others atomic.Int32     // who has it besides one
	n      int              // positions from here down
	kids   []*sheafNode     // of an inner node
	leaves []sheaf          // of any other
	bounds [sheafFan]uint64 // of each child, and noBound behind the last one
	sizes  [sheafFan]int    // positions of each child
}

// noBound is above the order of any element.
const noBound = math.MaxUint64

// newSheafNode returns a node without children.
func newSheafNode() *sheafNode {
	n := new(sheafNode)
	for k := range n.bounds {
		n.bounds[k] = noBound
	}
	return n
}

// count is how many children a node has.
func (n *sheafNode) count() int { return len(n.kids) + len(n.leaves) }

// way is where a sheaf is: which child each node on the way to it is left by. It is good until sheaves come or go.
// So many levels are never reached: each takes a dozen times the sheaves of the one before.
type way [16]uint8

// clone returns a copy. Neither changes what they share from then on. Reading does not look at
// counts.
func (t *sheafTree) clone() sheafTree {
	if t.root != nil {
		t.root.others.Add(1)
	}
	return *t
}

// free lets go of all that the tree has. It yields in between.
func (t *sheafTree) free() {
	if t.root != nil {
		t.root.release(t.pool, true)
		t.root = nil
	}
}

func (t *sheafTree) size() int {
	if t.root == nil {
		return 0
	}
	return t.root.n
}

// edit returns n, which the caller has, or in its place a copy when others have it too.
func (t *sheafTree) edit(n *sheafNode) *sheafNode {
	if n.others.Load() == 0 {
		return n
	}
	return t.copied(n)
}

// copied is edit of a node that others have too.
func (t *sheafTree) copied(n *sheafNode) *sheafNode {
	c := &sheafNode{n: n.n, bounds: n.bounds, sizes: n.sizes}
	if n.kids != nil {
		c.kids = append(make([]*sheafNode, 0, cap(n.kids)), n.kids...)
		for _, kid := range c.kids {
			kid.others.Add(1)
		}
	} else {
		c.leaves = append(make([]sheaf, 0, cap(n.leaves)), n.leaves...)
		for i := range c.leaves {
			c.leaves[i].Hold()
		}
	}
	n.release(t.pool, false) // goes no deeper: c has what is below
	return c
}

// release lets go of n. Who is the last to do so lets go of what is below, and may yield in
// between.
func (n *sheafNode) release(pool *arena.Pool, yield bool) {
	if n.others.Add(-1) >= 0 {
		return
	}
	for i := range n.leaves {
		if s := &n.leaves[i]; s.Drop() {
			pool.Free(s.Block)
		}
	}
	pause := yield && n.kids != nil && n.kids[0].kids == nil // after some hundred sheaves: some tens of microseconds
	for _, kid := range n.kids {
		kid.release(pool, yield)
	}
	if pause {
		turn.Yield()
	}
}

// head is the first sheaf from n down.
func (n *sheafNode) head() *sheaf {
	for n.kids != nil {
		n = n.kids[0]
	}
	return &n.leaves[0]
}

// first is the first sheaf of child k.
func (n *sheafNode) first(k int) *sheaf {
	if n.kids != nil {
		return n.kids[k].head()
	}
	return &n.leaves[k]
}

// below is the last child whose bound is below an order, or the first one. It takes no branches, see
// sheaf.below, and the same steps however many children there are, which are known beforehand:
// the end of a loop would be foreseen wrongly too.
func (n *sheafNode) below(order uint64) (k int) {
	k = n.above(k, 12, order)
	k = n.above(k, 6, order)
	k = n.above(k, 3, order)
	k = n.above(k, 1, order)
	return n.above(k, 1, order) // 23 children in all besides the first one
}

// above is a step of below: so many children on from k, unless the bound there is not below an order.
func (n *sheafNode) above(k, by int, order uint64) int {
	_, less := bits.Sub64(n.bounds[k+by], order, 0)
	return k + by&-int(less) // 0 or 1
}

// lastBegun is the last child that begins at or before an order and a key, where child k does, or
// is the first one, and the bound of the next one is that order.
func (n *sheafNode) lastBegun(k int, order uint64, key []byte) int {
	lo, hi := k+1, n.count() // before lo they begin, from hi on they do not
	for lo < hi {
		mid := int(uint(lo+hi) >> 1) // positive
		if n.begins(mid, order, key) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo - 1
}

// nearby is the child in which an order is, or one beside it where several begin with that order.
func (n *sheafNode) nearby(order uint64) int {
	k := n.below(order)
	if k+1 < sheafFan && n.bounds[k+1] == order {
		k++
	}
	return k
}

// begins tells whether child k begins at or before an order and a key.
func (n *sheafNode) begins(k int, order uint64, key []byte) bool {
	if b := n.bounds[k]; b != order {
		return b < order
	}
	s := n.first(k)
	return s.compare(0, s.count(), order, key) <= 0
}

// find finds the last sheaf that begins at or before an order and a key, or the first
// one, and the way to it; nil if there is none.
func (t *sheafTree) find(order uint64, key []byte) (s *sheaf, w way) {
	n := t.root
	if n == nil {
		return nil, w
	}
	for level := 0; ; level++ {
		k := n.below(order)
		if k+1 < sheafFan && n.bounds[k+1] == order {
			k = n.lastBegun(k, order, key)
		}
		w[level] = uint8(k) // below sheafFan
		if n.kids == nil {
			return &n.leaves[k], w
		}
		n = n.kids[k]
	}
}

// leaf is the sheaf at the end of a way.
func (t *sheafTree) leaf(w way) *sheaf {
	n := t.root
	for level := 0; ; level++ {
		if n.kids == nil {
			return &n.leaves[w[level]]
		}
		n = n.kids[w[level]]
	}
}

// first is the first position of the sheaf at the end of a way.
func (t *sheafTree) first(w way) (pos int) {
	n := t.root
	for level := 0; ; level++ {
		for _, size := range n.sizes[:w[level]] {
			pos += size
		}
		if n.kids == nil {
			return pos
		}
		n = n.kids[w[level]]
	}
}

// child is the child in which position i is, and where that begins.
func (n *sheafNode) child(i int) (k, before int) {
	for i >= before+n.sizes[k] {
		before += n.sizes[k]
		k++
	}
	return k, before
}

// at returns the sheaf at position i, which must exist.
func (t *sheafTree) at(i int) *sheaf {
	s, _, _ := t.seek(i)
	return s
}

// seek is at that also returns the first position of the sheaf, and the way to it.
func (t *sheafTree) seek(i int) (s *sheaf, first int, w way) {
	n := t.root
	for level := 0; ; level++ {
		k, before := n.child(i)
		i -= before
		first += before
		w[level] = uint8(k) // below sheafFan
		if n.kids == nil {
			return &n.leaves[k], first, w
		}
		n = n.kids[k]
	}
}

// write returns the sheaf at the end of a way for changing it. It grows by so many elements,
// of which least is no higher than the order of any that is to be its first.
func (t *sheafTree) write(w way, grow int, least uint64) *sheaf {
	t.root = t.edit(t.root)
	n := t.root
	for level := 0; ; level++ {
		k := w[level]
		if grow != 0 {
			n.n += grow
			n.sizes[k] += grow
		}
		if least < n.bounds[k] {
			n.bounds[k] = least
		}
		if n.kids == nil {
			return &n.leaves[k]
		}
		kid := n.kids[k]
		if kid.others.Load() != 0 { // else nothing is written here
			kid = t.copied(kid)
			n.kids[k] = kid
		}
		n = kid
	}
}

// insert puts s before position i, where another sheaf begins or the last one ends.
func (t *sheafTree) insert(i int, s sheaf) {
	t.shape++
	if t.root == nil {
		t.root = newSheafNode()
	}
	root := t.edit(t.root)
	t.root = root
	if right := t.put(root, i, s, s.order(0), s.count()); right != nil {
		t.root = newSheafNode()
		t.root.open(0, root, sheaf{}, root.bounds[0], root.n)
		t.root.open(1, right, sheaf{}, right.bounds[0], right.n)
	}
}

// put is insert below n, which is t's. What n has no room for is in the node that it returns,
// which belongs behind it.
func (t *sheafTree) put(n *sheafNode, i int, s sheaf, order uint64, size int) (right *sheafNode) {
	k, before := 0, 0
	for k < n.count() && i >= before+n.sizes[k] {
		before += n.sizes[k]
		k++
	}
	if n.kids == nil {
		if k < n.count() { // what comes before it may be above its bound
			n.bounds[k] = n.leaves[k].order(0)
		}
		return t.open(n, k, nil, s, order, size)
	}
	// Between two children it belongs to the first one, unless it is above the bound of the second.
	if k == n.count() || k > 0 && i == before && order <= n.bounds[k] {
		k--
		before -= n.sizes[k]
	}
	kid := t.edit(n.kids[k])
	n.kids[k] = kid
	more := t.put(kid, i-before, s, order, size)
	n.n += size
	n.sizes[k], n.bounds[k] = kid.n, kid.bounds[0]
	if more == nil {
		return nil
	}
	n.n -= more.n // open counts it again
	return t.open(n, k+1, more, sheaf{}, more.bounds[0], more.n)
}

// open makes a child the one at k, where necessary in a node of its own, as put says.
func (t *sheafTree) open(n *sheafNode, k int, kid *sheafNode, s sheaf, bound uint64, size int) (right *sheafNode) {
	count := n.count()
	if count < sheafFan {
		n.open(k, kid, s, bound, size)
		return nil
	}
	half, behind := count/2, k > count/2
	if k == count { // more will come in order
		half = k
	}
	right = newSheafNode()
	right.take(n, half)
	if behind {
		right.open(k-half, kid, s, bound, size)
	} else {
		n.open(k, kid, s, bound, size)
	}
	return right
}

// open makes a child the one at k. There is room.
func (n *sheafNode) open(k int, kid *sheafNode, s sheaf, bound uint64, size int) {
	count := n.count()
	copy(n.bounds[k+1:], n.bounds[k:count])
	copy(n.sizes[k+1:], n.sizes[k:count])
	n.bounds[k], n.sizes[k] = bound, size
	if kid != nil {
		n.kids = openAt(n.kids, k, kid)
	} else {
		n.leaves = openAt(n.leaves, k, s)
	}
	n.n += size
}

// openAt is slices.Insert of one into children, for which there is never more room than a node has.
func openAt[E any](s []E, k int, e E) []E {
	if len(s) == cap(s) {
		s = append(make([]E, 0, min(max(2*len(s), 3), sheafFan)), s...)
	}
	s = s[:len(s)+1]
	copy(s[k+1:], s[k:])
	s[k] = e
	return s
}

// take moves the children of o from one on, which belong behind those of n, to n.
func (n *sheafNode) take(o *sheafNode, from int) {
	for k := from; k < o.count(); k++ {
		if o.kids != nil {
			n.open(n.count(), o.kids[k], sheaf{}, o.bounds[k], o.sizes[k])
		} else {
			n.open(n.count(), nil, o.leaves[k], o.bounds[k], o.sizes[k])
		}
	}
	for o.count() > from {
		o.shut(o.count() - 1)
	}
}

// shut drops child k.
func (n *sheafNode) shut(k int) {
	n.n -= n.sizes[k]
	last := n.count() - 1
	copy(n.bounds[k:], n.bounds[k+1:last+1])
	copy(n.sizes[k:], n.sizes[k+1:last+1])
	n.bounds[last] = noBound
	if n.kids != nil {
		n.kids = slices.Delete(n.kids, k, k+1)
	} else {
		n.leaves = slices.Delete(n.leaves, k, k+1)
	}
}

// remove takes the sheaf at position i out and returns it.
func (t *sheafTree) remove(i int) sheaf {
	t.shape++
	t.root = t.edit(t.root)
	s := t.drop(t.root, i)
	for t.root.kids != nil && t.root.count() == 1 {
		t.root = t.root.kids[0]
	}
	if t.root.count() == 0 {
		t.root = nil
	}
	return s
}

// drop is remove below n, which is t's. It may leave it without children.
func (t *sheafTree) drop(n *sheafNode, i int) (gone sheaf) {
	k, before := n.child(i)
	if n.kids == nil {
		gone = n.leaves[k]
		n.shut(k)
		return gone
	}
	kid := t.edit(n.kids[k])
	n.kids[k] = kid
	gone = t.drop(kid, i-before)
	n.n += kid.n - n.sizes[k]
	n.sizes[k] = kid.n
	if kid.count() == 0 {
		n.shut(k)
		return gone
	}
	// What goes may become another sheaf's, before this child.
	n.bounds[k] = kid.bounds[0]
	if kid.count() <= sheafFan/4 {
		if k+1 < n.count() {
			t.join(n, k)
		} else if k > 0 {
			t.join(n, k-1)
		}
	}
	return gone
}

// join makes child k of n and the next one a single child, where that has room for more.
func (t *sheafTree) join(n *sheafNode, k int) {
	if n.kids[k].count()+n.kids[k+1].count() > sheafFan*3/4 {
		return
	}
	a, b := t.edit(n.kids[k]), t.edit(n.kids[k+1])
	n.kids[k] = a
	a.take(b, 0)
	n.n += a.n - n.sizes[k] // shut takes it away again
	n.sizes[k] = a.n
	n.shut(k + 1)
}

// each calls fn for the sheaves from the one at position i on, in order or
// backwards, until it returns false.
func (t *sheafTree) each(i int, reverse bool, fn func(*sheaf) bool) {
	if t.root == nil {
		return
	}
	if reverse {
		t.root.descend(i, fn)
	} else {
		t.root.ascend(i, fn)
	}
}

func (n *sheafNode) ascend(i int, fn func(*sheaf) bool) bool {
	for k := range n.count() {
		if i < n.sizes[k] {
			if n.kids == nil && !fn(&n.leaves[k]) || n.kids != nil && !n.kids[k].ascend(max(i, 0), fn) {
				return false
			}
		}
		i -= n.sizes[k]
	}
	return true
}

func (n *sheafNode) descend(i int, fn func(*sheaf) bool) bool {
	before := n.n
	for k := n.count() - 1; k >= 0; k-- {
		before -= n.sizes[k]
		if i >= before {
			if n.kids == nil && !fn(&n.leaves[k]) || n.kids != nil && !n.kids[k].descend(i-before, fn) {
				return false
			}
		}
	}
	return true
}
