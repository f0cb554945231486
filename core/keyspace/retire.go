package keyspace

import (
	"github.com/spillwaydb/spillway/core/keyspace/arena"
	"github.com/spillwaydb/spillway/internal/turn"
)

// retiredObject marks a retired number as an object's; otherwise it is a
// block's reference.
const retiredObject = 1 << 63

// refList is a list of numbers that grows without copying.
type refList struct {
	chunks [][]uint64
}

const refChunk = 4096

func (l *refList) add(n uint64) {
	last := len(l.chunks) - 1
	if last < 0 || len(l.chunks[last]) == refChunk {
		size := refChunk
		if last < 0 {
			size = 64
		}
		l.chunks = append(l.chunks, make([]uint64, 0, size))
		last++
	}
	l.chunks[last] = append(l.chunks[last], n)
}

// take removes and returns some numbers, at most so many.
func (l *refList) take(atMost int) []uint64 {
	last := len(l.chunks) - 1
	if last < 0 {
		return nil
	}
	c := l.chunks[last]
	from := max(len(c)-atMost, 0)
	l.chunks[last] = c[:from]
	if from == 0 {
		l.chunks[last] = nil
		l.chunks = l.chunks[:last]
	}
	return c[from:]
}

// undrained hands what was retired for the view that is going over to drain.
func (st *store) undrained() {
	st.draining.chunks = append(st.draining.chunks, st.retired.chunks...)
	st.retired.chunks = nil
}

// drain frees some of what no view can see any more, and tells whether there
// is more. What a flushed store retired is freed with it.
func (st *store) drain(atMost int) bool {
	if st.dead {
		return false
	}
	refs := st.draining.take(atMost)
	for _, r := range refs {
		if r&retiredObject != 0 {
			st.freeObject(uint32(r)) // the low half is the number
		} else {
			st.arena.Free(arena.Ref(r))
		}
	}
	return len(refs) > 0
}

// closeStep is how many objects close frees before others have the processor.
const closeStep = 64

// close gives all memory back. The store is dead and no view sees it: it may
// be called without the lock.
func (st *store) close() {
	for i := range st.objects {
		if o := st.objects[i].o; o != nil {
			o.free()
		}
		if i%closeStep == closeStep-1 {
			turn.Yield()
		}
	}
	st.objects = nil
	if st.arena != nil {
		st.arena.Close()
	}
}
