package arena

// Sizes, in bytes. The offset of a Ref has 16 bits of granules: a chunk.
const (
	granule   = 16
	PageSize  = 4 << 10 // of a Page
	spanSize  = 64 << 10
	chunkSize = 1 << 20

	maxFine  = 1 << 10 // classes in steps of a granule up to here
	maxSmall = 8 << 10 // blocks in spans up to here
	maxRun   = 512 << 10

	spansPerChunk = chunkSize / spanSize
	pagesPerChunk = chunkSize / PageSize
	fineClasses   = maxFine / granule
	numClasses    = fineClasses + 8*3
)

// classSizes are the block sizes of the classes, ascending; coarse maps sizes
// above maxFine, in steps of 128 bytes, to their class.
var (
	classSizes [numClasses]uint16
	coarse     [maxSmall/128 + 1]uint8
)

func init() {
	c := 0
	for size := granule; size <= maxFine; size += granule {
		classSizes[c] = uint16(size) // at most maxFine
		c++
	}
	for base := maxFine; base < maxSmall; base *= 2 {
		for i := 1; i <= 8; i++ {
			classSizes[c] = uint16(base + i*base/8) // at most maxSmall
			c++
		}
	}
	c = fineClasses
	for i := maxFine/128 + 1; i < len(coarse); i++ {
		if i*128 > int(classSizes[c]) {
			c++
		}
		coarse[i] = uint8(c) // less than numClasses
	}
}

// classOf returns the smallest class whose blocks hold size bytes, which are
// at most maxSmall.
func classOf(size int) int {
	if size <= maxFine {
		return (max(size, 1) - 1) / granule
	}
	return int(coarse[(size+127)/128])
}

// Size returns how many bytes a block for size bytes takes.
func Size(size int) int {
	if size <= maxSmall {
		return int(classSizes[classOf(size)])
	}
	return (size + PageSize - 1) &^ (PageSize - 1)
}
