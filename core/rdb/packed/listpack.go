package packed

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Listpack is a list of strings and integers in one piece of memory. Places in
// it are byte offsets: First, Next and Prev of one, and End behind the last
// entry. Its methods take the listpack to be valid.
type Listpack []byte

const (
	offCount = 4
	unknown  = math.MaxUint16 // a count that does not fit its field

	// ListHeader is how many bytes AppendListHeader appends.
	ListHeader = 6

	// MaxListpack is how long a listpack may become, as in Redis: what would
	// be longer is kept in another way.
	MaxListpack = 1 << 30
)

// AppendListHeader begins a listpack: entries follow, then SealList.
func AppendListHeader(dst []byte) []byte { return append(dst, 0, 0, 0, 0, 0, 0) }

// SealList ends the listpack of count entries that b, all of it, holds.
func SealList(b []byte, count int) Listpack {
	l := Listpack(append(b, endByte))
	l.setHeader(count)
	return l
}

func (l Listpack) setHeader(count int) {
	binary.LittleEndian.PutUint32(l, uint32(len(l))) // at most MaxListpack
	binary.LittleEndian.PutUint16(l[offCount:], uint16(min(count, unknown)))
}

// Spliced brings the header up to date after added entries, a negative number
// if they were removed, were spliced in.
func (l Listpack) Spliced(added int) {
	count := int(binary.LittleEndian.Uint16(l[offCount:]))
	if count != unknown {
		count += added
	}
	l.setHeader(count)
}

// Len returns the number of entries, in constant time up to 65534.
func (l Listpack) Len() int {
	if n := int(binary.LittleEndian.Uint16(l[offCount:])); n != unknown {
		return n
	}
	n := 0
	for at := l.First(); at < l.End(); at = l.Next(at) {
		n++
	}
	return n
}

// First is where the first entry is, or End.
func (l Listpack) First() int { return ListHeader }

// End is behind the last entry.
func (l Listpack) End() int { return len(l) - 1 }

// Next is the place behind the entry at a place.
func (l Listpack) Next(at int) int {
	if n := shortSizes[l[at]]; n != 0 {
		return at + int(n)
	}
	n := bodySize(l[at:])
	return at + n + backlenSize(n)
}

// Prev is the place of the entry before a place, which must not be First.
func (l Listpack) Prev(at int) int {
	n, size := 0, 0
	for {
		c := l[at-1-size]
		n |= int(c&0x7f) << (7 * size)
		size++
		if c < 0x80 {
			return at - size - n
		}
	}
}

// Entry returns the entry at a place.
func (l Listpack) Entry(at int) Entry { return decode(l[at:]) }

// Seek returns the place of entry i, which may be Len: End. It walks from the
// nearer end.
func (l Listpack) Seek(i int) int {
	if n := l.Len(); i > n/2 {
		at := l.End()
		for ; i < n; i++ {
			at = l.Prev(at)
		}
		return at
	}
	at := l.First()
	for ; i > 0; i-- {
		at = l.Next(at)
	}
	return at
}

// Find looks at every stride-th entry for the needle. It returns the place of
// the first that is equal and how many were looked at before it, or -1 and
// how many there are. The listpack must be canonical.
func (l Listpack) Find(n *Needle, stride int) (at, index int) {
	first := n.head[0]
	for at = ListHeader; ; index++ {
		switch c := l[at]; {
		case c == endByte:
			return -1, index
		case c == first && n.matches(l[at:]):
			return at, index
		}
		for range stride {
			at = l.Next(at)
		}
	}
}

// Equal tells whether the entry at a place is the needle. The listpack must be
// canonical.
func (l Listpack) Equal(at int, n *Needle) bool { return l[at] == n.head[0] && n.matches(l[at:]) }

// Count returns how many entries are the needle. The listpack must be
// canonical.
func (l Listpack) Count(n *Needle) (count int) {
	for at := l.First(); at < l.End(); at = l.Next(at) {
		if l.Equal(at, n) {
			count++
		}
	}
	return count
}

// CheckListpack tells how many entries b has if it is a listpack, and whether
// that is canonical. Any bytes may be given; what is accepted can be read
// without looking out of bounds.
func CheckListpack(b []byte) (count int, canonical bool, err error) {
	if err := checkFrame(b); err != nil {
		return 0, false, err
	}
	canonical = true
	for at, end := ListHeader, len(b)-1; at < end; count++ {
		if n := plainSize(b[at:end]); n != 0 {
			at += n
			continue
		}
		next, err := checkEntry(b, at)
		if err != nil {
			return 0, false, err
		}
		canonical = canonical && canonicalEntry(b[at:next])
		at = next
	}
	return count, canonical, checkCount(b, count)
}

// checkFrame is what CheckListpack asks of b before it looks at entries.
func checkFrame(b []byte) error {
	if len(b) < ListHeader+1 || uint64(binary.LittleEndian.Uint32(b)) != uint64(len(b)) || b[len(b)-1] != endByte {
		return fmt.Errorf("a listpack whose size or end mark is wrong")
	}
	return nil
}

// checkEntry returns the place behind the entry at a place of a listpack, if that is well-formed.
func checkEntry(b []byte, at int) (next int, err error) {
	end := len(b) - 1
	n := checkedSize(b[at:end])
	if n == 0 {
		return 0, fmt.Errorf("a listpack entry at byte %d that is malformed or too long", at)
	}
	var again [5]byte
	if back := appendBacklen(again[:0], n); len(back) > end-at-n || string(back) != string(b[at+n:at+n+len(back)]) {
		return 0, fmt.Errorf("a listpack entry whose back length at byte %d is wrong", at+n)
	}
	return at + n + backlenSize(n), nil
}

// canonicalEntry tells whether a well-formed entry is the one that AppendEntry makes of its text.
func canonicalEntry(entry []byte) bool {
	var again [9]byte
	var head []byte
	if e := decode(entry); e.IsInt {
		head = appendIntBody(again[:0], e.Int)
	} else if _, isInt := ParseInt(e.Str); isInt {
		return false
	} else {
		head = appendStringHead(again[:0], len(e.Str))
	}
	return string(head) == string(entry[:len(head)])
}

// checkCount holds what a listpack says of its length against how many entries it has.
func checkCount(b []byte, count int) error {
	if said := int(binary.LittleEndian.Uint16(b[offCount:])); said != unknown && said != count {
		return fmt.Errorf("a listpack of %d entries that says %d", count, said)
	}
	return nil
}

// plainSize is how long the entry at the start of p is with its back length, if it is a number or
// a short string that does not look like one, and all is as it should be, else 0. Most are, and a look at
// a few bytes of each is enough.
func plainSize(p []byte) int {
	n := 1
	if c := p[0]; c >= int13 {
		return plainInt(p)
	} else if c > int7Max {
		if n += int(c & str6Max); len(p) < 2 || n > 1 && (p[1] == '-' || p[1]-'0' <= 9) {
			return 0
		}
	}
	if n >= len(p) || int(p[n]) != n {
		return 0
	}
	return n + 1
}

// plainInt is plainSize of a number that takes more than a byte: it is canonical if it does not fit into
// fewer.
func plainInt(p []byte) int {
	c := p[0]
	if c < str12 {
		if len(p) < 3 || p[2] != 2 || c == int13 && p[1] <= int7Max {
			return 0
		}
		return 3
	}
	if len(p) < 6 {
		return 0
	}
	var n int
	var v, fewer int64
	switch c {
	case int16Byte:
		n, v, fewer = 3, int64(int16(binary.LittleEndian.Uint16(p[1:]))), 1<<12 // its bits, as below
	case int24Byte:
		n, v, fewer = 4, int64(int32(binary.LittleEndian.Uint32(p))>>8), 1<<15
	case int32Byte:
		n, v, fewer = 5, int64(int32(binary.LittleEndian.Uint32(p[1:]))), 1<<23
	default:
		return 0
	}
	if int(p[n]) != n || -fewer <= v && v < fewer {
		return 0
	}
	return n + 1
}

// checkedSize is bodySize of an entry that must end within p, else 0.
func checkedSize(p []byte) int {
	switch c := p[0]; {
	case c > int64Byte, c >= str12 && c < str32 && len(p) < 2, c == str32 && len(p) < 5:
		return 0
	}
	n := uint64(bodySize(p)) // positive
	if n > uint64(len(p)) {
		return 0
	}
	return int(n) // at most len(p)
}
