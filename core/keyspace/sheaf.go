package keyspace

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"
	"math/bits"

	"github.com/spillwaydb/spillway/core/keyspace/arena"
)

// sheaf is consecutive elements of a collection in one piece of memory outside of the Go
// heap, so that the collector knows neither of elements nor of sheaves:
//
//	 0       2        10      11      12                          12+n*(2+width)
//	+-------+--------+-------+-------+---------------------------+---------+---------+ ...
//	| n     | base   | width | shift | n times: place of element | element | element |
//	|       |        |       |       | (2), number (width)       |         |         |
//	+-------+--------+-------+-------+---------------------------+---------+---------+ ...
//
// in little-endian numbers. The order of an element is base + number << shift, see frame. A
// place counts from the first element, and an element ends where the next one begins. Elements
// ascend by order and then by key. An element is
//
//	key length * 2 + 1 if there is a score (uvarint), key, score (if any), value
//
// A score is a whole number (varint), or else a zero and the eight bytes of the score.
// An element that is large lies in a sheaf of its own.
//
// Versions of a tree share sheaves: the memory counts the nodes that have it, and
// is written in place by who has it alone.
type sheaf struct{ arena.Block }

const (
	// sheafSize is how long the data of more than one element may become: so much a
	// write copies while a view can see it, or moves about.
	sheafSize = 2<<10 - arena.PoolHead
	// largeElement is from which size on an element has a sheaf of its own.
	largeElement = sheafSize / 2
	// sheafCost is what a sheaf takes besides its data: its share of the nodes of a sheafTree, which
	// are full to two thirds.
	sheafCost = 72

	sheafHead  = atShift + 1
	sheafPlace = 2 // what an element has in the table besides its number
	// wholeScore is up to where whole scores are kept as such: beyond, they are no shorter.
	wholeScore = 1 << 48
)

// element is a member (set), a member and its score (sorted set), or a field and
// its value (hash), with its deadline for a score. What a sheaf hands out
// aliases it: that is valid until the collection is written.
type element struct {
	key, val []byte
	score    float64
}

// appendElement appends an element as a sheaf has it.
func appendElement(dst []byte, e *element) []byte {
	if e.score == 0 {
		dst = binary.AppendUvarint(dst, uint64(len(e.key))<<1) // positive
		return append(append(dst, e.key...), e.val...)
	}
	dst = binary.AppendUvarint(dst, uint64(len(e.key))<<1|1) // positive
	dst = append(dst, e.key...)
	if n := int64(e.score); math.Abs(e.score) <= wholeScore && float64(n) == e.score {
		dst = binary.AppendVarint(dst, n) // not zero
	} else {
		dst = binary.LittleEndian.AppendUint64(append(dst, 0), math.Float64bits(e.score))
	}
	return append(dst, e.val...)
}

// readElement is appendElement the other way round. It aliases b.
func readElement(b []byte) (e element) {
	n, head := uint64(b[0]), 1
	if n >= 0x80 {
		n, head = binary.Uvarint(b)
	}
	end := head + int(n>>1) // was the length of a slice
	e.key = b[head:end:end]
	if n&1 != 0 {
		if b[end] == 0 {
			e.score = math.Float64frombits(binary.LittleEndian.Uint64(b[end+1:]))
			end += 9
		} else {
			whole, size := binary.Varint(b[end:])
			e.score = float64(whole)
			end += size
		}
	}
	e.val = b[end:len(b):len(b)]
	return e
}

// scoreOrder is an order of scores, none of which is NaN, in whole numbers.
func scoreOrder(score float64) uint64 {
	n := math.Float64bits(score)
	if n>>63 != 0 {
		return ^n
	}
	return n | 1<<63
}

// orderScore is scoreOrder the other way round.
func orderScore(order uint64) float64 {
	if order>>63 != 0 {
		return math.Float64frombits(order &^ (1 << 63))
	}
	return math.Float64frombits(^order)
}

func (s *sheaf) count() int { return int(binary.LittleEndian.Uint16(s.Data)) }

// order is the order of element i.
func (s *sheaf) order(i int) uint64 {
	f := s.frame()
	return f.order(s.number(f, i))
}

// number is the number of element i in the sheaf's frame: the last bytes of the eight that
// end where its entry does.
func (s *sheaf) number(f frame, i int) uint64 {
	return binary.LittleEndian.Uint64(s.Data[sheafHead-8+(i+1)*f.entry():]) >> uint(64-8*f.width)
}

// body is where the first element begins in data.
func (s *sheaf) body(count int) int { return sheafHead + count*(sheafPlace+int(s.Data[atWidth])) }

// offset is where element i begins in data, or with i the count ends.
func (s *sheaf) offset(i, count int) int {
	if i == count {
		return len(s.Data)
	}
	return s.body(count) + int(binary.LittleEndian.Uint16(s.Data[s.body(i):]))
}

// at is the bytes of element i.
func (s *sheaf) at(i, count int) []byte { return s.Data[s.offset(i, count):s.offset(i+1, count)] }

// key is the key of element i.
func (s *sheaf) key(i, count int) []byte {
	b := s.Data[s.offset(i, count):]
	n, head := uint64(b[0]), 1
	if n >= 0x80 {
		n, head = binary.Uvarint(b)
	}
	return b[head : head+int(n>>1)] // was the length of a slice
}

// compare compares element i with an order and a key.
func (s *sheaf) compare(i, count int, order uint64, key []byte) int {
	if c := cmp.Compare(s.order(i), order); c != 0 {
		return c
	}
	return bytes.Compare(s.key(i, count), key)
}

// below counts the elements whose number in the sheaf's frame is below num. Each step of the
// search takes half of what is left by arithmetic, where a branch would be foreseen
// wrongly every second time.
func (s *sheaf) below(f frame, num uint64) (n int) {
	left := s.count()
	if f.width == 0 || num>>(8*f.width) != 0 { // all numbers are 0, or lower
		if num == 0 {
			return 0
		}
		return left
	}
	num <<= uint(64 - 8*f.width) // as the eight bytes that end with a number have it, in front of what lies there
	entry := f.entry()
	table := s.Data[sheafHead-8+entry:] // where the eight bytes that end with the first number begin
	for left > 0 {
		half := (left + 1) >> 1
		at := (n + half - 1) * entry
		_, less := bits.Sub64(binary.LittleEndian.Uint64(table[at:at+8]), num, 0)
		n += half & -int(less) // 0 or 1
		left -= half
	}
	return n
}

// lower counts the elements before an order and a key, or with incl those up to it.
func (s *sheaf) lower(order uint64, key []byte, incl bool) int {
	f := s.frame()
	if order < f.base {
		return 0
	}
	num := f.number(order)
	if f.order(num) != order { // what has this number is before it
		if num++; num == 0 {
			return s.count()
		}
		return s.below(f, num)
	}
	lo, count := s.below(f, num), s.count()
	if lo == count || s.number(f, lo) != num {
		return lo
	}
	for hi := count; lo < hi; {
		mid := int(uint(lo+hi) >> 1) // positive
		less := false
		if s.number(f, mid) == num {
			c := bytes.Compare(s.key(mid, count), key)
			less = c < 0 || incl && c == 0
		}
		if less {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// sizeWith is how long data becomes when an element of an order comes, of so many bytes.
func (s *sheaf) sizeWith(order uint64, fresh int) int {
	f, count := s.frame(), s.count()
	size := len(s.Data) + f.entry() + fresh
	if !f.fits(order) {
		size += (count + 1) * (s.framing(0, count).with(order).frame().width - f.width)
	}
	return size
}

// blank returns a sheaf for so many elements of so many bytes together, which are not there yet.
func blank(count int, f frame, size int, m *spares) sheaf {
	s := sheaf{m.take(sheafHead + count*f.entry() + size)}
	binary.LittleEndian.PutUint16(s.Data, uint16(count)) // as many fit
	f.put(s.Data)
	return s
}

// fill makes the elements of o from up to, not including, to those of s from i on, whose place is at.
func (s *sheaf) fill(i, at int, o *sheaf, from, to int) {
	f, of, count := s.frame(), o.frame(), o.count()
	begin, body := o.offset(from, count), o.body(count)
	copy(s.Data[s.body(s.count())+at:], o.Data[begin:o.offset(to, count)])
	at += body - begin
	for k := from; k < to; k++ {
		place := int(binary.LittleEndian.Uint16(o.Data[o.body(k):])) + at
		f.putEntry(s.Data[s.body(i+k-from):], place, f.number(of.order(o.number(of, k))))
	}
}

// part returns a sheaf of elements from up to, not including, to of s.
func (s *sheaf) part(from, to int, m *spares) sheaf {
	count := s.count()
	p := blank(to-from, s.framing(from, to).frame(), s.offset(to, count)-s.offset(from, count), m)
	p.fill(0, 0, s, from, to)
	return p
}

// joined returns a sheaf of the elements of s and those of more, which follow.
func (s *sheaf) joined(more *sheaf, m *spares) sheaf {
	a, b := s.count(), more.count()
	size := len(s.Data) - s.body(a)
	both := blank(a+b, s.framing(0, a).join(more.framing(0, b)).frame(), size+len(more.Data)-more.body(b), m)
	both.fill(0, 0, s, 0, a)
	both.fill(a, size, more, 0, b)
	return both
}

// moveEntries adds to the places of elements from up to, not including, to.
func (s *sheaf) moveEntries(from, to, delta int) {
	if delta == 0 {
		return
	}
	d, step := s.Data[s.body(from):s.body(to)], s.body(1)-s.body(0)
	for at := 0; at < len(d); at += step {
		place := d[at : at+sheafPlace]
		n := int(binary.LittleEndian.Uint16(place)) + delta
		binary.LittleEndian.PutUint16(place, uint16(n)) // below sheafSize
	}
}

// loneSheaf returns a sheaf of one element.
func loneSheaf(order uint64, e *element, m *spares) sheaf {
	s := sheaf{m.take(sheafHead + sheafPlace + elementSize(e))}
	d := s.Data
	binary.LittleEndian.PutUint16(d, 1)
	f := frame{base: order}
	f.put(d)
	f.putEntry(d[sheafHead:], 0, 0)
	s.Data = appendElement(d[:sheafHead+sheafPlace], e)
	return s
}

// elementSize is how many bytes appendElement appends, or some more.
func elementSize(e *element) int { return binary.MaxVarintLen32 + len(e.key) + 9 + len(e.val) }

// splice replaces element i by one of an order, whose bytes are fresh, or inserts
// that if cut is 0, or removes element i if fresh is nil. One element is left at
// least, and what replaces another has its order. fresh must not alias s. What others have too is
// left as it is: s becomes a copy.
func (s *sheaf) splice(i, cut int, order uint64, fresh []byte, m *spares) {
	add := 1
	if fresh == nil {
		add = 0
	}
	f, count := s.frame(), s.count()
	if add == cut && s.Sole() {
		if at := s.at(i, count); len(at) == len(fresh) { // as often with values of one length: nothing moves
			copy(at, fresh)
			return
		}
	}
	if add > cut && !f.fits(order) {
		f = s.framing(0, count).with(order).frame()
		wide := blank(count, f, len(s.Data)-s.body(count), m)
		wide.fill(0, 0, s, 0, count)
		s.move(wide.Block, m)
	}
	old := s.Data
	from, to := s.offset(i, count), s.offset(i+cut, count)
	body, entry := s.body(count), f.entry()
	shift := (add - cut) * entry
	size := len(old) + shift + len(fresh) - (to - from)
	table := s.body(i)
	b := s.Block
	inPlace := b.Sole() && size <= cap(old) && (size >= cap(old)/2 || size >= len(old))
	if !inPlace {
		b = m.take(size)
		copy(b.Data, old[:table])
	}
	d := b.Data[:max(size, len(b.Data))]
	// What moves on goes first from behind, what moves back from before.
	if size < len(old) {
		copy(d[table+add*entry:], old[table+cut*entry:from])
	}
	copy(d[from+shift+len(fresh):], old[to:])
	if size >= len(old) {
		copy(d[table+add*entry:], old[table+cut*entry:from])
	}
	d = d[:size]
	count += add - cut
	binary.LittleEndian.PutUint16(d, uint16(count)) // as many fit
	if add == 1 {
		f.putEntry(d[table:], from-body, f.number(order))
		copy(d[from+shift:], fresh)
	}
	b.Data = d
	if inPlace {
		s.Block = b
	} else {
		s.move(b, m)
	}
	s.moveEntries(i+add, count, len(fresh)-(to-from))
}

// move makes b the memory of s, which lets go of what it had.
func (s *sheaf) move(b arena.Block, m *spares) {
	m.give(s.Block)
	s.Block = b
}

// cost is the bytes that a sheaf takes.
func (s *sheaf) cost() int64 { return int64(sheafCost + arena.PoolHead + cap(s.Data)) }
