package command

import (
	"math"

	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/rdb"
)

var streamInfoHandlers = handlers{
	"xinfo|stream":    xinfoStream,
	"xinfo|groups":    xinfoGroups,
	"xinfo|consumers": xinfoConsumers,
	"xinfo|help":      help,
}

// pendingOptions are the arguments of the second form of XPENDING.
type pendingOptions struct {
	start, end keyspace.StreamID
	count      int
	minIdle    int64
	consumer   []byte
}

func (c *Ctx) parsePending() (o pendingOptions, ok bool) {
	if n := len(c.Args); n != 3 && (n < 6 || n > 9) {
		c.Out.Error(errSyntax)
		return o, false
	}
	if len(c.Args) == 3 {
		return o, true
	}
	args := c.Args[3:]
	if is(args[0], "idle") {
		if o.minIdle, ok = c.intArg(args[1]); !ok {
			return o, false
		}
		if len(c.Args) < 8 {
			c.Out.Error(errSyntax)
			return o, false
		}
		args = args[2:]
	}
	n, ok := c.intArg(args[2])
	if !ok {
		return o, false
	}
	o.count = int(min(max(n, 0), math.MaxInt))
	if o.start, ok = c.rangeStart(args[0]); !ok {
		return o, false
	}
	if o.end, ok = c.rangeEnd(args[1]); !ok {
		return o, false
	}
	if len(args) > 3 {
		o.consumer = args[3]
	}
	return o, true
}

func xpendingCommand(c *Ctx) {
	o, ok := c.parsePending()
	if !ok {
		return
	}
	g, ok := c.claimingGroup()
	if !ok {
		return
	}
	if len(c.Args) == 3 {
		c.pendingSummary(g)
		return
	}
	var consumer *keyspace.StreamConsumer
	if o.consumer != nil {
		if consumer = g.Consumer(o.consumer); consumer == nil {
			c.Out.Array(0)
			return
		}
	}
	body, n := c.body(), 0
	g.EachPending(consumer, o.start, func(p keyspace.StreamPending) bool {
		if n == o.count || o.end.Less(p.ID) {
			return false
		}
		idle := c.Now - p.Delivered
		if o.minIdle != 0 && idle < o.minIdle {
			return true
		}
		body.Array(4)
		replyID(&body, p.ID)
		body.Bulk(p.Consumer)
		body.Int(max(idle, 0))
		body.Int(int64(p.Count))
		n++
		return true
	})
	c.replyBody(n, &body)
}

// pendingSummary is the first form of XPENDING.
func (c *Ctx) pendingSummary(g *keyspace.StreamGroup) {
	c.Out.Array(4)
	c.Out.Int(int64(g.NumPending()))
	if g.NumPending() == 0 {
		c.Out.Null()
		c.Out.Null()
		c.Out.NullArray()
		return
	}
	first, last := g.PendingRange()
	replyID(c.Out, first)
	replyID(c.Out, last)
	body, n := c.body(), 0
	g.EachConsumer(func(consumer *keyspace.StreamConsumer) bool {
		if pending := consumer.NumPending(); pending > 0 {
			body.Array(2)
			body.Bulk(consumer.Name())
			body.Bulk(appendInt(nil, int64(pending)))
			n++
		}
		return true
	})
	c.replyBody(n, &body)
}

// xinfoOf returns the stream that XINFO is about, or replies that there is none.
func (c *Ctx) xinfoOf() (s *keyspace.StreamValue, ok bool) {
	s, ok = c.streamRead(c.Args[2])
	if ok && s == nil {
		c.Out.Error(errNoSuchKey)
	}
	return s, ok && s != nil
}

func (c *Ctx) replyLag(s *keyspace.StreamValue, g *keyspace.StreamGroup) {
	c.Out.BulkString("entries-read")
	if g.EntriesRead() == rdb.EntriesUnknown {
		c.Out.Null()
	} else {
		c.Out.Int(g.EntriesRead())
	}
	c.Out.BulkString("lag")
	if lag, known := g.Lag(s.Info()); known {
		c.Out.Int(lag)
	} else {
		c.Out.Null()
	}
}

func xinfoGroups(c *Ctx) {
	s, ok := c.xinfoOf()
	if !ok {
		return
	}
	c.Out.Array(s.NumGroups())
	s.EachGroup(func(g *keyspace.StreamGroup) bool {
		c.Out.Map(6)
		c.Out.BulkString("name")
		c.Out.Bulk(g.Name())
		c.infoInt("consumers", int64(g.NumConsumers()))
		c.infoInt("pending", int64(g.NumPending()))
		c.infoID("last-delivered-id", g.Last())
		c.replyLag(s, g)
		return true
	})
}

func (c *Ctx) infoInt(name string, n int64) {
	c.Out.BulkString(name)
	c.Out.Int(n)
}

func (c *Ctx) infoID(name string, id keyspace.StreamID) {
	c.Out.BulkString(name)
	replyID(c.Out, id)
}

func xinfoConsumers(c *Ctx) {
	s, ok := c.xinfoOf()
	if !ok {
		return
	}
	g := s.Group(c.Args[3])
	if g == nil {
		c.noGroup(c.Args[2], c.Args[3])
		return
	}
	c.Out.Array(g.NumConsumers())
	g.EachConsumer(func(consumer *keyspace.StreamConsumer) bool {
		c.Out.Map(4)
		c.Out.BulkString("name")
		c.Out.Bulk(consumer.Name())
		c.infoInt("pending", int64(consumer.NumPending()))
		c.infoInt("idle", max(c.Now-consumer.Seen(), 0))
		inactive := int64(rdb.NeverActive)
		if active := consumer.Active(); active != rdb.NeverActive {
			inactive = max(c.Now-active, 0)
		}
		c.infoInt("inactive", inactive)
		return true
	})
}

func xinfoStream(c *Ctx) {
	s, ok := c.xinfoOf()
	if !ok {
		return
	}
	options := c.Args[3:]
	full, count := len(options) > 0, int64(10)
	switch {
	case !full:
	case len(options) != 1 && len(options) != 3, !is(options[0], "full"), len(options) == 3 && !is(options[1], "count"):
		c.subcommandSyntax()
		return
	case len(options) == 3:
		if count, ok = c.intArg(options[2]); !ok {
			return
		}
		if count < 0 {
			count = 10
		}
	}
	if full {
		c.Out.Map(9)
	} else {
		c.Out.Map(10)
	}
	info := s.Info()
	c.infoInt("length", int64(info.Length))
	c.infoInt("radix-tree-keys", int64(s.NumNodes()))
	c.infoInt("radix-tree-nodes", int64(s.RadixNodes()))
	c.infoID("last-generated-id", info.Last)
	c.infoID("max-deleted-entry-id", info.MaxDeleted)
	c.infoInt("entries-added", int64(info.EntriesAdded))
	c.infoID("recorded-first-entry-id", info.First)
	if full {
		c.infoFull(s, int(min(count, math.MaxInt)))
		return
	}
	c.infoInt("groups", int64(s.NumGroups()))
	c.infoEdge("first-entry", s, false)
	c.infoEdge("last-entry", s, true)
}

// infoEdge tells the first or the last entry.
func (c *Ctx) infoEdge(name string, s *keyspace.StreamValue, last bool) {
	c.Out.BulkString(name)
	found := false
	s.Each(keyspace.StreamID{}, maxStreamID, last, func(it *keyspace.StreamItem) bool {
		replyEntry(c.Out, it)
		found = true
		return false
	})
	if !found {
		c.Out.Null()
	}
}

// infoFull tells count entries of each kind, all for 0.
func (c *Ctx) infoFull(s *keyspace.StreamValue, count int) {
	c.Out.BulkString("entries")
	c.replyEntries(s, keyspace.StreamID{}, maxStreamID, count, false, nil)
	if count == 0 {
		count = math.MaxInt
	}
	c.Out.BulkString("groups")
	c.Out.Array(s.NumGroups())
	s.EachGroup(func(g *keyspace.StreamGroup) bool {
		c.Out.Map(7)
		c.Out.BulkString("name")
		c.Out.Bulk(g.Name())
		c.infoID("last-delivered-id", g.Last())
		c.replyLag(s, g)
		c.infoInt("pel-count", int64(g.NumPending()))
		c.infoPending(g, nil, count)
		c.Out.BulkString("consumers")
		c.Out.Array(g.NumConsumers())
		g.EachConsumer(func(consumer *keyspace.StreamConsumer) bool {
			c.Out.Map(5)
			c.Out.BulkString("name")
			c.Out.Bulk(consumer.Name())
			c.infoInt("seen-time", consumer.Seen())
			c.infoInt("active-time", consumer.Active())
			c.infoInt("pel-count", int64(consumer.NumPending()))
			c.infoPending(g, consumer, count)
			return true
		})
		return true
	})
}

// infoPending tells what is pending of a group, or of one consumer of it.
func (c *Ctx) infoPending(g *keyspace.StreamGroup, consumer *keyspace.StreamConsumer, count int) {
	n := g.NumPending()
	if consumer != nil {
		n = consumer.NumPending()
	}
	n = min(n, count)
	c.Out.BulkString("pending")
	c.Out.Array(n)
	g.EachPending(consumer, keyspace.StreamID{}, func(p keyspace.StreamPending) bool {
		if n--; n < 0 {
			return false
		}
		if consumer == nil {
			c.Out.Array(4)
			replyID(c.Out, p.ID)
			c.Out.Bulk(p.Consumer)
		} else {
			c.Out.Array(3)
			replyID(c.Out, p.ID)
		}
		c.Out.Int(p.Delivered)
		c.Out.Int(int64(p.Count))
		return true
	})
}
