package arena

import "unsafe"

// Place is the address of a block, or of bytes behind its beginning. It keeps nothing
// alive, and is good for Fetch alone.
type Place uintptr

// Line is how many bytes a processor fetches at once.
const Line = 64

// Place returns where a block begins.
func (r *Reader) Place(ref Ref) Place { return Place(uintptr(r.at(ref))) }

// Fetch has the processor bring the lines at these places into its cache, and waits for
// none. It is told of them and reads nothing, so that a place where nothing lies any more does no harm.
//
// A load would bring a line too. But until it has come the processor takes on only so many
// instructions behind it as it can undo, which are those of three or four keys, and so many misses
// overlap. A prefetch is done once it is asked for, and two dozen are on their way at a time: to look up 32 of a million
// keys takes 0.55 of the time (BenchmarkLookup of keyspace). The instruction is one
// of assembly's; where it is not written, Fetch does nothing.
func Fetch(places []Place) {
	if len(places) > 0 {
		fetch(unsafe.SliceData(places), len(places))
	}
}

// FetchSpan is Fetch of the lines of so many bytes that lie together: they take a third of the
// instructions that Places of theirs would.
func FetchSpan(at Place, size int) {
	if first, n := lines(at, size); n > 0 {
		fetchLines(first, n)
	}
}

// lines is the first line of so many bytes at a place, and how many there are.
func lines(at Place, size int) (first Place, n int) {
	if size <= 0 {
		return at, 0
	}
	first = at &^ (Line - 1)
	return first, (int(at-first) + size + Line - 1) / Line // below Line
}

// PlaceOf returns where what p points to begins, which need be no block, and how many bytes it
// takes.
func PlaceOf[T any](p *T) (at Place, size int) {
	return Place(uintptr(unsafe.Pointer(p))), int(unsafe.Sizeof(*p))
}
