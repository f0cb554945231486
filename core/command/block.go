package command

// block is what a command waits for.
type block struct {
	keys     [][]byte // nil: nothing
	deadline int64
}

// Block has the command wait until something happens to one of the keys, which
// are keys of the command, or until deadline, in Unix milliseconds; 0 is never.
// The handler returns without a reply then. It is called again, and finds out by
// itself whether what it wants is there; the deadline of its first call counts.
//
// Block is false where waiting is out of the question: inside MULTI, in a script,
// while the log is applied, and when the deadline has passed. The handler then
// replies that there is nothing:
//
//	if v, ok := c.take(key); ok {
//		reply(v)
//	} else if !c.Block(keys, deadline) {
//		c.Out.NullArray()
//	}
func (c *Ctx) Block(keys [][]byte, deadline int64) bool {
	if !c.MayBlock || len(keys) == 0 {
		return false
	}
	c.block = block{keys, deadline}
	return true
}

// BlockedOn is what Block was called with. It is valid until Reset.
func (c *Ctx) BlockedOn() (keys [][]byte, deadline int64) { return c.block.keys, c.block.deadline }
