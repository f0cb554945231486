package command

import "github.com/spillwaydb/spillway/core/keyspace"

// popScored takes at most count members off one end of a sorted set that is
// not empty.
func (c *Ctx) popScored(z keyspace.ZSetRef, key []byte, fromMax bool, count int64) *members {
	k := int(min(count, int64(z.Len())))
	popped := new(members)
	for range k {
		popped.addScored(z.Pop(fromMax))
	}
	c.Shrunk(key, zpopEvent(fromMax), k)
	return popped
}

func zpopEvent(fromMax bool) Event {
	if fromMax {
		return eventZPopMax
	}
	return eventZPopMin
}

func zpopminCommand(c *Ctx) { c.zpop(false) }
func zpopmaxCommand(c *Ctx) { c.zpop(true) }

func (c *Ctx) zpop(fromMax bool) {
	if len(c.Args) > 3 {
		c.Out.Error(errSyntax)
		return
	}
	count, ok := c.popCount()
	if !ok {
		return
	}
	z, found, ok := c.zsetWrite(c.Args[1])
	if !ok {
		return
	}
	if !found || count == 0 {
		c.Out.Array(0)
		return
	}
	if count < 0 {
		member, score := z.Pop(fromMax)
		c.Out.Array(2) // one member without a count is not a pair of its own
		c.Out.Bulk(member)
		c.Out.Double(score)
		c.Shrunk(c.Args[1], zpopEvent(fromMax), 1)
		return
	}
	popped := c.popScored(z, c.Args[1], fromMax, count)
	c.openPairs(int64(popped.len()), true)
	for i := range popped.len() {
		c.replyPair(popped.at(i), popped.scores[i], true)
	}
}

// multiZPop is what ZMPOP and BZMPOP are to pop.
type multiZPop struct {
	keys    [][]byte
	fromMax bool
	count   int64
}

// multiZPop parses "numkeys key [key …] MIN|MAX [COUNT n]", or replies with what is
// wrong with it.
func (c *Ctx) multiZPop(args [][]byte) (m multiZPop, ok bool) {
	var rest [][]byte
	if m.keys, rest, ok = c.countedKeys(args); !ok {
		return m, false
	}
	switch {
	case is(rest[0], "min"):
	case is(rest[0], "max"):
		m.fromMax = true
	default:
		c.Out.Error(errSyntax)
		return m, false
	}
	m.count, ok = c.countOption(rest[1:])
	return m, ok
}

// zpopWithKey pops at most count members of a sorted set that is not empty, and
// replies with its key and an array of them.
func (c *Ctx) zpopWithKey(z keyspace.ZSetRef, key []byte, fromMax bool, count int64) {
	popped := c.popScored(z, key, fromMax, count)
	c.Out.Array(2)
	c.Out.Bulk(key)
	c.Out.Array(popped.len())
	for i := range popped.len() {
		c.Out.Array(2)
		c.Out.Bulk(popped.at(i))
		c.Out.Double(popped.scores[i])
	}
	var tmp [20]byte
	c.LogAs(zpopVerb(fromMax), key, appendInt(tmp[:0], int64(popped.len())))
}

func zpopVerb(fromMax bool) []byte {
	if fromMax {
		return verbZPopMax
	}
	return verbZPopMin
}

func zmpopCommand(c *Ctx) {
	m, ok := c.multiZPop(c.Args[1:])
	if !ok {
		return
	}
	for _, key := range m.keys {
		z, found, ok := c.zsetWrite(key)
		if !ok {
			return
		}
		if found {
			c.zpopWithKey(z, key, m.fromMax, m.count)
			return
		}
	}
	c.Out.NullArray()
}
