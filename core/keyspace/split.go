package keyspace

import "github.com/spillwaydb/spillway/core/keyspace/arena"

// writablePage returns the page of h for writing: itself, or a copy put in its
// place when a view can see it. Slots keep their numbers.
func (st *store) writablePage(h uint64) *page {
	r := arena.Ref(st.dir.pageAt(h))
	p := st.arena.Page(r)
	if !st.visible(pageEpoch(p)) {
		return p
	}
	n := st.alloc(arena.PageSize)
	c := st.arena.Page(n)
	*c = *p
	c[wordEpoch] = c[wordEpoch]>>32<<32 | uint64(st.shard.epoch)
	st.setPage(h, pageDepth(p), uint64(n))
	st.drop(r, pageEpoch(p))
	return c
}

// splitPage puts two pages in the place of the one of h.
func (st *store) splitPage(h uint64) {
	r := arena.Ref(st.dir.pageAt(h))
	p := st.arena.Page(r)
	depth, base := pageDepth(p), pageBase(p)
	if depth == maxDepth {
		panic("keyspace: hundreds of keys agree in 32 bits of a keyed hash: the hash is broken")
	}
	st.deepen(h, depth+1)
	rehash := depth-base == windowBits
	newBase := base
	if rehash {
		newBase = depth
	}
	bit := prefixStep(depth + 1)
	var halves [2]*page
	for side := range halves {
		n := st.alloc(arena.PageSize)
		halves[side] = st.arena.Page(n)
		initPage(halves[side], st.shard.epoch, depth+1, newBase)
		at := h &^ bit
		if side == 1 {
			at |= bit
		}
		st.setPage(at, depth+1, uint64(n))
	}
	for _, s := range p[firstSlot:] {
		if s == 0 {
			continue
		}
		if rehash {
			s = st.retag(s, newBase)
		}
		// The first bit of the window is the page's base in the hash.
		half := halves[s>>(printShift-1-(depth-newBase))&1]
		addSlot(half, s)
	}
	for _, half := range halves {
		if pageTTLs(half) > 0 {
			noteDeadline(half, pageMinTTL(p))
		}
	}
	st.drop(r, pageEpoch(p))
}

// retag makes a slot one for a page with another base.
func (st *store) retag(s uint64, base uint) uint64 {
	return tag(st.shard.ks.hash(st.blobAt(s).key()), base) | s&(ttlBit|refMask)
}

// mergePage joins the page of h and its sibling when both have become small.
func (st *store) mergePage(h uint64) {
	l, _ := st.dir.leafOf(h)
	r := arena.Ref(st.dir.pageAt(h))
	p := st.arena.Page(r)
	depth := pageDepth(p)
	if depth <= l.depth {
		return // the sibling is in another leaf, and leaves are not joined
	}
	sibling := h ^ prefixStep(depth)
	r2 := arena.Ref(st.dir.pageAt(sibling))
	p2 := st.arena.Page(r2)
	if pageDepth(p2) != depth || pageKeys(p)+pageKeys(p2) > mergedFull {
		return
	}
	base := min(pageBase(p), pageBase(p2))
	if base >= depth {
		base = depth - 1
	}
	n := st.alloc(arena.PageSize)
	joined := st.arena.Page(n)
	initPage(joined, st.shard.epoch, depth-1, base)
	for _, old := range [2]*page{p, p2} {
		for _, s := range old[firstSlot:] {
			if s == 0 {
				continue
			}
			if pageBase(old) != base {
				s = st.retag(s, base)
			}
			addSlot(joined, s)
		}
	}
	if pageTTLs(joined) > 0 {
		noteDeadline(joined, min(pageMinTTL(p), pageMinTTL(p2)))
	}
	st.setPage(h, depth-1, uint64(n))
	st.drop(r, pageEpoch(p))
	st.drop(r2, pageEpoch(p2))
}
