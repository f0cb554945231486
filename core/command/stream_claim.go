package command

import (
	"math"

	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/rdb"
)

// claimOptions are the options of XCLAIM.
type claimOptions struct {
	minIdle       int64
	ids           []keyspace.StreamID
	dated         bool // IDLE or TIME is given
	delivered     int64
	counted       bool  // RETRYCOUNT is given
	retry         int64 // counts with it when it is not negative
	force, justID bool
	last          keyspace.StreamID
}

// claimingGroup returns the group that XCLAIM and XAUTOCLAIM are about, or
// replies that it is not there.
func (c *Ctx) claimingGroup() (g *keyspace.StreamGroup, ok bool) {
	s, ok := c.streamRead(c.Args[1])
	if !ok {
		return nil, false
	}
	if s != nil {
		g = s.Group(c.Args[2])
	}
	if g == nil {
		c.noKeyOrGroup(c.Args[1], c.Args[2])
	}
	return g, g != nil
}

// minIdleArg parses for how long an entry must have been pending.
func (c *Ctx) minIdleArg(arg []byte, command string) (int64, bool) {
	n, ok := parseInt(arg)
	if !ok {
		c.Out.Errorf("ERR Invalid min-idle-time argument for %s", command)
	}
	return max(n, 0), ok
}

func (c *Ctx) parseClaim(now int64) (o claimOptions, ok bool) {
	if o.minIdle, ok = c.minIdleArg(c.Args[4], "XCLAIM"); !ok {
		return o, false
	}
	at := 5
	for ; at < len(c.Args); at++ {
		id, _, ok := parseStreamID(c.Args[at], 0, false)
		if !ok {
			break
		}
		o.ids = append(o.ids, id)
	}
	number := func(option string) (n int64) {
		at++
		if n, ok = parseInt(c.Args[at]); !ok {
			c.Out.Errorf("ERR Invalid %s option argument for XCLAIM", option)
		}
		return n
	}
	for ok = true; ok && at < len(c.Args); at++ {
		more := at+1 < len(c.Args)
		switch a := c.Args[at]; {
		case is(a, "force"):
			o.force = true
		case is(a, "justid"):
			o.justID = true
		case is(a, "idle") && more:
			o.delivered, o.dated = now-number("IDLE"), true
		case is(a, "time") && more:
			o.delivered, o.dated = number("TIME"), true
		case is(a, "retrycount") && more:
			o.retry, o.counted = number("RETRYCOUNT"), true
		case is(a, "lastid") && more:
			at++
			o.last, ok = c.streamID(c.Args[at])
		default:
			c.Out.Errorf("ERR Unrecognized XCLAIM option '%s'", clip(a, len(a)))
			return o, false
		}
	}
	switch {
	case c.Replaying && o.dated: // as it was logged
	case !o.dated, o.delivered < 0, o.delivered > now:
		o.delivered = now
	}
	return o, ok
}

// note takes what an XCLAIM of 0-0 in the log says; see groupLog.
func (o *claimOptions) note(g *keyspace.StreamGroup, consumer []byte, when int64) {
	switch {
	case !o.counted:
		g.See(consumer, when)
	case o.retry == 0:
		g.Act(consumer, rdb.NeverActive)
	default:
		g.Act(consumer, when)
	}
}

func xclaimCommand(c *Ctx) {
	_, ok := c.claimingGroup()
	if !ok {
		return
	}
	key := c.Args[1]
	now := c.streamTime(key)
	o, ok := c.parseClaim(now)
	if !ok {
		return
	}
	if c.Replaying && o.dated {
		now = o.delivered // when the log says that the consumer was seen
	}
	body, n := c.body(), 0
	c.editGroup(key, c.Args[2], func(s *keyspace.StreamValue, g *keyspace.StreamGroup) {
		t := groupLog{c: c, key: key, group: c.Args[2], consumer: c.Args[3], now: now}
		moved := g.Last().Less(o.last)
		if moved {
			g.SetLast(o.last, g.EntriesRead())
		}
		seen := false
		for _, id := range o.ids {
			p, pending := g.Pending(id)
			if !s.Has(id) {
				if id.IsZero() && c.Replaying && g.Consumer(t.consumer) != nil {
					o.note(g, t.consumer, now)
				}
				if pending {
					g.Ack(id)
					c.LogAs(verbXAck, key, t.group, id.Append(nil))
					c.Counted(1)
				}
				continue
			}
			if !pending && !o.force || pending && o.minIdle > 0 && now-p.Delivered < o.minIdle {
				continue
			}
			if !seen {
				seen = true
				t.see(g)
			}
			if !pending {
				p = keyspace.StreamPending{ID: id, Count: 1}
			}
			p.Consumer, p.Delivered = t.consumer, o.delivered
			switch {
			case o.counted && (o.retry >= 0 || c.Replaying): // what has wrapped around is logged as it is
				p.Count = uint64(o.retry)
			case !o.justID:
				p.Count++
			}
			g.Claim(p)
			t.claimed(p)
			if o.justID {
				replyID(&body, id)
			} else {
				replyOne(&body, s, id)
			}
			n++
			c.Counted(1)
		}
		if seen {
			t.flush(g)
		}
		if moved {
			t.logLast(g)
			c.Counted(1)
		}
	})
	c.replyBody(n, &body)
}

func xautoclaimCommand(c *Ctx) {
	minIdle, ok := c.minIdleArg(c.Args[4], "XAUTOCLAIM")
	if !ok {
		return
	}
	start, ok := c.rangeStart(c.Args[5])
	if !ok {
		return
	}
	count, justID := int64(100), false
	for i := 6; i < len(c.Args); i++ {
		switch {
		case is(c.Args[i], "count") && i+1 < len(c.Args):
			i++
			if count, ok = parseInt(c.Args[i]); !ok || count < 1 || count > math.MaxInt64/16 {
				c.Out.Error("ERR COUNT must be > 0")
				return
			}
		case is(c.Args[i], "justid"):
			justID = true
		default:
			c.Out.Error(errSyntax)
			return
		}
	}
	if _, ok = c.claimingGroup(); !ok {
		return
	}
	key := c.Args[1]
	now := c.streamTime(key)
	body, n := c.body(), 0
	var deleted []keyspace.StreamID
	var cursor keyspace.StreamID
	c.editGroup(key, c.Args[2], func(s *keyspace.StreamValue, g *keyspace.StreamGroup) {
		t := groupLog{c: c, key: key, group: c.Args[2], consumer: c.Args[3], now: now}
		id, more := g.NextPending(start)
		for attempts := count * 10; attempts > 0 && count > 0 && more; attempts-- {
			p, _ := g.Pending(id)
			switch {
			case !s.Has(id):
				g.Ack(id)
				deleted = append(deleted, id)
				count--
			case minIdle > 0 && now-p.Delivered < minIdle:
			default:
				if n == 0 {
					t.see(g)
				}
				p.Consumer, p.Delivered = t.consumer, now
				if !justID {
					p.Count++
				}
				g.Claim(p)
				t.claimed(p)
				if justID {
					replyID(&body, id)
				} else {
					replyOne(&body, s, id)
				}
				n++
				count--
			}
			if id, more = id.Next(); more {
				id, more = g.NextPending(id)
			}
		}
		if more {
			cursor = id
		}
		if n > 0 {
			t.flush(g)
		}
		t.acked(deleted)
	})
	c.Counted(n + len(deleted))
	c.Out.Array(3)
	replyID(c.Out, cursor)
	c.replyBody(n, &body)
	c.Out.Array(len(deleted))
	for _, id := range deleted {
		replyID(c.Out, id)
	}
}
