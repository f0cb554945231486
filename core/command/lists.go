package command

import (
	"bytes"

	"github.com/spillwaydb/spillway/core/keyspace"
)

var listCommands = []*Command{
	{
		Name: "lpush", Arity: -3, Flags: Write | DenyOOM | Fast, First: 1, Last: 1, Step: 1, Handler: lpushCommand,
		ACLCats: "list", Group: listGroup, Since: "1.0.0", Complexity: "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments.",
		Summary: "Prepend one or multiple elements to a list",
	},
	{
		Name: "rpush", Arity: -3, Flags: Write | DenyOOM | Fast, First: 1, Last: 1, Step: 1, Handler: rpushCommand,
		ACLCats: "list", Group: listGroup, Since: "1.0.0", Complexity: "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments.",
		Summary: "Append one or multiple elements to a list",
	},
	{
		Name: "lpushx", Arity: -3, Flags: Write | DenyOOM | Fast, First: 1, Last: 1, Step: 1, Handler: lpushxCommand,
		ACLCats: "list", Group: listGroup, Since: "2.2.0", Complexity: "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments.",
		Summary: "Prepend an element to a list, only if the list exists",
	},
	{
		Name: "rpushx", Arity: -3, Flags: Write | DenyOOM | Fast, First: 1, Last: 1, Step: 1, Handler: rpushxCommand,
		ACLCats: "list", Group: listGroup, Since: "2.2.0", Complexity: "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments.",
		Summary: "Append an element to a list, only if the list exists",
	},
	{
		Name: "lpop", Arity: -2, Flags: Write | Fast, First: 1, Last: 1, Step: 1, Handler: lpopCommand,
		ACLCats: "list", Group: listGroup, Since: "1.0.0", Complexity: "O(N) where N is the number of elements returned",
		Summary: "Remove and get the first elements in a list",
	},
	{
		Name: "rpop", Arity: -2, Flags: Write | Fast, First: 1, Last: 1, Step: 1, Handler: rpopCommand,
		ACLCats: "list", Group: listGroup, Since: "1.0.0", Complexity: "O(N) where N is the number of elements returned",
		Summary: "Remove and get the last elements in a list",
	},
	{
		Name: "llen", Arity: 2, Flags: ReadOnly | Fast, First: 1, Last: 1, Step: 1, Handler: llenCommand,
		ACLCats: "list", Group: listGroup, Since: "1.0.0", Complexity: o1,
		Summary: "Get the length of a list",
	},
	{
		Name: "lrange", Arity: 4, Flags: ReadOnly, First: 1, Last: 1, Step: 1, Handler: lrangeCommand,
		ACLCats: "list", Group: listGroup, Since: "1.0.0", Complexity: "O(S+N) where S is the distance of start offset from HEAD for small lists, from nearest end (HEAD or TAIL) for large lists; and N is the number of elements in the specified range.",
		Summary: "Get a range of elements from a list",
	},
	{
		Name: "lindex", Arity: 3, Flags: ReadOnly, First: 1, Last: 1, Step: 1, Handler: lindexCommand,
		ACLCats: "list", Group: listGroup, Since: "1.0.0", Complexity: "O(N) where N is the number of elements to traverse to get to the element at index. This makes asking for the first or the last element of the list O(1).",
		Summary: "Get an element from a list by its index",
	},
	{
		Name: "lset", Arity: 4, Flags: Write | DenyOOM, First: 1, Last: 1, Step: 1, Handler: lsetCommand,
		ACLCats: "list", Group: listGroup, Since: "1.0.0", Complexity: "O(N) where N is the length of the list. Setting either the first or the last element of the list is O(1).",
		Summary: "Set the value of an element in a list by its index",
	},
	{
		Name: "linsert", Arity: 5, Flags: Write | DenyOOM, First: 1, Last: 1, Step: 1, Handler: linsertCommand,
		ACLCats: "list", Group: listGroup, Since: "2.2.0", Complexity: "O(N) where N is the number of elements to traverse before seeing the value pivot. This means that inserting somewhere on the left end on the list (head) can be considered O(1) and inserting somewhere on the right end (tail) is O(N).",
		Summary: "Insert an element before or after another element in a list",
	},
	{
		Name: "lrem", Arity: 4, Flags: Write, First: 1, Last: 1, Step: 1, Handler: lremCommand,
		ACLCats: "list", Group: listGroup, Since: "1.0.0", Complexity: "O(N+M) where N is the length of the list and M is the number of elements removed.",
		Summary: "Remove elements from a list",
	},
	{
		Name: "ltrim", Arity: 4, Flags: Write, First: 1, Last: 1, Step: 1, Handler: ltrimCommand,
		ACLCats: "list", Group: listGroup, Since: "1.0.0", Complexity: "O(N) where N is the number of elements to be removed by the operation.",
		Summary: "Trim a list to the specified range",
	},
	{
		Name: "lpos", Arity: -3, Flags: ReadOnly, First: 1, Last: 1, Step: 1, Handler: lposCommand,
		ACLCats: "list", Group: listGroup, Since: "6.0.6", Complexity: "O(N) where N is the number of elements in the list, for the average case. When searching for elements near the head or the tail of the list, or when the MAXLEN option is provided, the command may run in constant time.",
		Summary: "Return the index of matching elements on a list",
	},
	{
		Name: "lmove", Arity: 5, Flags: Write | DenyOOM, First: 1, Last: 2, Step: 1, Handler: lmoveCommand,
		ACLCats: "list", Group: listGroup, Since: "6.2.0", Complexity: o1,
		Summary: "Pop an element from a list, push it to another list and return it",
	},
	{
		Name: "rpoplpush", Arity: 3, Flags: Write | DenyOOM, First: 1, Last: 2, Step: 1, Handler: rpoplpushCommand,
		ACLCats: "list", Group: listGroup, Since: "1.2.0", Complexity: o1,
		Summary: "Remove the last element in a list, prepend it to another list and return it",
	},
	{
		Name: "lmpop", Arity: -4, Flags: Write | MovableKeys | Rewritten, Keys: keysAt(1), Handler: lmpopCommand,
		ACLCats: "list", Group: listGroup, Since: "7.0.0", Complexity: "O(N+M) where N is the number of provided keys and M is the number of elements returned.",
		Summary: "Pop elements from a list",
	},
}

// listRead returns a list for reading. found is false when the key is missing,
// ok when it holds another type, which it has replied.
func (c *Ctx) listRead(key []byte) (l keyspace.ListRef, found, ok bool) {
	if _, found, ok = c.typed(key, keyspace.List); found && ok {
		l = c.db(key).List(key)
	}
	return l, found, ok
}

// listWrite is listRead for a list about to be changed, which exists as soon
// as it has an element.
func (c *Ctx) listWrite(key []byte) (l keyspace.ListRef, found, ok bool) {
	if _, found, ok = c.typedWrite(key, keyspace.List); ok {
		l = c.db(key).List(key)
	}
	return l, found, ok
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
	for _, v := range c.Args[2:] {
		if front {
			l.PushFront(v)
		} else {
			l.PushBack(v)
		}
	}
	c.ChangedN(c.Args[1], pushEvent(front), len(c.Args)-2)
	c.Out.Int(int64(l.Len()))
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
