package session

import (
	"math"
	"slices"

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
	p := rt.pause.Load()
	if p != nil && rt.Clock.Now().UnixMilli() > p.until {
		rt.pause.CompareAndSwap(p, nil)
		return nil
	}
	return p
}

// Frozen tells whether CLIENT PAUSE keeps the data as they are: no key expires and
// none is evicted.
func (rt *Runtime) Frozen() bool { return rt.paused() != nil }

// PauseClients implements command.Client. As in Redis a pause can only be made
// longer and stricter by another. No command that it concerns is executed once it
// returns, or, within a transaction, once that has ended: who has a shard's lock
// looks for a pause, and the locks are all had once here.
func (s *Session) PauseClients(until int64, all bool) {
	for {
		old := s.rt.paused()
		p := &pause{until, all}
		if old != nil {
			p.until, p.all = max(until, old.until), all || old.all
		}
		if s.rt.pause.CompareAndSwap(old, p) {
			break
		}
	}
	if s.unit.locked || s.held >= 0 {
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
	s.rt.pause.Store(nil)
	s.rt.waiting.letGo()
}

// holdsBack tells whether a pause concerns a command.
func (s *Session) holdsBack(cmd *command.Command, args [][]byte) bool {
	if s.rt.pause.Load() == nil {
		return false
	}
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
