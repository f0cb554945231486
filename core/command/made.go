package command

import "github.com/spillwaydb/spillway/core/keyspace"

// What a STORE command makes of large collections is made aside. Its handler is called
// three times then:
//
//  1. under the locks, where it has copies made of its operands (detachToStore);
//  2. without locks, where it makes the result of the copies (result);
//  3. under the locks, where it puts the result in its place, which takes constant time
//     (takeMade), if the operands are still what they were. If not it begins
//     again, under the locks.
//
// So others see what they would if it had been done at once, the third time. Not in a
// transaction or a script, and not in a replay. What is logged in place of the command is
// put together the second time, and logged the third, which takes as long as that is.

// detachToStore is detach for a command that stores what it makes of n elements.
func (c *Ctx) detachToStore(n int, keys ...[]byte) bool {
	if c.made != nil || !c.detach(n, keys...) {
		return false
	}
	c.made = c.KS.Detach(nil)
	return true
}

// detachFor is detachToStore for a command that stores to dst, and detach for one that
// replies, which has none.
func (c *Ctx) detachFor(dst []byte, n int, keys ...[]byte) bool {
	if dst == nil {
		return c.detach(n, keys...)
	}
	return c.detachToStore(n, keys...)
}

// result is where the handler puts its result, nil where it has to do all under the
// locks, or the third part.
func (c *Ctx) result() *keyspace.DB {
	if c.detached == nil {
		return nil
	}
	return c.made
}

// takeMade returns the result that was made of the keys, nil if there is none, or none any more.
func (c *Ctx) takeMade(keys ...[]byte) *keyspace.DB {
	if c.made == nil || c.detached != nil || c.gaveUp {
		return nil
	}
	for _, key := range keys {
		if !c.db(key).Unchanged(key, c.madeOf) {
			return nil
		}
	}
	return c.made
}

// putMade has dst hold the set or sorted set, of type t, that was made of the keys, and
// replies with its size. It is false, and has done nothing, when takeMade returns none.
func (c *Ctx) putMade(dst []byte, t keyspace.Type, keys [][]byte, ev Event) bool {
	n, replaced, ok := c.moveMade(dst, t, keys)
	if !ok {
		return false
	}
	c.stored(dst, replaced, n, ev)
	c.Out.Int(int64(n))
	return true
}

// moveMade has dst hold what was made, of so many elements, and tells whether there was
// something else.
func (c *Ctx) moveMade(dst []byte, t keyspace.Type, keys [][]byte) (n int, replaced, ok bool) {
	made := c.takeMade(keys...)
	if made == nil {
		return 0, false, false
	}
	replaced = c.makeRoom(dst)
	made.Copy(dst, dst, c.db(dst))
	return c.db(dst).Size(dst, t), replaced, true
}

// putMadeLogged is putMade for a result, a list or a sorted set, of which the second
// part has logged the removal of dst and then the elements: that is logged for it.
func (c *Ctx) putMadeLogged(dst []byte, t keyspace.Type, keys [][]byte, ev Event) bool {
	n, replaced, ok := c.moveMade(dst, t, keys)
	if !ok {
		return false
	}
	switch {
	case n > 0:
		c.ChangedN(dst, ev, n)
		c.logMade()
	case replaced:
		c.LogAs(verbDel, dst)
		c.Changed(dst, eventDel)
	}
	c.Out.Int(int64(n))
	return true
}

// storeLogged has dst hold the n elements that fill adds, of a command that is not
// logged itself: what log logs adds them again. It replies with their number, unless
// this is the second part, which only makes the result.
func (c *Ctx) storeLogged(dst []byte, n int, ev Event, fill func(*keyspace.DB), log func()) {
	if aside := c.result(); aside != nil {
		fill(aside)
		c.LogAs(verbDel, dst)
		log()
		return
	}
	replaced := c.makeRoom(dst)
	if replaced {
		c.LogAs(verbDel, dst)
	}
	fill(c.db(dst))
	switch {
	case n > 0:
		c.ChangedN(dst, ev, n)
		log()
	case replaced:
		c.Changed(dst, eventDel)
	}
	c.Out.Int(int64(n))
}

// giveUpMade says that there is no result: the third part does all again.
func (c *Ctx) giveUpMade() { c.gaveUp = true }

// keepMade keeps what the second part has made, and logged, for the third.
func (c *Ctx) keepMade() {
	c.madeOf, c.madeLog = c.detached, c.logged
	c.logged = logged{}
}

// logMade logs what the second part has logged.
func (c *Ctx) logMade() {
	c.explicit = true
	if len(c.effects) == 0 {
		c.logged, c.madeLog = c.madeLog, logged{}
		return
	}
	first, from := len(c.ends), len(c.bytes)
	c.bytes = append(c.bytes, c.madeLog.bytes...)
	for _, end := range c.madeLog.ends {
		c.ends = append(c.ends, from+end)
	}
	for _, e := range c.madeLog.effects {
		c.effects = append(c.effects, effect{e.db, first + e.end})
	}
}

// Made tells whether the command has made its result without locks, and is to be
// called again under them. EndMade follows.
func (c *Ctx) Made() bool { return c.made != nil && c.detached == nil }

// EndMade gives up what was made without locks.
func (c *Ctx) EndMade() {
	c.made.Close()
	c.madeOf.Close()
	c.made, c.madeOf, c.madeLog, c.gaveUp = nil, nil, logged{}, false
}
