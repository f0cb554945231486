package command

import (
	"encoding/binary"

	"github.com/spillwaydb/spillway/core/keyspace"
)

// bitOperation combines the bits of two strings of the same length, eight bytes
// and one byte at a time.
type bitOperation struct {
	words func(a, b uint64) uint64
	bytes func(a, b byte) byte
}

var (
	bitAnd = &bitOperation{func(a, b uint64) uint64 { return a & b }, func(a, b byte) byte { return a & b }}
	bitOr  = &bitOperation{func(a, b uint64) uint64 { return a | b }, func(a, b byte) byte { return a | b }}
	bitXor = &bitOperation{func(a, b uint64) uint64 { return a ^ b }, func(a, b byte) byte { return a ^ b }}
	bitNot = &bitOperation{func(_, b uint64) uint64 { return ^b }, func(_, b byte) byte { return ^b }}
)

// parseBitOperation reads the first argument of BITOP; nil if it is none.
func parseBitOperation(arg []byte) *bitOperation {
	switch {
	case is(arg, "and"):
		return bitAnd
	case is(arg, "or"):
		return bitOr
	case is(arg, "xor"):
		return bitXor
	case is(arg, "not"):
		return bitNot
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
	if op == bitNot && len(sources) != 1 {
		c.Out.Error("ERR BITOP NOT must be called with a single source key.")
		return
	}
	// Looking up a key may remove it: all of them come before any string is read.
	for _, key := range sources {
		if _, _, ok := c.typed(key, keyspace.String); !ok {
			return
		}
	}
	strings, longest := make([][]byte, len(sources)), 0
	for i, key := range sources {
		if e, status := c.db(key).Get(key, 0); status == keyspace.Live {
			strings[i] = e.Bytes()
			longest = max(longest, len(strings[i]))
		}
	}
	if longest == 0 {
		if _, found := c.lookupWrite(dst); found {
			c.remove(dst)
		}
		c.Out.Int(0)
		return
	}
	c.db(dst).FillString(dst, longest, func(p []byte) {
		if op == bitNot {
			op.apply(p, strings[0])
			return
		}
		clear(p[copy(p, strings[0]):])
		for _, s := range strings[1:] {
			op.apply(p, s)
		}
	})
	c.Changed(dst, eventSet)
	c.Out.Int(int64(longest))
}
