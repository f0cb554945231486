package session

import (
	"context"
	"errors"
	"time"

	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/resp"
)

// blocked is what a session knows of the command of its own that waits.
type blocked struct {
	wake   func()        // see Runtime.New
	signal chan struct{} // what wake of an embedded client sends to
	took   time.Duration // how long it was executed before it waited
}

// errUnblocked is Redis's.
const errUnblocked = "UNBLOCKED client unblocked via CLIENT UNBLOCK"

var errClosed = errors.New("session: the engine was closed while the command was blocked")

// Blocked tells whether a command of the client is blocked, or held back by CLIENT
// PAUSE, and has not replied yet. Any goroutine.
func (s *Session) Blocked() bool { return s.ticket.Load() != nil }

// waits tells whether there is still something for which such a command waits.
func (s *Session) waits() bool {
	t := s.ticket.Load()
	return t != nil && t.state.Load() == waits
}

// waitingBytes are those of the arguments of a command that waits. Any goroutine.
func (s *Session) waitingBytes() (n int) {
	if t := s.ticket.Load(); t != nil && t.state.Load() == waits {
		for _, a := range t.args {
			n += len(a)
		}
	}
	return n
}

// Deadline is when a blocked command gives up, zero for never.
func (s *Session) Deadline() time.Time {
	t := s.ticket.Load()
	if t == nil || t.deadline == 0 {
		return time.Time{}
	}
	return time.UnixMilli(t.deadline)
}

// Ready tells whether a blocked command has to be resumed: it was served, its
// deadline has passed, or it was told to give up.
func (s *Session) Ready() bool {
	t := s.ticket.Load()
	return t != nil && (t.state.Load() != waits || t.overdue(s.rt.Clock.Now().UnixMilli()))
}

// Resume ends the blocked command, if it is Ready: it replies. Its outcome is as
// Run's: when that is Blocked it waits on, and nothing else may be Run before it
// has replied. The caller waits in between for the call of wake (see Runtime.New)
// and for the Deadline, after the Finish of what was Run before.
func (s *Session) Resume(out *resp.Writer) command.Outcome {
	if !s.Ready() {
		return command.Blocked
	}
	t := s.ticket.Load()
	t.settle(late) // unless something else has become of it
	s.leave()
	s.plain = false // it may be owed what the others tell who have served it
	if t.held && t.state.Load() != gone {
		return s.run(t.args, t.mode, out)
	}
	start := out.Len()
	out.Proto = s.Proto()
	switch t.state.Load() {
	case served:
		out.Raw(t.out.Buf)
		out.Errors += t.out.Errors
		out.Texts = append(out.Texts, t.out.Texts...)
		if t.owes {
			s.waitFor(t.log, t.mark)
		}
		s.wrote = s.wrote || t.wrote
		s.track.Adopt(t.track)
	case late:
		t.nothing(out)
	case refused:
		out.Error(errUnblocked)
	}
	outcome := command.Done
	if out.Errors > 0 {
		outcome = command.Failed
	}
	s.tally.Ended(s.rt.Stats, s.id, t.cmd, t.took, outcome == command.Failed, false)
	s.tally.Flush(s.rt.Stats, s.id)
	if t.state.Load() == served {
		s.noteSlow(t.cmd, t.args, s.blocked.took+t.took, t.began)
		s.rt.Latency.Note("command-unblocking", t.took, t.began)
	}
	s.countErrors(out)
	switch {
	case t.mode != command.ReplyOn:
		out.Truncate(start)
	case t.wrote:
		s.written = append(s.written, reply{start, out.Len()})
	}
	if s.track.Mode().On {
		s.ctx.Out, s.silent = out, t.mode != command.ReplyOn
		s.replied(out)
	}
	return outcome
}

// Unblock has a blocked command end now, as if its deadline had passed or with an
// error, and tells whether there was one (CLIENT UNBLOCK). Any goroutine.
func (s *Session) Unblock(withError bool) bool {
	t := s.ticket.Load()
	switch {
	case t == nil || t.held:
		return false
	case withError:
		return t.settle(refused)
	}
	return t.settle(late)
}

// Withdraw has a blocked command get nothing any more, because its client is about
// to be closed. Any goroutine.
func (s *Session) Withdraw() {
	if t := s.ticket.Load(); t != nil {
		t.settle(gone)
	}
}

// UnblockClient implements command.Client.
func (s *Session) UnblockClient(id int64, withError bool) bool {
	other := s.rt.waiting.client(id)
	return other != nil && other.Unblock(withError)
}

// BlockedClients is how many clients are blocked, or held back by CLIENT PAUSE.
func (rt *Runtime) BlockedClients() int { return int(rt.waiting.count.Load()) }

// notify is wake for an embedded client.
func (b *blocked) notify() {
	select {
	case b.signal <- struct{}{}:
	default: // it has yet to look
	}
}

// park has the command that was just called wait for what it has asked for, before
// the locks of its keys are given up: nothing that happens to them is missed.
func (s *Session) park(cmd *command.Command, args [][]byte) {
	keys, deadline, nothing := s.ctx.BlockedOn()
	t := &ticket{cmd: cmd, args: cloneArgs(args), db: s.DB(), deadline: deadline, nothing: nothing}
	t.out.Proto = s.Proto()
	t.aim(s.rt.Keyspace, keys)
	s.block(t)
	for _, k := range keys {
		s.rt.waiting.add(t, s.rt.Keyspace.ShardOf(k), k)
	}
	if begin := s.ctx.Begin(); begin != nil {
		begin()
	}
	s.rt.waiting.alarms.set(t, s.ctx.RetryAt())
}

// block makes t the command that waits.
func (s *Session) block(t *ticket) {
	t.client, t.wake, t.mode = s.client, s.blocked.wake, s.mode
	t.waiting = s.rt.waiting
	t.waiting.count.Add(1)
	if !t.held {
		t.waiting.wanted.add(t.cmd, 1)
	}
	s.ticket.Store(t)
	t.waiting.enter(s)
}

// leave ends the waiting, for which the ticket is settled.
func (s *Session) leave() {
	t := s.ticket.Load()
	if t == nil {
		return
	}
	if len(t.places) > 1 || len(t.places) == 1 && t.state.Load() != served { // it has left that line
		s.release()
		s.enter()
		for i := range t.places {
			p := &t.places[i]
			shard := s.rt.Keyspace.Shard(p.line.shard)
			shard.Lock()
			s.rt.waiting.remove(t, p)
			shard.Unlock()
		}
		s.release()
	}
	s.forget()
}

// forget makes the session one that is not blocked.
func (s *Session) forget() {
	s.rt.waiting.exit(s)
	s.rt.waiting.alarms.cancel(s.ticket.Load())
	s.ticket.Store(nil)
}

// wait returns when the blocked command of an embedded client is Ready, which the
// end of ctx makes it too. The error says that it never will be.
func (s *Session) wait(ctx context.Context) error {
	var ticks <-chan time.Time
	if d := s.Deadline(); !d.IsZero() {
		ch, stop := s.rt.Clock.NewTicker(max(time.Millisecond, d.Sub(s.rt.Clock.Now())))
		defer stop()
		ticks = ch
	}
	for !s.Ready() {
		select {
		case <-s.blocked.signal:
		case <-ticks:
		case <-ctx.Done():
			if !s.Unblock(true) && !s.Ready() { // CLIENT PAUSE holds it back
				s.Withdraw()
				s.leave()
				return context.Cause(ctx)
			}
		case <-s.rt.Closing:
			s.Withdraw()
			s.forget() // no lock can be had any more
			return errClosed
		}
	}
	return nil
}
