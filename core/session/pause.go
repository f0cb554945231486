package session

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/script"
)

// pause is a CLIENT PAUSE.
type pause struct {
	until int64 // Unix milliseconds, the last one included
	all   bool  // every command is held back, and not only those that may write
}

// paused is the pause that is in force, nil for none.
func (rt *Runtime) paused() *pause {
	if rt.conditions.load()&clientsPaused == 0 {
		return nil
	}
	p := rt.pause.Load()
	if p.over(rt.Clock.Now()) {
		rt.changePause(func(now *pause) *pause {
			if now == p {
				return nil
			}
			return now
		})
		return nil
	}
	return p
}

// over tells whether a pause has ended by itself, or is none.
func (p *pause) over(now time.Time) bool { return p == nil || now.UnixMilli() > p.until }

// changePause puts another pause, nil for none, in the place of the one there is.
func (rt *Runtime) changePause(change func(*pause) *pause) {
	rt.pauseMu.Lock()
	defer rt.pauseMu.Unlock()
	before := rt.pause.Load()
	after := change(before)
	rt.pause.Store(after)
	switch {
	case before == nil && after != nil:
		rt.conditions.add(clientsPaused, 1)
	case before != nil && after == nil:
		rt.conditions.add(clientsPaused, -1)
	}
}

// Frozen tells whether CLIENT PAUSE keeps the data as they are, or another server
// decides what is in them: no key expires and none is evicted.
func (rt *Runtime) Frozen() bool { return rt.conditions.load()&follows != 0 || rt.paused() != nil }

// PauseClients implements command.Client. As in Redis a pause can only be made
// longer and stricter by another. No command that it concerns is executed once it
// returns, or, within a transaction, once that has ended: who has a shard's lock
// looks for a pause, and the locks are all had once here.
func (s *Session) PauseClients(until int64, all bool) {
	now := s.rt.Clock.Now()
	s.rt.changePause(func(old *pause) *pause {
		if old.over(now) {
			return &pause{until, all}
		}
		return &pause{max(until, old.until), all || old.all}
	})
	if s.unit.locked || s.holds() {
		s.pausing = true // see unlock
		return
	}
	s.awaitUnits()
}

// awaitUnits returns when every unit has ended that had its locks before. The
// session holds none.
func (s *Session) awaitUnits() {
	s.pausing = false
	for n := range s.rt.Keyspace.NumShards() {
		shard := s.rt.Keyspace.Shard(n)
		shard.Lock()
		shard.Unlock() //nolint:staticcheck // a barrier
	}
}

// UnpauseClients implements command.Client.
func (s *Session) UnpauseClients() {
	s.rt.changePause(func(*pause) *pause { return nil })
	s.rt.waiting.letGo()
}

// holdsBack tells whether a pause concerns a command.
func (s *Session) holdsBack(cmd *command.Command, args [][]byte) bool {
	p := s.rt.paused()
	return p != nil && (p.all || s.mayWrite(cmd, args))
}

// mayWrite tells whether a command, or for EXEC one of the queued ones, may write. A
// script may that does not declare that it does not.
func (s *Session) mayWrite(cmd *command.Command, args [][]byte) bool {
	if cmd.Name == "exec" {
		return slices.ContainsFunc(s.tx.queue, func(q queued) bool { return s.mayWrite(q.cmd, q.args) })
	}
	if cmd.Flags&command.MayReplicate == 0 && !cmd.Changes(args) {
		return false
	}
	if strings.HasPrefix(cmd.Name, "fcall") {
		return s.functionMayWrite(args)
	}
	flags, declared := s.scriptFlags(cmd, args)
	return !declared || flags&script.NoWrites == 0
}

// postpone has the command wait until the pause is over. It is executed from the
// beginning then, checks included.
func (s *Session) postpone(cmd *command.Command, args [][]byte) command.Outcome {
	s.release()
	p := s.rt.paused()
	t := &ticket{cmd: cmd, args: cloneArgs(args), held: true}
	if p != nil && p.until < math.MaxInt64 {
		t.deadline = p.until + 1
	}
	s.block(t)
	if s.rt.paused() == nil {
		t.settle(late) // it was over before anybody could know of the ticket
	}
	return command.Blocked
}
