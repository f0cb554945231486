package command

import (
	"cmp"
	"math"
	"slices"

	"github.com/spillwaydb/spillway/core/keyspace"
)

// XREADGROUP with CLAIM gives what is pending in the group for long enough before what
// is new to it, and makes it the consumer's. Each entry of the reply has two more
// elements: for how long it has been pending, and how often it was delivered.

// claimArg parses for how long an entry must have been pending.
func (c *Ctx) claimArg(arg []byte) (minIdle int64, ok bool) {
	minIdle, ok = parseInt(arg)
	switch {
	case !ok:
		c.Out.Error("ERR min-idle-time is not an integer")
	case minIdle < 0:
		c.Out.Error("ERR min-idle-time must be a positive integer")
	}
	return minIdle, ok && minIdle >= 0
}

// hasClaims tells whether there is anything to claim for the i-th stream, and notes
// when there will be.
func (c *Ctx) hasClaims(o *readOptions, i int, s *keyspace.StreamValue, g *keyspace.StreamGroup) (found bool) {
	if !o.claims {
		return false
	}
	for k := range i { // which of the same stream gets it
		if o.ready[k] && o.after[k] == maxStreamID && string(o.keys[k]) == string(o.keys[i]) {
			return false
		}
	}
	g.EachPending(nil, keyspace.StreamID{}, func(p keyspace.StreamPending) bool {
		at := int64(math.MaxInt64)
		if p.Delivered <= math.MaxInt64-o.minIdle {
			at = p.Delivered + o.minIdle
		}
		sooner := at < math.MaxInt64 && (o.claimable == 0 || at < o.claimable)
		if (sooner || at <= c.Now) && s.Has(p.ID) {
			o.claimable = at
			found = at <= c.Now
		}
		return !found
	})
	return found
}

// claimed returns what there is to claim, what was delivered first before the others.
func (o *readOptions) claimed(s *keyspace.StreamValue, g *keyspace.StreamGroup, now int64, count int) []keyspace.StreamPending {
	var claims []keyspace.StreamPending
	g.EachPending(nil, keyspace.StreamID{}, func(p keyspace.StreamPending) bool {
		if now-p.Delivered >= o.minIdle && s.Has(p.ID) {
			claims = append(claims, p)
		}
		return true
	})
	slices.SortStableFunc(claims, func(a, b keyspace.StreamPending) int { return cmp.Compare(a.Delivered, b.Delivered) })
	if count > 0 && len(claims) > count {
		claims = claims[:count]
	}
	return claims
}

// giveClaims replies with what is claimed, and then with the entries from an ID on that
// are new to the group, for each of which it calls deliver.
func (c *Ctx) giveClaims(o *readOptions, s *keyspace.StreamValue, g *keyspace.StreamGroup, from keyspace.StreamID, t *groupLog, deliver func(id keyspace.StreamID)) {
	count := c.readCount(o)
	claims := o.claimed(s, g, t.now, count)
	left := math.MaxInt
	if count > 0 {
		left = count - len(claims)
	}
	fresh := 0
	if left > 0 {
		fresh = s.Count(from, maxStreamID, left)
	}
	c.Out.Array(len(claims) + fresh)
	for _, p := range claims {
		s.Each(p.ID, p.ID, false, func(it *keyspace.StreamItem) bool {
			c.replyClaimed(it, t.now-p.Delivered, int64(p.Count))
			return false
		})
		p.Consumer, p.Delivered = o.consumer, t.now
		p.Count++
		g.Claim(p)
		t.claimed(p)
	}
	if fresh == 0 {
		return
	}
	s.Each(from, maxStreamID, false, func(it *keyspace.StreamItem) bool {
		c.replyClaimed(it, 0, 0)
		deliver(it.ID)
		fresh--
		return fresh > 0
	})
}

// replyClaimed replies with an entry, for how long it was pending and how often it had
// been delivered.
func (c *Ctx) replyClaimed(it *keyspace.StreamItem, idle, deliveries int64) {
	c.Out.Array(4)
	replyFields(c.Out, it)
	c.Out.Int(idle)
	c.Out.Int(deliveries)
}
