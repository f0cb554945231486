package command

import (
	"cmp"
	"container/heap"
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
		if o.looked[k].ready && o.looked[k].after == maxStreamID && string(o.keys[k]) == string(o.keys[i]) {
			return false
		}
	}
	soonEnough := func() int64 { // what was delivered until then is claimable now, or is the next to be
		next := int64(math.MaxInt64)
		if o.claimable != 0 {
			next = o.claimable
		}
		return max(c.Now, next-1) - o.minIdle
	}
	g.EachDelivered(soonEnough, func(p keyspace.StreamPending) bool {
		if s.Has(p.ID) {
			o.claimable = p.Delivered + o.minIdle
			found = o.claimable <= c.Now
		}
		return !found
	})
	return found
}

// claimed returns what there is to claim, what was delivered first before the others.
func (o *readOptions) claimed(s *keyspace.StreamValue, g *keyspace.StreamGroup, now int64, count int) []keyspace.StreamPending {
	var claims claims
	limit := func() int64 {
		until := now - o.minIdle
		if count > 0 && len(claims) == count { // what was delivered with the last of them, and is behind it, comes too late
			until = min(until, claims[0].Delivered-1)
		}
		return until
	}
	g.EachDelivered(limit, func(p keyspace.StreamPending) bool {
		if s.Has(p.ID) {
			if count > 0 && len(claims) == count {
				heap.Pop(&claims)
			}
			heap.Push(&claims, p)
		}
		return true
	})
	slices.SortFunc(claims, compareClaims)
	return claims
}

// claims is a heap with what is claimed last on top.
type claims []keyspace.StreamPending

func compareClaims(a, b keyspace.StreamPending) int {
	return cmp.Or(cmp.Compare(a.Delivered, b.Delivered), a.ID.Compare(b.ID))
}

func (c claims) Len() int           { return len(c) }
func (c claims) Less(i, j int) bool { return compareClaims(c[i], c[j]) > 0 }
func (c claims) Swap(i, j int)      { c[i], c[j] = c[j], c[i] }
func (c *claims) Push(p any)        { *c = append(*c, p.(keyspace.StreamPending)) } //nolint:forcetypeassert // it is a heap of these
func (c *claims) Pop() any {
	last := len(*c) - 1
	p := (*c)[last]
	*c = (*c)[:last]
	return p
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
