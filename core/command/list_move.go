package command

import (
	"bytes"

	"github.com/spillwaydb/spillway/core/keyspace"
)

// listEnd parses LEFT or RIGHT, or replies that it is neither.
func (c *Ctx) listEnd(arg []byte) (front, ok bool) {
	switch {
	case is(arg, "left"):
		return true, true
	case is(arg, "right"):
		return false, true
	}
	c.Out.Error(errSyntax)
	return false, false
}

func lmoveCommand(c *Ctx) {
	from, ok := c.listEnd(c.Args[3])
	if !ok {
		return
	}
	to, ok := c.listEnd(c.Args[4])
	if !ok {
		return
	}
	c.moveElement(from, to)
}

func rpoplpushCommand(c *Ctx) { c.moveElement(false, true) }

// moveElement pops from one list and pushes to another, or to the same, and tells
// whether it has.
func (c *Ctx) moveElement(fromFront, toFront bool) (moved bool) {
	src, dst := c.Args[1], c.Args[2]
	// Looking up a key may remove it: both come before either list is touched.
	_, found, ok := c.listWrite(src)
	if !ok {
		return false
	}
	if !found {
		c.Out.Null()
		return false
	}
	to, _, ok := c.listWrite(dst)
	if !ok {
		return false
	}
	from := c.db(src).List(src)
	if bytes.Equal(src, dst) && from.Len() == 1 {
		// Nothing moves, and the key must not vanish meanwhile, for its deadline would be lost.
		c.Changed(dst, pushEvent(toFront))
		c.ChangedN(src, popEvent(fromFront), 0)
		c.Out.Bulk(from.At(0))
		return true
	}
	// The popped bytes are the store's, which the push may reuse.
	c.scratch = append(c.scratch[:0], takeEnd(from, fromFront)...)
	if toFront {
		to.PushFront(c.scratch)
	} else {
		to.PushBack(c.scratch)
	}
	c.Changed(dst, pushEvent(toFront))
	c.Shrunk(src, popEvent(fromFront), 0) // one change, of two keys
	c.Out.Bulk(c.scratch)
	return true
}

// countedKeys parses "numkeys key [key …]" at the beginning of args, or replies
// with what is wrong with it. rest is what follows, which is not nothing.
func (c *Ctx) countedKeys(args [][]byte) (keys, rest [][]byte, ok bool) {
	n, ok := c.atLeast(args[0], 1, errNumKeys)
	if !ok {
		return nil, nil, false
	}
	if n > int64(len(args)-2) {
		c.Out.Error(errSyntax)
		return nil, nil, false
	}
	return args[1 : 1+n], args[1+n:], true
}

// countOption parses the [COUNT n] of LMPOP and ZMPOP; 1 without it.
func (c *Ctx) countOption(args [][]byte) (int64, bool) {
	count := int64(-1)
	for i := 0; i < len(args); i += 2 {
		if count >= 0 || !is(args[i], "count") || i+1 == len(args) {
			c.Out.Error(errSyntax)
			return 0, false
		}
		n, ok := c.atLeast(args[i+1], 1, errCount)
		if !ok {
			return 0, false
		}
		count = n
	}
	return max(count, 1), true
}

// multiPop is what LMPOP and BLMPOP are to pop.
type multiPop struct {
	keys  [][]byte
	front bool
	count int64
}

// multiPop parses "numkeys key [key …] LEFT|RIGHT [COUNT n]", or replies with what is
// wrong with it.
func (c *Ctx) multiPop(args [][]byte) (m multiPop, ok bool) {
	var rest [][]byte
	if m.keys, rest, ok = c.countedKeys(args); !ok {
		return m, false
	}
	if m.front, ok = c.listEnd(rest[0]); !ok {
		return m, false
	}
	m.count, ok = c.countOption(rest[1:])
	return m, ok
}

// popWithKey pops at most count elements of a list that is not empty, and replies
// with its key and an array of them.
func (c *Ctx) popWithKey(l keyspace.ListRef, key []byte, front bool, count int64) {
	n := min(count, int64(l.Len()))
	c.Out.Array(2)
	c.Out.Bulk(key)
	c.popMany(l, key, front, n)
	var tmp [20]byte
	c.LogAs(popVerb(front), key, appendInt(tmp[:0], n))
}

func popVerb(front bool) []byte {
	if front {
		return verbLPop
	}
	return verbRPop
}

func lmpopCommand(c *Ctx) {
	m, ok := c.multiPop(c.Args[1:])
	if !ok {
		return
	}
	for _, key := range m.keys {
		l, found, ok := c.listWrite(key)
		if !ok {
			return
		}
		if found {
			c.popWithKey(l, key, m.front, m.count)
			return
		}
	}
	c.Out.NullArray()
}

// lposOptions are the options of LPOS.
type lposOptions struct{ rank, count, maxLen int64 }

func (c *Ctx) lposOptions() (o lposOptions, ok bool) {
	o = lposOptions{rank: 1, count: -1}
	args := c.Args[3:]
	for i := 0; i < len(args); i += 2 {
		if i+1 == len(args) {
			c.Out.Error(errSyntax)
			return o, false
		}
		val := args[i+1]
		switch a := args[i]; {
		case is(a, "rank"):
			if o.rank, ok = c.anyCount(val); !ok {
				return o, false
			}
			if o.rank == 0 {
				c.Out.Error("ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list")
				return o, false
			}
		case is(a, "count"):
			if o.count, ok = c.atLeast(val, 0, "ERR COUNT can't be negative"); !ok {
				return o, false
			}
		case is(a, "maxlen"):
			if o.maxLen, ok = c.atLeast(val, 0, "ERR MAXLEN can't be negative"); !ok {
				return o, false
			}
		default:
			c.Out.Error(errSyntax)
			return o, false
		}
	}
	return o, true
}

func lposCommand(c *Ctx) {
	o, ok := c.lposOptions()
	if !ok {
		return
	}
	l, found, ok := c.listRead(c.Args[1])
	if !ok {
		return
	}
	var at []int64
	if found {
		i, step, skip := 0, 1, o.rank-1
		if o.rank < 0 {
			i, step, skip = l.Len()-1, -1, -o.rank-1
		}
		seen := int64(0)
		l.Each(i, step < 0, func(v []byte) bool {
			if bytes.Equal(v, c.Args[2]) {
				if skip--; skip < 0 {
					at = append(at, int64(i))
				}
			}
			i += step
			seen++
			enough := o.count == -1 && len(at) == 1 || o.count > 0 && int64(len(at)) == o.count
			return !enough && (o.maxLen == 0 || seen < o.maxLen)
		})
	}
	switch {
	case o.count >= 0:
		c.Out.Array(len(at))
		for _, i := range at {
			c.Out.Int(i)
		}
	case len(at) > 0:
		c.Out.Int(at[0])
	default:
		c.Out.Null()
	}
}
