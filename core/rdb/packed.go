package rdb

import (
	"encoding/binary"
	"slices"
)

// The four packed formats. Each function appends the entries of a blob to
// d.obj.Items: strings alias the blob, integers are rendered as text.

func (d *decoder) push(s []byte) { d.obj.Items = append(d.obj.Items, s) }

func (d *decoder) pushInt(v int64) { d.obj.Items = append(d.obj.Items, d.number(v)) }

// intLE reads a signed little-endian integer of len(p) bytes, at most 8.
func intLE(p []byte) int64 {
	var v uint64
	for i, c := range p {
		v |= uint64(c) << (8 * i)
	}
	shift := 64 - 8*len(p)
	return int64(v<<shift) >> shift
}

// listpack unpacks
//
//	total:uint32le count:uint16le (entry backlen)* FF
//
// where count 65535 means unknown and backlen repeats the size of the entry,
// to walk backwards.
func (d *decoder) listpack(b []byte) error {
	const header = 6
	if len(b) < header+1 || uint64(binary.LittleEndian.Uint32(b)) != uint64(len(b)) || b[len(b)-1] != 0xFF {
		return d.packed("a listpack whose size or end mark is wrong")
	}
	count, seen := int(binary.LittleEndian.Uint16(b[4:])), 0
	end := len(b) - 1
	at := header
	for at < end {
		head, size, isInt := lpHeader(b[at:end])
		if head == 0 || size > end-at-head {
			return d.packed("a listpack entry at byte %d that is malformed or too long", at)
		}
		data := b[at+head : at+head+size]
		switch {
		case !isInt:
			d.push(data[:size:size])
		case size > 0:
			d.pushInt(intLE(data))
		case b[at] < 0x80: // seven bits, unsigned
			d.pushInt(int64(b[at]))
		default: // thirteen bits, signed
			d.pushInt(int64(int16(uint16(b[at])<<11|uint16(b[at+1])<<3) >> 3))
		}
		at += head + size
		back := lpBacklen(head + size)
		if !hasPrefix(b[at:end], back) {
			return d.packed("a listpack entry whose back length at byte %d is wrong", at)
		}
		at += back.n
		seen++
	}
	if count != 65535 && count != seen {
		return d.packed("a listpack of %d entries that says %d", seen, count)
	}
	return nil
}

// lpHeader returns how many bytes of encoding the entry at p has and how many
// bytes of data follow; head is 0 for a malformed entry.
func lpHeader(p []byte) (head, size int, isInt bool) {
	switch c := p[0]; {
	case c < 0x80:
		return 1, 0, true
	case c < 0xC0:
		return 1, int(c & 0x3f), false
	case c < 0xE0:
		if len(p) >= 2 {
			return 2, 0, true
		}
	case c < 0xF0:
		if len(p) >= 2 {
			return 2, int(c&0x0f)<<8 | int(p[1]), false
		}
	case c == 0xF0:
		if len(p) >= 5 {
			return 5, int(binary.LittleEndian.Uint32(p[1:])), false
		}
	case c <= 0xF3:
		return 1, int(c-0xF0) + 1, true // 16, 24, 32 bits
	case c == 0xF4:
		return 1, 8, true
	}
	return 0, 0, false
}

// backlen is an encoded back length: seven bits a byte, most significant
// first, the high bit on all but the first.
type backlen struct {
	b [5]byte
	n int
}

func lpBacklen(size int) (e backlen) {
	switch {
	case size <= 127:
		e.n = 1
	case size < 16383:
		e.n = 2
	case size < 2097151:
		e.n = 3
	case size < 268435455:
		e.n = 4
	default:
		e.n = 5
	}
	for i := e.n - 1; i >= 0; i-- {
		e.b[i] = byte(size & 0x7f)
		if i > 0 {
			e.b[i] |= 0x80
		}
		size >>= 7
	}
	return e
}

func hasPrefix(p []byte, e backlen) bool {
	return len(p) >= e.n && slices.Equal(p[:e.n], e.b[:e.n])
}

// ziplist unpacks
//
//	total:uint32le tail:uint32le count:uint16le (prevlen entry)* FF
//
// where prevlen repeats the size of the entry before, in one byte, or in FE
// and four.
func (d *decoder) ziplist(b []byte) error {
	const header = 10
	if len(b) < header+1 || uint64(binary.LittleEndian.Uint32(b)) != uint64(len(b)) || b[len(b)-1] != 0xFF {
		return d.packed("a ziplist whose size or end mark is wrong")
	}
	count, seen, prev := int(binary.LittleEndian.Uint16(b[8:])), 0, 0
	end := len(b) - 1
	at := header
	for at < end {
		begin := at
		if b[at] < 254 {
			if int(b[at]) != prev {
				return d.packed("a ziplist entry at byte %d with a wrong previous length", begin)
			}
			at++
		} else {
			if b[at] != 254 || end-at < 5 || uint64(binary.LittleEndian.Uint32(b[at+1:])) != uint64(prev) {
				return d.packed("a ziplist entry at byte %d with a wrong previous length", begin)
			}
			at += 5
		}
		head, size, isInt := zlHeader(b[at:end])
		if head == 0 || size > end-at-head {
			return d.packed("a ziplist entry at byte %d that is malformed or too long", begin)
		}
		data := b[at+head : at+head+size]
		switch {
		case !isInt:
			d.push(data[:size:size])
		case size > 0:
			d.pushInt(intLE(data))
		default:
			d.pushInt(int64(b[at]&0x0f) - 1)
		}
		at += head + size
		prev = at - begin
		seen++
	}
	if count != 65535 && count != seen {
		return d.packed("a ziplist of %d entries that says %d", seen, count)
	}
	return nil
}

// zlHeader is lpHeader for a ziplist entry after its prevlen.
func zlHeader(p []byte) (head, size int, isInt bool) {
	if len(p) == 0 {
		return 0, 0, false
	}
	switch c := p[0]; {
	case c < 0x40:
		return 1, int(c), false
	case c < 0x80:
		if len(p) >= 2 {
			return 2, int(c&0x3f)<<8 | int(p[1]), false
		}
	case c < 0xC0:
		if c == 0x80 && len(p) >= 5 {
			return 5, int(binary.BigEndian.Uint32(p[1:])), false
		}
	case c == 0xC0:
		return 1, 2, true
	case c == 0xD0:
		return 1, 4, true
	case c == 0xE0:
		return 1, 8, true
	case c == 0xF0:
		return 1, 3, true
	case c == 0xFE:
		return 1, 1, true
	case c >= 0xF1 && c <= 0xFD:
		return 1, 0, true
	}
	return 0, 0, false
}

// intset unpacks
//
//	width:uint32le count:uint32le integer*count, ascending
func (d *decoder) intset(b []byte) error {
	if len(b) < 8 {
		return d.packed("an intset of %d bytes", len(b))
	}
	width, count := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
	if width != 2 && width != 4 && width != 8 || uint64(width)*uint64(count) != uint64(len(b)-8) {
		return d.packed("an intset of %d bytes that says %d integers of %d bytes", len(b), count, width)
	}
	var last int64
	for p := b[8:]; len(p) > 0; p = p[width:] {
		v := intLE(p[:width])
		if len(p) < len(b)-8 && v <= last {
			return d.packed("an intset that is not in ascending order")
		}
		last = v
		d.pushInt(v)
	}
	return nil
}

// zipmap unpacks the hash format of Redis before 2.6:
//
//	count (len field len free value free*byte)* FF
//
// where len is a byte, or FE and a uint32le.
func (d *decoder) zipmap(b []byte) error {
	if len(b) < 2 || b[len(b)-1] != 0xFF {
		return d.packed("a zipmap whose end mark is missing")
	}
	p := b[1 : len(b)-1]
	for len(p) > 0 {
		for part := range 2 {
			if len(p) == 0 {
				return d.packed("a zipmap field without a value")
			}
			n := int(p[0])
			p = p[1:]
			if n >= 254 {
				if n == 255 || len(p) < 4 {
					return d.packed("a zipmap entry with a malformed length")
				}
				n = int(binary.LittleEndian.Uint32(p))
				p = p[4:]
			}
			free := 0
			if part == 1 {
				if len(p) == 0 {
					return d.packed("a zipmap value that is cut short")
				}
				free = int(p[0])
				p = p[1:]
			}
			if n > len(p) || free > len(p)-n {
				return d.packed("a zipmap entry that is too long")
			}
			d.push(p[:n:n])
			p = p[n+free:]
		}
	}
	if pairs := len(d.obj.Items) / 2; b[0] < 254 && int(b[0]) != pairs {
		return d.packed("a zipmap of %d pairs that says %d", pairs, b[0])
	}
	return nil
}
