package command

import (
	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/rdb"
)

// groupLog logs what a command does to the consumers and the pending entries of a
// group, so that it is the same when it is executed again: an XCLAIM that says which
// entries are pending of whom since when, as in Redis. Redis does not tell a replica, or its log, when a
// consumer was seen, nor that an entry was delivered once more from a consumer's
// history. Here an XCLAIM of 0-0, which in Redis is without effect, says the first; one with a
// RETRYCOUNT says since when the consumer is active, where that is not the time of what it claims.
type groupLog struct {
	c                    *Ctx
	key, group, consumer []byte
	now                  int64

	last  keyspace.StreamPending // claimed; Ctx.ids are not logged yet
	noted bool                   // when the consumer was seen follows from what is logged
	given bool                   // entries that the consumer did not have
	since int64                  // when it is active by what is logged
}

// claimsLogged is how many entries one XCLAIM names at most.
const claimsLogged = 512

// see makes the consumer exist, and notes that it was seen.
func (t *groupLog) see(g *keyspace.StreamGroup) {
	t.c.ids = t.c.ids[:0]
	if !g.CreateConsumer(t.consumer, t.now) {
		g.See(t.consumer, t.now)
		t.since = g.Consumer(t.consumer).Active()
		return
	}
	t.c.Changed(t.key, eventXGroupCreateConsumer)
	t.since = rdb.NeverActive
	t.c.LogAs(verbXGroup, wordCreateConsumer, t.key, t.group, t.consumer)
}

// claimed notes that an entry is the consumer's.
func (t *groupLog) claimed(p keyspace.StreamPending) {
	if n := len(t.c.ids); n > 0 && (n == claimsLogged || p.Count != t.last.Count || p.Delivered != t.last.Delivered) {
		t.logClaims()
	}
	t.c.ids, t.last, t.given = append(t.c.ids, p.ID), p, true
}

func (t *groupLog) logClaims() {
	t.c.appendWords(verbXClaim, t.key, t.group, t.consumer, wordZero)
	for _, id := range t.c.ids {
		t.c.appendID(id)
	}
	t.c.appendWords(wordTime)
	t.c.appendNumber(t.last.Delivered)
	t.c.appendWords(wordRetryCount)
	t.c.appendNumber(int64(t.last.Count))
	t.c.LogAs(wordForce, wordJustID)
	t.c.ids = t.c.ids[:0]
	t.noted, t.since = t.last.Delivered == t.now, t.last.Delivered
}

// flush logs what was noted, and has the consumer be active that was given entries.
func (t *groupLog) flush(g *keyspace.StreamGroup) {
	if t.given {
		g.Act(t.consumer, t.now)
	}
	if len(t.c.ids) > 0 {
		t.logClaims()
	}
	if !t.noted {
		t.c.appendWords(verbXClaim, t.key, t.group, t.consumer, wordZero, wordNoID, wordTime)
		t.c.appendNumber(t.now)
		t.c.LogAs(wordForce, wordJustID)
	}
	switch active := g.Consumer(t.consumer).Active(); active {
	case t.since:
	case rdb.NeverActive:
		t.c.LogAs(verbXClaim, t.key, t.group, t.consumer, wordZero, wordNoID, wordRetryCount, wordZero, wordForce, wordJustID)
	default:
		t.c.appendWords(verbXClaim, t.key, t.group, t.consumer, wordZero, wordNoID, wordTime)
		t.c.appendNumber(active)
		t.c.LogAs(wordRetryCount, wordOne, wordForce, wordJustID)
	}
}

// logLast logs the last ID that was delivered to the group.
func (t *groupLog) logLast(g *keyspace.StreamGroup) {
	t.c.appendWords(verbXGroup, wordSetID, t.key, t.group)
	t.c.appendID(g.Last())
	t.c.appendWords(wordEntriesRead)
	t.c.appendNumber(g.EntriesRead())
	t.c.LogAs()
}

// acked logs that entries are no longer pending.
func (t *groupLog) acked(ids []keyspace.StreamID) {
	for len(ids) > 0 {
		t.c.appendWords(verbXAck, t.key, t.group)
		n := min(len(ids), claimsLogged)
		for _, id := range ids[:n] {
			t.c.appendID(id)
		}
		t.c.LogAs()
		ids = ids[n:]
	}
}
