package command

import (
	"bytes"
	"math"
	"math/big"

	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/resp"
)

// block is what a command waits for.
type block struct {
	waits    bool
	keys     [][]byte
	deadline int64
	retry    int64
	nothing  func(out *resp.Writer)
	begin    func()
}

// Block has the command wait until something happens to one of the keys, which
// are keys of the command, or until deadline, in Unix milliseconds; 0 is never.
// The handler returns without a reply then. Where the deadline passes first, the
// reply is a null array.
//
// When something has happened to one of the keys, the handler is called again, by
// whoever made it happen and before any other command is executed. Served is that
// key then, and the handler looks at no other of those that it waits for. It finds
// out by itself whether what it wants is there, and calls Block again if it is not;
// the keys and the deadline of its first call count.
//
// Block is false where waiting is out of the question: inside MULTI, in a script,
// and while the log is applied. The handler then replies that there is nothing:
//
//	for _, key := range keys {
//		if !c.Concerns(key) {
//			continue
//		}
//		if v, ok := c.take(key); ok {
//			reply(v)
//			return
//		}
//	}
//	if !c.Block(keys, deadline) {
//		c.Out.NullArray()
//	}
func (c *Ctx) Block(keys [][]byte, deadline int64) bool {
	if !c.MayBlock || len(keys) == 0 {
		return false
	}
	c.block = block{waits: true, keys: keys, deadline: deadline, nothing: (*resp.Writer).NullArray}
	return true
}

// BlockUntil is Block for a command that waits for no key: it replies with nothing
// once the deadline has passed.
func (c *Ctx) BlockUntil(deadline int64, nothing func(out *resp.Writer)) bool {
	if !c.MayBlock {
		return false
	}
	c.block = block{waits: true, deadline: deadline, nothing: nothing}
	return true
}

// BlockWhile is BlockUntil for a command that begins something whose end ends its
// waiting (Client.UnblockClient and the like): begin is called once the command waits.
func (c *Ctx) BlockWhile(deadline int64, begin func(), nothing func(out *resp.Writer)) bool {
	if !c.BlockUntil(deadline, nothing) {
		return false
	}
	c.block.begin = begin
	return true
}

// Begin is what BlockWhile was called with, nil for nothing.
func (c *Ctx) Begin() func() { return c.block.begin }

// Retry has a command that has called Block be called again at a time, in Unix
// milliseconds, though nothing has happened to its keys: what it waits for comes by
// itself then. It is called for each of the keys in turn, as Block says.
func (c *Ctx) Retry(at int64) { c.block.retry = at }

// RetryAt is what Retry was called with since Block was, 0 if it was not.
func (c *Ctx) RetryAt() int64 { return c.block.retry }

// BlockedOn is what Block or BlockUntil was called with. It is valid until Reset.
func (c *Ctx) BlockedOn() (keys [][]byte, deadline int64, nothing func(out *resp.Writer)) {
	return c.block.keys, c.block.deadline, c.block.nothing
}

// Concerns tells whether a command that may block looks at one of the keys that it
// waits for: at all of them when it is called for the first time, and then at Served.
func (c *Ctx) Concerns(key []byte) bool { return c.Served == nil || bytes.Equal(key, c.Served) }

// blocksOn tells whether a key that the command may wait for is there. One of another
// type is an error, which it replies; but a command that waits already takes no
// notice of it.
func (c *Ctx) blocksOn(key []byte, t keyspace.Type) (found, ok bool) {
	e, found := c.lookupWrite(key)
	if found && c.Served != nil && e.Type() != t {
		return false, true
	}
	_, found, ok = c.checkType(e, found, t)
	return found, ok
}

// The timeouts of commands that block.
const (
	errTimeoutNegative = "ERR timeout is negative"
	errTimeoutFloat    = "ERR timeout is not a float or out of range"
	errTimeoutInt      = "ERR timeout is not an integer or out of range"
)

// secondsArg parses a timeout in seconds, and returns the deadline that it
// means, 0 for none. A part of a millisecond is one.
func (c *Ctx) secondsArg(arg []byte) (deadline int64, ok bool) {
	seconds, inf, ok := parseLongDouble(arg)
	if !ok {
		c.Out.Error(errTimeoutFloat)
		return 0, false
	}
	if !inf {
		seconds.Mul(seconds, big.NewFloat(1000))
	}
	if inf || seconds.Cmp(big.NewFloat(-1)) <= 0 || seconds.MantExp(nil) > 63 {
		c.Out.Error(errTimeoutNegative) // what does not fit becomes negative in Redis
		return 0, false
	}
	ms, rounded := seconds.Int64()
	if rounded == big.Below && ms < math.MaxInt64 {
		ms++
	}
	return c.after(ms), true
}

// millisecondsArg is secondsArg for a timeout in whole milliseconds.
func (c *Ctx) millisecondsArg(arg []byte) (deadline int64, ok bool) {
	ms, ok := parseInt(arg)
	if !ok {
		c.Out.Error(errTimeoutInt)
		return 0, false
	}
	if ms < 0 {
		c.Out.Error(errTimeoutNegative)
		return 0, false
	}
	return c.after(ms), true
}

// after is the deadline in so many milliseconds, 0 for none.
func (c *Ctx) after(ms int64) int64 {
	switch {
	case ms == 0:
		return 0
	case ms > math.MaxInt64-c.Now:
		return math.MaxInt64
	}
	return c.Now + ms
}
