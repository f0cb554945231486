package command

import (
	"bytes"

	"github.com/spillwaydb/spillway/core/keyspace"
)

var listHandlers = handlers{
	"lpush":     lpushCommand,
	"rpush":     rpushCommand,
	"lpushx":    lpushxCommand,
	"rpushx":    rpushxCommand,
	"lpop":      lpopCommand,
	"rpop":      rpopCommand,
	"llen":      llenCommand,
	"lrange":    lrangeCommand,
	"lindex":    lindexCommand,
	"lset":      lsetCommand,
	"linsert":   linsertCommand,
	"lrem":      lremCommand,
	"ltrim":     ltrimCommand,
	"lpos":      lposCommand,
	"lmove":     lmoveCommand,
	"rpoplpush": rpoplpushCommand,
	"lmpop":     lmpopCommand,
}

// listRead returns a list for reading. found is false when the key is missing,
// ok when it holds another type, which it has replied.
func (c *Ctx) listRead(key []byte) (l keyspace.ListRef, found, ok bool) {
	return read(c, key, keyspace.List, (*keyspace.DB).List)
}

// listWrite is listRead for a list about to be changed, which exists as soon
// as it has an element.
func (c *Ctx) listWrite(key []byte) (l keyspace.ListRef, found, ok bool) {
	return write(c, key, keyspace.List, (*keyspace.DB).List)
}

func lpushCommand(c *Ctx)  { c.push(true, false) }
func rpushCommand(c *Ctx)  { c.push(false, false) }
func lpushxCommand(c *Ctx) { c.push(true, true) }
func rpushxCommand(c *Ctx) { c.push(false, true) }

func (c *Ctx) push(front, onlyExisting bool) {
	l, found, ok := c.listWrite(c.Args[1])
	if !ok {
		return
	}
	if onlyExisting && !found {
		c.Out.Int(0)
		return
	}
	n := 0
	for _, v := range c.Args[2:] {
		if front {
			n = l.PushFront(v)
		} else {
			n = l.PushBack(v)
		}
	}
	c.ChangedN(c.Args[1], pushEvent(front), len(c.Args)-2)
	c.Out.Int(int64(n))
}

func lpopCommand(c *Ctx) { c.pop(true) }
func rpopCommand(c *Ctx) { c.pop(false) }

func (c *Ctx) pop(front bool) {
	if len(c.Args) > 3 {
		c.Out.Error(wrongArity(Lookup(c.Args[0])))
		return
	}
	count, ok := c.popCount()
	if !ok {
		return
	}
	l, found, ok := c.listWrite(c.Args[1])
	switch {
	case !ok:
	case !found && count >= 0:
		c.Out.NullArray()
	case !found:
		c.Out.Null()
	case count < 0:
		c.popOne(l, c.Args[1], front)
	case count == 0:
		c.Out.Array(0)
	default:
		c.popMany(l, c.Args[1], front, count)
	}
}

// popOne pops an element and replies with it.
func (c *Ctx) popOne(l keyspace.ListRef, key []byte, front bool) {
	c.Out.Bulk(takeEnd(l, front))
	c.Shrunk(key, popEvent(front), 1)
}

// popMany pops at most count elements and replies with an array of them.
func (c *Ctx) popMany(l keyspace.ListRef, key []byte, front bool, count int64) {
	n := int(min(count, int64(l.Len())))
	c.Out.Array(n)
	for range n {
		c.Out.Bulk(takeEnd(l, front))
	}
	c.Shrunk(key, popEvent(front), n)
}

func pushEvent(front bool) Event {
	if front {
		return eventLPush
	}
	return eventRPush
}

func popEvent(front bool) Event {
	if front {
		return eventLPop
	}
	return eventRPop
}

// takeEnd pops from a list that is not empty.
func takeEnd(l keyspace.ListRef, front bool) []byte {
	if front {
		v, _ := l.PopFront()
		return v
	}
	v, _ := l.PopBack()
	return v
}

func llenCommand(c *Ctx) {
	l, found, ok := c.listRead(c.Args[1])
	switch {
	case !ok:
	case found:
		c.Out.Int(int64(l.Len()))
	default:
		c.Out.Int(0)
	}
}

func lrangeCommand(c *Ctx) {
	start, ok := c.intArg(c.Args[2])
	if !ok {
		return
	}
	stop, ok := c.intArg(c.Args[3])
	if !ok {
		return
	}
	l, found, ok := c.listRead(c.Args[1])
	if !ok {
		return
	}
	from, to := 0, 0
	if found {
		from, to = span(start, stop, l.Len())
	}
	if c.detach(to-from, c.Args[1]) {
		return
	}
	c.Out.Array(to - from)
	if from == to {
		return
	}
	left := to - from
	l.Each(from, false, func(v []byte) bool {
		c.Out.Bulk(v)
		left--
		return left > 0
	})
}

// listIndex turns an index that may count from the end into a position, or
// tells that the list has none such.
func listIndex(l keyspace.ListRef, index int64) (int, bool) {
	n := int64(l.Len())
	if index < 0 {
		index += n
	}
	return int(index), index >= 0 && index < n
}

func lindexCommand(c *Ctx) {
	l, found, ok := c.listRead(c.Args[1])
	if !ok {
		return
	}
	if !found {
		c.Out.Null()
		return
	}
	index, ok := c.intArg(c.Args[2])
	if !ok {
		return
	}
	if i, ok := listIndex(l, index); ok {
		c.Out.Bulk(l.At(i))
	} else {
		c.Out.Null()
	}
}

func lsetCommand(c *Ctx) {
	l, found, ok := c.listWrite(c.Args[1])
	if !ok {
		return
	}
	if !found {
		c.Out.Error(errNoSuchKey)
		return
	}
	index, ok := c.intArg(c.Args[2])
	if !ok {
		return
	}
	i, ok := listIndex(l, index)
	if !ok {
		c.Out.Error("ERR index out of range")
		return
	}
	l.SetAt(i, c.Args[3])
	c.Changed(c.Args[1], eventLSet)
	c.Out.OK()
}

func linsertCommand(c *Ctx) {
	after := 0
	switch {
	case is(c.Args[2], "after"):
		after = 1
	case is(c.Args[2], "before"):
	default:
		c.Out.Error(errSyntax)
		return
	}
	l, found, ok := c.listWrite(c.Args[1])
	if !ok {
		return
	}
	if !found {
		c.Out.Int(0)
		return
	}
	pivot, i := -1, 0
	l.Each(0, false, func(v []byte) bool {
		if bytes.Equal(v, c.Args[3]) {
			pivot = i
		}
		i++
		return pivot < 0
	})
	if pivot < 0 {
		c.Out.Int(-1)
		return
	}
	l.InsertAt(pivot+after, c.Args[4])
	c.Changed(c.Args[1], eventLInsert)
	c.Out.Int(int64(l.Len()))
}

func lremCommand(c *Ctx) {
	count, ok := c.intArg(c.Args[2])
	if !ok {
		return
	}
	l, found, ok := c.listWrite(c.Args[1])
	if !ok {
		return
	}
	if !found {
		c.Out.Int(0)
		return
	}
	n := l.Remove(c.Args[3], int(count))
	if n > 0 {
		c.Shrunk(c.Args[1], eventLRem, n)
	}
	c.Out.Int(int64(n))
}

func ltrimCommand(c *Ctx) {
	start, ok := c.intArg(c.Args[2])
	if !ok {
		return
	}
	stop, ok := c.intArg(c.Args[3])
	if !ok {
		return
	}
	l, found, ok := c.listWrite(c.Args[1])
	if !ok {
		return
	}
	if found {
		n := l.Len()
		from, to := span(start, stop, n)
		switch {
		case from == to:
			c.db(c.Args[1]).Delete(c.Args[1])
		case to-from < n:
			l.Trim(from, to-1)
		}
		c.Shrunk(c.Args[1], eventLTrim, n-(to-from))
	}
	c.Out.OK()
}
