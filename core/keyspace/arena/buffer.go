package arena

import (
	"math/bits"
	"sync"
	"unsafe"
)

// A Chunk is ChunkSize bytes outside the Go heap for whoever has much to hold
// for a short time: GiveChunk returns it to the system at once, which the
// garbage collector does minutes later. What is in it is unspecified.
type Chunk struct {
	m   mapping
	mem []byte
}

// ChunkSize is how long a Chunk is.
const ChunkSize = chunkSize

// Bytes is the chunk's memory. It must not be used after GiveChunk.
func (c Chunk) Bytes() []byte { return c.mem }

// warmChunks is how many chunks stay with the process, pages and all, so that
// replies of ordinary size do not pay for page faults again and again.
const warmChunks = 16

var warm struct {
	sync.Mutex
	free []Chunk
}

// TakeChunk returns a chunk. Any goroutine.
func TakeChunk() Chunk {
	warm.Lock()
	if last := len(warm.free) - 1; last >= 0 {
		c := warm.free[last]
		warm.free = warm.free[:last]
		warm.Unlock()
		return c
	}
	warm.Unlock()
	m := mapChunk(false)
	return Chunk{m, m.bytes()}
}

// GiveChunk takes a chunk back. Any goroutine.
func GiveChunk(c Chunk) {
	warm.Lock()
	if len(warm.free) < warmChunks {
		warm.free = append(warm.free, c)
		warm.Unlock()
		return
	}
	warm.Unlock()
	c.m.release()
}

// Buffer is memory outside the Go heap that grows without being copied, so
// that what arrives piece by piece takes its own size and no more. The zero
// value is empty. It is not safe for concurrent use.
type Buffer struct {
	m     mapping
	mem   []byte
	chunk *chunk // that its memory has become, see Adopt; nil: its own
}

// Bytes is the buffer's memory; Grow and Free end its validity.
func (b *Buffer) Bytes() []byte { return b.mem }

// Adopted tells whether an arena has the buffer's memory. It is not to be written then,
// nor made larger, and is as it is until Free.
func (b *Buffer) Adopted() bool { return b.chunk != nil }

// Grow makes the buffer size bytes long, which is not less than it was, and
// keeps what is in it. Pages that were never written take no memory.
func (b *Buffer) Grow(size int) []byte {
	if size <= maxRun {
		size = 1 << bits.Len(uint(max(size, PageSize)-1)) // few lengths: what is given back fits the next
	}
	b.m = b.m.grow(Size(size))
	b.mem = b.m.bytes()
	return b.mem
}

// Free gives the memory back to the system, or leaves it to the arena that has it. Any
// goroutine that has the buffer.
func (b *Buffer) Free() {
	switch {
	case b.chunk != nil:
		b.chunk.leave()
	case b.mem != nil:
		b.m.release()
	}
	*b = Buffer{}
}

// roomShare is how much longer than it has to be a buffer may be at first, as a share of its
// length: then it can be memory that another has given back, as it is. maxWaste is what
// of a buffer may be neither the block's head nor the value, as a share of both, if it is to be adopted:
// it is there for as long as the block, of which it counts as a part.
const (
	roomShare = 8
	maxWaste  = 6
)

// Adopt makes a block of a buffer's memory, without copying the value that lies in it: the
// block begins head bytes before the value, which must not be longer than that, and goes on
// to the buffer's end. What is before the value is then written by whoever has the block;
// the rest of the buffer stays as it is until the buffer is freed, since it has the block on
// loan (see Loan) for so long.
//
// It is false, and nothing has happened, for a value that does not lie in the buffer or has
// not so much before it, for one that would not have a mapping of its own, and where much
// of the buffer is something else.
func (a *Arena) Adopt(b *Buffer, value []byte, head int) (Ref, bool) {
	at, ok := b.find(value)
	need := head + len(value)
	if !ok || at < head || b.chunk != nil || need <= maxRun || b.m.size-need > need/maxWaste {
		return 0, false
	}
	n, c := a.addChunk(b.m)
	c.kind, c.skip = kindHuge, at-head
	a.bases[n] = unsafe.Add(b.m.base, c.skip)
	a.used += int64(b.m.size - c.skip)
	c.users.Add(1)
	b.chunk = c
	return ref(n, 0), true
}

// find returns where in the buffer p begins, if it lies there.
func (b *Buffer) find(p []byte) (at int, ok bool) {
	if b.mem == nil || len(p) == 0 {
		return 0, false
	}
	first, base := uintptr(unsafe.Pointer(&p[0])), uintptr(b.m.base)
	if first < base || first-base > uintptr(b.m.size-len(p)) {
		return 0, false
	}
	return int(first - base), true // less than the buffer's size
}
