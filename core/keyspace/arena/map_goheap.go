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

// mapChunk returns chunkSize bytes.
func mapChunk() mapping { return mapLarge(chunkSize) }

// mapLarge returns memory for one block.
func mapLarge(size int) mapping {
	mem := make([]byte, size)
	return mapping{base: unsafe.Pointer(&mem[0]), size: size}
}

// release leaves the memory to the garbage collector.
func (m mapping) release() {}
