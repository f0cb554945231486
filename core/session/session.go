package session

import (
	"errors"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/keyspace/arena"
	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/core/wal"
)

// Session is one client and what runs its commands. It belongs to one goroutine,
// apart from the methods that say otherwise.
//
// A batch is any number of Run calls and one Finish. Between them the session
// may keep the lock of the shard that the last command used, or where there are few
// shards those of all that the batch is about, so that a pipeline locks them once;
// Finish unlocks, makes the batch's writes as durable as the policy promises, and
// only after it may the replies leave.
type Session struct {
	rt     *Runtime
	client command.Client // the session itself, or what embeds it
	ctx    command.Ctx
	identity

	gated    bool   // Runtime.Gate is held for reading
	held     int    // the shard whose lock is kept, -1: none
	kept     uint64 // further ones, a bit for each, see keptMax
	heldFor  int    // commands run under them
	unit     unit
	clock    stopwatch
	dirty    int64 // changes of this batch
	commands int64 // run in this batch
	tally    command.Tally

	// What the replies of the batch have to wait for.
	log  *wal.Log // that its last write went to, or that it saw the writes of; nil: nothing
	mark uint64   // that log up to there

	lastWrite uint64 // the mark of the last write of all, for WAITAOF

	mode command.ReplyMode // that the running command's reply is for

	// For a batch whose writes turn out not to be durable.
	wrote      bool    // it has written
	writes     bool    // the running command has
	replyStart int     // where in the output the running command's reply begins
	written    []reply // of the commands that have written, in their order

	host *scriptHost // of its scripts
	oom  bool        // memory was over maxmemory before the running script

	ahead ahead
	named *command.Command // that the last command's name meant

	plain  bool // nothing about the client is out of the ordinary, see isPlain
	making bool // the command runs that has made its result without locks

	grew    bool          // see makeUp
	request *arena.Buffer // see Adopt
	patient func()        // see BeforeWaiting, nil for none
	noDebug bool          // see ForbidDebug

	pushed
	visiting visiting
	tx       transaction
	blocked  blocked
	ticket   atomic.Pointer[ticket] // the command that waits, nil for none; the session's goroutine writes it
	proxy    command.Ctx            // for the commands of others that it serves
	unserved bool                   // serving needs locks that the unit has not had
	pausing  bool                   // it has paused the clients and holds locks
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
	s.ctx = s.newCtx()
	s.ctx.Client = s.client
	s.initPush()
	return s
}

// newCtx is what commands are executed with, but for the client.
func (s *Session) newCtx() command.Ctx {
	return command.Ctx{
		KS: s.rt.Keyspace, Stats: s.rt.Stats, Engine: s.rt.Engine, Events: s.rt.Events, Cluster: s.rt.Cluster, Hub: s.rt.Hub,
		Rand: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())), // not for secrets
	}
}

// Silent tells whether the client gets no replies now (CLIENT REPLY).
func (s *Session) Silent() bool { return s.reply != command.ReplyOn }

// Adopt tells where the arguments of the commands that follow lie, if a value of theirs
// may be stored by making that buffer's memory its own, which Buffer.Adopted tells: args are
// made to name the same bytes elsewhere then. nil says that values are copied.
func (s *Session) Adopt(request *arena.Buffer) { s.request = request }

// BeforeWaiting has f called before the session waits for a lock that somebody has or for the
// end of a shutdown, and before it executes what may take long. An fsync is none of these: who
// writes would wait for it anyway, and each would be such a moment. It is
// called by whoever runs the session, at any time and under any lock, and is a hint: there are
// other reasons for a command to take long. It is set before the first command.
func (s *Session) BeforeWaiting(f func()) { s.patient = f }

func (s *Session) beforeWaiting() {
	if s.patient != nil {
		s.patient()
	}
}

// ForbidDebug makes DEBUG be refused. It is called before the first command.
func (s *Session) ForbidDebug() { s.noDebug = true }

const errNoDebug = `ERR DEBUG command not allowed. If the enable-debug-command option is set to "local", you can run it from a local connection, otherwise you need to set this option in the configuration file, and then restart the server.`

// Run executes one command and appends its reply to out. args are not kept. When
// the outcome is Blocked there is no reply yet: see Resume.
func (s *Session) Run(args [][]byte, out *resp.Writer) command.Outcome {
	s.commands++
	if s.plain {
		if cmd := s.lookup(args); cmd != nil && cmd.Plain(len(args)) && s.rt.conditions.load() == 0 && s.authed && s.user.Load().Unrestricted() {
			return s.runPlain(cmd, args, out)
		}
	}
	mode := s.reply
	if mode == command.ReplySkipNext {
		s.reply = command.ReplyOn
	}
	return s.run(args, mode, out)
}

// run is Run for a client in this mode of CLIENT REPLY.
func (s *Session) run(args [][]byte, mode command.ReplyMode, out *resp.Writer) command.Outcome {
	out.Proto = s.Proto()
	s.writes, s.answer = false, false
	s.mode = mode
	s.ctx.MayBlock = true
	s.ctx.Out, s.silent = out, mode != command.ReplyOn
	s.repliesFirst()
	s.replyStart = out.Len() // behind what was pushed before, which is no part of the reply
	outcome := s.dispatch(args, out)
	s.countErrors(out)
	switch {
	case outcome == command.Blocked:
		s.release()
	case mode == command.ReplySkipNext && !s.answer || s.reply != command.ReplyOn:
		out.Truncate(s.replyStart)
	case s.writes:
		s.written = append(s.written, reply{s.replyStart, out.Len()})
	}
	if s.track.Mode().On || s.track.Owed() || s.silent {
		s.replied(out)
	}
	s.plain = s.isPlain()
	return outcome
}

// countErrors counts the errors that were appended to out.
func (s *Session) countErrors(out *resp.Writer) {
	if out.Errors > 0 {
		s.rt.Stats.CountErrors(out.TakeErrors())
	}
}

// dispatch checks what Redis checks before a command runs, in Redis's order.
func (s *Session) dispatch(args [][]byte, out *resp.Writer) command.Outcome {
	cmd := s.lookup(args)
	if cmd == nil {
		return s.reject(out, command.UnknownCommandError(args))
	}
	if msg := command.CheckArity(cmd, args); msg != "" {
		if sub := cmd.Resolve(args); sub != cmd || cmd.Sub == nil || len(args) < 2 {
			return s.refuse(sub, out, msg)
		}
		return s.reject(out, msg) // a subcommand that there is not
	}
	if s.noDebug && cmd.Name == "debug" {
		return s.reject(out, errNoDebug)
	}
	if cmd.Sub != nil {
		cmd = cmd.Resolve(args)
	}
	if s.cmd.Load() != cmd { // others seldom look, and a store is dearer than a load
		s.cmd.Store(cmd)
	}
	if cmd.Flags&command.NoAuth == 0 && !s.Authenticated() {
		return s.refuse(cmd, out, "NOAUTH Authentication required.")
	}
	if !s.user.Load().Unrestricted() && !s.permit(cmd, args, out) {
		s.tally.Rejected(s.rt.Stats, s.id, cmd)
		return command.Failed
	}
	if s.rt.Cluster && cmd.HasKeys {
		if slot := -1; !cmd.OneSlot(args, &slot) {
			return s.refuse(cmd, out, command.CrossSlot)
		}
	}
	odd := s.rt.conditions.load()
	if msg := s.refusal(cmd, args, odd); msg != "" {
		return s.refuse(cmd, out, msg)
	}
	if odd&clientsPaused != 0 && s.holdsBack(cmd, args) {
		return s.postpone(cmd, args)
	}
	if s.subscribed && s.Proto() < 3 {
		if msg := command.RefuseSubscribed(cmd); msg != "" {
			return s.rejectCommand(cmd, out, msg)
		}
	}
	if s.monitors.Load() {
		if msg := command.RefuseMonitor(cmd); msg != "" {
			return s.reject(out, msg)
		}
	}
	if cmd.Handler != nil {
		if s.tx.open && !command.RunsInsideMulti(cmd) {
			return s.queue(cmd, args, out)
		}
		return s.execute(cmd, args, out)
	}
	sc, scripting := scriptingCommands[cmd.Name]
	if sc.script {
		if msg := s.refusesScript(cmd, args); msg != "" {
			return s.refuse(cmd, out, msg)
		}
	}
	if s.tx.open && !command.RunsInsideMulti(cmd) {
		return s.queue(cmd, args, out)
	}
	began := s.began()
	if sc.script && s.rt.monitored() { // it stands before what it calls
		s.tellMonitors(args, s.source())
	}
	var outcome command.Outcome
	if scripting {
		outcome = s.executeScripting(sc, cmd, args, out)
	} else {
		outcome = s.runOwn(cmd, args, out)
	}
	if s.rt.monitored() && cmd.Name != "quit" {
		s.monitored(cmd, args, "")
	}
	if outcome != command.Blocked { // which CLIENT PAUSE has postponed
		s.account(cmd, args, began, outcome)
	}
	return outcome
}

// refusal is the reply to a command that may not be executed now, or "". For a
// write it passes the gate. odd are the conditions that hold.
func (s *Session) refusal(cmd *command.Command, args [][]byte, odd condition) string {
	if odd&(loads|follows) != 0 && cmd.Flags&command.Loading == 0 && s.rt.Loading() {
		return ErrLoading
	}
	if odd&scriptBusy != 0 {
		if msg := s.rt.busyError(); msg != "" && !allowedWhileBusy(cmd, args) {
			return msg
		}
	}
	write := cmd.Changes(args)
	if write {
		if msg := s.rt.refusesWrites(); msg != "" {
			return msg
		}
	}
	// What is queued takes memory too, whatever it will do.
	if queues := s.tx.open && !endsMulti(cmd); queues || cmd.Flags&command.DenyOOM != 0 {
		if limit := s.rt.MaxMemory(); limit > 0 && !s.makeRoom(limit) {
			return errOOM
		}
	} else if s.grew {
		s.makeUp()
	}
	if !write {
		return ""
	}
	return s.admit()
}

// refuse is rejectCommand for a command that INFO counts as rejected.
func (s *Session) refuse(cmd *command.Command, out *resp.Writer, msg string) command.Outcome {
	s.tally.Rejected(s.rt.Stats, s.id, cmd)
	return s.rejectCommand(cmd, out, msg)
}

// rejectCommand is reject for a command that is known. An EXEC that cannot even begin ends
// the transaction, as in Redis, and says why; if there is none, it says the same.
func (s *Session) rejectCommand(cmd *command.Command, out *resp.Writer, msg string) command.Outcome {
	if cmd.Name != "exec" {
		return s.reject(out, msg)
	}
	s.endMulti()
	out.Error("EXECABORT Transaction discarded because of: " + strings.TrimPrefix(msg, "ERR "))
	return command.Failed
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
		s.beforeWaiting()
		<-p.Done
		if p.Down {
			return errDown
		}
	}
}

// execute runs one command outside a transaction.
func (s *Session) execute(cmd *command.Command, args [][]byte, out *resp.Writer) command.Outcome {
	switch {
	case cmd.Flags&command.EachShard != 0:
		return s.executeVisits(cmd, args, out)
	case cmd.Flags&command.Prepared != 0:
		return s.executePrepared(cmd, args, out)
	}
	return s.executeLocked(cmd, args, out)
}

// executeLocked is execute for a command that has the shards of its keys locked all along.
func (s *Session) executeLocked(cmd *command.Command, args [][]byte, out *resp.Writer) command.Outcome {
	if err := s.lockFor(cmd, args); err != nil {
		if errors.Is(err, errShardBusy) {
			s.release()
			return s.rejectBusy(out)
		}
		return s.reject(out, "ERR "+err.Error())
	}
	odd := s.rt.conditions.load() // again, under the locks: see conditions
	if odd&clientsPaused != 0 && s.holdsBack(cmd, args) {
		s.unlock()
		return s.postpone(cmd, args)
	}
	s.ctx.Request, s.ctx.Detaches = s.request, true
	return s.endLocked(cmd, args, out, s.call(cmd, args, out))
}

// endLocked is executeLocked from when the command was called.
func (s *Session) endLocked(cmd *command.Command, args [][]byte, out *resp.Writer, outcome command.Outcome) command.Outcome {
	s.ctx.Request, s.ctx.Detaches = nil, false
	if outcome == command.Blocked {
		s.park(cmd, args)
	}
	if s.ctx.HasEffects() {
		s.logCommand(args)
	}
	s.unlock()
	if s.ctx.Made() && !s.making {
		s.making = true
		outcome = s.execute(cmd, args, out)
		s.making = false
		s.ctx.EndMade()
	}
	return outcome
}

// call runs the handler and accounts for it. The locks that the unit needs are
// held. One command begins when the one before it ends, so that each costs one
// look at the clock.
func (s *Session) call(cmd *command.Command, args [][]byte, out *resp.Writer) command.Outcome {
	began := s.began()
	if cmd.Flags&command.Counters != 0 {
		s.tally.Flush(s.rt.Stats, s.id)
	}
	return s.endCall(cmd, args, out, began, s.invoke(cmd, args, out, began))
}

// endCall is call from when the handler has run.
func (s *Session) endCall(cmd *command.Command, args [][]byte, out *resp.Writer, began time.Duration, outcome command.Outcome) command.Outcome {
	switch {
	case cmd.Flags&command.PubSub != 0:
		s.classify()
	case cmd.Flags&command.ReadOnly != 0 && s.track.Remembers():
		s.remember(cmd, args)
	}
	if s.rt.monitored() && !s.making {
		s.monitored(cmd, args, "")
	}
	if s.ctx.Detached() {
		s.unlock()
		s.unhold()
		s.rt.between(false)
		s.beforeWaiting()
		if outcome = s.callDetached(cmd, out); s.visiting.busy || s.ctx.Made() {
			return outcome // it counts when it is called again, see execute
		}
	}
	s.account(cmd, args, began, outcome)
	return outcome
}

// invoke runs the handler.
func (s *Session) invoke(cmd *command.Command, args [][]byte, out *resp.Writer, began time.Duration) command.Outcome {
	c := &s.ctx
	now := s.tx.now
	if now == 0 {
		now = s.clock.unixMilli(began)
	}
	c.Reset(args, out, s.DB(), s.unit.shard, now)
	c.Frozen = s.rt.conditions.load()&(clientsPaused|follows) != 0 && s.rt.Frozen()
	outcome := command.Call(c, cmd)
	s.dirty += c.Dirty()
	return outcome
}

// account counts a command that was executed, and keeps it when it was slow.
func (s *Session) account(cmd *command.Command, args [][]byte, began time.Duration, outcome command.Outcome) {
	took := max(0, s.ended()-began) // the ticks may have been ahead of the clock by a thousandth
	if outcome == command.Blocked {
		s.tally.Blocked(s.rt.Stats, s.id, cmd, took)
		s.blocked.took = took
		return
	}
	s.tally.Ended(s.rt.Stats, s.id, cmd, took, outcome == command.Failed, true)
	if t := s.rt.SlowLog.Threshold(); t >= 0 && took >= t {
		s.noteSlow(cmd, args, took, s.clock.start.Add(began))
	}
	if t := s.rt.Latency.Threshold(); t > 0 && took >= t {
		event := "command"
		if cmd.Flags&command.Fast != 0 {
			event = "fast-command"
		}
		s.rt.Latency.Note(event, took, s.clock.start.Add(began))
	}
}

// noteSlow keeps a command in the slow log if it was slow.
func (s *Session) noteSlow(cmd *command.Command, args [][]byte, took time.Duration, at time.Time) {
	if cmd.Flags&command.SkipSlowlog == 0 {
		info := s.client.Info()
		s.rt.SlowLog.Note(args, took, at, info.Addr, info.Name)
	}
}

// Release ends a batch's execution: it gives up the locks that are kept
// between commands and counts what was counted. Run may follow, and so must
// Finish. A server lets other connections run between Release and Finish, so
// that one commit and one wake-up serve many.
func (s *Session) Release() {
	s.release()
	if s.commands > 0 {
		s.tally.Flush(s.rt.Stats, s.id)
		s.commands = 0
		s.noteActive()
	}
	s.ahead.cmds = nil
	if s.dirty > 0 {
		s.rt.Changed(s.dirty)
		s.dirty = 0
	}
	s.clock.stop()
}

// noteActive notes that the client has just had a command executed.
func (s *Session) noteActive() {
	w := &s.clock
	if w.start.IsZero() {
		s.began()
	}
	if now := w.unixMilli(w.at); s.active.Load() != now {
		s.active.Store(now)
	}
}

// Close gives up the session: watched keys are forgotten, a blocked command with
// them, and nothing is pushed to it any more.
func (s *Session) Close() {
	s.Withdraw()
	s.release()
	s.unwatch()
	s.leave()
	s.endPush()
	s.track.Close()
}
