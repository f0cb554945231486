package rdb

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/spillwaydb/spillway/core/rdb/packed"
)

// decoder turns bytes into one Object at a time.
type decoder struct {
	source
	arena
	obj   Object
	start int64 // offset of the value being decoded, for errors in packed blobs

	valkey bool // the types are those of Valkey where it and Redis differ

	streams streamReader
	active  []byte // of the consumers of the next object, if it is a stream and they are told

	// With Handler.Packed.
	keeps  bool                  // what can stay packed does
	part   func(o *Object) error // gets a part of a long value
	parted bool                  // it has got one of this object
}

// partBytes is from how many bytes on a part of a value is handed out before more is taken: what it was lent lies in two
// buffers at most then, which serve in turn.
const partBytes = readBuffer / 2

// handOut hands out what was taken of a value, of which more follows.
func (d *decoder) handOut() error {
	o := &d.obj
	if !d.parted {
		d.parted, o.Key = true, bytes.Clone(o.Key)
	}
	o.More = true
	err := d.part(o)
	o.More = false
	d.reset()
	d.returned()
	o.Items, o.Nodes, o.Stream = o.Items[:0], o.Nodes[:0], nil
	return err
}

// keptItems is how many slots of Items, Scores and Nodes stay for the next object.
const keptItems = 64 << 10

// maxSaid is more groups of items than there can be.
const maxSaid = 1 << 48

// next forgets the last object.
func (d *decoder) next() {
	d.reset()
	d.returned()
	o := &d.obj
	if cap(o.Items) > keptItems {
		o.Items, o.Scores = nil, nil
	}
	if cap(o.Nodes) > keptItems {
		o.Nodes = nil
	}
	*o = Object{DB: o.DB, Items: o.Items[:0], Scores: o.Scores[:0], Nodes: o.Nodes[:0], LRU: -1, LFU: -1}
	d.active, d.parted = nil, false
}

func (d *decoder) corrupt(format string, args ...any) error {
	return &CorruptError{Offset: d.offset(), Reason: fmt.Sprintf(format, args...)}
}

// packed reports corruption inside a blob that was already taken.
func (d *decoder) packed(format string, args ...any) error {
	return &CorruptError{Offset: d.start, Reason: fmt.Sprintf(format, args...)}
}

// lengthOr takes a length; special means it is a string encoding instead.
func (d *decoder) lengthOr() (n uint64, special bool, err error) {
	c, err := d.byte()
	if err != nil {
		return 0, false, err
	}
	switch c >> 6 {
	case 0:
		return uint64(c), false, nil
	case 1:
		lo, err := d.byte()
		return uint64(c&0x3f)<<8 | uint64(lo), false, err
	case 3:
		return uint64(c & 0x3f), true, nil
	}
	switch c {
	case 0x80:
		p, err := d.take(4)
		if err != nil {
			return 0, false, err
		}
		return uint64(binary.BigEndian.Uint32(p)), false, nil
	case 0x81:
		p, err := d.take(8)
		if err != nil {
			return 0, false, err
		}
		return binary.BigEndian.Uint64(p), false, nil
	}
	return 0, false, d.corrupt("unknown length byte 0x%02x", c)
}

// length takes a plain length.
func (d *decoder) length() (uint64, error) {
	n, special, err := d.lengthOr()
	if err == nil && special {
		err = d.corrupt("a string encoding where a length belongs")
	}
	return n, err
}

// MaxString is the longest string that is read, Redis's proto-max-bulk-len: no
// command could have written a longer one. A few bytes of a file, or of what a
// stage decompresses, can claim any length.
const MaxString = 512 << 20

// withinLimit refuses a string of n bytes if that is too long.
func (d *decoder) withinLimit(n uint64) error {
	if n > MaxString {
		return d.corrupt("a string of %d bytes; the longest is %d (proto-max-bulk-len)", n, MaxString)
	}
	return nil
}

// bytes takes n bytes that stay valid until the next object.
func (d *decoder) bytes(n uint64) ([]byte, error) {
	if err := d.withinLimit(n); err != nil {
		return nil, err
	}
	switch {
	case n <= uint64(d.end-d.pos) && d.r == nil:
		p := d.buf[d.pos : d.pos+int(n) : d.pos+int(n)]
		d.pos += int(n)
		return p, nil
	case d.r == nil:
		return nil, d.truncated()
	case n > readBuffer:
		return d.large(n)
	}
	return d.lend(int(n))
}

// number renders v as text that lives as long as the object.
func (d *decoder) number(v int64) []byte {
	var tmp [20]byte
	text := strconv.AppendInt(tmp[:0], v, 10)
	dst := d.alloc(len(text))
	copy(dst, text)
	return dst
}

// str takes a string in any of its encodings.
func (d *decoder) str() ([]byte, error) {
	n, special, err := d.lengthOr()
	if err != nil {
		return nil, err
	}
	if !special {
		return d.bytes(n)
	}
	switch n {
	case 0:
		c, err := d.byte()
		return d.number(int64(int8(c))), err
	case 1:
		p, err := d.take(2)
		if err != nil {
			return nil, err
		}
		return d.number(int64(int16(binary.LittleEndian.Uint16(p)))), nil
	case 2:
		p, err := d.take(4)
		if err != nil {
			return nil, err
		}
		return d.number(int64(int32(binary.LittleEndian.Uint32(p)))), nil
	case 3:
		return d.lzf()
	}
	return nil, d.corrupt("unknown string encoding %d", n)
}

func (d *decoder) lzf() ([]byte, error) {
	packedLen, err := d.length()
	if err != nil {
		return nil, err
	}
	n, err := d.length()
	if err != nil {
		return nil, err
	}
	if err := d.withinLimit(n); err != nil {
		return nil, err
	}
	src, err := d.bytes(packedLen)
	if err != nil {
		return nil, err
	}
	if holds := lzfLen(src); holds != int(n) {
		return nil, d.corrupt("an LZF block of %d bytes claims to hold %d and does not", len(src), n)
	}
	dst := d.alloc(int(n))
	if !lzfExpand(dst, src) {
		return nil, d.corrupt("a malformed LZF block")
	}
	return dst, nil
}

// value takes the value that a type byte announced into d.obj. The caller
// has refused what unsupportedType names.
func (d *decoder) value(enc byte) error {
	o := &d.obj
	d.start = d.offset()
	var err error
	switch enc {
	case encString:
		o.Type = TypeString
		o.Str, err = d.str()
	case encList:
		o.Type = TypeList
		err = d.items(1)
	case encSet:
		o.Type = TypeSet
		err = d.items(1)
	case encHash:
		o.Type = TypeHash
		err = d.items(2)
	case encZSet, encZSet2:
		o.Type = TypeZSet
		err = d.zset(enc == encZSet2)
	case encListQuicklist, encListQuicklist2:
		o.Type = TypeList
		err = d.quicklist(enc == encListQuicklist2)
	case encListZiplist:
		o.Type = TypeList
		err = d.blob(d.ziplist)
	case encSetIntset:
		o.Type = TypeSet
		err = d.blob(d.intset)
	case encSetListpack:
		o.Type = TypeSet
		err = d.blob(d.wholeListpack)
	case encHashZipmap:
		o.Type = TypeHash
		err = d.blob(d.zipmap)
	case encHashZiplist, encHashListpack:
		o.Type = TypeHash
		if err = d.packedPairs(enc == encHashListpack); err == nil && o.items()%2 != 0 {
			err = d.packed("a hash with a field but no value")
		}
	case encHashDatedPre, encHashDated:
		o.Type = TypeHash
		if enc == encHashValkey && d.valkey {
			err = d.valkeyHash()
		} else {
			err = d.datedHash(enc == encHashDated)
		}
	case encHashListExPre, encHashListEx:
		o.Type = TypeHash
		err = d.datedListpack(enc == encHashListEx)
	case encZSetZiplist, encZSetListpack:
		o.Type = TypeZSet
		if err = d.packedPairs(enc == encZSetListpack); err == nil {
			err = d.splitScores()
		}
	case encStream, encStream2, encStream3:
		o.Type = TypeStream
		o.Stream, err = d.stream(enc)
	default:
		err = d.corrupt("unknown type byte %d", enc)
	}
	return err
}

// blob takes one string and unpacks it.
func (d *decoder) blob(unpack func([]byte) error) error {
	b, err := d.str()
	if err != nil {
		return err
	}
	return unpack(b)
}

func (d *decoder) packedPairs(listpack bool) error {
	if listpack {
		return d.blob(d.wholeListpack)
	}
	return d.blob(d.ziplist)
}

// items takes a count and that many groups of strings.
func (d *decoder) items(group int) error {
	n, err := d.length()
	if err != nil {
		return err
	}
	for ; n > 0; n-- {
		d.room(group, uint64(group)*min(n, maxSaid)) // positive
		for range group {
			s, err := d.str()
			if err != nil {
				return err
			}
			d.obj.Items = append(d.obj.Items, s)
		}
	}
	return nil
}

// room makes room in Items for the next ones, and then for as many again as came already, unless fewer are said
// to follow: anything may be said. append alone grows by a quarter
// at a time, and leaves as much more garbage.
func (d *decoder) room(next int, said uint64) {
	if o := &d.obj; len(o.Items)+next > cap(o.Items) {
		o.Items = slices.Grow(o.Items, max(next, int(min(said, uint64(len(o.Items)))))) // positive
	}
}

// zset takes a count and that many members with binary or textual scores.
func (d *decoder) zset(binaryScores bool) error {
	n, err := d.length()
	if err != nil {
		return err
	}
	for ; n > 0; n-- {
		d.room(1, n)
		s, err := d.str()
		if err != nil {
			return err
		}
		var f float64
		if binaryScores {
			p, err := d.take(8)
			if err != nil {
				return err
			}
			f = math.Float64frombits(binary.LittleEndian.Uint64(p))
		} else if f, err = d.textScore(); err != nil {
			return err
		}
		if f != f {
			return d.corrupt("a score that is not a number")
		}
		d.obj.Items = append(d.obj.Items, s)
		d.obj.Scores = append(d.obj.Scores, f)
	}
	return nil
}

// textScore takes the score form of versions before 8: a length byte and
// digits, or a length byte that stands for a special value.
func (d *decoder) textScore() (float64, error) {
	n, err := d.byte()
	if err != nil {
		return 0, err
	}
	switch n {
	case 253:
		return math.NaN(), nil
	case 254:
		return math.Inf(1), nil
	case 255:
		return math.Inf(-1), nil
	}
	p, err := d.take(int(n))
	if err != nil {
		return 0, err
	}
	f, ok := parseScore(p)
	if !ok {
		return 0, d.corrupt("score %.40q is not a number", p)
	}
	return f, nil
}

func parseScore(p []byte) (float64, bool) {
	f, err := strconv.ParseFloat(string(p), 64)
	return f, (err == nil || math.IsInf(f, 0)) && f == f // out of range gives an infinity, as strtod does
}

// splitScores turns member, score, member, score… into Items and Scores, or, of what stays packed, into Scores.
func (d *decoder) splitScores() error {
	o := &d.obj
	l := packed.Listpack(o.Listpack)
	entries := len(o.Items)
	if entries == 0 && l != nil {
		entries = l.Len()
	}
	if entries%2 != 0 {
		return d.packed("a sorted set with a member but no score")
	}
	if len(o.Items) < entries {
		for at := l.First(); at < l.End(); at = l.Next(at) {
			at = l.Next(at)
			f, ok := l.Entry(at).Float()
			if !ok {
				return d.packed("score %.40q is not a number", l.Entry(at).Text(nil))
			}
			o.Scores = append(o.Scores, f)
		}
		return nil
	}
	for i := 0; i < len(o.Items); i += 2 {
		f, ok := parseScore(o.Items[i+1])
		if !ok {
			return d.packed("score %.40q is not a number", o.Items[i+1])
		}
		o.Items[i/2] = o.Items[i]
		o.Scores = append(o.Scores, f)
	}
	o.Items = o.Items[:len(o.Items)/2]
	return nil
}

// quicklist takes the nodes of a list: ziplists, or in version 2 listpacks
// and plain items.
func (d *decoder) quicklist(v2 bool) error {
	const plain = 1
	n, err := d.length()
	if err != nil {
		return err
	}
	o, alone := &d.obj, n == 1
	whole, size := v2, 0 // of this part: all that came is in Nodes, and how many bytes that was
	spread := func() {
		if whole && d.keeps {
			o.Unpack()
		}
		whole, o.Nodes = false, o.Nodes[:0]
	}
	for ; n > 0; n-- {
		if size >= partBytes && d.part != nil {
			if err := d.handOut(); err != nil {
				return err
			}
			whole, size = v2, 0
		}
		container := uint64(containerListpack)
		if v2 {
			if container, err = d.length(); err != nil {
				return err
			}
			if container != plain && container != containerListpack {
				return d.corrupt("unknown quicklist container %d", container)
			}
		}
		b, err := d.str()
		if err != nil {
			return err
		}
		size += len(b)
		switch {
		case container == plain:
			spread()
			d.push(b)
		case !v2:
			err = d.ziplist(b)
		case alone:
			err = d.wholeListpack(b)
		default:
			count, canonical, bad := packed.CheckListpack(b)
			if bad != nil {
				return d.packed("%v", bad)
			}
			if !canonical {
				spread()
			}
			if whole {
				o.Nodes = append(o.Nodes, b)
			}
			if !whole || !d.keeps {
				d.room(count, maxSaid)
				o.Items = appendListpack(o.Items, b, 1, d.number)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}
