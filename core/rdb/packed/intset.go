package packed

import (
	"encoding/binary"
	"fmt"
	"math"
	"sort"
)

// Intset is a set of integers in ascending order, in one piece of memory. Its
// methods take the intset to be valid.
type Intset []byte

const intsetHeader = 8

// AppendIntset appends an intset of v, which must be ascending and not empty,
// as narrow as it may be.
func AppendIntset(dst []byte, v ...int64) []byte {
	w := max(widthOf(v[0]), widthOf(v[len(v)-1]))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(w))      // 2, 4 or 8
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(v))) // bounded by memory
	for _, v := range v {
		dst = appendWide(dst, v, w)
	}
	return dst
}

func widthOf(v int64) int {
	switch {
	case math.MinInt16 <= v && v <= math.MaxInt16:
		return 2
	case math.MinInt32 <= v && v <= math.MaxInt32:
		return 4
	}
	return 8
}

func appendWide(dst []byte, v int64, width int) []byte {
	for i := range width {
		dst = append(dst, byte(v>>(8*i)))
	}
	return dst
}

func (s Intset) width() int { return int(s[0]) }

// Len returns the number of integers.
func (s Intset) Len() int { return int(binary.LittleEndian.Uint32(s[4:])) }

// At returns the integer at position i of the ascending order.
func (s Intset) At(i int) int64 {
	w := s.width()
	return IntLE(s[intsetHeader+i*w : intsetHeader+(i+1)*w])
}

// Find returns the position of v, or the one it would have.
func (s Intset) Find(v int64) (pos int, found bool) {
	n := s.Len()
	pos = sort.Search(n, func(i int) bool { return s.At(i) >= v })
	return pos, pos < n && s.At(pos) == v
}

// Fits tells whether v is not wider than the intset's integers.
func (s Intset) Fits(v int64) bool { return widthOf(v) <= s.width() }

// Offset is where the integer at a position lies, or belongs: an integer that
// fits is added by splicing in there what AppendValue appends, and removed by
// cutting out as much.
func (s Intset) Offset(pos int) int { return intsetHeader + pos*s.width() }

// AppendValue appends v, which must fit, as the intset holds it.
func (s Intset) AppendValue(dst []byte, v int64) []byte { return appendWide(dst, v, s.width()) }

// Spliced brings the header up to date after so many integers were spliced in,
// or out if negative.
func (s Intset) Spliced(added int) {
	binary.LittleEndian.PutUint32(s[4:], uint32(s.Len()+added)) // not negative
}

// AppendWidened appends the intset with v added, which does not fit: the
// integers become wide enough.
func (s Intset) AppendWidened(dst []byte, v int64) []byte {
	w, n := widthOf(v), s.Len()
	dst = binary.LittleEndian.AppendUint32(dst, uint32(w))   // 4 or 8
	dst = binary.LittleEndian.AppendUint32(dst, uint32(n+1)) // bounded by memory
	if v < 0 {
		dst = appendWide(dst, v, w)
	}
	for i := range n {
		dst = appendWide(dst, s.At(i), w)
	}
	if v > 0 {
		dst = appendWide(dst, v, w)
	}
	return dst
}

// CheckIntset tells why b is no intset, or nil. Any bytes may be given.
func CheckIntset(b []byte) error {
	if len(b) < intsetHeader {
		return fmt.Errorf("an intset of %d bytes", len(b))
	}
	width, count := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
	if width != 2 && width != 4 && width != 8 || uint64(width)*uint64(count) != uint64(len(b)-intsetHeader) {
		return fmt.Errorf("an intset of %d bytes that says %d integers of %d bytes", len(b), count, width)
	}
	s := Intset(b)
	for i := 1; i < s.Len(); i++ {
		if s.At(i-1) >= s.At(i) {
			return fmt.Errorf("an intset that is not in ascending order")
		}
	}
	return nil
}
