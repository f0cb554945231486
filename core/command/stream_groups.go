package command

import (
	"strings"

	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/rdb"
)

var streamGroupHandlers = handlers{
	"xgroup|create":         xgroupCreate,
	"xgroup|setid":          xgroupSetID,
	"xgroup|destroy":        xgroupDestroy,
	"xgroup|createconsumer": xgroupCreateConsumer,
	"xgroup|delconsumer":    xgroupDelConsumer,
	"xgroup|help":           help,
	"xreadgroup":            xreadgroupCommand,
	"xack":                  xackCommand,
	"xpending":              xpendingCommand,
	"xclaim":                xclaimCommand,
	"xautoclaim":            xautoclaimCommand,
}

// subcommandSyntax is the reply to options that a subcommand does not have.
func (c *Ctx) subcommandSyntax() {
	c.Out.Errorf("ERR unknown subcommand or wrong number of arguments for '%s'. Try %s HELP.",
		clip(c.Args[1], 128), strings.ToUpper(string(c.Args[0])))
}

// editGroup lets fn change a group of a stream; both must exist.
func (c *Ctx) editGroup(key, group []byte, fn func(s *keyspace.StreamValue, g *keyspace.StreamGroup)) {
	c.db(key).EditStream(key, func(s *keyspace.StreamValue) {
		s.EditGroup(group, func(g *keyspace.StreamGroup) { fn(s, g) })
	})
}

// groupOptions parses what may follow the ID in XGROUP CREATE and SETID.
func (c *Ctx) groupOptions(create bool) (read int64, mkStream, ok bool) {
	read = rdb.EntriesUnknown
	for i := 5; i < len(c.Args); i++ {
		switch {
		case create && is(c.Args[i], "mkstream"):
			mkStream = true
		case is(c.Args[i], "entriesread") && i+1 < len(c.Args):
			i++
			if read, ok = c.intArg(c.Args[i]); !ok {
				return 0, false, false
			}
			if read < 0 && read != rdb.EntriesUnknown && !c.Replaying { // what has wrapped around is logged as it is
				c.Out.Error("ERR value for ENTRIESREAD must be positive or -1")
				return 0, false, false
			}
		default:
			c.subcommandSyntax()
			return 0, false, false
		}
	}
	return read, mkStream, true
}

// xgroupStream returns the stream that XGROUP is about, or replies that it is not
// there. ok is false when it has replied.
func (c *Ctx) xgroupStream(mkStream bool) (s *keyspace.StreamValue, ok bool) {
	s, ok = c.streamWrite(c.Args[2])
	if ok && s == nil && !mkStream {
		c.Out.Error("ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to create an empty stream automatically.")
		return nil, false
	}
	return s, ok
}

// xgroupGroup is xgroupStream for a group that must exist.
func (c *Ctx) xgroupGroup() (s *keyspace.StreamValue, g *keyspace.StreamGroup, ok bool) {
	if s, ok = c.xgroupStream(false); !ok {
		return nil, nil, false
	}
	if g = s.Group(c.Args[3]); g == nil {
		c.noGroup(c.Args[2], c.Args[3])
		return nil, nil, false
	}
	return s, g, true
}

// noGroup replies that a stream has no such group.
func (c *Ctx) noGroup(key, group []byte) {
	c.Out.Errorf("NOGROUP No such consumer group '%s' for key name '%s'", clip(group, len(group)), clip(key, len(key)))
}

// noKeyOrGroup replies that there is no such key, or that the stream has no such group.
func (c *Ctx) noKeyOrGroup(key, group []byte) {
	c.Out.Errorf("NOGROUP No such key '%s' or consumer group '%s'", clip(key, len(key)), clip(group, len(group)))
}

func xgroupCreate(c *Ctx) {
	read, mkStream, ok := c.groupOptions(true)
	if !ok {
		return
	}
	s, ok := c.xgroupStream(mkStream)
	if !ok {
		return
	}
	if len(c.Args) > 8 {
		c.subcommandSyntax()
		return
	}
	var id keyspace.StreamID
	if arg := c.Args[4]; string(clip(arg, len(arg))) != "$" {
		if id, ok = c.streamID(arg); !ok {
			return
		}
	} else if s != nil {
		id = s.Info().Last
	}
	if s != nil && s.Group(c.Args[3]) != nil {
		c.Out.Error("BUSYGROUP Consumer Group name already exists")
		return
	}
	key := c.Args[2]
	c.db(key).EditStream(key, func(s *keyspace.StreamValue) { s.CreateGroup(c.Args[3], id, read) })
	c.Changed(key, eventXGroupCreate)
	c.Out.OK()
}

func xgroupSetID(c *Ctx) {
	read, _, ok := c.groupOptions(false)
	if !ok {
		return
	}
	s, _, ok := c.xgroupGroup()
	if !ok {
		return
	}
	if n := len(c.Args); n != 5 && n != 7 {
		c.subcommandSyntax()
		return
	}
	id := s.Info().Last
	if arg := c.Args[4]; string(clip(arg, len(arg))) != "$" {
		if id, ok = c.looseID(arg, 0); !ok {
			return
		}
	}
	c.editGroup(c.Args[2], c.Args[3], func(_ *keyspace.StreamValue, g *keyspace.StreamGroup) { g.SetLast(id, read) })
	c.Changed(c.Args[2], eventXGroupSetID)
	c.Out.OK()
}

func xgroupDestroy(c *Ctx) {
	s, ok := c.xgroupStream(false)
	if !ok {
		return
	}
	if s.Group(c.Args[3]) == nil {
		c.Out.Int(0)
		return
	}
	key := c.Args[2]
	c.db(key).EditStream(key, func(s *keyspace.StreamValue) { s.DestroyGroup(c.Args[3]) })
	c.Changed(key, eventXGroupDestroy)
	c.Out.Int(1)
}

func xgroupCreateConsumer(c *Ctx) {
	_, g, ok := c.xgroupGroup()
	if !ok {
		return
	}
	if g.Consumer(c.Args[4]) != nil {
		c.Out.Int(0)
		return
	}
	t := groupLog{c: c, key: c.Args[2], group: c.Args[3], consumer: c.Args[4], now: c.streamTime(c.Args[2])}
	c.editGroup(t.key, t.group, func(_ *keyspace.StreamValue, g *keyspace.StreamGroup) {
		t.see(g)
		t.flush(g)
	})
	c.Out.Int(1)
}

func xgroupDelConsumer(c *Ctx) {
	_, g, ok := c.xgroupGroup()
	if !ok {
		return
	}
	if g.Consumer(c.Args[4]) == nil {
		c.Out.Int(0)
		return
	}
	pending := 0
	c.editGroup(c.Args[2], c.Args[3], func(_ *keyspace.StreamValue, g *keyspace.StreamGroup) {
		pending, _ = g.DeleteConsumer(c.Args[4])
	})
	c.Changed(c.Args[2], eventXGroupDelConsumer)
	c.Out.Int(int64(pending))
}

func xackCommand(c *Ctx) {
	key, group := c.Args[1], c.Args[2]
	s, ok := c.streamRead(key)
	if !ok {
		return
	}
	if s == nil || s.Group(group) == nil {
		c.Out.Int(0)
		return
	}
	ids, ok := c.streamIDs(c.Args[3:])
	if !ok {
		return
	}
	acked := 0
	c.editGroup(key, group, func(_ *keyspace.StreamValue, g *keyspace.StreamGroup) {
		for _, id := range ids {
			if g.Ack(id) {
				acked++
			}
		}
	})
	c.Counted(acked)
	c.Out.Int(int64(acked))
}
