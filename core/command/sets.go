package command

import (
	"bytes"

	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/resp"
)

var setHandlers = handlers{
	"sadd":        saddCommand,
	"srem":        sremCommand,
	"sismember":   sismemberCommand,
	"smismember":  smismemberCommand,
	"smembers":    smembersCommand,
	"scard":       scardCommand,
	"spop":        spopCommand,
	"srandmember": srandmemberCommand,
	"smove":       smoveCommand,
	"sinter":      sinterCommand,
	"sunion":      sunionCommand,
	"sdiff":       sdiffCommand,
	"sinterstore": sinterstoreCommand,
	"sunionstore": sunionstoreCommand,
	"sdiffstore":  sdiffstoreCommand,
	"sintercard":  sintercardCommand,
	"sscan":       sscanCommand,
}

// setRead returns a set for reading. found is false when the key is missing,
// ok when it holds another type, which it has replied.
func (c *Ctx) setRead(key []byte) (s keyspace.SetRef, found, ok bool) {
	return read(c, key, keyspace.Set, (*keyspace.DB).Set)
}

// setWrite is setRead for a set about to be changed, which exists as soon as
// it has a member.
func (c *Ctx) setWrite(key []byte) (s keyspace.SetRef, found, ok bool) {
	return write(c, key, keyspace.Set, (*keyspace.DB).Set)
}

func saddCommand(c *Ctx) {
	s, _, ok := c.setWrite(c.Args[1])
	if !ok {
		return
	}
	n := 0
	for _, m := range c.Args[2:] {
		if s.Add(m) {
			n++
		}
	}
	if n > 0 {
		c.ChangedN(c.Args[1], eventSAdd, n)
	}
	c.Out.Int(int64(n))
}

func sremCommand(c *Ctx) {
	s, found, ok := c.setWrite(c.Args[1])
	if !ok {
		return
	}
	n := 0
	if found {
		for _, m := range c.Args[2:] {
			if s.Remove(m) {
				n++
			}
		}
	}
	if n > 0 {
		c.Shrunk(c.Args[1], eventSRem, n)
	}
	c.Out.Int(int64(n))
}

func sismemberCommand(c *Ctx) {
	if s, found, ok := c.setRead(c.Args[1]); ok {
		c.replyBool(found && s.Has(c.Args[2]))
	}
}

func smismemberCommand(c *Ctx) {
	s, found, ok := c.setRead(c.Args[1])
	if !ok {
		return
	}
	c.Out.Array(len(c.Args) - 2)
	for _, m := range c.Args[2:] {
		c.replyBool(found && s.Has(m))
	}
}

func scardCommand(c *Ctx) {
	s, found, ok := c.setRead(c.Args[1])
	switch {
	case !ok:
	case found:
		c.Out.Int(int64(s.Len()))
	default:
		c.Out.Int(0)
	}
}

func smembersCommand(c *Ctx) {
	s, found, ok := c.setRead(c.Args[1])
	if !ok {
		return
	}
	if !found {
		c.Out.Set(0)
		return
	}
	if !c.detach(s.Len(), c.Args[1]) {
		c.replyMembers(s)
	}
}

// replyMembers replies with a whole set.
func (c *Ctx) replyMembers(s keyspace.SetRef) {
	c.Out.Set(s.Len())
	s.Each(func(m []byte) bool {
		c.Out.Bulk(m)
		return true
	})
}

func smoveCommand(c *Ctx) {
	src, dst, m := c.Args[1], c.Args[2], c.Args[3]
	if _, found := c.lookupWrite(src); !found {
		c.Out.Int(0)
		return
	}
	// Looking up a key may remove it: both come before either set is touched.
	to, _, ok := c.setWrite(dst)
	if !ok {
		return
	}
	from, _, ok := c.setWrite(src)
	switch {
	case !ok:
	case bytes.Equal(src, dst):
		c.replyBool(from.Has(m))
	case !from.Remove(m):
		c.Out.Int(0)
	default:
		c.Shrunk(src, eventSRem, 1)
		if to.Add(m) {
			c.Changed(dst, eventSAdd)
		}
		c.Out.Int(1)
	}
}

func spopCommand(c *Ctx) {
	if len(c.Args) > 3 {
		c.Out.Error(errSyntax)
		return
	}
	count, ok := c.popCount()
	if !ok {
		return
	}
	key := c.Args[1]
	s, found, ok := c.setWrite(key)
	switch {
	case !ok:
	case !found && count < 0:
		c.Out.Null()
	case !found || count == 0:
		c.Out.Set(0)
	case count < 0:
		m := s.At(c.Rand.IntN(s.Len()))
		c.Out.Bulk(m)
		c.LogAs(verbSRem, key, m)
		c.scratch = append(c.scratch[:0], m...)
		s.Remove(c.scratch)
		c.Shrunk(key, eventSPop, 1)
	case count >= int64(s.Len()):
		n := s.Len()
		c.replyMembers(s)
		c.LogAs(verbDel, key)
		c.db(key).Delete(key)
		c.Shrunk(key, eventSPop, n)
	default:
		var popped members
		for _, i := range distinct(c.Rand, s.Len(), int(count)) {
			popped.add(s.At(i))
		}
		c.Out.Set(popped.len())
		for i := range popped.len() {
			c.Out.Bulk(popped.at(i))
			s.Remove(popped.at(i))
		}
		c.logMembers(verbSRem, key, &popped)
		c.Shrunk(key, eventSPop, popped.len())
	}
}

func srandmemberCommand(c *Ctx) {
	if len(c.Args) > 3 {
		c.Out.Error(errSyntax)
		return
	}
	count, single := int64(1), len(c.Args) == 2
	if !single {
		var ok bool
		if count, ok = c.anyCount(c.Args[2]); !ok {
			return
		}
	}
	s, found, ok := c.setRead(c.Args[1])
	if !ok || found && c.detachRandom(count, s.Len()) {
		return
	}
	random := func() { c.Out.Bulk(s.At(c.Rand.IntN(s.Len()))) }
	start := c.Out.Len()
	switch {
	case !found && single:
		c.Out.Null()
	case single:
		random()
	case !found || count == 0:
		c.Out.Array(0)
	case count < 0:
		c.Out.Array(int(-count))
		c.repeat(start, -count, random)
	case count >= int64(s.Len()):
		c.Out.Array(s.Len())
		s.Each(func(m []byte) bool {
			c.Out.Bulk(m)
			return true
		})
	default:
		c.Out.Array(int(count))
		for _, i := range distinct(c.Rand, s.Len(), int(count)) {
			c.Out.Bulk(s.At(i))
		}
	}
}

func sscanCommand(c *Ctx) {
	c.scanElements(keyspace.Set, func(cursor uint64, count int, match func([]byte) bool, w *resp.Writer) (next uint64, n int) {
		next = c.db(c.Args[1]).Set(c.Args[1]).Scan(cursor, count, func(m []byte) {
			if match(m) {
				w.Bulk(m)
				n++
			}
		})
		return next, n
	})
}
