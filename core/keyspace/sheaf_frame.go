package keyspace

import (
	"encoding/binary"
	"math/bits"
)

// frame says how the orders of a sheaf's elements are kept: as base + number << shift, with numbers
// of so many bytes. Orders near each other, such as hashes of a large set, or with the
// same low bits, such as those of scores that are whole, take few bytes so.
type frame struct {
	base  uint64
	width int // 0 to 8
	shift int // below 64
}

const (
	atBase  = 2
	atWidth = atBase + 8
	atShift = atWidth + 1
)

// frame reads the frame of a sheaf.
func (s *sheaf) frame() frame {
	d := s.Data[:sheafHead]
	return frame{binary.LittleEndian.Uint64(d[atBase:]), int(d[atWidth]), int(d[atShift])}
}

// put writes the frame of a sheaf with these data.
func (f frame) put(d []byte) {
	binary.LittleEndian.PutUint64(d[atBase:], f.base)
	d[atWidth], d[atShift] = byte(f.width), byte(f.shift) // at most 64
}

// entry is how long an entry of the table is.
func (f frame) entry() int { return sheafPlace + f.width }

// order is the order that a number stands for.
func (f frame) order(num uint64) uint64 { return f.base + num<<(f.shift&63) }

// number is the number of an order that fits, or of the next one below that does.
func (f frame) number(order uint64) uint64 { return (order - f.base) >> (f.shift & 63) }

// fits tells whether an order can be kept.
func (f frame) fits(order uint64) bool {
	if order < f.base {
		return false
	}
	num := f.number(order)
	return f.order(num) == order && num>>(8*f.width) == 0
}

// putEntry writes the entry of an element, with its place and its number.
func (f frame) putEntry(d []byte, place int, num uint64) {
	binary.LittleEndian.PutUint16(d, uint16(place)) // below sheafSize
	for i := range f.width {
		d[sheafPlace+i] = byte(num >> (8 * i)) // a byte of it
	}
}

// framing is the orders that a frame is sought for.
type framing struct {
	lo, hi uint64
	bits   uint64 // in which any differs from lo
}

// framing is that of elements from up to, not including, to of s, one at least.
func (s *sheaf) framing(from, to int) framing {
	f := s.frame()
	r := framing{lo: f.order(s.number(f, from)), hi: f.order(s.number(f, to-1))}
	for i := from + 1; i < to; i++ {
		r.bits |= f.order(s.number(f, i)) ^ r.lo
	}
	return r
}

// with is r with one more order.
func (r framing) with(order uint64) framing {
	return framing{min(r.lo, order), max(r.hi, order), r.bits | (order ^ r.lo)}
}

// join is the framing of two.
func (r framing) join(o framing) framing {
	return framing{min(r.lo, o.lo), max(r.hi, o.hi), r.bits | o.bits | (r.lo ^ o.lo)}
}

// frame is the narrowest frame. What its numbers can say beyond the orders lies on both
// sides of these in equal parts, so that few that come between neighbours need another.
func (r framing) frame() frame {
	if r.bits == 0 {
		return frame{base: r.lo}
	}
	f := frame{shift: bits.TrailingZeros64(r.bits)}
	span := (r.hi - r.lo) >> f.shift
	f.width = (bits.Len64(span) + 7) / 8
	spare := ^uint64(0)>>(64-8*f.width) - span
	f.base = r.lo - min(spare/2, r.lo>>f.shift)<<f.shift
	return f
}
