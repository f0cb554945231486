package arena

import "sync"

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
	m   mapping
	mem []byte
}

// Bytes is the buffer's memory; Grow and Free end its validity.
func (b *Buffer) Bytes() []byte { return b.mem }

// Grow makes the buffer size bytes long, which is not less than it was, and
// keeps what is in it. Pages that were never written take no memory.
func (b *Buffer) Grow(size int) []byte {
	size = Size(size)
	b.m = b.m.grow(size)
	b.mem = b.m.bytes()
	return b.mem
}

// Free gives the memory back to the system.
func (b *Buffer) Free() {
	if b.mem != nil {
		b.m.release()
	}
	*b = Buffer{}
}
