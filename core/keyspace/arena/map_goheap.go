//go:build !linux || spillway_goheap

package arena

import "unsafe"

// Name says where blocks live.
const Name = "spillway-arena-goheap"

// mapping is a piece of memory, kept alive by its base.
type mapping struct {
	base unsafe.Pointer
	size int
}

// mapChunk returns chunkSize bytes. The Go heap has the pages that it has.
func mapChunk(bool) mapping { return mapLarge(chunkSize) }

// Expect is told that about so many bytes are going to be stored.
func Expect(int64) {}

// mapLarge returns memory for one block.
func mapLarge(size int) mapping {
	mem := make([]byte, size)
	return mapping{base: unsafe.Pointer(&mem[0]), size: size}
}

// release leaves the memory to the garbage collector.
func (m mapping) release() {}

// bytes is the memory as a slice.
func (m mapping) bytes() []byte { return unsafe.Slice((*byte)(m.base), m.size) }

// grow makes a mapping, or none, larger.
func (m mapping) grow(size int) mapping {
	if m.size >= size {
		return m
	}
	larger := mapLarge(size)
	if m.base != nil {
		copy(larger.bytes(), m.bytes())
	}
	return larger
}

// discard says that what is in b, which is part of a chunk, is not needed any
// more. The Go heap has no use for that; what would read it afterwards reads
// the same as with memory that was given back.
func discard(b []byte) { clear(b) }
