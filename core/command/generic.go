package command

import (
	"bytes"

	"github.com/spillwaydb/spillway/core/keyspace"
)

var genericHandlers = handlers{
	"del":      delCommand,
	"unlink":   unlinkCommand,
	"exists":   existsCommand,
	"type":     typeCommand,
	"touch":    touchCommand,
	"rename":   renameCommand,
	"renamenx": renamenxCommand,
	"copy":     copyCommand,
	"move":     moveCommand,
	"dump":     dumpCommand,
	"restore":  restoreCommand,

	"restore-asking": restoreCommand,
	"flushdb":        flushdbCommand,
	"flushall":       flushallCommand,
	"swapdb":         swapdbCommand,
}

// remove deletes a live key and counts the change.
func (c *Ctx) remove(key []byte) {
	c.db(key).Delete(key)
	c.Changed(key, eventDel)
}

func delCommand(c *Ctx) { c.removeAll(func(keyspace.Entry) {}) }

func unlinkCommand(c *Ctx) { c.removeAll(c.countUnlinked) }

// removeAll removes the keys that are the arguments and replies how many there were. It
// calls going for each that is.
func (c *Ctx) removeAll(going func(keyspace.Entry)) {
	n := int64(0)
	for _, key := range c.Args[1:] {
		if e, found := c.lookupWrite(key); found {
			going(e)
			c.remove(key)
			n++
		}
	}
	c.Out.Int(n)
}

func existsCommand(c *Ctx) {
	n := int64(0)
	for _, key := range c.Args[1:] {
		if _, found := c.peek(key); found {
			n++
		}
	}
	c.Out.Int(n)
}

func touchCommand(c *Ctx) {
	n := int64(0)
	for _, key := range c.Args[1:] {
		if e, found := c.peek(key); found {
			if !c.Replaying {
				e.Touch(c.Now) // CLIENT NO-TOUCH does not keep TOUCH from it
			}
			n++
		}
	}
	c.Out.Int(n)
}

func typeCommand(c *Ctx) {
	if e, found := c.peek(c.Args[1]); found {
		c.Out.SimpleString(e.Type().String())
	} else {
		c.Out.SimpleString("none")
	}
}

func renameCommand(c *Ctx) {
	if _, ok := c.rename(false); ok {
		c.Out.OK()
	}
}

func renamenxCommand(c *Ctx) {
	if moved, ok := c.rename(true); ok {
		c.replyBool(moved)
	}
}

// rename is RENAME and RENAMENX; ok is false when it has replied with an error.
func (c *Ctx) rename(nx bool) (moved, ok bool) {
	src, dst := c.Args[1], c.Args[2]
	if _, found := c.lookupWrite(src); !found {
		c.Out.Error(errNoSuchKey)
		return false, false
	}
	if bytes.Equal(src, dst) {
		return false, true
	}
	if _, found := c.lookupWrite(dst); found && nx {
		return false, true
	}
	c.db(src).Move(src, dst, c.db(dst))
	c.renewed(c.DB, dst)
	c.Changed(src, eventRenameFrom)
	c.ChangedN(dst, eventRenameTo, 0)
	return true, true
}

// dbArg parses the number of a database.
func (c *Ctx) dbArg(arg []byte) (int, bool) {
	n, ok := c.intArg(arg)
	if !ok {
		return 0, false
	}
	if n != int64(int32(n)) { // the comparison is the check
		c.Out.Error("ERR value is out of range, value must between -2147483648 and 2147483647")
		return 0, false
	}
	if n < 0 || n >= int64(c.KS.NumDatabases()) {
		c.Out.Error(errDBIndex)
		return 0, false
	}
	return int(n), true
}

func copyCommand(c *Ctx) {
	src, dst := c.Args[1], c.Args[2]
	to, replace := c.DB, false
	for i := 3; i < len(c.Args); i++ {
		switch {
		case is(c.Args[i], "replace"):
			replace = true
		case is(c.Args[i], "db") && i+1 < len(c.Args):
			i++
			var ok bool
			if to, ok = c.dbArg(c.Args[i]); !ok {
				return
			}
		default:
			c.Out.Error(errSyntax)
			return
		}
	}
	if c.Cluster && to != c.DB {
		c.Out.Error("ERR Copying to another database is not allowed in cluster mode")
		return
	}
	if to == c.DB && bytes.Equal(src, dst) {
		c.Out.Error(errSameKey)
		return
	}
	if _, found := c.lookup(src); !found {
		c.Out.Int(0)
		return
	}
	d := c.dbOf(to, dst)
	if _, found := c.find(d, to, dst); found && !replace {
		c.Out.Int(0)
		return
	}
	c.db(src).Copy(src, dst, d)
	c.renewed(to, dst)
	c.ChangedIn(to, dst, eventCopyTo, 1)
	c.Out.Int(1)
}

func moveCommand(c *Ctx) {
	if c.Cluster {
		c.Out.Error("ERR MOVE is not allowed in cluster mode")
		return
	}
	key := c.Args[1]
	to, ok := c.dbArg(c.Args[2])
	if !ok {
		return
	}
	if to == c.DB {
		c.Out.Error(errSameKey)
		return
	}
	if _, found := c.lookupWrite(key); !found {
		c.Out.Int(0)
		return
	}
	d := c.dbOf(to, key)
	if _, found := c.find(d, to, key); found {
		c.Out.Int(0)
		return
	}
	c.db(key).Move(key, key, d)
	c.Changed(key, eventMoveFrom)
	c.ChangedIn(to, key, eventMoveTo, 0)
	c.Out.Int(1)
}

// flushArgs accepts ASYNC or SYNC; both are as fast here, as the memory is
// given back in the background.
func (c *Ctx) flushArgs() bool {
	if len(c.Args) == 1 || len(c.Args) == 2 && (is(c.Args[1], "async") || is(c.Args[1], "sync")) {
		return true
	}
	c.Out.Error(errSyntax)
	return false
}

func flushdbCommand(c *Ctx) {
	if c.flushArgs() {
		c.Events.emptied(c.origin())
		c.countFlushed(c.DB)
		c.flush(c.DB)
		c.Out.OK()
	}
}

func flushallCommand(c *Ctx) {
	if c.flushArgs() {
		c.Events.emptied(c.origin())
		for n := range c.KS.NumDatabases() {
			c.countFlushed(n)
			c.flush(n)
		}
		c.Out.OK()
	}
}

// flush empties a database. All shards are locked.
func (c *Ctx) flush(n int) {
	c.Events.databaseChanges(n, func(shard int, key []byte) Exchange { return Exchange{Before: c.status(shard, n, key)} })
	for i := range c.KS.NumShards() {
		d := c.KS.Shard(i).DB(n)
		if keys := d.Len(); keys > 0 {
			c.dirty += int64(keys)
			d.Flush()
		}
	}
}

// status tells whether a key is there, and whether it is past its deadline.
func (c *Ctx) status(shard, n int, key []byte) keyspace.Status {
	_, status := c.KS.Shard(shard).DB(n).Get(key, c.Now)
	return status
}

func swapdbCommand(c *Ctx) {
	if c.Cluster {
		c.Out.Error("ERR SWAPDB is not allowed in cluster mode")
		return
	}
	var n [2]int
	for i, which := range [2]string{"first", "second"} {
		v, ok := parseInt(c.Args[i+1])
		if !ok || v != int64(int32(v)) { // the comparison is the check
			c.Out.Error("ERR invalid " + which + " DB index")
			return
		}
		n[i] = int(v)
	}
	for _, v := range n {
		if v < 0 || v >= c.KS.NumDatabases() {
			c.Out.Error(errDBIndex)
			return
		}
	}
	c.dirty++
	c.Out.OK()
	if n[0] == n[1] {
		return
	}
	for i, v := range n {
		c.Events.databaseChanges(v, func(shard int, key []byte) Exchange {
			return Exchange{c.status(shard, v, key), c.status(shard, n[1-i], key)}
		})
	}
	for i := range c.KS.NumShards() {
		c.KS.Shard(i).SwapDB(n[0], n[1])
	}
}
