package command

import (
	"github.com/spillwaydb/spillway/core/keyspace"
)

var streamDeleteHandlers = handlers{
	"xdel":    xdelCommand,
	"xdelex":  xdelexCommand,
	"xackdel": xackdelCommand,
}

func xdelCommand(c *Ctx) {
	key := c.Args[1]
	s, ok := c.streamWrite(key)
	if !ok {
		return
	}
	if s == nil {
		c.Out.Int(0)
		return
	}
	ids, ok := c.streamIDs(c.Args[2:])
	if !ok {
		return
	}
	deleted := 0
	c.db(key).EditStream(key, func(s *keyspace.StreamValue) {
		for _, id := range ids {
			if s.Delete(id) {
				deleted++
			}
		}
	})
	if deleted > 0 {
		c.ChangedN(key, eventXDel, deleted)
	}
	c.Out.Int(int64(deleted))
}

// What XDELEX and XACKDEL reply about an entry.
const (
	entryUnknown = -1 // it is not there, or not pending
	entryDeleted = 1
	entryNeeded  = 2 // ACKED: a group has yet to read or to acknowledge it
)

// deleteOptions are the options of XDELEX and XACKDEL.
type deleteOptions struct {
	refs keyspace.StreamRefs
	ids  [][]byte
}

// parseDelete parses them from an argument on.
func (c *Ctx) parseDelete(from int) (o deleteOptions, ok bool) {
	refs := false
	for i := from; i < len(c.Args); i++ {
		r, isRefs := streamRefs(c.Args[i])
		switch {
		case isRefs && !refs:
			o.refs, refs = r, true
		case is(c.Args[i], "ids") && i+1 < len(c.Args) && o.ids == nil:
			n, ok := parseInt(c.Args[i+1])
			if !ok || n < 1 {
				c.Out.Error("ERR Number of IDs must be a positive integer")
				return o, false
			}
			rest := c.Args[i+2:]
			if n > int64(len(rest)) {
				c.Out.Error("ERR The `numids` parameter must match the number of arguments")
				return o, false
			}
			o.ids = rest[:n]
			i += 1 + len(o.ids)
		default:
			c.Out.Error(errSyntax)
			return o, false
		}
	}
	if o.ids == nil {
		c.Out.Error(errSyntax)
	}
	return o, o.ids != nil
}

// replyUnknown replies that none of the entries is there.
func (c *Ctx) replyUnknown(o *deleteOptions) {
	c.Out.Array(len(o.ids))
	for range o.ids {
		c.Out.Int(entryUnknown)
	}
}

func xdelexCommand(c *Ctx) {
	o, ok := c.parseDelete(2)
	if !ok {
		return
	}
	key := c.Args[1]
	s, ok := c.streamWrite(key)
	if !ok {
		return
	}
	if s == nil {
		c.replyUnknown(&o)
		return
	}
	ids, ok := c.streamIDs(o.ids)
	if !ok {
		return
	}
	deleted, dropped := 0, 0
	c.Out.Array(len(ids))
	c.db(key).EditStream(key, func(s *keyspace.StreamValue) {
		for _, id := range ids {
			if o.refs == keyspace.RespectRefs && s.Referenced(id) {
				c.Out.Int(entryNeeded)
				continue
			}
			unreferenced := o.refs == keyspace.DropRefs && s.Unreference(id)
			switch {
			case s.Delete(id):
				deleted++
				c.Out.Int(entryDeleted)
			case unreferenced:
				dropped++
				c.Out.Int(entryUnknown)
			default:
				c.Out.Int(entryUnknown)
			}
		}
	})
	c.Counted(dropped)
	if deleted > 0 {
		c.ChangedN(key, eventXDel, deleted)
	}
}

func xackdelCommand(c *Ctx) {
	o, ok := c.parseDelete(3)
	if !ok {
		return
	}
	key, group := c.Args[1], c.Args[2]
	s, ok := c.streamRead(key)
	if !ok {
		return
	}
	if s == nil || s.Group(group) == nil {
		c.replyUnknown(&o)
		return
	}
	ids, ok := c.streamIDs(o.ids)
	if !ok {
		return
	}
	acked, deleted := 0, 0
	c.Out.Array(len(ids))
	c.db(key).EditStream(key, func(s *keyspace.StreamValue) {
		for _, id := range ids {
			was := false
			s.EditGroup(group, func(g *keyspace.StreamGroup) { was = g.Ack(id) })
			if !was {
				c.Out.Int(entryUnknown)
				continue
			}
			acked++
			if o.refs == keyspace.RespectRefs && s.Referenced(id) {
				c.Out.Int(entryNeeded)
				continue
			}
			if o.refs == keyspace.DropRefs {
				s.Unreference(id)
			}
			if s.Delete(id) {
				deleted++
			}
			c.Out.Int(entryDeleted)
		}
	})
	c.Counted(acked)
	if deleted > 0 {
		c.ChangedN(key, eventXDel, deleted)
	}
}
