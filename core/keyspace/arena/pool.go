package arena

import (
	"sync"
	"sync/atomic"
	"unsafe"
)

// Pool hands out blocks to several goroutines at a time. A block may have several owners: it
// counts them in the PoolHead bytes in front of what it holds, and goes back to the
// pool when the last one lets go of it. So versions of a structure can share blocks
// outside of the Go heap, where the collector would find out who still needs them.
type Pool struct {
	mu    sync.Mutex
	arena *Arena
}

// PoolHead is what a block takes besides the bytes that it is for.
const PoolHead = 4

// Block is a block of a Pool. An owner has a copy of it.
type Block struct {
	Data []byte // has room up to the end of the block
	ref  Ref
}

// NewPool returns an empty pool, which takes no memory before the first block. Its chunks have
// small pages: a large one is cleared when it is first written, for which a virtual machine that has it
// for the first time took 5 ms, and whoever writes to a collection meets one for every thousand
// runs that a view makes it copy. Writes were no slower without. And since nobody moves blocks together here as
// the store does with its own, memory comes back by spans: of a hash from which 90 % of the
// fields were deleted that is 34 of the 54 MB that the chunks still have.
func NewPool() *Pool {
	a := New()
	a.small = true
	return &Pool{arena: a}
}

// Alloc returns a block for size bytes, which hold anything, with one owner.
func (p *Pool) Alloc(size int) Block {
	p.mu.Lock()
	r := p.arena.Alloc(PoolHead + size)
	room := p.arena.BlockSize(r)
	data := p.arena.Bytes(r, room)
	p.mu.Unlock()
	b := Block{data[PoolHead : PoolHead+size], r}
	b.others().Store(0)
	return b
}

// Free takes a block back that nobody owns any more.
func (p *Pool) Free(b Block) {
	p.mu.Lock()
	p.arena.Free(b.ref)
	p.mu.Unlock()
}

// Used returns how many bytes the blocks take that were not given back.
func (p *Pool) Used() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.arena.Used()
}

// others is how many owners the block has besides one.
func (b Block) others() *atomic.Int32 {
	return (*atomic.Int32)(unsafe.Add(unsafe.Pointer(unsafe.SliceData(b.Data)), -PoolHead))
}

// Hold makes somebody an owner of a block, which has one.
func (b Block) Hold() { b.others().Add(1) }

// Sole tells an owner whether there is no other: then it may write to the block.
func (b Block) Sole() bool { return b.others().Load() == 0 }

// Drop ends the ownership of one owner, and tells whether it was the last one. That one
// gives the block to Free, or to Keep for a new owner.
func (b Block) Drop() bool {
	if b.others().Add(-1) >= 0 {
		return false
	}
	poison(b.Data[:cap(b.Data)])
	return true
}

// Keep gives a block that nobody owns to one owner.
func (b Block) Keep() { b.others().Store(0) }
