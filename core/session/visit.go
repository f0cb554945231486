package session

import (
	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/resp"
)

// visiting is what a session knows of the last command of its own that visited shards.
type visiting struct {
	last int  // the shard visited last, -1 for none
	busy bool // a busy script has the next one
}

// executeVisits is execute for a command that visits shards one after the other.
func (s *Session) executeVisits(cmd *command.Command, args [][]byte, out *resp.Writer) command.Outcome {
	s.release()
	s.beforeWaiting()
	s.visiting = visiting{last: -1}
	s.unit.shard = -1
	s.ctx.Visit = s.visit
	outcome := s.call(cmd, args, out)
	s.ctx.Visit = nil
	if s.visiting.busy {
		s.release()
		return s.rejectBusy(out)
	}
	return outcome
}

// callDetached calls a handler for which nothing is locked, and which may visit shards.
func (s *Session) callDetached(cmd *command.Command, out *resp.Writer) command.Outcome {
	s.visiting = visiting{last: -1}
	s.ctx.Visit = s.visit
	outcome := command.CallDetached(&s.ctx, cmd)
	s.ctx.Visit = nil
	if s.visiting.busy {
		if s.ctx.Made() {
			s.ctx.EndMade()
		}
		s.release()
		return s.rejectBusy(out)
	}
	return outcome
}

// visit is Ctx.Visit. A visit is a unit of its own: what it changes, keys that have
// expired, is logged, and who has waited for that is served, before its lock is given
// up. Whoever waits for the shard comes before the next visit.
func (s *Session) visit(n int, f func()) bool {
	s.rt.between(s.visiting.last == n)
	s.visiting.last = n
	u := &s.unit
	u.shards = append(u.shards[:0], n)
	if !s.lock(true) {
		s.visiting.busy = true
		return false
	}
	s.ctx.Frozen = s.rt.Frozen()
	f()
	if s.ctx.HasEffects() {
		s.logCommand(s.ctx.Args)
		s.ctx.Logged()
	}
	s.unlock()
	s.unhold()
	return true
}
