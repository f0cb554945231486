package session

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/resp"
)

// blocked is a command that waits: see [command.Ctx.Block]. The session holds no
// locks meanwhile, and is registered with Runtime.waiting for each of the keys.
type blocked struct {
	state    atomic.Uint32
	args     [][]byte          // the session's own
	mode     command.ReplyMode // that its reply is for
	keys     []waitedKey
	deadline int64 // in Unix milliseconds, 0 for none

	wake   func()        // see Runtime.New
	signal chan struct{} // what wake of an embedded client sends to
}

// The states of a session, each of which may go over into a later one until the
// command has replied. Any goroutine makes them, so that each is what was asked
// for last.
const (
	running   uint32 = iota // no command is blocked
	parked                  // it waits
	stirred                 // something has happened to a key
	unblocked               // it must reply as if the deadline had passed
	refused                 // it must reply with an error
)

// errUnblocked is Redis's.
const errUnblocked = "UNBLOCKED client unblocked via CLIENT UNBLOCK"

var errClosed = errors.New("session: the engine was closed while the command was blocked")

// Blocked tells whether a command of the client is blocked. Any goroutine.
func (s *Session) Blocked() bool { return s.blocked.state.Load() != running }

// Deadline is when a blocked command gives up, zero for never.
func (s *Session) Deadline() time.Time {
	if s.blocked.deadline == 0 {
		return time.Time{}
	}
	return time.UnixMilli(s.blocked.deadline)
}

// Ready tells whether a blocked command has to be resumed: something has happened
// to a key, its deadline has passed, or it was told to give up.
func (s *Session) Ready() bool {
	switch s.blocked.state.Load() {
	case running:
		return false
	case parked:
		return s.overdue()
	}
	return true
}

func (s *Session) overdue() bool {
	d := s.blocked.deadline
	return d > 0 && s.rt.Clock.Now().UnixMilli() >= d
}

// Resume runs the blocked command again, if it is Ready. Its outcome is as Run's:
// when that is Blocked it waits on, and nothing else may be Run before it has
// replied. The caller waits in between for the call of wake (see Runtime.New) and
// for the Deadline, after the Finish of what was Run before.
func (s *Session) Resume(out *resp.Writer) command.Outcome {
	b := &s.blocked
	if !s.Ready() {
		return command.Blocked
	}
	b.state.CompareAndSwap(stirred, parked) // what happens from here on counts again
	s.ctx.Resumed = true
	switch b.state.Load() {
	case refused:
		if b.mode == command.ReplyOn {
			out.Error(errUnblocked)
			s.countErrors(out)
		}
		s.leave()
		return command.Failed
	case unblocked:
		s.ctx.MayBlock = false
	default:
		s.ctx.MayBlock = !s.overdue()
	}
	outcome := s.run(b.args, b.mode, out)
	if outcome != command.Blocked {
		s.leave()
	}
	return outcome
}

// Unblock has a blocked command end now, as if its deadline had passed or with an
// error, and tells whether there was one (CLIENT UNBLOCK). Any goroutine.
func (s *Session) Unblock(withError bool) bool {
	if withError {
		return s.stir(refused)
	}
	return s.stir(unblocked)
}

// stir wakes a session that is blocked. Any goroutine.
func (s *Session) stir(to uint32) bool {
	for {
		old := s.blocked.state.Load()
		switch {
		case old == running:
			return false
		case old >= to:
			return true
		case s.blocked.state.CompareAndSwap(old, to):
			s.blocked.wake()
			return true
		}
	}
}

// notify is wake for an embedded client.
func (b *blocked) notify() {
	select {
	case b.signal <- struct{}{}:
	default: // it has yet to look
	}
}

// park registers the session for the keys that its command waits for, before
// their locks are given up: nothing that happens to them is missed. A command that
// waits already keeps its place.
func (s *Session) park(args [][]byte) {
	b := &s.blocked
	if b.state.Load() != running {
		return
	}
	var keys [][]byte
	keys, b.deadline = s.ctx.BlockedOn()
	b.args = cloneArgs(args)
	b.state.Store(parked)
	for _, k := range keys {
		w := waitedKey{s.rt.Keyspace.ShardOf(k), s.DB(), string(k)}
		if !slices.Contains(b.keys, w) {
			b.keys = append(b.keys, w)
			s.rt.waiting.add(w, s)
		}
	}
}

// leave ends the waiting.
func (s *Session) leave() {
	b := &s.blocked
	if b.state.Load() == running {
		return
	}
	s.release()
	s.enter()
	for _, k := range b.keys {
		shard := s.rt.Keyspace.Shard(k.shard)
		shard.Lock()
		s.rt.waiting.remove(k, s)
		shard.Unlock()
	}
	s.release()
	b.state.Store(running)
	b.args, b.keys, b.deadline = nil, nil, 0
}

// wait returns when the blocked command of an embedded client is Ready, which the
// end of ctx makes it too. The error says that it never will be.
func (s *Session) wait(ctx context.Context) error {
	var ticks <-chan time.Time
	if s.blocked.deadline > 0 {
		ch, stop := s.rt.Clock.NewTicker(max(time.Millisecond, s.Deadline().Sub(s.rt.Clock.Now())))
		defer stop()
		ticks = ch
	}
	for !s.Ready() {
		select {
		case <-s.blocked.signal:
		case <-ticks:
		case <-ctx.Done():
			s.Unblock(true)
		case <-s.rt.Closing:
			return errClosed
		}
	}
	return nil
}
