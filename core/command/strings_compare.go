package command

import (
	"bytes"

	"github.com/zeebo/xxh3"

	"github.com/spillwaydb/spillway/core/keyspace"
)

// A string can be changed or removed on condition of what it is: SET, DELEX and DELIFEQ
// compare it with a value, or its digest with one that the client computed itself or got
// by DIGEST.

// comparison is one of the conditions.
type comparison struct {
	digest  bool // of the value
	differs bool // it holds for what is not the same
}

var (
	ifEQ  = &comparison{}
	ifNE  = &comparison{differs: true}
	ifDEQ = &comparison{digest: true}
	ifDNE = &comparison{digest: true, differs: true}
)

// comparisonNamed is the condition that an option stands for, nil for none.
func comparisonNamed(a []byte) *comparison {
	switch {
	case is(a, "ifeq"):
		return ifEQ
	case is(a, "ifne"):
		return ifNE
	case is(a, "ifdeq"):
		return ifDEQ
	case is(a, "ifdne"):
		return ifDNE
	}
	return nil
}

// holds tells whether a value is what the condition asks for.
func (o *comparison) holds(value, other []byte) bool {
	if o.digest {
		var text [digestLen]byte
		return bytes.EqualFold(appendDigest(text[:0], value), other) != o.differs
	}
	return bytes.Equal(value, other) != o.differs
}

// digestLen is how long a digest is as text.
const digestLen = 16

// appendDigest appends the digest of a value: XXH3 in 64 bits.
func appendDigest(dst, value []byte) []byte {
	const digits = "0123456789abcdef"
	sum := xxh3.Hash(value)
	for shift := 60; shift >= 0; shift -= 4 {
		dst = append(dst, digits[sum>>shift&15])
	}
	return dst
}

// validDigest tells whether what a digest is compared with can be one, or replies
// that it cannot. As in Redis nothing but the length counts.
func (c *Ctx) validDigest(o *comparison, other []byte) bool {
	if o.digest && len(other) != digestLen {
		c.Out.Error("ERR must be exactly 16 hexadecimal characters")
		return false
	}
	return true
}

// digestCommand is DIGEST of Redis 8.4.
func digestCommand(c *Ctx) {
	e, found, ok := c.typed(c.Args[1], keyspace.String)
	switch {
	case !ok:
	case !found:
		c.Out.Null()
	default:
		c.scratch = appendDigest(c.scratch[:0], e.Bytes())
		c.Out.Bulk(c.scratch)
	}
}

// delexCommand is DELEX of Redis 8.4. What is wrong with a condition is told only where
// there is a string to be compared, as in Redis.
func delexCommand(c *Ctx) {
	key := c.Args[1]
	if n := len(c.Args); n != 2 && n != 4 {
		c.Out.Error("ERR wrong number of arguments for 'delex' command")
		return
	}
	e, found := c.lookupWrite(key)
	if !found {
		c.Out.Int(0)
		return
	}
	if len(c.Args) == 4 {
		condition := comparisonNamed(c.Args[2])
		switch {
		case e.Type() != keyspace.String:
			c.Out.Error("ERR Key should be of string type if conditions are specified")
			return
		case condition == nil:
			c.Out.Error("ERR Invalid condition. Use IFEQ, IFNE, IFDEQ, or IFDNE")
			return
		case !c.validDigest(condition, c.Args[3]):
			return
		case !condition.holds(e.Bytes(), c.Args[3]):
			c.Out.Int(0)
			return
		}
	}
	c.remove(key)
	c.LogAs(verbDel, key)
	c.Out.Int(1)
}

// delifeqCommand is DELIFEQ of Valkey 9.
func delifeqCommand(c *Ctx) {
	e, found, ok := c.typedWrite(c.Args[1], keyspace.String)
	if !ok {
		return
	}
	same := found && ifEQ.holds(e.Bytes(), c.Args[2])
	if same {
		c.remove(c.Args[1])
		c.LogAs(verbDel, c.Args[1])
	}
	c.replyBool(same)
}
