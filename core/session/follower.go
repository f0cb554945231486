package session

import (
	"bytes"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/core/wal"
)

// Follower executes what another server has executed. It belongs to one goroutine.
type Follower struct {
	s     *Session
	out   resp.Writer
	all   []int // shards
	tasks []*command.Command

	commits chan commitment // to be made durable, in their order
	ended   chan struct{}   // closed when nobody does that any more
	durable atomic.Int64    // the offset up to which everything is
}

// commitment is a unit that was executed.
type commitment struct {
	log    *wal.Log
	mark   uint64
	offset int64
	done   chan<- struct{} // closed when all before it is durable, or cannot be; nil for a unit
}

// unitsAhead is how many units may be executed and not durable: a sync makes many
// durable, and what waits is memory.
const unitsAhead = 64

// NewFollower returns a Follower. While the runtime Follows, it alone decides what is
// in the keyspace.
func (rt *Runtime) NewFollower() *Follower {
	f := &Follower{s: rt.New(nil, nil), commits: make(chan commitment, unitsAhead), ended: make(chan struct{})}
	f.s.ctx.Replaying = true // nothing expires, nothing is refused for its limits
	for n := range rt.Keyspace.NumShards() {
		f.all = append(f.all, n)
	}
	f.durable.Store(rt.Keyspace.Following().Offset)
	go f.makeDurable()
	return f
}

// Close gives the Follower up, once what it has executed is durable.
func (f *Follower) Close() {
	close(f.commits)
	<-f.ended
	f.s.Close()
}

// Durable is the offset up to which everything is as durable as the log's policy
// promises. Any goroutine.
func (f *Follower) Durable() int64 { return f.durable.Load() }

// Sync waits until what was applied is on the disk, whatever the policy, and tells
// whether it is. Without a log it is as durable as anything is.
func (f *Follower) Sync() bool {
	done := make(chan struct{})
	f.commits <- commitment{done: done}
	<-done
	if f.durable.Load() != f.s.rt.Keyspace.Following().Offset {
		return false
	}
	log := f.s.rt.Log()
	return log == nil || log.Sync() == nil
}

// makeDurable waits for the log, which the execution of what follows does not. An
// error is the engine's: it executes no more until that is mended.
func (f *Follower) makeDurable() {
	defer close(f.ended)
	for c := range f.commits {
		for more := true; more && c.done == nil; { // one sync for all that there is
			select {
			case next, open := <-f.commits:
				if !open || next.done != nil {
					f.commit(c)
				}
				if !open {
					return
				}
				c = next
			default:
				more = false
			}
		}
		if c.done != nil {
			close(c.done)
			continue
		}
		f.commit(c)
	}
}

// commit waits for the durability that the policy promises.
func (f *Follower) commit(c commitment) {
	var err error
	if c.log != nil {
		err = f.s.rt.Committed(c.log, c.log.CommitTo(c.mark))
	} else {
		err = f.s.rt.Order.CommitTo(c.mark)
	}
	if err == nil {
		f.durable.Store(c.offset)
	}
}

// Follows says that the data are another server's: what is past its deadline is hidden
// and stays until that server removes it, and nothing is evicted.
func (rt *Runtime) Follows(on bool) {
	rt.conditions.set(follows, on)
}

// Loads says that the data are still being loaded, or not any more: until then Loading is asked before every command. It is
// called for each time that this begins and ends, and by one goroutine at a time.
func (rt *Runtime) Loads(on bool) {
	rt.conditions.set(loads, on)
}

// NotApplicableError is a command of another server's that cannot be executed here.
type NotApplicableError struct {
	Args [][]byte
	Why  string
}

func (e *NotApplicableError) Error() string {
	if len(e.Args) > 1 {
		return fmt.Sprintf("%.100q on %.100q: %s", e.Args[0], e.Args[1], e.Why)
	}
	return fmt.Sprintf("%.100q: %s", e.Args[0], e.Why)
}

// Apply executes commands and notes where the keyspace stands behind them: one unit,
// of which whoever reads, a checkpoint and the log have all or nothing. It does not
// wait until that is durable: see Durable and Sync. What is not may be gone after a
// crash, and then so is the note of it.
//
// After a *NotApplicableError about what cannot be known before a command is executed
// the keyspace holds what came before that command, and is FollowBroken; what can be
// known, and everything else that fails, is refused with nothing executed.
func (f *Follower) Apply(cmds []wal.Cmd, at keyspace.Following) error {
	s, u := f.s, &f.s.unit
	if err := f.find(cmds); err != nil {
		return err
	}
	s.release()
	if msg := s.admit(); msg != "" {
		return errors.New(msg)
	}
	f.lock()
	done, err := f.execute(cmds)
	if err != nil {
		at.State, at.Offset = keyspace.FollowBroken, s.rt.Keyspace.Following().Offset
	}
	s.rt.Keyspace.SetFollowing(at)
	u.effects, u.changed, u.wrote = append(f.logged(cmds[:done]), wal.Cmd{Args: keyspace.FollowingCommand(at)}), true, true
	s.dirty++ // a save point counts it: where the data stand is worth a checkpoint
	s.logAll()
	s.unlock()
	s.Release()
	f.commits <- commitment{log: s.log, mark: s.mark, offset: at.Offset}
	s.log, s.mark, s.wrote, s.writes, s.written = nil, 0, false, false, s.written[:0]
	return err
}

// find looks the commands up, and checks what can be before they are executed.
func (f *Follower) find(cmds []wal.Cmd) error {
	f.tasks = f.tasks[:0]
	for _, c := range cmds {
		cmd := command.LookupLogged(c.Args[0])
		switch {
		case cmd == nil || command.IsFollowing(cmd):
			return &NotApplicableError{c.Args, "this server does not know the command"}
		case c.DB >= f.s.rt.Keyspace.NumDatabases():
			return &NotApplicableError{c.Args, fmt.Sprintf("it is in database %d, but only %d are configured here", c.DB, f.s.rt.Keyspace.NumDatabases())}
		}
		if msg := command.CheckArity(cmd, c.Args); msg != "" {
			return &NotApplicableError{c.Args, msg}
		}
		sub := cmd.Resolve(c.Args)
		if matters(sub) && sub.Handler == nil {
			return &NotApplicableError{c.Args, "it is not executed where it was replicated to"}
		}
		f.tasks = append(f.tasks, cmd)
	}
	return nil
}

// matters tells whether a command changes the data, or is a message to subscribers,
// which masters send their replicas as well.
func matters(cmd *command.Command) bool {
	const message = command.PubSub | command.MayReplicate
	return cmd.Flags&command.Write != 0 || cmd.Flags&message == message
}

// lock locks every shard. It waits for a script, however busy that is.
func (f *Follower) lock() {
	s := f.s
	s.enter()
	s.rt.Keyspace.EnterSeveral(true)
	u := &s.unit
	u.clear()
	u.shard, u.several, u.locked = -1, true, true
	u.shards = append(u.shards, f.all...)
	for _, n := range u.shards {
		s.rt.Keyspace.Shard(n).Lock()
	}
	s.clock.stale = true
}

// execute executes the commands, and tells how many were.
func (f *Follower) execute(cmds []wal.Cmd) (done int, err error) {
	c := &f.s.ctx
	for i := range cmds {
		sub := f.tasks[i].Resolve(cmds[i].Args)
		if !matters(sub) {
			continue
		}
		f.out.Buf = f.out.Buf[:0]
		c.Reset(cmds[i].Args, &f.out, cmds[i].DB, -1, 0)
		if command.Call(c, f.tasks[i]) == command.Failed {
			return i, &NotApplicableError{cmds[i].Args, "it does not apply to what is here: " + string(bytes.TrimSpace(f.out.Buf[1:]))}
		}
		f.s.dirty += c.Dirty()
	}
	return len(cmds), nil
}

// logged are the commands that the log is to have: those that write, as they came,
// since that is what a replay executes in the same way.
func (f *Follower) logged(cmds []wal.Cmd) []wal.Cmd {
	out := f.s.unit.effects[:0]
	if !f.s.rt.Order.Taken() {
		return out
	}
	for i, c := range cmds {
		if f.tasks[i].Resolve(c.Args).Flags&command.Write != 0 {
			out = append(out, c)
		}
	}
	return out
}
