package command

import (
	"encoding/binary"
	"math/bits"

	"github.com/spillwaydb/spillway/core/keyspace"
)

var bitmapHandlers = handlers{
	"setbit":      setbitCommand,
	"getbit":      getbitCommand,
	"bitcount":    bitcountCommand,
	"bitpos":      bitposCommand,
	"bitop":       bitopCommand,
	"bitfield":    bitfieldCommand,
	"bitfield_ro": bitfieldROCommand,
}

// The bits of a string are numbered from its first byte on, and within a byte from
// the most significant bit on.

const errBitOffset = "ERR bit offset is not an integer or out of range"

// bitOffset parses the number of a bit that a string can have, or replies that it
// is none.
func (c *Ctx) bitOffset(arg []byte) (int64, bool) {
	return c.unitOffset(arg, 1)
}

// unitOffset is bitOffset for a number of units of width bits.
func (c *Ctx) unitOffset(arg []byte, width int64) (int64, bool) {
	n, ok := parseInt(arg)
	n *= width // what overflows is judged as what it became, as in Redis
	if !ok || n < 0 || n>>3 >= maxString {
		c.Out.Error(errBitOffset)
		return 0, false
	}
	return n, true
}

// growBits makes the string at a key, which a handler has found with typedWrite,
// long enough for a bit, and tells whether it was not. The string is one that
// grows from then on, as in Redis.
func (c *Ctx) growBits(key []byte, e keyspace.Entry, found bool, bit int64) (grown bool) {
	at := int(bit >> 3)
	if !found || at >= len(e.Bytes()) {
		c.db(key).SetRange(key, at, []byte{0})
		return true
	}
	c.makeRaw(key, e)
	return false
}

// makeRaw makes a string one that grows, which it is for Redis as soon as a command
// may change bytes of it.
func (c *Ctx) makeRaw(key []byte, e keyspace.Entry) {
	if e.Encoding() != "raw" {
		c.db(key).SetRange(key, 0, nil)
	}
}

// stringBytes is the value of a string that is there.
func (c *Ctx) stringBytes(key []byte) []byte {
	e, _ := c.db(key).Get(key, 0)
	return e.Bytes()
}

func setbitCommand(c *Ctx) {
	key := c.Args[1]
	bit, ok := c.bitOffset(c.Args[2])
	if !ok {
		return
	}
	on, ok := parseInt(c.Args[3])
	if !ok || on != 0 && on != 1 {
		c.Out.Error("ERR bit is not an integer or out of range")
		return
	}
	e, found, ok := c.typedWrite(key, keyspace.String)
	if !ok {
		return
	}
	grown := c.growBits(key, e, found, bit)
	at, shift := int(bit>>3), 7-bit&7
	old := c.stringBytes(key)[at]
	was := int64(old >> shift & 1)
	if grown || was != on {
		if was != on {
			c.db(key).SetRange(key, at, []byte{old ^ 1<<shift})
		}
		c.Changed(key, eventSetBit)
	}
	c.Out.Int(was)
}

func getbitCommand(c *Ctx) {
	bit, ok := c.bitOffset(c.Args[2])
	if !ok {
		return
	}
	e, found, ok := c.typed(c.Args[1], keyspace.String)
	if !ok {
		return
	}
	on := false
	if found {
		b := e.Bytes()
		on = bit>>3 < int64(len(b)) && b[bit>>3]>>(7-bit&7)&1 == 1
	}
	c.replyBool(on)
}

// bitRange are the arguments of BITCOUNT and BITPOS that limit it to a part of the
// string.
type bitRange struct {
	start, end int64
	ended      bool // an end was given
	byBit      bool // start and end are bits, not bytes
}

// parseUnit parses BYTE or BIT, or replies that it is neither.
func (c *Ctx) parseUnit(arg []byte) (byBit, ok bool) {
	byBit = is(arg, "bit")
	if !byBit && !is(arg, "byte") {
		c.Out.Error(errSyntax)
		return false, false
	}
	return byBit, true
}

// within turns the range into bits [from, to) of a string of n bytes; none when it
// is empty.
func (r *bitRange) within(n int) (from, to int64) {
	total, unit := int64(n), int64(8)
	if r.byBit {
		total, unit = total*8, 1
	}
	start, end := r.start, r.end
	if !r.ended {
		end = total - 1
	}
	if start < 0 {
		start = max(start+total, 0)
	}
	if end < 0 {
		end = max(end+total, 0)
	}
	end = min(end, total-1)
	if start > end {
		return 0, 0
	}
	return start * unit, (end + 1) * unit
}

func bitcountCommand(c *Ctx) {
	e, found, ok := c.typed(c.Args[1], keyspace.String)
	if !ok {
		return
	}
	if !found {
		c.Out.Int(0)
		return
	}
	var r bitRange
	switch len(c.Args) {
	case 2:
	case 4, 5:
		if r.start, ok = c.intArg(c.Args[2]); !ok {
			return
		}
		if r.end, ok = c.intArg(c.Args[3]); !ok {
			return
		}
		r.ended = true
		if r.start < 0 && r.end < 0 && r.start > r.end {
			c.Out.Int(0)
			return
		}
		if len(c.Args) == 5 {
			if r.byBit, ok = c.parseUnit(c.Args[4]); !ok {
				return
			}
		}
	default:
		c.Out.Error(errSyntax)
		return
	}
	b := e.Bytes()
	from, to := r.within(len(b))
	c.Out.Int(countBits(b, from, to))
}

// countBits counts the ones among the bits [from, to) of b.
func countBits(b []byte, from, to int64) int64 {
	if from >= to {
		return 0
	}
	first, last := from>>3, (to-1)>>3
	head, tail := byte(0xff)>>(from&7), byte(0xff)<<(7-(to-1)&7)
	if first == last {
		return int64(bits.OnesCount8(b[first] & head & tail))
	}
	n := bits.OnesCount8(b[first]&head) + bits.OnesCount8(b[last]&tail)
	rest := b[first+1 : last]
	for ; len(rest) >= 8; rest = rest[8:] {
		n += bits.OnesCount64(binary.NativeEndian.Uint64(rest))
	}
	for _, x := range rest {
		n += bits.OnesCount8(x)
	}
	return int64(n)
}

func bitposCommand(c *Ctx) {
	want, ok := c.intArg(c.Args[2])
	if !ok {
		return
	}
	if want != 0 && want != 1 {
		c.Out.Error("ERR The bit argument must be 1 or 0.")
		return
	}
	e, found, ok := c.typed(c.Args[1], keyspace.String)
	if !ok {
		return
	}
	if !found {
		c.Out.Int(-want)
		return
	}
	r, ok := c.positionRange()
	if !ok {
		return
	}
	b := e.Bytes()
	from, to := r.within(len(b))
	if from >= to {
		c.Out.Int(-1)
		return
	}
	at := findBit(b, want == 1, from, to)
	if at < 0 && want == 0 && !r.ended {
		at = to // behind the string there are zeros
	}
	c.Out.Int(at)
}

// positionRange parses the "[start [end [BYTE|BIT]]]" of BITPOS, or replies with
// what is wrong with it. The unit is looked at before the end, as in Redis.
func (c *Ctx) positionRange() (r bitRange, ok bool) {
	n := len(c.Args)
	if n == 3 {
		return r, true
	}
	if n > 6 {
		c.Out.Error(errSyntax)
		return r, false
	}
	if r.start, ok = c.intArg(c.Args[3]); !ok {
		return r, false
	}
	if n == 6 {
		if r.byBit, ok = c.parseUnit(c.Args[5]); !ok {
			return r, false
		}
	}
	if n > 4 {
		r.ended = true
		r.end, ok = c.intArg(c.Args[4])
	}
	return r, ok
}

// findBit returns the first of the bits [from, to) of b that is on, or off; -1
// when none is.
func findBit(b []byte, on bool, from, to int64) int64 {
	flip := byte(0xff) // makes what is looked for a one
	if on {
		flip = 0
	}
	at := from >> 3
	if x := (b[at] ^ flip) & (0xff >> (from & 7)); x == 0 {
		at++
		end := (to + 7) >> 3
		for skip := uint64(flip) * 0x0101010101010101; at+8 <= end && binary.NativeEndian.Uint64(b[at:]) == skip; {
			at += 8
		}
		for at < end && b[at] == flip {
			at++
		}
		if at == end {
			return -1
		}
		from = at << 3
	}
	x := b[at] ^ flip
	if at == from>>3 {
		x &= 0xff >> (from & 7)
	}
	pos := at<<3 + int64(bits.LeadingZeros8(x))
	if pos >= to {
		return -1
	}
	return pos
}
