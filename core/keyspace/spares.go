package keyspace

import "github.com/spillwaydb/spillway/core/keyspace/arena"

// spares is memory of sheaves that have moved to other memory, kept for those that will:
// a sheaf that grows passes from one size to the next, so that what one gives up the
// next one takes, and nobody asks the pool, which all shards share. It belongs to a shard, under its lock.
type spares struct {
	pool *arena.Pool
	free [(sheafSize+arena.PoolHead)/sparesStep + 1][]arena.Block
}

const (
	// sparesStep is what the memory of a sheaf of at most sheafSize is a multiple of.
	sparesStep = 128
	// sparesKept is how much memory of each size is kept.
	sparesKept = 8
)

// take returns memory of size bytes, whose content is undefined, and some more behind them.
func (m *spares) take(size int) arena.Block {
	class := (size + arena.PoolHead + sparesStep - 1) / sparesStep
	if class >= len(m.free) {
		return m.pool.Alloc(size)
	}
	if kept := m.free[class]; len(kept) > 0 {
		last := len(kept) - 1
		b := kept[last]
		kept[last], m.free[class] = arena.Block{}, kept[:last]
		b.Keep()
		b.Data = b.Data[:size]
		return b
	}
	b := m.pool.Alloc(class*sparesStep - arena.PoolHead)
	b.Data = b.Data[:size]
	return b
}

// give takes memory that take has returned from an owner that needs it no more. When it was the
// last one the memory is kept for the next time.
func (m *spares) give(b arena.Block) {
	if !b.Drop() {
		return
	}
	class := (cap(b.Data) + arena.PoolHead) / sparesStep
	if class < len(m.free) && len(m.free[class]) < sparesKept {
		m.free[class] = append(m.free[class], b)
		return
	}
	m.pool.Free(b)
}

// empty gives back what is kept.
func (m *spares) empty() {
	for class, kept := range m.free {
		for _, b := range kept {
			m.pool.Free(b)
		}
		m.free[class] = nil
	}
}
