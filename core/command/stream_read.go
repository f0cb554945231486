package command

import (
	"bytes"
	"math"
	"slices"

	"github.com/spillwaydb/spillway/core/keyspace"
)

// readOptions are the arguments of XREAD and XREADGROUP.
type readOptions struct {
	group, consumer []byte // of XREADGROUP
	noAck           bool
	count           int
	blocks          bool
	deadline        int64 // of what blocks, 0 for none
	claims          bool  // CLAIM is given
	minIdle         int64 // with CLAIM
	keys, ids       [][]byte

	looked []lookedAt // of each key; Ctx.looked
	// claimable is when the next entry can be claimed, in Unix milliseconds; 0 for never.
	claimable int64
}

// lookedAt is what is found of a stream.
type lookedAt struct {
	after keyspace.StreamID // what is behind it is read; the largest for what is new to a group
	ready bool
}

// readStreams is XREAD and XREADGROUP: it looks at each of the streams, and replies
// with those that have something, or waits.
func (c *Ctx) readStreams(grouped bool) {
	o, ok := c.parseRead(grouped)
	if !ok {
		return
	}
	n := 0
	for i := range o.keys {
		if !c.concerns(&o, i) {
			continue
		}
		var ready bool
		if grouped {
			ready, ok = c.lookAtGroup(&o, i)
		} else {
			ready, ok = c.lookAtStream(&o, i)
		}
		if !ok {
			return
		}
		if o.looked[i].ready = ready; ready {
			n++
		}
	}
	switch {
	case n == 0:
		if !o.blocks || !c.Block(o.keys, o.deadline) {
			c.Out.NullArray()
		} else if o.claimable != 0 {
			c.Retry(o.claimable)
		}
		return
	case c.Out.Proto >= 3:
		c.Out.Map(n)
	default:
		c.Out.Array(n)
	}
	for i, key := range o.keys {
		if o.looked[i].ready {
			if c.Out.Proto < 3 {
				c.Out.Array(2)
			}
			c.Out.Bulk(key)
			if grouped {
				c.giveDelivery(&o, i)
			} else {
				c.giveEntries(&o, i)
			}
		}
	}
}

func xreadCommand(c *Ctx) { c.readStreams(false) }

// lookAtStream tells whether the i-th stream of XREAD has something. It is not ok when it
// has replied.
func (c *Ctx) lookAtStream(o *readOptions, i int) (ready, ok bool) {
	s, ok := c.readingStream(o.keys[i])
	if !ok {
		return false, false
	}
	after, ok := c.readAfter(o, i, s)
	if !ok {
		return false, false
	}
	o.looked[i].after = after
	return s != nil && c.hasNew(s, after), true
}

// giveEntries replies with what the i-th stream of XREAD has.
func (c *Ctx) giveEntries(o *readOptions, i int) {
	from, _ := o.looked[i].after.Next()
	c.replyEntries(c.db(o.keys[i]).Stream(o.keys[i]), from, maxStreamID, c.readCount(o), false, nil)
}

// readingStream is streamRead for XREAD. What has waited goes on to wait when the key
// holds another type now.
func (c *Ctx) readingStream(key []byte) (s *keyspace.StreamValue, ok bool) {
	if c.Served != nil {
		if e, found := c.peek(key); !found || e.Type() != keyspace.Stream {
			return nil, true
		}
	}
	return c.streamRead(key)
}

// parseRead parses them.
func (c *Ctx) parseRead(grouped bool) (o readOptions, ok bool) {
	for i := 1; i < len(c.Args) && o.keys == nil; i++ {
		more := len(c.Args) - 1 - i
		switch a := c.Args[i]; {
		case is(a, "block") && more > 0:
			if c.InScript {
				c.Out.Error("ERR " + string(c.Args[0]) + " command is not allowed with BLOCK option from scripts")
				return o, false
			}
			i++
			o.blocks = true
			if o.deadline, ok = c.millisecondsArg(c.Args[i]); !ok {
				return o, false
			}
		case is(a, "count") && more > 0:
			i++
			n, ok := c.intArg(c.Args[i])
			if !ok {
				return o, false
			}
			o.count = int(min(max(n, 0), math.MaxInt))
		case is(a, "streams") && more > 0:
			if more%2 != 0 {
				c.Out.Error("ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.")
				return o, false
			}
			rest := c.Args[i+1:]
			o.keys, o.ids = rest[:more/2], rest[more/2:]
		case is(a, "group") && more >= 2:
			if !grouped {
				c.Out.Error("ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.")
				return o, false
			}
			o.group, o.consumer = c.Args[i+1], c.Args[i+2]
			i += 2
		case is(a, "claim") && more > 0:
			if !grouped {
				c.Out.Error("ERR The CLAIM option is only supported by XREADGROUP. You called XREAD instead.")
				return o, false
			}
			i++
			if o.minIdle, ok = c.claimArg(c.Args[i]); !ok {
				return o, false
			}
			o.claims = true
		case is(a, "noack"):
			if !grouped {
				c.Out.Error("ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.")
				return o, false
			}
			o.noAck = true
		default:
			c.Out.Error(errSyntax)
			return o, false
		}
	}
	switch {
	case o.keys == nil:
		c.Out.Error(errSyntax)
	case grouped && o.group == nil:
		c.Out.Error("ERR Missing GROUP option for XREADGROUP")
	default:
		o.looked = slices.Grow(c.looked[:0], len(o.keys))[:len(o.keys)]
		clear(o.looked)
		if c.looked = nil; cap(o.looked) <= 1<<10 {
			c.looked = o.looked
		}
		return o, true
	}
	return o, false
}

// readAfter returns the ID behind which XREAD reads the i-th stream, which is nil where
// it is not there. What "$" means is decided when the command comes, not when it is
// called again: the ID takes its place among the arguments. "+" stands for the last
// entry, whichever that is then.
func (c *Ctx) readAfter(o *readOptions, i int, s *keyspace.StreamValue) (id keyspace.StreamID, ok bool) {
	switch string(clip(o.ids[i], len(o.ids[i]))) {
	case "$":
		if s != nil {
			id = s.Info().Last
		}
		if o.blocks {
			o.ids[i] = id.Append(nil)
		}
		return id, true
	case "+":
		if s != nil {
			if last, there := s.LastEntry(); there {
				id, _ = last.Prev()
			} else {
				id = s.Info().Last
			}
		}
		return id, true
	case ">":
		c.Out.Error("ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.")
		return id, false
	}
	return c.streamID(o.ids[i])
}

// concerns tells whether the i-th stream is looked at: a command that has waited is
// called for one key, which it may have been given twice.
func (c *Ctx) concerns(o *readOptions, i int) bool {
	if c.Served == nil {
		return true
	}
	is := func(key []byte) bool { return bytes.Equal(key, c.Served) }
	return slices.IndexFunc(o.keys, is) == i
}

// hasNew tells whether a stream has an entry behind an ID. For a command that has
// waited one counts that is gone already, as in Redis.
func (c *Ctx) hasNew(s *keyspace.StreamValue, after keyspace.StreamID) bool {
	if c.Served != nil {
		return after.Less(s.Info().Last)
	}
	last, there := s.LastEntry()
	return there && after.Less(last)
}

// countBlocked bounds what a client is sent that has waited and has not said how much
// it wants, as in Redis.
const countBlocked = 1000

func (c *Ctx) readCount(o *readOptions) int {
	if o.count == 0 && c.Served != nil {
		return countBlocked
	}
	return o.count
}

func xreadgroupCommand(c *Ctx) { c.readStreams(true) }

// lookAtGroup is lookAtStream for XREADGROUP.
func (c *Ctx) lookAtGroup(o *readOptions, i int) (ready, ok bool) {
	s, g, ok := c.readingGroup(o, o.keys[i])
	if !ok {
		return false, false
	}
	switch id := o.ids[i]; string(clip(id, len(id))) {
	case "$":
		c.Out.Error("ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by specifying a proper ID, " +
			"or use the > ID to get new messages. The $ ID would just return an empty result set.")
		return false, false
	case ">":
		o.looked[i].after = maxStreamID
	default:
		if o.looked[i].after, ok = c.streamID(id); !ok {
			return false, false
		}
	}
	if o.looked[i].after != maxStreamID { // Redis takes the largest ID for ">" as well
		return true, true
	}
	ready = c.leftFor(o, i, s, g.Last())
	return c.hasClaims(o, i, s, g) || ready, true
}

// leftFor tells whether new entries are left for the i-th stream: what comes before it
// among the arguments, and is the same, gets its count first.
func (c *Ctx) leftFor(o *readOptions, i int, s *keyspace.StreamValue, last keyspace.StreamID) bool {
	if !c.hasNew(s, last) {
		return false
	}
	before := 0
	for k := range i {
		if id, _, _ := parseStreamID(o.ids[k], 0, false); o.looked[k].ready && bytes.Equal(o.keys[k], o.keys[i]) && (o.ids[k][0] == '>' || id == maxStreamID) {
			before++
		}
	}
	if before == 0 || o.count == 0 {
		return before == 0
	}
	taken := before * min(o.count, int(s.Info().Length))
	from, _ := last.Next()
	return s.Count(from, maxStreamID, taken+1) > taken
}

// readingGroup returns a stream and its group that XREADGROUP reads, or replies that it
// is not there.
func (c *Ctx) readingGroup(o *readOptions, key []byte) (s *keyspace.StreamValue, g *keyspace.StreamGroup, ok bool) {
	e, found := c.lookup(key)
	if c.Served != nil && (!found || e.Type() != keyspace.Stream) {
		c.Out.Error("UNBLOCKED the stream key no longer exists")
		return nil, nil, false
	}
	if _, _, ok := c.checkType(e, found, keyspace.Stream); !ok {
		return nil, nil, false
	}
	if found {
		s = e.Stream()
		g = s.Group(o.group)
	}
	switch {
	case g != nil:
		return s, g, true
	case c.Served != nil:
		c.Out.Error("NOGROUP the consumer group this client was blocked on no longer exists")
	default:
		c.Out.Errorf("NOGROUP No such key '%s' or consumer group '%s' in XREADGROUP with GROUP option", clip(key, len(key)), clip(o.group, len(o.group)))
	}
	return nil, nil, false
}

// giveDelivery is giveEntries for XREADGROUP: the entries of a stream that are new to the
// group, or for another ID than the largest those that are pending of the consumer
// behind it.
func (c *Ctx) giveDelivery(o *readOptions, i int) {
	key, after := o.keys[i], o.looked[i].after
	now := c.streamTime(key)
	c.editGroup(key, o.group, func(s *keyspace.StreamValue, g *keyspace.StreamGroup) {
		t := groupLog{c: c, key: key, group: o.group, consumer: o.consumer, now: now}
		t.see(g)
		if after != maxStreamID {
			c.redeliver(o, s, g, after, &t)
			return
		}
		from, _ := g.Last().Next()
		info, moved := s.Info(), false
		deliver := func(id keyspace.StreamID) {
			g.Deliver(info, id)
			moved = true
			if !o.noAck {
				p := keyspace.StreamPending{ID: id, Consumer: o.consumer, Delivered: now, Count: 1}
				g.Claim(p)
				t.claimed(p)
			}
		}
		if o.claims {
			c.giveClaims(o, s, g, from, &t, deliver)
		} else {
			c.replyEntries(s, from, maxStreamID, c.readCount(o), false, deliver)
		}
		t.flush(g)
		if moved {
			t.logLast(g)
		}
	})
	c.Counted(1)
}

// redeliver replies with what is pending of a consumer behind an ID. An entry that was
// deleted since has no fields.
func (c *Ctx) redeliver(o *readOptions, s *keyspace.StreamValue, g *keyspace.StreamGroup, after keyspace.StreamID, t *groupLog) {
	from, _ := after.Next()
	consumer := g.Consumer(o.consumer)
	n := consumer.NumPendingFrom(from)
	if o.count > 0 {
		n = min(n, o.count)
	}
	pending := make([]keyspace.StreamPending, 0, n)
	g.EachPending(consumer, from, func(p keyspace.StreamPending) bool {
		if len(pending) < n {
			pending = append(pending, p)
		}
		return len(pending) < n
	})
	c.Out.Array(n)
	for _, p := range pending {
		if !replyOne(c.Out, s, p.ID) {
			c.Out.Array(2)
			replyID(c.Out, p.ID)
			c.Out.NullArray()
			continue
		}
		p.Consumer, p.Delivered = o.consumer, t.now
		p.Count++
		g.Claim(p)
		t.claimed(p)
	}
	t.given = false // it had them
	t.flush(g)
}
