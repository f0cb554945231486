package arena

import (
	"fmt"
	"sync/atomic"
	"unsafe"

	"github.com/spillwaydb/spillway/internal/turn"
)

// Ref names a block of an Arena. The zero Ref is no block.
type Ref uint64

// RefBits is how many bits a Ref has at most.
const RefBits = 36

// ref puts a Ref together.
func ref(chunk uint32, offset int) Ref { return Ref(chunk)<<16 | Ref(offset/granule) } // offsets are positive

// Page is a block of 4 KiB seen as words.
type Page = [PageSize / 8]uint64

// Reader reads and writes the blocks of the Arena it was taken from. Blocks
// allocated after it was taken are not in it.
type Reader struct {
	bases []unsafe.Pointer // by chunk; a copy of the header may outlive later appends
}

// Bytes returns the first n bytes of a block.
func (r *Reader) Bytes(ref Ref, n int) []byte {
	return unsafe.Slice((*byte)(r.at(ref)), n)
}

// Header returns the first 16 bytes of a block, which every block has.
func (r *Reader) Header(ref Ref) *[granule]byte {
	return (*[granule]byte)(r.at(ref))
}

// Page returns a block of at least 4 KiB as words.
func (r *Reader) Page(ref Ref) *Page {
	return (*Page)(r.at(ref))
}

func (r *Reader) at(ref Ref) unsafe.Pointer {
	return unsafe.Add(r.bases[ref>>16], uintptr(ref&0xffff)*granule)
}

// Arena allocates blocks. The zero value is not ready: use New.
type Arena struct {
	Reader
	chunks  []*chunk // beside bases
	unused  []uint32 // chunk numbers free for reuse
	partial [numClasses]uint32
	spare   []uint32 // chunks that may have free spans
	empty   int      // chunks of spans without a block
	runBins [9][]uint32
	thinned []uint32 // chunks that Thin has chosen; some may be gone
	look    int      // where Thin goes on
	used    int64
	mapped  int64
	small   bool // its chunks have small pages, and spans that become empty give them back
}

// What a chunk is used for.
const (
	kindSpans = iota
	kindRuns
	kindHuge
)

// chunk is the bookkeeping for one piece of memory.
type chunk struct {
	mem   mapping
	users atomic.Int32 // the arena, and who has mem on loan; the last one releases it
	kind  uint8
	spare bool   // is in Arena.spare
	thin  bool   // is to become empty: no block is put here
	free  uint16 // kindSpans: which spans are free
	spans *[spansPerChunk]span
	runs  *runs
	skip  int // kindHuge: how many bytes of mem lie before the block, see Adopt
}

// New returns an empty arena. It takes no memory before the first block.
func New() *Arena {
	a := &Arena{}
	// Number 0 is never used, so that no Ref is zero.
	a.bases = make([]unsafe.Pointer, 1, 8)
	a.chunks = make([]*chunk, 1, 8)
	return a
}

// Alloc returns a block of at least size bytes, which hold anything.
func (a *Arena) Alloc(size int) Ref {
	switch {
	case size <= maxSmall:
		return a.allocSmall(classOf(size))
	case size <= maxRun:
		return a.allocRun((size + PageSize - 1) / PageSize)
	}
	size = Size(size)
	n, c := a.addChunk(mapLarge(size))
	c.kind = kindHuge
	a.used += int64(size)
	return ref(n, 0)
}

// Free takes a block back. Nobody may use it afterwards.
func (a *Arena) Free(r Ref) {
	n := uint32(r >> 16) // 20 bits
	c := a.chunks[n]
	switch c.kind {
	case kindSpans:
		a.freeSmall(n, c, r)
	case kindRuns:
		a.freeRun(n, c, int(r&0xffff)*granule/PageSize) // 16 bits
	default:
		a.used -= int64(c.mem.size - c.skip)
		a.dropChunk(n)
	}
}

// BlockSize returns how many bytes a block has.
func (a *Arena) BlockSize(r Ref) int {
	c := a.chunks[r>>16]
	switch c.kind {
	case kindSpans:
		return int(classSizes[c.spans[r>>12&(spansPerChunk-1)].class])
	case kindRuns:
		return int(c.runs.lengths[int(r&0xffff)*granule/PageSize]) * PageSize // 16 bits
	}
	return c.mem.size - c.skip
}

// Used returns how many bytes the allocated blocks take.
func (a *Arena) Used() int64 { return a.used }

// Mapped returns how many bytes of address space the arena has taken. Pages
// that were never written take no memory.
func (a *Arena) Mapped() int64 { return a.mapped }

// closeChunks is how many chunks Close releases at a time: about a millisecond.
const closeChunks = 4

// Close gives all memory back. The arena and its Readers must not be used
// again. It may take long for a large arena, lets others run meanwhile, and needs no
// lock once nobody else knows the arena.
func (a *Arena) Close() {
	released := 0
	for _, c := range a.chunks {
		if c == nil {
			continue
		}
		c.leave()
		if released++; released%closeChunks == 0 {
			turn.Yield()
		}
	}
	*a = Arena{}
}

// maxChunks is what the Ref has bits for: 1 TiB of small blocks.
const maxChunks = 1 << (RefBits - 16)

func (a *Arena) addChunk(m mapping) (uint32, *chunk) {
	c := &chunk{mem: m}
	c.users.Store(1)
	a.mapped += int64(m.size)
	if n := len(a.unused); n > 0 {
		id := a.unused[n-1]
		a.unused = a.unused[:n-1]
		a.bases[id], a.chunks[id] = m.base, c
		return id, c
	}
	if len(a.chunks) == maxChunks {
		panic(fmt.Sprintf("arena: %d chunks, %d MiB in use: one shard's database cannot hold more; use more shards", maxChunks, a.used>>20))
	}
	a.bases = append(a.bases, m.base)
	a.chunks = append(a.chunks, c)
	return uint32(len(a.chunks) - 1), c // below maxChunks
}

func (a *Arena) dropChunk(n uint32) {
	c := a.chunks[n]
	a.mapped -= int64(c.mem.size)
	a.bases[n], a.chunks[n] = nil, nil
	a.unused = append(a.unused, n)
	c.leave()
}
