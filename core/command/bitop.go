package command

import (
	"encoding/binary"
	"strings"

	"github.com/spillwaydb/spillway/core/keyspace"
)

// bitOperation combines the bits of two strings of the same length, eight bytes
// and one byte at a time.
type bitOperation struct {
	words func(a, b uint64) uint64
	bytes func(a, b byte) byte
}

var (
	bitAnd    = &bitOperation{func(a, b uint64) uint64 { return a & b }, func(a, b byte) byte { return a & b }}
	bitOr     = &bitOperation{func(a, b uint64) uint64 { return a | b }, func(a, b byte) byte { return a | b }}
	bitXor    = &bitOperation{func(a, b uint64) uint64 { return a ^ b }, func(a, b byte) byte { return a ^ b }}
	bitAndNot = &bitOperation{func(a, b uint64) uint64 { return a &^ b }, func(a, b byte) byte { return a &^ b }}
	bitNot    = &bitOperation{func(_, b uint64) uint64 { return ^b }, func(_, b byte) byte { return ^b }}
)

// bitopOperation is one that BITOP knows: what it makes of the strings at its keys, of
// which some may be shorter than dst, as if zeros followed.
type bitopOperation struct {
	name    string
	atLeast int // this many keys
	combine func(dst []byte, values [][]byte)
}

var bitopOperations = []*bitopOperation{
	{"and", 1, inOrder(bitAnd)},
	{"or", 1, inOrder(bitOr)},
	{"xor", 1, inOrder(bitXor)},
	{"not", 1, func(dst []byte, s [][]byte) { bitNot.apply(dst, s[0]) }},
	// of the first, what is in none of the others
	{"diff", 2, inOrder(bitAndNot)},
	// of the others, what is not in the first
	{"diff1", 2, othersThenFirst(bitAndNot)},
	// of the first, what is in some of the others as well
	{"andor", 2, othersThenFirst(bitAnd)},
	{"one", 1, exactlyOne},
}

// inOrder combines the strings one after the other.
func inOrder(o *bitOperation) func(dst []byte, values [][]byte) {
	return func(dst []byte, values [][]byte) {
		clear(dst[copy(dst, values[0]):])
		for _, s := range values[1:] {
			o.apply(dst, s)
		}
	}
}

// othersThenFirst combines what any string but the first has with the first.
func othersThenFirst(o *bitOperation) func(dst []byte, values [][]byte) {
	return func(dst []byte, values [][]byte) {
		inOrder(bitOr)(dst, values[1:])
		o.apply(dst, values[0])
	}
}

// exactlyOne keeps the bits that one string has and no other. It works by pieces: what
// several have needs memory of the size of one.
func exactlyOne(dst []byte, values [][]byte) {
	clear(dst)
	var several, both [4096]byte
	for from := 0; from < len(dst); from += len(several) {
		one := dst[from:min(from+len(several), len(dst))]
		clear(several[:])
		for _, s := range values {
			piece := s[min(from, len(s)):min(from+len(one), len(s))]
			n := copy(both[:], piece)
			bitAnd.apply(both[:n], one)
			bitOr.apply(several[:], both[:n])
			bitOr.apply(one, piece)
		}
		bitAndNot.apply(one, several[:len(one)])
	}
}

// parseBitOperation reads the first argument of BITOP; nil if it is none.
func parseBitOperation(arg []byte) *bitopOperation {
	for _, o := range bitopOperations {
		if is(arg, o.name) {
			return o
		}
	}
	return nil
}

// apply combines dst with src, which is as if it were followed by zeros.
func (o *bitOperation) apply(dst, src []byte) {
	n := min(len(dst), len(src))
	for i := 0; i+8 <= n; i += 8 {
		x := o.words(binary.NativeEndian.Uint64(dst[i:]), binary.NativeEndian.Uint64(src[i:]))
		binary.NativeEndian.PutUint64(dst[i:], x)
	}
	for i := n &^ 7; i < n; i++ {
		dst[i] = o.bytes(dst[i], src[i])
	}
	if o == bitAnd {
		clear(dst[n:])
	}
}

func bitopCommand(c *Ctx) {
	op, dst, sources := parseBitOperation(c.Args[1]), c.Args[2], c.Args[3:]
	if op == nil {
		c.Out.Error(errSyntax)
		return
	}
	if op.name == "not" && len(sources) != 1 {
		c.Out.Error("ERR BITOP NOT must be called with a single source key.")
		return
	}
	if len(sources) < op.atLeast {
		c.Out.Errorf("ERR BITOP %s must be called with at least two source keys.", strings.ToUpper(op.name))
		return
	}
	// Looking up a key may remove it: all of them come before any string is read.
	for _, key := range sources {
		if _, _, ok := c.typed(key, keyspace.String); !ok {
			return
		}
	}
	values, longest := make([][]byte, len(sources)), 0
	for i, key := range sources {
		if e, status := c.db(key).Get(key, 0); status == keyspace.Live {
			values[i] = e.Bytes()
			longest = max(longest, len(values[i]))
		}
	}
	if longest == 0 {
		if _, found := c.lookupWrite(dst); found {
			c.remove(dst)
		}
		c.Out.Int(0)
		return
	}
	c.db(dst).FillString(dst, longest, func(p []byte) { op.combine(p, values) })
	c.Changed(dst, eventSet)
	c.Out.Int(int64(longest))
}
