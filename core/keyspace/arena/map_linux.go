//go:build linux && !spillway_goheap

package arena

import (
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Name says where blocks live.
const Name = "spillway-arena-mmap"

// regionSize is how much address space is mapped at a time for chunks: few
// mappings, as the kernel limits their number.
const regionSize = 64 << 20

// hugePage is the size of the kernel's large pages, of which two chunks are one. The processor
// remembers where 2,000 pages lie: of small ones that is less than what a million keys take, so
// that each lookup made it read the kernel's tables too, and a virtual machine's twice over.
// What forbids large pages to other servers is that they fork, and then copy all of one for each
// write. This one does not. The kernel clears a large page when it is first written, in one go
// of 100 µs and more (see reserveChunks), and a process that is small would take more memory: so the
// first region has small ones until there is a second (see collapse), or it is told that there is going to be
// much (see Expect). Where they take too long to come there are small ones again (see noteLarge). /sys/kernel/mm/transparent_hugepage/enabled says "never" where there are to be none.
const hugePage = 2 << 20

// pool holds the process's free chunks. Their memory was given back, but for those that are written.
var pool struct {
	sync.Mutex
	free, small []unsafe.Pointer // of regions of large pages, as far as there are any, and of small ones
	written     []unsafe.Pointer // as free, see reserve
	layout
	writing bool // writeAhead runs
	lazy    bool // the kernel cannot do what it does
}

// layout is how large the pages of the regions are that are not of small pages anyway.
type layout struct {
	regions [][]byte // that there are
	first   []byte   // of them, unless it has had large pages from the start
	large   bool     // they may have large pages: there are several, or much is expected
	dear    bool     // not any more, since these take too long to come: see noteLarge
	slow    int      // so many in a row have
}

// freeChunks is those of pool that have small pages, or may have large ones. pool is locked.
func freeChunks(small bool) *[]unsafe.Pointer {
	if small {
		return &pool.small
	}
	return &pool.free
}

// mapping is a piece of memory.
type mapping struct {
	base  unsafe.Pointer
	size  int
	own   []byte // a mapping of its own, or Go memory
	heap  bool   // own is Go memory
	small bool   // is a chunk of small pages
}

// mapChunk returns chunkSize bytes, which have small pages if asked for.
func mapChunk(small bool) mapping {
	pool.Lock()
	defer pool.Unlock()
	if !small {
		if base, ok := takeWritten(); ok {
			return mapping{base: base, size: chunkSize}
		}
	}
	base, err := takeFree(small)
	if err != nil {
		return heapMapping(chunkSize)
	}
	return mapping{base: base, size: chunkSize, small: small}
}

// takeFree returns a chunk without memory. pool is locked.
func takeFree(small bool) (chunk unsafe.Pointer, err error) {
	free := freeChunks(small)
	if len(*free) == 0 {
		region, err := mapRegion(small)
		if err != nil {
			return nil, err
		}
		for off := regionSize - chunkSize; off >= 0; off -= chunkSize {
			*free = append(*free, unsafe.Pointer(&region[off]))
		}
	}
	last := len(*free) - 1
	chunk = (*free)[last]
	*free = (*free)[:last]
	return chunk, nil
}

// mapRegion maps a region, which begins where a large page may. pool is locked.
func mapRegion(small bool) ([]byte, error) {
	mem, err := mapMemory(regionSize + hugePage)
	if err != nil {
		return nil, err
	}
	skip := -int(uintptr(unsafe.Pointer(&mem[0]))) & (hugePage - 1) // up to the next large page
	region := mem[skip : skip+regionSize]
	switch {
	case small || pool.dear:
		_ = unix.Madvise(region, unix.MADV_NOHUGEPAGE) // an error leaves what the system prefers
	case !pool.large && len(pool.regions) == 0:
		pool.first = region
	default:
		_ = unix.Madvise(region, unix.MADV_HUGEPAGE) // an error leaves small pages
		if len(pool.regions) == 1 && pool.first != nil {
			go collapse(pool.first)
		}
		pool.large = true
	}
	if !small {
		pool.regions = append(pool.regions, region)
	}
	return region, nil
}

// expectLarge is how many bytes make the first region one of large pages: so many fill a good part of it, where they
// are not a log of the same few keys. That process has some 12 MiB more than it would have.
const expectLarge = regionSize / 2

// Expect is told that about so many bytes are going to be stored, as at a start. Where they are many,
// they lie in large pages from the beginning: to take the first region in small ones, one page fault each, and
// to copy these into large ones when there is a second region, was a fifth of loading a hundred
// megabytes of strings.
func Expect(size int64) {
	pool.Lock()
	defer pool.Unlock()
	if size < expectLarge || pool.large {
		return
	}
	pool.large = true
	if pool.first != nil {
		_ = unix.Madvise(pool.first, unix.MADV_HUGEPAGE) // what has no memory yet of it; an error leaves small pages
	}
}

// mapLarge returns memory for one block, which holds anything.
func mapLarge(size int) mapping { return mapRoom(size, 0) }

// mapRoom is mapLarge of up to room bytes more than size.
func mapRoom(size, room int) mapping {
	if m, ok := takeKept(size, room); ok {
		return m
	}
	mem, err := mapMemory(size)
	if err != nil {
		return heapMapping(size)
	}
	return ownMapping(mem)
}

func ownMapping(mem []byte) mapping {
	return mapping{base: unsafe.Pointer(&mem[0]), size: len(mem), own: mem}
}

// heapMapping is for when the kernel refuses a mapping, for their number or
// for a limit: Go's own heap may still have room, and says so if it has not.
func heapMapping(size int) mapping {
	mem := make([]byte, size)
	return mapping{base: unsafe.Pointer(&mem[0]), size: size, own: mem, heap: true}
}

func mapMemory(size int) ([]byte, error) {
	return unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_NORESERVE)
}

// hugeUnmap is the size from which unmapping takes long enough to be done
// elsewhere than under the caller's lock.
const hugeUnmap = 8 << 20

// release gives the memory back to the system, at once or after a moment.
func (m mapping) release() {
	switch {
	case m.heap:
	case m.own == nil:
		if !m.small && reserve(m.base) {
			return
		}
		chunk := unsafe.Slice((*byte)(m.base), m.size)
		_ = unix.Madvise(chunk, unix.MADV_DONTNEED) // an error leaves it resident, no worse
		pool.Lock()
		free := freeChunks(m.small)
		*free = append(*free, m.base)
		pool.Unlock()
	case keep(m):
	case m.size >= hugeUnmap:
		go unmap(m.own)
	default:
		unmap(m.own)
	}
}

// bytes is the memory as a slice.
func (m mapping) bytes() []byte { return unsafe.Slice((*byte)(m.base), m.size) }

// grow makes a mapping of mapLarge, or none, larger. Its pages are moved, not
// copied.
func (m mapping) grow(size int) mapping {
	switch {
	case m.base == nil:
		return mapRoom(size, size/roomShare)
	case m.size >= size:
		return m
	case !m.heap:
		if mem, err := unix.Mremap(m.own, size, unix.MREMAP_MAYMOVE); err == nil {
			return ownMapping(mem)
		}
	}
	larger := mapLarge(size)
	copy(larger.bytes(), m.bytes())
	m.release()
	return larger
}

// discard gives the whole pages within b, which is part of a chunk, back to
// the system: b holds anything from then on.
func discard(b []byte) {
	if len(b) < 2*PageSize {
		return
	}
	skip := -int(uintptr(unsafe.Pointer(&b[0]))) & (PageSize - 1) // up to the next page
	whole := b[skip : skip+(len(b)-skip)&^(PageSize-1)]
	_ = unix.Madvise(whole, unix.MADV_DONTNEED) // an error leaves it resident, no worse
}

func unmap(mem []byte) {
	if unix.Munmap(mem) != nil {
		// The kernel is out of mappings to split one: at least give back the pages.
		_ = unix.Madvise(mem, unix.MADV_DONTNEED)
	}
}
