package packed

import (
	"encoding/binary"
	"math"
	"strconv"
)

// maxIntText is the length of the longest integer, "-9223372036854775808".
const maxIntText = 20

// ParseInt returns the integer that v is the shortest decimal text of. Only
// what formatting the integer gives back is one: no plus, no leading zeros.
func ParseInt(v []byte) (int64, bool) {
	digits := v
	if len(v) > 0 && v[0] == '-' {
		digits = v[1:]
	}
	if len(digits) == 0 || len(digits) >= maxIntText {
		return 0, false
	}
	if digits[0] == '0' {
		return 0, len(v) == 1
	}
	var n uint64 // 19 digits fit
	for _, c := range digits {
		if c -= '0'; c > 9 {
			return 0, false
		}
		n = n*10 + uint64(c)
	}
	if len(digits) < len(v) {
		return -int64(n), n <= 1<<63 // checked
	}
	return int64(n), n <= math.MaxInt64 // checked
}

// Entry is one element of a listpack: an integer, or a string that aliases the
// listpack.
type Entry struct {
	Str   []byte
	Int   int64
	IsInt bool
}

// Text returns the element as a string: Str, or the integer's text, which it
// appends to buf.
func (e Entry) Text(buf []byte) []byte {
	if e.IsInt {
		return strconv.AppendInt(buf, e.Int, 10)
	}
	return e.Str
}

// Float returns the element as a number. The text of a number that is out of
// range is infinite; ok is false for what is no number, and for NaN.
func (e Entry) Float() (f float64, ok bool) {
	if e.IsInt {
		return float64(e.Int), true
	}
	f, err := strconv.ParseFloat(string(e.Str), 64)
	return f, (err == nil || math.IsInf(f, 0)) && f == f // not NaN
}

// The first byte of an entry.
const (
	int7Max   = 0x7f
	str6      = 0x80
	int13     = 0xC0
	str12     = 0xE0
	str32     = 0xF0
	int16Byte = 0xF1
	int24Byte = 0xF2
	int32Byte = 0xF3
	int64Byte = 0xF4
	endByte   = 0xFF

	str6Max  = 1<<6 - 1
	str12Max = 1<<12 - 1
)

// appendStringHead appends what precedes a string of n bytes.
func appendStringHead(dst []byte, n int) []byte {
	switch {
	case n <= str6Max:
		return append(dst, str6|byte(n))
	case n <= str12Max:
		return append(dst, str12|byte(n>>8), byte(n))
	}
	return binary.LittleEndian.AppendUint32(append(dst, str32), uint32(n)) // a listpack has less than 4 GiB
}

// appendIntBody appends an integer without its backlen.
func appendIntBody(dst []byte, v int64) []byte {
	switch {
	case 0 <= v && v <= int7Max:
		return append(dst, byte(v))
	case -1<<12 <= v && v < 1<<12:
		return append(dst, int13|byte(v>>8)&0x1f, byte(v))
	case math.MinInt16 <= v && v <= math.MaxInt16:
		return append(dst, int16Byte, byte(v), byte(v>>8))
	case -1<<23 <= v && v < 1<<23:
		return append(dst, int24Byte, byte(v), byte(v>>8), byte(v>>16))
	case math.MinInt32 <= v && v <= math.MaxInt32:
		return binary.LittleEndian.AppendUint32(append(dst, int32Byte), uint32(v)) // its bits
	}
	return binary.LittleEndian.AppendUint64(append(dst, int64Byte), uint64(v)) // its bits
}

// AppendEntry appends the entry of a string, which is stored as an integer if
// it is the text of one.
func AppendEntry(dst, v []byte) []byte {
	if n, ok := ParseInt(v); ok {
		return AppendInt(dst, n)
	}
	start := len(dst)
	dst = append(appendStringHead(dst, len(v)), v...)
	return appendBacklen(dst, len(dst)-start)
}

// AppendInt appends the entry of an integer.
func AppendInt(dst []byte, v int64) []byte {
	start := len(dst)
	dst = appendIntBody(dst, v)
	return appendBacklen(dst, len(dst)-start)
}

// EntrySize bounds what AppendEntry adds for a string of n bytes.
func EntrySize(n int) int { return n + 5 + 5 }

// backlenSize is how many bytes the backlen of an entry of n bytes takes.
// Redis begins the longer forms one number early; so does this.
func backlenSize(n int) int {
	switch {
	case n <= 1<<7-1:
		return 1
	case n < 1<<14-1:
		return 2
	case n < 1<<21-1:
		return 3
	case n < 1<<28-1:
		return 4
	}
	return 5
}

// appendBacklen appends n, most significant bits first; all bytes but the
// first have the high bit set.
func appendBacklen(dst []byte, n int) []byte {
	size := backlenSize(n)
	for i := size - 1; i >= 0; i-- {
		c := byte(n>>(7*i)) & 0x7f
		if i < size-1 {
			c |= 0x80
		}
		dst = append(dst, c)
	}
	return dst
}

// shortSizes are, by their first byte, the sizes of entries with their backlen
// where that byte tells, else 0.
var shortSizes = func() (t [256]uint8) {
	for c := range t {
		switch {
		case c < str12, c >= int16Byte && c <= int64Byte:
			n := bodySize([]byte{byte(c)})
			t[c] = uint8(n + backlenSize(n)) // at most 65
		}
	}
	return t
}()

// bodySize is how many bytes the entry at the start of p takes, without its
// backlen.
func bodySize(p []byte) int {
	switch c := p[0]; {
	case c <= int7Max:
		return 1
	case c < int13:
		return 1 + int(c&str6Max)
	case c < str12:
		return 2
	case c < str32:
		return 2 + int(c&0x0f)<<8 + int(p[1])
	case c == str32:
		return 5 + int(binary.LittleEndian.Uint32(p[1:]))
	case c < int64Byte:
		return int(c-int16Byte) + 3
	}
	return 9
}

// decode returns the entry at the start of p.
func decode(p []byte) Entry {
	switch c := p[0]; {
	case c <= int7Max:
		return Entry{Int: int64(c), IsInt: true}
	case c < int13:
		return Entry{Str: cut(p, 1, int(c&str6Max))}
	case c < str12:
		return Entry{Int: int64(int16(uint16(c)<<11|uint16(p[1])<<3) >> 3), IsInt: true} // sign extension
	case c < str32:
		return Entry{Str: cut(p, 2, int(c&0x0f)<<8+int(p[1]))}
	case c == str32:
		return Entry{Str: cut(p, 5, int(binary.LittleEndian.Uint32(p[1:])))}
	case c < int64Byte:
		return Entry{Int: IntLE(p[1 : c-int16Byte+3]), IsInt: true}
	}
	return Entry{Int: IntLE(p[1:9]), IsInt: true}
}

func cut(p []byte, at, n int) []byte { return p[at : at+n : at+n] }

// IntLE reads a signed little-endian integer of len(p) bytes, at most 8.
func IntLE(p []byte) int64 {
	switch len(p) {
	case 2:
		return int64(int16(binary.LittleEndian.Uint16(p))) // its bits, as below
	case 3:
		return int64(int32(uint32(p[0])<<8|uint32(p[1])<<16|uint32(p[2])<<24) >> 8)
	case 4:
		return int64(int32(binary.LittleEndian.Uint32(p)))
	case 8:
		return int64(binary.LittleEndian.Uint64(p))
	}
	var v uint64
	for i, c := range p {
		v |= uint64(c) << (8 * i)
	}
	shift := 64 - 8*len(p)
	return int64(v<<shift) >> shift // sign extension
}

// Needle is a string to look for in listpacks, prepared once.
type Needle struct {
	head [9]byte // an integer's entry, or what precedes the string in one
	last byte    // of the entry: names often begin alike
	n    int
	str  []byte
}

// NewNeedle prepares to look for v, which the Needle aliases.
func NewNeedle(v []byte) (n Needle) {
	if i, ok := ParseInt(v); ok {
		n.n = len(appendIntBody(n.head[:0], i))
		n.last = n.head[n.n-1]
		return n
	}
	n.n = len(appendStringHead(n.head[:0], len(v)))
	n.last = n.head[n.n-1]
	if len(v) > 0 {
		n.str, n.last = v, v[len(v)-1]
	}
	return n
}

// matches tells whether the entry at the start of p, whose first byte is that
// of the needle, is the needle.
func (n *Needle) matches(p []byte) bool {
	end := n.n + len(n.str)
	return len(p) > end && p[end-1] == n.last && string(p[1:n.n]) == string(n.head[1:n.n]) && string(p[n.n:end]) == string(n.str)
}
