package command

import (
	"bytes"
	"math"

	"github.com/spillwaydb/spillway/core/keyspace"
)

// bitField is an integer of some width within the bits of a string, the most
// significant bit first.
type bitField struct {
	at     int64 // its first bit
	width  uint  // 1 to 64, unsigned 1 to 63
	signed bool
}

// get reads the field; what is beyond the end of b is 0.
func (f bitField) get(b []byte) int64 {
	var x uint64
	end := f.at + int64(f.width)
	for i := f.at >> 3; i<<3 < end; i++ {
		var octet byte
		if i < int64(len(b)) {
			octet = b[i]
		}
		skip, drop := uint(max(f.at-i<<3, 0)), uint(max((i+1)<<3-end, 0)) // both below 8
		x = x<<(8-skip-drop) | uint64(octet<<skip>>skip>>drop)
	}
	return f.wrap(int64(x)) // its bits
}

// put writes the low bits of v to the field, which b must have.
func (f bitField) put(b []byte, v int64) {
	end := f.at + int64(f.width)
	for x, i := uint64(v), (end-1)>>3; i<<3+7 >= f.at; i-- { // its bits
		skip, drop := uint(max(f.at-i<<3, 0)), uint(max((i+1)<<3-end, 0)) // both below 8
		mask := byte(0xff) << skip >> skip >> drop << drop
		b[i] = b[i]&^mask | byte(x<<drop)&mask
		x >>= 8 - skip - drop
		if i == 0 {
			break
		}
	}
}

// wrap takes the low bits of v for a value of the field.
func (f bitField) wrap(v int64) int64 {
	if rest := 64 - f.width; f.signed {
		return v << rest >> rest
	} else {
		return int64(uint64(v) << rest >> rest) // an unsigned field has at most 63 bits
	}
}

// limits are the least and the largest value of the field.
func (f bitField) limits() (least, largest int64) {
	if f.signed {
		return math.MinInt64 >> (64 - f.width), math.MaxInt64 >> (64 - f.width)
	}
	return 0, 1<<f.width - 1
}

// overflow says what becomes of a value that a field cannot have.
type overflow uint8

const (
	overflowWrap overflow = iota // its low bits stay
	overflowSat                  // it becomes the nearest that the field can have
	overflowFail                 // the field stays as it is
)

// sum adds two integers, the first of which is a value of the field or the second
// 0. ok is false when the field stays as it is. The differences may wrap around,
// and what then counts as above or below is what Redis takes for it.
func (f bitField) sum(v, by int64, o overflow) (sum int64, ok bool) {
	least, largest := f.limits()
	up, down := largest-v, least-v
	var above, below bool
	if f.signed {
		above = v > largest || f.width < 64 && by > up || v >= 0 && by > 0 && by > up
		below = v < least || f.width < 64 && by < down || v < 0 && by < 0 && by < down
	} else {
		above = v < 0 || v > largest || by > 0 && by > up // as an unsigned number, v is large
		below = by < 0 && by < down
	}
	if !above && !below {
		return v + by, true
	}
	switch {
	case o == overflowFail:
		return 0, false
	case o == overflowWrap:
		return f.wrap(v + by), true
	case above:
		return largest, true
	}
	return least, true
}

// fieldOperation is one of a BITFIELD's.
type fieldOperation struct {
	bitField
	kind     byte // 'g', 's' or 'i': GET, SET, INCRBY
	value    int64
	overflow overflow
}

const errFieldType = "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is."

// parseField parses a type and an offset, or replies with what is wrong with them.
func (c *Ctx) parseField(typ, offset []byte) (f bitField, ok bool) {
	typ = clip(typ, len(typ))
	if len(typ) > 0 && (typ[0] == 'i' || typ[0] == 'u') {
		f.signed = typ[0] == 'i'
		n, isInt := parseInt(typ[1:])
		ok = isInt && n >= 1 && (n <= 63 || n == 64 && f.signed)
		f.width = uint(n)
	}
	if !ok {
		c.Out.Error(errFieldType)
		return f, false
	}
	if digits, counted := bytes.CutPrefix(offset, []byte("#")); counted {
		f.at, ok = c.unitOffset(digits, int64(f.width)) // at most 64
	} else {
		f.at, ok = c.bitOffset(offset)
	}
	return f, ok
}

// parseFieldOperations parses the operations of a BITFIELD, or replies with what
// is wrong with them.
func (c *Ctx) parseFieldOperations(args [][]byte) (ops []fieldOperation, ok bool) {
	how := overflowWrap
	for len(args) > 0 {
		op, taken := fieldOperation{overflow: how}, 3
		switch word, more := args[0], len(args)-1; {
		case is(word, "get") && more >= 2:
			op.kind = 'g'
		case is(word, "set") && more >= 3:
			op.kind, taken = 's', 4
		case is(word, "incrby") && more >= 3:
			op.kind, taken = 'i', 4
		case is(word, "overflow") && more >= 1:
			switch {
			case is(args[1], "wrap"):
				how = overflowWrap
			case is(args[1], "sat"):
				how = overflowSat
			case is(args[1], "fail"):
				how = overflowFail
			default:
				c.Out.Error("ERR Invalid OVERFLOW type specified")
				return nil, false
			}
			args = args[2:]
			continue
		default:
			c.Out.Error(errSyntax)
			return nil, false
		}
		if op.bitField, ok = c.parseField(args[1], args[2]); !ok {
			return nil, false
		}
		if op.kind != 'g' {
			if op.value, ok = c.intArg(args[3]); !ok {
				return nil, false
			}
			// Redis lets a field that begins at the end make the string longer than
			// any may be.
			if (op.at+int64(op.width)-1)>>3 >= maxString {
				c.Out.Error(errBitOffset)
				return nil, false
			}
		}
		ops, args = append(ops, op), args[taken:]
	}
	return ops, true
}

func bitfieldCommand(c *Ctx)   { c.bitfield(false) }
func bitfieldROCommand(c *Ctx) { c.bitfield(true) }

func (c *Ctx) bitfield(readOnly bool) {
	key := c.Args[1]
	ops, ok := c.parseFieldOperations(c.Args[2:])
	if !ok {
		return
	}
	last, writes := int64(0), false // last is the highest bit that is written
	for _, op := range ops {
		if op.kind != 'g' {
			last, writes = max(last, op.at+int64(op.width)-1), true
		}
	}
	if !writes {
		e, found, ok := c.typed(key, keyspace.String)
		if !ok {
			return
		}
		var b []byte
		if found {
			b = e.Bytes()
		}
		c.Out.Array(len(ops))
		for _, op := range ops {
			c.Out.Int(op.get(b))
		}
		return
	}
	if readOnly {
		c.Out.Error("ERR BITFIELD_RO only supports the GET subcommand")
		return
	}
	e, found, ok := c.typedWrite(key, keyspace.String)
	if !ok {
		return
	}
	grown := c.growBits(key, e, found, last)
	changes := 0
	c.Out.Array(len(ops))
	for _, op := range ops {
		if c.runFieldOperation(key, op, grown) {
			changes++
		}
	}
	switch {
	case changes > 0:
		c.ChangedN(key, eventSetBit, changes)
	case grown:
		// Redis tells nobody, but the string has become longer.
		var tmp [20]byte
		at := last >> 3
		b := c.stringBytes(key)[at]
		c.LogAs(verbSetRange, key, appendInt(tmp[:0], at), []byte{b})
	}
}

// runFieldOperation replies to an operation and tells whether it counts as a
// change, as all of them do that write to a string that has grown for them.
func (c *Ctx) runFieldOperation(key []byte, op fieldOperation, grown bool) (changed bool) {
	b := c.stringBytes(key)
	old := op.get(b)
	if op.kind == 'g' {
		c.Out.Int(old)
		return false
	}
	reply := old
	var v int64
	var ok bool
	if op.kind == 's' {
		v, ok = op.sum(op.value, 0, op.overflow)
	} else {
		v, ok = op.sum(old, op.value, op.overflow)
		reply = v
	}
	if !ok {
		c.Out.Null()
		return false
	}
	c.Out.Int(reply)
	if v != old {
		var tmp [9]byte
		first, last := op.at>>3, (op.at+int64(op.width)-1)>>3
		part := tmp[:copy(tmp[:], b[first:last+1])]
		op.at &= 7
		op.put(part, v)
		c.db(key).SetRange(key, int(first), part)
	}
	return grown || v != old
}
