package command

import "github.com/spillwaydb/spillway/core/keyspace"

// blockingHandlers are the commands that wait for an element where there is none.
// With one they do what LPOP, RPOP, LMOVE and so on do, and are logged as those.
var blockingHandlers = handlers{
	"blpop":      func(c *Ctx) { c.blpop(true) },
	"brpop":      func(c *Ctx) { c.blpop(false) },
	"blmpop":     blmpopCommand,
	"blmove":     blmoveCommand,
	"brpoplpush": brpoplpushCommand,
	"bzpopmin":   func(c *Ctx) { c.bzpop(false) },
	"bzpopmax":   func(c *Ctx) { c.bzpop(true) },
	"bzmpop":     bzmpopCommand,
	"wait":       waitCommand,
	"waitaof":    waitAOF,
}

// keysThenTimeout are the arguments of BLPOP and its like.
func (c *Ctx) keysThenTimeout() (keys [][]byte, deadline int64, ok bool) {
	last := len(c.Args) - 1
	deadline, ok = c.secondsArg(c.Args[last])
	return c.Args[1:last], deadline, ok
}

func (c *Ctx) blpop(front bool) {
	keys, deadline, ok := c.keysThenTimeout()
	if !ok {
		return
	}
	c.fromFirst(keys, keyspace.List, deadline, func(key []byte) {
		c.Out.Array(2)
		c.Out.Bulk(key)
		c.popOne(c.db(key).List(key), key, front)
		c.LogAs(popVerb(front), key)
	})
}

func (c *Ctx) bzpop(fromMax bool) {
	keys, deadline, ok := c.keysThenTimeout()
	if !ok {
		return
	}
	c.fromFirst(keys, keyspace.ZSet, deadline, func(key []byte) {
		popped := c.popScored(c.db(key).ZSet(key), key, fromMax, 1)
		c.Out.Array(3)
		c.Out.Bulk(key)
		c.Out.Bulk(popped.at(0))
		c.Out.Double(popped.scores[0])
		c.LogAs(zpopVerb(fromMax), key)
	})
}

func blmpopCommand(c *Ctx) {
	m, ok := c.multiPop(c.Args[2:])
	if !ok {
		return
	}
	deadline, ok := c.secondsArg(c.Args[1])
	if !ok {
		return
	}
	c.fromFirst(m.keys, keyspace.List, deadline, func(key []byte) {
		c.popWithKey(c.db(key).List(key), key, m.front, m.count)
	})
}

func bzmpopCommand(c *Ctx) {
	m, ok := c.multiZPop(c.Args[2:])
	if !ok {
		return
	}
	deadline, ok := c.secondsArg(c.Args[1])
	if !ok {
		return
	}
	c.fromFirst(m.keys, keyspace.ZSet, deadline, func(key []byte) {
		c.zpopWithKey(c.db(key).ZSet(key), key, m.fromMax, m.count)
	})
}

// fromFirst takes from the first of the keys that is there, or waits for one.
func (c *Ctx) fromFirst(keys [][]byte, t keyspace.Type, deadline int64, take func(key []byte)) {
	for _, key := range keys {
		if !c.Concerns(key) {
			continue
		}
		found, ok := c.blocksOn(key, t)
		if !ok {
			return
		}
		if found {
			take(key)
			return
		}
	}
	if !c.Block(keys, deadline) {
		c.Out.NullArray()
	}
}

func blmoveCommand(c *Ctx) {
	from, ok := c.listEnd(c.Args[3])
	if !ok {
		return
	}
	to, ok := c.listEnd(c.Args[4])
	if !ok {
		return
	}
	deadline, ok := c.secondsArg(c.Args[5])
	if ok && c.awaitSource(deadline) && c.moveElement(from, to) {
		c.LogAs(verbLMove, c.Args[1], c.Args[2], c.Args[3], c.Args[4])
	}
}

func brpoplpushCommand(c *Ctx) {
	deadline, ok := c.secondsArg(c.Args[3])
	if ok && c.awaitSource(deadline) && c.moveElement(false, true) {
		c.LogAs(verbRPopLPush, c.Args[1], c.Args[2])
	}
}

// awaitSource tells whether there is an element to move, and waits for one if not.
func (c *Ctx) awaitSource(deadline int64) bool {
	found, ok := c.blocksOn(c.Args[1], keyspace.List)
	if !ok || found {
		return ok
	}
	if !c.Block(c.Args[1:2], deadline) {
		c.Out.Null()
	}
	return false
}
