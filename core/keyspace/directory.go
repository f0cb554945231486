package keyspace

// directory finds the page of a hash. It has two levels, both selected by the
// hash's first bits: a root of up to 2^n entries, and leaves that several root
// entries may share while they cover a shorter prefix; several entries of a
// leaf may share a page likewise. A split touches one leaf; when the root
// doubles, pointers are copied.
//
// Both levels are copied before the first write after a freeze: a view has the
// root as it was, and so everything under it.
type directory struct {
	root  []*leaf // 1<<bits of them
	bits  uint
	epoch uint32 // the root slice was made in this one
}

const leafBits = 9

// leaf maps the hash bits behind its own prefix to pages.
type leaf struct {
	epoch uint32
	depth uint                  // bits of its prefix
	bits  uint                  // entries in use are 1<<bits
	pages [1 << leafBits]uint64 // arena references
}

// leafOf returns the leaf of a hash and the entry in it.
func (d *directory) leafOf(h uint64) (*leaf, uint64) {
	l := d.root[firstBits(h, d.bits)]
	return l, firstBits(h<<(l.depth&63), l.bits)
}

// firstBits returns the first n bits of h as a number, n below 64. That no shift can be by 64, which has the
// processor's instructions do nothing, saves what Go adds to one that may be.
func firstBits(h uint64, n uint) uint64 { return h >> 1 >> (63 - n&63) }

// pageAt returns the reference of the page of a hash.
func (d *directory) pageAt(h uint64) uint64 {
	l, i := d.leafOf(h)
	return l.pages[i&(1<<leafBits-1)]
}

// prefixStep is how far in hash order the next page is from one of this depth.
// It is 0 for a page that covers everything.
func prefixStep(depth uint) uint64 { return 1 << (64 - depth) }

// writableLeaf returns the leaf of h for writing.
func (st *store) writableLeaf(h uint64) *leaf {
	l, _ := st.dir.leafOf(h)
	if !st.visible(l.epoch) {
		return l
	}
	c := *l
	c.epoch = st.shard.epoch
	st.setLeaf(h, &c)
	return &c
}

// setLeaf makes every root entry of l's prefix, which h has, point to l.
func (st *store) setLeaf(h uint64, l *leaf) {
	d := &st.dir
	if st.visible(d.epoch) {
		d.root = append([]*leaf(nil), d.root...)
		d.epoch = st.shard.epoch
	}
	n := uint64(1) << (d.bits - l.depth)
	first := h >> (64 - d.bits) &^ (n - 1)
	for i := range n {
		d.root[first+i] = l
	}
}

// setPage makes every entry of the prefix of h with depth bits name a page.
// The leaf has room for that depth.
func (st *store) setPage(h uint64, depth uint, ref uint64) {
	l := st.writableLeaf(h)
	n := uint64(1) << (l.depth + l.bits - depth)
	first := h << l.depth >> (64 - l.bits) &^ (n - 1)
	for i := range n {
		l.pages[first+i] = ref
	}
}

// deepen makes sure that the leaf of h can tell pages of the given depth apart.
func (st *store) deepen(h uint64, depth uint) {
	for {
		l := st.writableLeaf(h)
		switch {
		case depth <= l.depth+l.bits:
			return
		case l.bits < leafBits:
			for i := 1<<l.bits - 1; i >= 0; i-- {
				l.pages[2*i], l.pages[2*i+1] = l.pages[i], l.pages[i]
			}
			l.bits++
		default:
			st.splitLeaf(h, l)
		}
	}
}

// splitLeaf puts two leaves with a longer prefix in the place of a full one.
func (st *store) splitLeaf(h uint64, l *leaf) {
	d := &st.dir
	if l.depth == d.bits {
		root := make([]*leaf, 2*len(d.root))
		for i, l := range d.root {
			root[2*i], root[2*i+1] = l, l
		}
		d.root, d.epoch = root, st.shard.epoch
		d.bits++
	}
	const half = 1 << (leafBits - 1)
	bit := uint64(1) << (63 - l.depth)
	for side := range 2 {
		n := &leaf{epoch: st.shard.epoch, depth: l.depth + 1, bits: leafBits - 1}
		copy(n.pages[:half], l.pages[side*half:])
		at := h &^ bit
		if side == 1 {
			at |= bit
		}
		st.setLeaf(at, n)
	}
}
