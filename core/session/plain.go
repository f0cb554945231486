package session

import (
	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/resp"
)

// What is checked around a command is nearly always in vain, and takes longer than a GET. So it is looked at
// together, in Run: Session.plain says that nothing about the client is out of the ordinary, the conditions that
// there is nothing about the engine, and Command.Plain that the command is one which cannot change
// the former. runPlain executes it then, without the checks that would find nothing. It turns back to run, which makes all of
// them, as long as nothing has been executed.

// isPlain tells whether the client is one of whose commands only what the user may do has to be looked at. What it asks for is
// changed by commands that are not plain, and by the session's own goroutine: so run, which executes
// those, asks behind each of them. That a client monitors is a condition.
func (s *Session) isPlain() bool {
	return s.reply == command.ReplyOn && !s.silent && !s.subscribed && !s.tx.open && !s.track.Mode().On
}

// runPlain is run for a plain command of a plain client, whom all are permitted, under no condition.
func (s *Session) runPlain(cmd *command.Command, args [][]byte, out *resp.Writer) command.Outcome {
	c := &s.ctx
	if s.cmd.Load() != cmd { // see dispatch
		s.cmd.Store(cmd)
	}
	out.Proto = s.Proto()
	s.writes = false
	s.replyStart = out.Len()
	if (cmd.Flags&(command.Write|command.DenyOOM) != 0 || s.grew) && !s.admitPlain(cmd, args, out) || !s.lockPlain(cmd, args) {
		return s.run(args, command.ReplyOn, out)
	}
	c.Request, c.Detaches = s.request, true
	began := s.began()
	c.Reset(args, out, s.DB(), s.unit.shard, s.clock.unixMilli(began))
	c.Frozen = false
	outcome := command.Call(c, cmd)
	s.dirty += c.Dirty()
	if s.rt.conditions.load() != 0 || c.Detached() {
		outcome = s.endLocked(cmd, args, out, s.endCall(cmd, args, out, began, outcome))
	} else {
		c.Request, c.Detaches = nil, false
		s.account(cmd, args, began, outcome)
		if c.HasEffects() {
			s.logCommand(args)
		}
		s.unit.shards = s.unit.shards[:0]
	}
	if out.Errors > 0 {
		s.countErrors(out)
	}
	if s.writes {
		s.written = append(s.written, reply{s.replyStart, out.Len()})
	}
	return outcome
}

// admitPlain tells whether a plain command that needs more than to be looked at may be executed now.
func (s *Session) admitPlain(cmd *command.Command, args [][]byte, out *resp.Writer) bool {
	s.ctx.Out = out // for what is told of keys that are evicted
	return s.refusal(cmd, args, 0) == ""
}

// lockPlain is lockFor for a plain command. It is false where something out of the ordinary has come up
// meanwhile.
func (s *Session) lockPlain(cmd *command.Command, args [][]byte) bool {
	if cmd.OnlyKey == 0 {
		s.lockNone()
		return s.rt.conditions.load() == 0
	}
	n, u := s.shardOf(args, cmd.OnlyKey), &s.unit
	if !s.hold(n) || s.rt.conditions.load() != 0 { // again, under the lock: see conditions
		return false
	}
	u.shard = n
	u.shards = append(u.shards[:0], n)
	return true
}
