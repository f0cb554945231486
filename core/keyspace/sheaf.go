package keyspace

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"
	"slices"
)

// sheaf is consecutive elements of a collection in one piece of memory without
// pointers, so that neither the collector nor the allocator knows of elements:
//
//	 0       2                            2+10n
//	+-------+---------------------------+----------+----------+ ...
//	| n     | n times: order (8 bytes), | element  | element  |
//	|       | place of element (2)      |          |          |
//	+-------+---------------------------+----------+----------+ ...
//
// in little-endian numbers; a place counts from the first element, and an element
// ends where the next one begins. Elements ascend by order and then by key. An
// element is
//
//	key length * 2 + 1 if there is a score (uvarint), key, score (8 bytes, if any), value
//
// An element that is large lies in a sheaf of its own.
type sheaf struct {
	data []byte
	own  *owner // of the tree that may write data in place
}

const (
	// sheafSize is how long the data of more than one element may become: so much a
	// write copies while a view can see it, or moves about.
	sheafSize = 2 << 10
	// largeElement is from which size on an element has a sheaf of its own.
	largeElement = sheafSize / 2
	// sheafCost is what a sheaf takes besides its data: its share of the nodes of a sheafTree, which
	// are full to two thirds.
	sheafCost = 72

	sheafHead  = 2
	sheafEntry = 10
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
	dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(e.score))
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
		e.score = math.Float64frombits(binary.LittleEndian.Uint64(b[end:]))
		end += 8
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

func (s *sheaf) count() int { return int(binary.LittleEndian.Uint16(s.data)) }

func (s *sheaf) order(i int) uint64 {
	return binary.LittleEndian.Uint64(s.data[sheafHead+i*sheafEntry:])
}

// offset is where element i begins in data, or with i the count ends.
func (s *sheaf) offset(i, count int) int {
	if i == count {
		return len(s.data)
	}
	return sheafHead + count*sheafEntry + int(binary.LittleEndian.Uint16(s.data[sheafHead+i*sheafEntry+8:]))
}

// at is the bytes of element i.
func (s *sheaf) at(i, count int) []byte { return s.data[s.offset(i, count):s.offset(i+1, count)] }

// key is the key of element i.
func (s *sheaf) key(i, count int) []byte {
	b := s.data[s.offset(i, count):]
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

// lower counts the elements before an order and a key, or with incl those up to it.
func (s *sheaf) lower(order uint64, key []byte, incl bool) int {
	count := s.count()
	lo, hi := 0, count
	for lo < hi {
		mid := int(uint(lo+hi) >> 1) // positive
		at := s.order(mid)
		less := at < order
		if at == order {
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

// part returns a sheaf of elements from up to, not including, to of s.
func (s *sheaf) part(from, to int, own *owner) sheaf {
	count, n := s.count(), to-from
	begin, end := s.offset(from, count), s.offset(to, count)
	size := sheafHead + n*sheafEntry + end - begin
	d := slices.Grow([]byte(nil), size)[:size]
	binary.LittleEndian.PutUint16(d, uint16(n)) // as many fit
	copy(d[sheafHead:], s.data[sheafHead+from*sheafEntry:sheafHead+to*sheafEntry])
	copy(d[sheafHead+n*sheafEntry:], s.data[begin:end])
	moveEntries(d, 0, n, sheafHead+count*sheafEntry-begin)
	return sheaf{d, own}
}

// joined returns a sheaf of the elements of s and those of more, which follow.
func (s *sheaf) joined(more *sheaf, own *owner) sheaf {
	a, b := s.count(), more.count()
	n := a + b
	size := len(s.data) + len(more.data) - sheafHead
	d := slices.Grow([]byte(nil), size)[:size]
	binary.LittleEndian.PutUint16(d, uint16(n)) // as many fit
	at := sheafHead + copy(d[sheafHead:], s.data[sheafHead:sheafHead+a*sheafEntry])
	at += copy(d[at:], more.data[sheafHead:sheafHead+b*sheafEntry])
	at += copy(d[at:], s.data[sheafHead+a*sheafEntry:])
	copy(d[at:], more.data[sheafHead+b*sheafEntry:])
	moveEntries(d, a, n, len(s.data)-sheafHead-a*sheafEntry)
	return sheaf{d, own}
}

// moveEntries adds to the places of elements from up to, not including, to.
func moveEntries(d []byte, from, to, delta int) {
	if delta == 0 {
		return
	}
	for at := sheafHead + from*sheafEntry + 8; at < sheafHead+to*sheafEntry; at += sheafEntry {
		n := int(binary.LittleEndian.Uint16(d[at:])) + delta
		binary.LittleEndian.PutUint16(d[at:], uint16(n)) // below sheafSize
	}
}

// loneSheaf returns a sheaf of one element.
func loneSheaf(order uint64, e *element, own *owner) sheaf {
	size := sheafHead + sheafEntry + elementSize(e)
	d := slices.Grow([]byte(nil), size)[:sheafHead+sheafEntry]
	binary.LittleEndian.PutUint16(d, 1)
	binary.LittleEndian.PutUint64(d[sheafHead:], order)
	return sheaf{appendElement(d, e), own}
}

// elementSize is how many bytes appendElement appends, or some more.
func elementSize(e *element) int { return binary.MaxVarintLen32 + len(e.key) + 8 + len(e.val) }

// splice replaces element i by one of an order, whose bytes are fresh, or inserts
// that if cut is 0, or removes element i if fresh is nil. One element is left at
// least. fresh must not alias s. Who is not own writes a copy.
func (s *sheaf) splice(own *owner, i, cut int, order uint64, fresh []byte) {
	add := 1
	if fresh == nil {
		add = 0
	}
	old, count := s.data, s.count()
	from, to := s.offset(i, count), s.offset(i+cut, count)
	shift := (add - cut) * sheafEntry
	size := len(old) + shift + len(fresh) - (to - from)
	table := sheafHead + i*sheafEntry
	var d []byte
	if s.own == own && size <= cap(old) && (size >= cap(old)/2 || size >= len(old)) {
		d = old[:max(size, len(old))]
	} else {
		room := size
		if add > cut { // more will come
			room = max(size, min(size+max(size/8, sheafSize/16), sheafSize))
		}
		d = slices.Grow([]byte(nil), room)[:size]
		copy(d, old[:table])
	}
	// What moves on goes first from behind, what moves back from before.
	if size < len(old) {
		copy(d[table+add*sheafEntry:], old[table+cut*sheafEntry:from])
	}
	copy(d[from+shift+len(fresh):], old[to:])
	if size >= len(old) {
		copy(d[table+add*sheafEntry:], old[table+cut*sheafEntry:from])
	}
	d = d[:size]
	base := sheafHead + count*sheafEntry
	count += add - cut
	binary.LittleEndian.PutUint16(d, uint16(count)) // as many fit
	if add == 1 {
		binary.LittleEndian.PutUint64(d[table:], order)
		binary.LittleEndian.PutUint16(d[table+8:], uint16(from-base)) // below sheafSize
		copy(d[from+shift:], fresh)
	}
	moveEntries(d, i+add, count, len(fresh)-(to-from))
	s.data, s.own = d, own
}

// cost is the bytes that a sheaf takes.
func (s *sheaf) cost() int64 { return int64(sheafCost + cap(s.data)) }
