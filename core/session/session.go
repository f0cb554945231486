package session

import (
	"math/rand/v2"
	"strings"
	"time"

	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/core/wal"
)

// Session is one client and what runs its commands. It belongs to one goroutine,
// apart from the methods that say otherwise.
//
// A batch is any number of Run calls and one Finish. Between them the session
// may keep the lock of the shard that the last command used, so that a
// pipeline of commands for one shard locks it once; Finish unlocks, makes the
// batch's writes as durable as the policy promises, and only after it may the
// replies leave.
type Session struct {
	rt     *Runtime
	client command.Client // the session itself, or what embeds it
	ctx    command.Ctx
	identity

	gated    bool // Runtime.Gate is held for reading
	held     int  // the shard whose lock is held, -1: none
	heldFor  int  // commands run under it
	unit     unit
	now      time.Time // when the last command of this batch ended; zero: not known
	dirty    int64     // changes of this batch
	commands int64     // run in this batch

	// What the replies of the batch have to wait for.
	log  *wal.Log // that its last write went to, or that it saw the writes of; nil: nothing
	mark uint64   // that log up to there

	// For a batch whose writes turn out not to be durable.
	wrote      bool    // it has written
	writes     bool    // the running command has
	replyStart int     // where in the output the running command's reply begins
	written    []reply // of the commands that have written, in their order

	nextEvict int // the shard to evict from next

	ahead       [][]byte // scratch of Prefetch: keys of one shard
	aheadShards []int    // and the shard of each command's key

	consume bool // see Consume

	pushed
	tx      transaction
	blocked blocked
}

// reply is where in the output a reply begins and ends.
type reply struct{ start, end int }

// New returns the session of a new client, which is what commands know the client
// by. A connection embeds its session and adds what only it knows; nil makes an
// embedded client, which is its session. wake is called when a blocked command has
// to be resumed (see Resume), by any goroutine and maybe under the lock of a shard.
func (rt *Runtime) New(client command.Client, wake func()) *Session {
	s := &Session{rt: rt, client: client, held: -1}
	s.blocked.wake = wake
	if client == nil {
		s.client = s
		s.blocked.signal = make(chan struct{}, 1)
		s.blocked.wake = s.blocked.notify
	}
	s.id, s.created = rt.nextID.Add(1), rt.Clock.Now()
	s.active.Store(s.created.UnixMilli())
	s.queued.Store(-1)
	s.resetClient()
	s.ctx = command.Ctx{
		KS: rt.Keyspace, Stats: rt.Stats, Engine: rt.Engine, Client: s.client, Events: rt.Events, Cluster: rt.Cluster,
		Hub: rt.Hub, Rand: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())), // not for secrets
	}
	s.initPush()
	return s
}

// Silent tells whether the client gets no replies now (CLIENT REPLY).
func (s *Session) Silent() bool { return s.reply != command.ReplyOn }

// Consume tells whether the commands that follow may give up the memory of
// large arguments, which is an arena.Buffer's: they then hold anything.
func (s *Session) Consume(on bool) { s.consume = on }

// Run executes one command and appends its reply to out. args are not kept. When
// the outcome is Blocked there is no reply yet: see Resume.
func (s *Session) Run(args [][]byte, out *resp.Writer) command.Outcome {
	mode := s.reply
	if mode == command.ReplySkipNext {
		s.reply = command.ReplyOn
	}
	s.commands++
	s.ctx.MayBlock = true
	return s.run(args, mode, out)
}

// run is Run for a client in this mode of CLIENT REPLY.
func (s *Session) run(args [][]byte, mode command.ReplyMode, out *resp.Writer) command.Outcome {
	start := out.Len()
	s.replyStart = start
	out.Proto = s.Proto()
	s.writes = false
	s.answer = false
	s.ctx.Out, s.silent = out, mode != command.ReplyOn
	s.repliesFirst()
	outcome := s.dispatch(args, out)
	s.countErrors(out)
	switch {
	case outcome == command.Blocked:
		s.blocked.mode = mode
		s.release()
	case mode == command.ReplySkipNext && !s.answer || s.reply != command.ReplyOn:
		out.Truncate(start)
	case s.writes:
		s.written = append(s.written, reply{start, out.Len()})
	}
	if s.track.Mode().On || s.silent {
		s.replied(out)
	}
	return outcome
}

// countErrors counts the errors that were appended to out.
func (s *Session) countErrors(out *resp.Writer) {
	if out.Errors > 0 {
		s.rt.Stats.Errors.Add(int64(out.Errors))
		out.Errors = 0
	}
}

// dispatch checks what Redis checks before a command runs, in Redis's order.
func (s *Session) dispatch(args [][]byte, out *resp.Writer) command.Outcome {
	cmd := command.Lookup(args[0])
	if cmd == nil {
		return s.reject(out, command.UnknownCommandError(args))
	}
	if msg := command.CheckArity(cmd, args); msg != "" {
		return s.reject(out, msg)
	}
	if cmd.Sub != nil {
		cmd = cmd.Resolve(args)
	}
	s.cmd.Store(cmd)
	if cmd.Flags&command.NoAuth == 0 && !s.Authenticated() {
		return s.reject(out, "NOAUTH Authentication required.")
	}
	if !s.permit(cmd, args, out) {
		return command.Failed
	}
	if s.rt.Cluster && cmd.HasKeys {
		if slot := -1; !cmd.OneSlot(args, &slot) {
			return s.reject(out, command.CrossSlot)
		}
	}
	if cmd.Flags&command.Loading == 0 && s.rt.Loading() {
		return s.reject(out, ErrLoading)
	}
	if cmd.Flags&command.Write != 0 {
		if msg := s.rt.RefusesWrites(); msg != "" {
			return s.reject(out, msg)
		}
		if cmd.Flags&command.DenyOOM != 0 {
			if limit := s.rt.MaxMemory(); limit > 0 && !s.makeRoom(limit) {
				return s.reject(out, "OOM command not allowed when used memory > 'maxmemory'.")
			}
		}
		if msg := s.admit(); msg != "" {
			return s.reject(out, msg)
		}
	}
	if s.subscribed && s.Proto() < 3 {
		if msg := command.RefuseSubscribed(cmd); msg != "" {
			if cmd.Name == "exec" {
				msg = "EXECABORT Transaction discarded because of: " + strings.TrimPrefix(msg, "ERR ")
			}
			return s.reject(out, msg)
		}
	}
	if s.monitors.Load() {
		if msg := command.RefuseMonitor(cmd); msg != "" {
			return s.reject(out, msg)
		}
	}
	if s.tx.open && !command.RunsInsideMulti(cmd) {
		return s.queue(cmd, args, out)
	}
	if cmd.Handler == nil {
		outcome := own[cmd.Name](s, args, out)
		if s.rt.monitors.any() && cmd.Name != "quit" {
			s.monitored(cmd, args, "")
		}
		return outcome
	}
	return s.execute(cmd, args, out)
}

// reject replies with an error and spoils an open transaction.
func (s *Session) reject(out *resp.Writer, msg string) command.Outcome {
	s.tx.spoiled = true
	out.Error(msg)
	return command.Failed
}

// admit passes the gate for a write. While a shutdown is under way it waits,
// without any lock, for how that ends; once the process is about to end it
// returns the reply that says so.
func (s *Session) admit() string {
	for {
		s.enter()
		p := s.rt.Stopping()
		if p == nil {
			return ""
		}
		s.release()
		<-p.Done
		if p.Down {
			return errDown
		}
	}
}

// execute runs one command outside a transaction.
func (s *Session) execute(cmd *command.Command, args [][]byte, out *resp.Writer) command.Outcome {
	if err := s.unit.add(s.rt.Keyspace, cmd, args); err != nil {
		return s.reject(out, "ERR "+err.Error())
	}
	s.lock(cmd.Flags&command.AllShards == 0)
	s.ctx.Consume = s.consume && !s.rt.monitors.any()
	outcome := s.call(cmd, args, out)
	s.ctx.Consume = false
	if outcome == command.Blocked {
		s.park(args)
	}
	s.logCommand(args)
	s.unlock()
	return outcome
}

// call runs the handler and accounts for it. The locks that the unit needs are
// held. One command begins when the one before it ends, so that each costs one
// look at the clock.
func (s *Session) call(cmd *command.Command, args [][]byte, out *resp.Writer) command.Outcome {
	began := s.now
	if began.IsZero() {
		began = s.rt.Clock.Now()
	}
	c := &s.ctx
	c.Reset(args, out, s.DB(), s.unit.shard, began.UnixMilli())
	outcome := command.Call(c, cmd)
	s.dirty += c.Dirty()
	switch {
	case cmd.Flags&command.PubSub != 0:
		s.classify()
	case cmd.Flags&command.ReadOnly != 0 && s.track.Remembers():
		s.remember(cmd, args)
	}
	if s.rt.monitors.any() {
		s.monitored(cmd, args, "")
	}
	s.now = s.rt.Clock.Now()
	took := s.now.Sub(began)
	if t := s.rt.SlowLog.Threshold(); t >= 0 && took >= t && cmd.Flags&command.SkipSlowlog == 0 {
		info := s.client.Info()
		s.rt.SlowLog.Note(args, took, began, info.Addr, info.Name)
	}
	if t := s.rt.Latency.Threshold(); t > 0 && took >= t {
		s.rt.Latency.Note("command", took, began)
	}
	return outcome
}

// Release ends a batch's execution: it gives up the locks that are kept
// between commands and counts what was counted. Run may follow, and so must
// Finish. A server lets other connections run between Release and Finish, so
// that one commit and one wake-up serve many.
func (s *Session) Release() {
	s.release()
	if s.commands > 0 {
		s.rt.Stats.Commands.Add(s.commands)
		s.commands = 0
		s.active.Store(s.rt.Clock.Now().UnixMilli())
	}
	if s.dirty > 0 {
		s.rt.Changed(s.dirty)
		s.dirty = 0
	}
}

// Close gives up the session: watched keys are forgotten, a blocked command with
// them, and nothing is pushed to it any more.
func (s *Session) Close() {
	s.release()
	s.unwatch()
	s.leave()
	s.endPush()
	s.track.Close()
}
