package session

import (
	"slices"

	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/wal"
)

// Commands that wait are served by whoever makes it possible: the session that has
// pushed an element executes the BLPOP of the client that has waited longest, at
// the end of its own unit and before it gives up the locks. That this is as if
// there were one thread, as in Redis, rests on four things.
//
// What there is to take is given before anybody sees it. A unit holds the locks of
// everything it changes. Each event of a key that somebody waits for marks its line
// (waiting.ready), under the lock of the key's shard, and no unit ends before the
// lines of its shards are worked off (Session.unlock), those included that become
// ready meanwhile because a BLMOVE pushes in its turn. So between two units no line
// stands at a key that has what its tickets want, and a command that comes later
// cannot overtake: it finds nothing, and stands behind them. What a transaction pushes and
// pops again is not there at its end, and nobody is served.
//
// The order is that of the tickets in their line, which they enter under the lock
// under which they found nothing there; and that of the lines is the one in which
// they became ready.
//
// A ticket is settled once (ticket.mu): served, or too late, unblocked, or without a
// client. Whoever serves it holds mu while the command is executed, and executes
// nothing for one that is settled: an element is not taken for a client that does
// not wait any more, and a client that was given one does not time out. The session
// whose ticket was served puts its reply out by itself, when what was taken is as
// durable as the policy promises. A ticket in several lines leaves that in which it was
// served at once, and the others when its session comes to it; until then it is passed over.
//
// The locks that serving needs are had before the unit is executed. A ticket may
// be about keys of other shards, the destination of a BLMOVE. Locks are taken in
// ascending order only, so the unit looks for such tickets first, in the lines of
// its keys and of the keys that those would change, and locks their shards too
// (Session.widen). What it does not foresee, because a script uses keys that it has not
// declared, is served right after the unit, under all locks.

// serveWaiting serves the tickets to whose keys something has happened, as far as
// the locks of the unit allow.
func (s *Session) serveWaiting() {
	w := s.rt.waiting
	var put []*line
	for l := w.next(s.unit.shards); l != nil; l = w.next(s.unit.shards) {
		if !s.serveLine(l) {
			put = append(put, l)
		}
	}
	for _, l := range put {
		w.ready(l, true)
		s.unserved = true
	}
}

// serveLine serves the tickets of a line, those that came first before the others.
// It is false when that needs locks that are not held.
func (s *Session) serveLine(l *line) bool {
	var idle []*command.Command // that have found nothing
	for e := l.tickets.Front(); e != nil; {
		t := e.Value.(*ticket)
		e = e.Next()
		if slices.Contains(idle, t.cmd) || t.state.Load() != waits {
			continue
		}
		for _, n := range t.reach {
			if _, held := slices.BinarySearch(s.unit.shards, n); !held {
				return false
			}
		}
		switch done, tried := s.serve(t, l); {
		case done:
			s.rt.waiting.remove(t, t.placeIn(l))
		case tried && s.same(l):
			idle = append(idle, t.cmd)
		}
	}
	return true
}

// same tells whether the key of a line is the same to all tickets with one command.
// It is not where they say which elements they want, as those that read streams do.
func (s *Session) same(l *line) bool {
	e, status := s.rt.Keyspace.Shard(l.shard).DB(l.db).Get([]byte(l.key), 0)
	if status == keyspace.Missing {
		return true
	}
	switch e.Type() {
	case keyspace.String, keyspace.List, keyspace.Set, keyspace.Hash, keyspace.ZSet:
		return true
	case keyspace.Stream:
	}
	return false
}

// serve executes the command of a ticket, if that still waits, and tells whether it
// has replied.
func (s *Session) serve(t *ticket, l *line) (done, tried bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	began := s.rt.Clock.Now()
	now := began.UnixMilli()
	if t.state.Load() != waits || t.overdue(now) {
		return false, false
	}
	shard, shards := l.shard, []int{l.shard}
	for _, n := range t.reach {
		shards = insertShard(shards, n)
	}
	if len(shards) > 1 {
		shard = -1
	}
	c := &s.proxy
	if c.KS == nil {
		*c = s.newCtx()
	}
	c.Client, c.Other, c.MayBlock, c.Served = t.client, t.standIn(), true, []byte(l.key)
	c.Reset(t.args, &t.out, t.db, shard, now)
	outcome := command.Call(c, t.cmd)
	s.dirty += c.Dirty()
	if t.track != nil {
		t.track.Flush()
	}
	if c.HasEffects() {
		s.logServed(c, shard, shards)
	}
	if outcome == command.Blocked {
		s.rt.waiting.alarms.set(t, c.RetryAt())
		return false, true
	}
	t.began, t.took = began, s.rt.Clock.Now().Sub(began)
	t.owe(s.rt, c.HasEffects() && c.Writes(), shards)
	t.become(served)
	return true, true
}

// logServed appends what was executed for a ticket to the order, behind what the
// unit itself has changed.
func (s *Session) logServed(c *command.Ctx, shard int, shards []int) {
	order := s.rt.Order
	switch {
	case !order.Taken():
		order.Skip(shards[0])
	case shard >= 0 && c.NumEffects() == 1:
		n, effect := c.Effect(0, nil)
		order.Append(shard, n, effect)
	default:
		order.AppendTx(shards, command.AppendEffects(c, []wal.Cmd(nil)))
	}
}

// owe notes what the reply has to wait for, as noteWrite and noteSeen do for a
// session's own commands.
func (t *ticket) owe(rt *Runtime, wrote bool, shards []int) {
	log := rt.Log()
	switch {
	case wrote && (log != nil || rt.Order.Taken()):
		t.owes, t.wrote, t.log, t.mark = true, true, log, rt.Order.Mark()
	case !wrote && log != nil && log.Policy() == wal.Always:
		t.owes, t.log = true, log
		for _, n := range shards {
			t.mark = max(t.mark, log.ShardMark(n))
		}
	}
}

// widen adds to the unit the shards that serving will need, and tells whether there
// are any. The locks of the unit are held.
func (s *Session) widen() bool {
	u, ks := &s.unit, s.rt.Keyspace
	if len(u.shards) == ks.NumShards() {
		return false
	}
	var todo [][]byte
	for _, q := range u.commands {
		if q.cmd.Flags&command.ReadOnly != 0 {
			continue
		}
		keys, _ := q.cmd.Keys(q.args)
		for _, k := range keys {
			todo = append(todo, q.args[k.At])
		}
	}
	need := slices.Clone(u.shards)
	seen := make(map[string]bool)
	for len(todo) > 0 {
		key := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[string(key)] {
			continue
		}
		seen[string(key)] = true
		n := ks.ShardOf(key)
		if _, held := slices.BinarySearch(u.shards, n); !held {
			continue // its lines cannot be looked at yet
		}
		for _, t := range s.rt.waiting.shards[n].far[string(key)] {
			for _, n := range t.reach {
				need = insertShard(need, n)
			}
			todo = append(todo, t.others...)
		}
	}
	if len(need) == len(u.shards) {
		return false
	}
	u.more = need
	return true
}

// serveUnforeseen serves what could not be served under the locks of a unit.
func (s *Session) serveUnforeseen() {
	s.unserved = false
	s.release()
	s.enter()
	ks, u := s.rt.Keyspace, &s.unit
	ks.LockAll()
	for n := range ks.NumShards() {
		u.shards = append(u.shards, n)
	}
	s.rt.waiting.ring(s.rt.Clock.Now().UnixMilli())
	s.serveWaiting()
	u.shards = u.shards[:0]
	ks.UnlockAll()
	s.release()
}

// ServeWaiting serves the commands to whose keys something has happened that was no
// command's doing, such as the end of a stream that has expired, and those whose time
// has come to be tried again. It is for the engine's tick, holds every lock if there is anything to do, and belongs to one
// goroutine at a time.
func (rt *Runtime) ServeWaiting() {
	if rt.conditions.load()&linesReady == 0 && !rt.waiting.alarms.due(rt.Clock.Now().UnixMilli()) {
		return
	}
	s := rt.stewardship()
	s.serveUnforeseen()
	s.Release()
}

// stewardship is the session of what the engine's tick does.
func (rt *Runtime) stewardship() *Session {
	if rt.steward == nil {
		rt.steward = &Session{rt: rt, held: -1}
		rt.steward.ctx = rt.steward.newCtx()
	}
	return rt.steward
}
