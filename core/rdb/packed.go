package rdb

import (
	"encoding/binary"

	"github.com/spillwaydb/spillway/core/rdb/packed"
)

// The four packed formats. Each function appends the entries of a blob to
// d.obj.Items: strings alias the blob, integers are rendered as text. Listpacks
// and intsets are understood by package packed; ziplists and zipmaps, which
// nobody writes any more, here.

func (d *decoder) push(s []byte) { d.obj.Items = append(d.obj.Items, s) }

func (d *decoder) pushInt(v int64) { d.obj.Items = append(d.obj.Items, d.number(v)) }

// listpack appends the entries of a listpack, unless it is canonical and may stay as it is, and
// tells whether it is canonical.
func (d *decoder) listpack(b []byte, mayStay bool) (canonical bool, err error) {
	count, canonical, err := packed.CheckListpack(b)
	if err != nil {
		return false, d.packed("%v", err)
	}
	if !canonical || !mayStay {
		d.room(count, maxSaid)
		d.obj.Items = appendListpack(d.obj.Items, b, 1, d.number)
	}
	return canonical, nil
}

// wholeListpack is listpack for a blob that is all of the value.
func (d *decoder) wholeListpack(b []byte) error {
	canonical, err := d.listpack(b, d.keeps)
	if canonical {
		d.obj.Listpack = b
	}
	return err
}

// intset appends the integers of an intset, which is all of the value, unless it may stay as it is.
func (d *decoder) intset(b []byte) error {
	if err := packed.CheckIntset(b); err != nil {
		return d.packed("%v", err)
	}
	if !d.keeps {
		d.obj.Items = appendIntset(d.obj.Items, b, d.number)
	}
	d.obj.Intset = b
	return nil
}

// appendListpack appends every step-th entry of a listpack that was checked; number renders integers.
func appendListpack(items [][]byte, l packed.Listpack, step int, number func(int64) []byte) [][]byte {
	for at := l.First(); at < l.End(); {
		if e := l.Entry(at); e.IsInt {
			items = append(items, number(e.Int))
		} else {
			items = append(items, e.Str)
		}
		for range step {
			at = l.Next(at)
		}
	}
	return items
}

// appendIntset is appendListpack for an intset.
func appendIntset(items [][]byte, s packed.Intset, number func(int64) []byte) [][]byte {
	for i := range s.Len() {
		items = append(items, number(s.At(i)))
	}
	return items
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
			d.pushInt(packed.IntLE(data))
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

// zlHeader returns how many bytes of encoding the entry at p has, after its
// prevlen, and how many bytes of data follow; head is 0 for a malformed entry.
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
