package keyspace

import "github.com/spillwaydb/spillway/core/keyspace/arena"

// When most keys were deleted in no order, those that are left lie thinly over
// nearly all of the arena's chunks, and hold them. Compaction moves them together,
// in rounds: a round chooses chunks that are rather empty, goes through the index
// once, and moves the blobs and the pages that lie in those chunks, an eighth of the
// store at most, so that it never takes much more memory than there was. A shard
// with a live view waits with it: what is moved would stay until the view is gone.
//
// A move is not a change: no value, no order of scanning and no deadline is another
// afterwards, nothing is logged, and no watcher is told.

const (
	thinLooks   = 128     // chunks that are looked at under one lock hold
	settleStep  = 32      // chunks that take blocks again under one
	compactPage = 32      // pages of the index that are gone through under one
	roundShare  = 8       // of the store, that a round moves at most,
	roundLeast  = 4 << 20 // unless that is less than this
)

// compaction is how far a round has come.
type compaction struct {
	phase  uint8
	left   int64  // bytes that may still be chosen
	mapped int64  // bytes that were mapped when the round began
	at     uint64 // where in hash order moving goes on
	futile int64  // bytes in use when a round gave nothing back; 0: the last one did
}

// The phases of a round.
const (
	compactIdle = iota
	compactChoose
	compactMove
	compactSettle
)

// Compact does a part of a round if there is something to gain, or one under way:
// it moves up to atMost keys. It tells how many it has moved, and whether there is
// more to do at once. Nobody sees a difference but the system, which gets memory
// back.
func (d *DB) Compact(atMost int) (moved int, more bool) {
	st := d.st
	c := &st.compaction
	if st.arena == nil || st.shard.view != nil {
		return 0, false
	}
	switch c.phase {
	case compactIdle:
		if !st.arena.Wasteful() || c.rests(st.arena.Used()) {
			return 0, false
		}
		*c = compaction{phase: compactChoose, left: max(st.arena.Used()/roundShare, roundLeast), mapped: st.arena.Mapped()}
	case compactChoose:
		chosen, around := st.arena.Thin(thinLooks, c.left)
		if c.left -= chosen; around || c.left <= 0 {
			c.phase = compactMove
		}
	case compactMove:
		moved = st.moveSome(atMost)
	case compactSettle:
		if st.arena.Settle(settleStep) {
			c.phase, c.futile = compactIdle, 0
			if st.arena.Mapped() >= c.mapped {
				c.futile = st.arena.Used()
			}
		}
	}
	return moved, true
}

// rests tells whether a round would be in vain as the last one was: until an eighth
// of the store has come or gone.
func (c *compaction) rests(used int64) bool {
	change := used - c.futile
	return c.futile != 0 && max(change, -change) < c.futile/8
}

// moveSome goes through the next pages of the index and moves what is in thin
// chunks. No view is alive, so everything is written in place.
func (st *store) moveSome(atMost int) (moved int) {
	c := &st.compaction
	for range compactPage {
		p := st.movePage(c.at)
		for i := firstSlot; i < len(p); i++ {
			if p[i] == 0 || !st.arena.InThin(slotRef(p[i])) {
				continue
			}
			if moved == atMost {
				return moved // this page again: what was moved is not thin
			}
			r := slotRef(p[i])
			p[i] = p[i]&^refMask | uint64(st.moveBlock(r, headerSize(st.arena.Header(r))))
			moved++
		}
		step := prefixStep(pageDepth(p))
		// The page may have been joined with the one before it since the last call.
		if c.at = c.at&^(step-1) + step; c.at == 0 {
			c.phase = compactSettle
			return moved
		}
	}
	return moved
}

// movePage returns the page of h, in another place if it was in a thin chunk.
func (st *store) movePage(h uint64) *page {
	r := arena.Ref(st.dir.pageAt(h))
	p := st.arena.Page(r)
	if !st.arena.InThin(r) {
		return p
	}
	n := st.moveBlock(r, arena.PageSize)
	p = st.arena.Page(n)
	st.setPage(h, pageDepth(p), uint64(n))
	return p
}

// moveBlock moves a block of which size bytes are in use. Its new place has the same
// size, so that no account changes.
func (st *store) moveBlock(r arena.Ref, size int) arena.Ref {
	st.recent.known = false
	n := st.arena.Alloc(st.arena.BlockSize(r))
	copy(st.arena.Bytes(n, size), st.arena.Bytes(r, size))
	st.arena.Free(r)
	return n
}
