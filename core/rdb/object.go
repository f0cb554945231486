package rdb

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/spillwaydb/spillway/core/rdb/packed"
)

// Object is one key and its value. [Read] reuses the Object and every byte
// slice in it: they are valid only during the call they are handed to.
//
// One that was read as [Handler.Packed] says has no Items where Listpack, Intset or
// Nodes are all of the value, until Unpack.
type Object struct {
	DB       int       // database the key lives in
	Key      []byte    // empty for a value decoded by DecodeObject
	ExpireMS int64     // deadline in unix milliseconds, 0 for none
	Type     Type      // decides which of the fields below are set
	Str      []byte    // the value of a string
	Items    [][]byte  // list items, set members, zset members; hash field, value, field, value…
	Scores   []float64 // zset only: Scores[i] belongs to Items[i]
	Expires  []int64   // hash with deadlines of fields only: that of the i-th field in unix milliseconds, 0 for none
	Listpack []byte    // the whole value again, where it came as one canonical listpack; with Expires, each field and value has its deadline behind it
	Intset   []byte    // the whole value again, where it came as an intset
	Nodes    [][]byte  // of a list: its items again, where they came as several canonical listpacks
	Stream   *Stream   // of a stream
	More     bool      // with Handler.Packed: this is a part of a list or of the nodes of a stream, and the next Object goes on with it
	LRU      int64     // idle time in seconds, -1 when the file does not say
	LFU      int       // access frequency counter 0–255, -1 when the file does not say
}

// Len returns the number of elements: pairs of a hash, entries of a stream, items of the other
// collections, and 1 for a string.
func (o *Object) Len() int {
	switch {
	case o.Type == TypeString:
		return 1
	case o.Stream != nil:
		return int(o.Stream.Length)
	}
	return o.items() / max(o.Type.traits().items, 1)
}

// items is how many Items there are, or would be if they were unpacked.
func (o *Object) items() (n int) {
	switch {
	case len(o.Items) > 0:
		return len(o.Items)
	case o.Intset != nil:
		return packed.Intset(o.Intset).Len()
	case o.Listpack != nil:
		n = packed.Listpack(o.Listpack).Len()
		switch {
		case o.Expires != nil:
			return n / 3 * 2
		case o.Type.traits().scored:
			return n / 2
		}
		return n
	}
	for _, l := range o.Nodes {
		n += packed.Listpack(l).Len()
	}
	return n
}

// Unpack gives an Object that was read as [Handler.Packed] says its Items. They are valid as long as the
// rest of it.
func (o *Object) Unpack() {
	if len(o.Items) > 0 {
		return
	}
	o.Items = slices.Grow(o.Items, o.items())
	number := func(v int64) []byte { return strconv.AppendInt(nil, v, 10) }
	step := 1
	if o.Type.traits().scored {
		step = 2
	}
	switch {
	case o.Intset != nil:
		o.Items = appendIntset(o.Items, o.Intset, number)
	case o.Listpack != nil:
		o.Items = appendListpack(o.Items, o.Listpack, step, number)
	default:
		for _, l := range o.Nodes {
			o.Items = appendListpack(o.Items, l, step, number)
		}
	}
}

// empty tells whether o is a collection without elements, which does not exist; a
// stream may be without entries.
func (o *Object) empty() bool { return o.Type != TypeStream && o.Len() == 0 }

// each calls fn for every element until it returns false: an item or member, a
// field and its value, with its deadline for a score where fields have some, a member
// and its score. o must have passed check.
func (o *Object) each(fn func(a, b []byte, score float64) bool) {
	t := o.Type.traits()
	for i := 0; i < len(o.Items); i += t.items {
		var b []byte
		var score float64
		if t.items == 2 {
			b = o.Items[i+1]
		}
		switch {
		case t.scored:
			score = o.Scores[i]
		case o.Expires != nil:
			score = float64(o.Expires[i/2])
		}
		if !fn(o.Items[i], b, score) {
			return
		}
	}
}

// check returns why o cannot be written, element by element.
func (o *Object) check() error {
	switch t := o.Type.traits(); {
	case t.items == 0:
		return UnknownType(o.Type)
	case len(o.Items) == 0:
		return errors.New("it is empty")
	case len(o.Items)%t.items != 0:
		return errors.New("a field without a value")
	case t.scored && len(o.Items) != len(o.Scores):
		return fmt.Errorf("%d members but %d scores", len(o.Items), len(o.Scores))
	case o.Expires != nil && (o.Type != TypeHash || len(o.Items) != 2*len(o.Expires)):
		return fmt.Errorf("%d items but the deadlines of %d fields", len(o.Items), len(o.Expires))
	}
	for _, f := range o.Scores {
		if f != f {
			return errors.New("a score that is not a number")
		}
	}
	return nil
}

// whole returns the listpack or intset that o is written as, and the type byte
// for that, or nil.
func (o *Object) whole() (code byte, blob []byte) {
	if o.Intset != nil && o.Type == TypeSet && packed.Intset(o.Intset).Len() > 0 {
		return encSetIntset, o.Intset
	}
	if o.Expires != nil {
		if o.Listpack != nil && packed.Listpack(o.Listpack).Len() > 0 {
			return encHashListEx, o.Listpack
		}
		return 0, nil
	}
	if code := o.Type.traits().listpack; code != 0 && o.Listpack != nil && packed.Listpack(o.Listpack).Len() > 0 {
		return code, o.Listpack
	}
	return 0, nil
}

// Opcodes that stand where a type byte may stand.
const (
	opKeyMeta     = 243 // of Valkey: the import of a slot
	opSlotInfo    = 244
	opFunction2   = 245
	opFunctionPre = 246
	opModuleAux   = 247
	opIdle        = 248
	opFreq        = 249
	opAux         = 250
	opResizeDB    = 251
	opExpireMS    = 252
	opExpire      = 253
	opSelectDB    = 254
	opEOF         = 255
)

// Type bytes: a type and its encoding.
const (
	encString         = 0
	encList           = 1
	encSet            = 2
	encZSet           = 3
	encHash           = 4
	encZSet2          = 5
	encModulePre      = 6
	encModule2        = 7
	encHashZipmap     = 9
	encListZiplist    = 10
	encSetIntset      = 11
	encZSetZiplist    = 12
	encHashZiplist    = 13
	encListQuicklist  = 14
	encStream         = 15
	encHashListpack   = 16
	encZSetListpack   = 17
	encListQuicklist2 = 18
	encStream2        = 19
	encSetListpack    = 20
	encStream3        = 21

	encHashDatedPre  = 22 // of release candidates of Redis 7.4; encHashValkey in files of Valkey
	encHashListExPre = 23
	encHashDated     = 24
	encHashListEx    = 25
	encHashValkey    = 22
	encStream4       = 26
)

// Versions of the format: the one written, the one written where fields of a hash
// have deadlines, the newest one read, and the one that Valkey counts from.
const (
	writeVersion   = 10
	datedVersion   = 12
	maxReadVersion = 13
	valkeyVersion  = 80
)

// CorruptError reports bytes that are not a valid RDB file or value.
type CorruptError struct {
	Offset int64  // where in the input the problem was noticed
	Reason string // what is wrong
	Err    error  // cause, if any: io.ErrUnexpectedEOF for a truncated input
}

// Error describes the corruption and where it is.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("rdb: corrupt at offset %d: %s; restore this file from another copy or generation", e.Offset, e.Reason)
}

// Unwrap returns the cause.
func (e *CorruptError) Unwrap() error { return e.Err }

// UnsupportedError reports well-formed content this package does not handle:
// modules, functions, types of newer servers, or a newer version of the format.
type UnsupportedError struct {
	Name   string // what it is, in words
	Code   int    // type byte, opcode or version number
	Key    string // the key that holds it, where there is one
	Offset int64  // where in the input it begins
}

// Error names the content, its key and its place.
func (e *UnsupportedError) Error() string {
	if e.Key != "" {
		return fmt.Sprintf("rdb: unsupported %s (%d) in key %.100q at offset %d; remove it at the source and save again", e.Name, e.Code, e.Key, e.Offset)
	}
	return fmt.Sprintf("rdb: unsupported %s (%d) at offset %d; remove it at the source and save again", e.Name, e.Code, e.Offset)
}
