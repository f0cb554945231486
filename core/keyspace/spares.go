package keyspace

import "slices"

// spares is memory of sheaves that have moved to other memory, kept for those that will:
// a sheaf that grows passes from one size to the next, so that what one gives up the
// next one takes, and the collector has little to do. It belongs to a shard, under its lock.
type spares struct {
	free [sheafSize/sparesStep + 1][][]byte
}

const (
	// sparesStep is what the memory of a sheaf of at most sheafSize is a multiple of.
	sparesStep = 128
	// sparesKept is how much memory of each size is kept.
	sparesKept = 8
)

// take returns size bytes, whose content is undefined, and some more behind them.
func (m *spares) take(size int) []byte {
	class := (size + sparesStep - 1) / sparesStep
	if class >= len(m.free) {
		return slices.Grow([]byte(nil), size)[:size]
	}
	if class == 13 || class == 15 { // the allocator has no such sizes
		class++
	}
	if kept := m.free[class]; len(kept) > 0 {
		last := len(kept) - 1
		b := kept[last]
		kept[last], m.free[class] = nil, kept[:last]
		return b[:size]
	}
	return make([]byte, size, class*sparesStep)
}

// give keeps memory that take has returned, and that nobody reads any more, for the next time.
func (m *spares) give(b []byte) {
	class := cap(b) / sparesStep
	if class < len(m.free) && len(m.free[class]) < sparesKept && cap(b)%sparesStep == 0 {
		m.free[class] = append(m.free[class], b)
	}
}
