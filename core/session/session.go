package session

import (
	"math/rand/v2"
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

	gated    bool          // Runtime.Gate is held for reading
	held     int           // the shard whose lock is held, -1: none
	heldFor  int           // commands run under it
	shards   []int         // scratch: a command's shards, ascending
	keys     []command.Key // scratch: a command's keys
	now      time.Time     // when the last command of this batch ended; zero: not known
	dirty    int64         // changes of this batch
	commands int64         // run in this batch

	// What the replies of the batch have to wait for.
	log  *wal.Log // that its last write went to, or that it saw the writes of; nil: nothing
	mark uint64   // that log up to there

	// For a batch whose writes turn out not to be durable.
	wrote      bool    // it has written
	writes     bool    // the running command has
	replyStart int     // where in the output the running command's reply begins
	written    []reply // of the commands that have written, in their order

	effect    [][]byte  // scratch
	effects   []wal.Cmd // scratch
	nextEvict int       // the shard to evict from next

	ahead       [][]byte // scratch of Prefetch: keys of one shard
	aheadShards []int    // and the shard of each command's key

	consume bool // see Consume

	tx transaction
}

// reply is where in the output a reply begins and ends.
type reply struct{ start, end int }

// heldMax bounds how many pipelined commands run under one lock hold.
const heldMax = 128

// New returns the session of a new client, which is what commands know the client
// by. A connection embeds its session and adds what only it knows; nil makes an
// embedded client, which is its session.
func (rt *Runtime) New(client command.Client) *Session {
	s := &Session{rt: rt, client: client, held: -1}
	if client == nil {
		s.client = s
	}
	s.id, s.created = rt.nextID.Add(1), rt.Clock.Now()
	s.active.Store(s.created.UnixMilli())
	s.queued.Store(-1)
	s.resetClient()
	s.ctx = command.Ctx{
		KS: rt.Keyspace, Stats: rt.Stats, Engine: rt.Engine, Client: s.client, Events: rt.Events,
		Rand: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())), // not for secrets
	}
	return s
}

// Silent tells whether the client gets no replies now (CLIENT REPLY).
func (s *Session) Silent() bool { return s.reply != command.ReplyOn }

// Consume tells whether the commands that follow may give up the memory of
// large arguments, which is an arena.Buffer's: they then hold anything.
func (s *Session) Consume(on bool) { s.consume = on }

// Run executes one command and appends its reply to out. args are not kept.
func (s *Session) Run(args [][]byte, out *resp.Writer) {
	mode := s.reply
	if mode == command.ReplySkipNext {
		s.reply = command.ReplyOn
	}
	start := out.Len()
	s.replyStart = start
	out.Proto = s.Proto()
	s.commands++
	s.writes = false
	s.dispatch(args, out)
	if mode == command.ReplySkipNext || s.reply != command.ReplyOn {
		out.Truncate(start)
		return
	}
	if s.writes {
		s.written = append(s.written, reply{start, out.Len()})
	}
}

// dispatch checks what Redis checks before a command runs, in Redis's order.
func (s *Session) dispatch(args [][]byte, out *resp.Writer) {
	cmd := command.Lookup(args[0])
	if cmd == nil {
		s.reject(out, command.UnknownCommandError(args))
		return
	}
	if msg := command.CheckArity(cmd, args); msg != "" {
		s.reject(out, msg)
		return
	}
	if cmd.Sub != nil {
		cmd = cmd.Resolve(args)
	}
	s.cmd.Store(cmd)
	if cmd.Flags&command.NoAuth == 0 && !s.Authenticated() {
		s.reject(out, "NOAUTH Authentication required.")
		return
	}
	if cmd.Flags&command.Loading == 0 && s.rt.Loading() {
		s.reject(out, ErrLoading)
		return
	}
	if cmd.Flags&command.Write != 0 {
		if msg := s.rt.RefusesWrites(); msg != "" {
			s.reject(out, msg)
			return
		}
		if cmd.Flags&command.DenyOOM != 0 {
			if limit := s.rt.MaxMemory(); limit > 0 && !s.makeRoom(limit) {
				s.reject(out, "OOM command not allowed when used memory > 'maxmemory'.")
				return
			}
		}
		if !s.admit(out) {
			return
		}
	}
	if s.tx.open && !command.RunsInsideMulti(cmd) {
		s.queue(cmd, args, out)
		return
	}
	if cmd.Handler == nil {
		s.transact(cmd, args, out)
		return
	}
	s.execute(cmd, args, out)
}

// reject replies with an error and spoils an open transaction.
func (s *Session) reject(out *resp.Writer, msg string) {
	s.tx.spoiled = true
	s.rt.Stats.Errors.Add(1)
	out.Error(msg)
}

// execute runs one command outside a transaction.
func (s *Session) execute(cmd *command.Command, args [][]byte, out *resp.Writer) {
	shard, err := s.lockFor(cmd, args)
	if err != nil {
		s.reject(out, "ERR "+err.Error())
		return
	}
	s.ctx.Consume = s.consume
	s.call(cmd, args, out, shard)
	s.ctx.Consume = false
	s.logEffects(shard, args)
	if shard < 0 && len(s.shards) > 0 {
		s.unlockShards()
	}
}

// call runs the handler and accounts for it. The locks it needs are held;
// shard is as in command.Ctx. One command begins when the one before it ends,
// so that each costs one look at the clock.
func (s *Session) call(cmd *command.Command, args [][]byte, out *resp.Writer, shard int) {
	began := s.now
	if began.IsZero() {
		began = s.rt.Clock.Now()
	}
	c := &s.ctx
	c.Reset(args, out, s.DB(), shard, began.UnixMilli())
	command.Call(c, cmd)
	s.dirty += c.Dirty()
	s.now = s.rt.Clock.Now()
	took := s.now.Sub(began)
	if t := s.rt.SlowLog.Threshold(); t >= 0 && took >= t && cmd.Flags&command.SkipSlowlog == 0 {
		info := s.client.Info()
		s.rt.SlowLog.Note(args, took, began, info.Addr, info.Name)
	}
	if t := s.rt.Latency.Threshold(); t > 0 && took >= t {
		s.rt.Latency.Note("command", took, began)
	}
}

// lockFor locks the shards that a command's keys live on. For a command on
// one shard it returns that shard, whose lock stays held until Finish or the
// next command on another; for several it returns -1 and lists them in
// s.shards; a command without keys runs without any lock.
func (s *Session) lockFor(cmd *command.Command, args [][]byte) (int, error) {
	s.shards = s.shards[:0]
	switch {
	case cmd.Flags&command.AllShards != 0:
		s.unhold()
		for i := range s.rt.Keyspace.NumShards() {
			s.shards = append(s.shards, i)
		}
	case cmd.OnlyKey > 0:
		s.hold(s.rt.Keyspace.ShardOf(args[cmd.OnlyKey]))
		return s.held, nil
	case !cmd.HasKeys:
		s.release()
		return -1, nil
	default:
		var err error
		s.keys, err = cmd.AppendKeys(s.keys[:0], args)
		if err != nil {
			return -1, err
		}
		if len(s.keys) == 0 {
			s.release()
			return -1, nil
		}
		for _, k := range s.keys {
			s.addShard(s.rt.Keyspace.ShardOf(args[k.At]))
		}
		if len(s.shards) == 1 {
			s.hold(s.shards[0])
			s.shards = s.shards[:0]
			return s.held, nil
		}
		s.unhold()
	}
	s.lockShards()
	return -1, nil
}

// addShard inserts a shard into the ascending list of shards to lock.
func (s *Session) addShard(n int) {
	i := len(s.shards)
	for i > 0 && s.shards[i-1] >= n {
		if s.shards[i-1] == n {
			return
		}
		i--
	}
	s.shards = append(s.shards, 0)
	copy(s.shards[i+1:], s.shards[i:])
	s.shards[i] = n
}

// hold makes shard n the one whose lock is held.
func (s *Session) hold(n int) {
	if s.held == n && s.heldFor < heldMax {
		s.heldFor++
		return
	}
	s.unhold()
	s.enter()
	s.rt.Keyspace.Shard(n).Lock()
	s.held, s.heldFor = n, 1
	s.now = time.Time{} // the lock may have been long in coming
}

func (s *Session) unhold() {
	if s.held >= 0 {
		s.noteSeen(s.held)
		s.rt.Keyspace.Shard(s.held).Unlock()
		s.held = -1
	}
}

func (s *Session) enter() {
	if !s.gated {
		s.rt.Gate.RLock()
		s.gated = true
	}
}

// admit passes the gate for a write. While a shutdown is under way it waits,
// without any lock, for how that ends; once the process is about to end it
// refuses.
func (s *Session) admit(out *resp.Writer) bool {
	for {
		s.enter()
		p := s.rt.Stopping()
		if p == nil {
			return true
		}
		s.release()
		<-p.Done
		if p.Down {
			s.reject(out, errDown)
			return false
		}
	}
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
		s.rt.Dirty.Add(s.dirty)
		s.dirty = 0
	}
}

// release gives up every lock that is kept between commands.
func (s *Session) release() {
	s.unhold()
	s.now = time.Time{}
	s.ctx.Account()
	if s.gated {
		s.rt.Gate.RUnlock()
		s.gated = false
	}
}

func (s *Session) lockShards() {
	s.enter()
	for _, i := range s.shards {
		s.rt.Keyspace.Shard(i).Lock()
	}
	s.now = time.Time{} // the locks may have been long in coming
}

func (s *Session) unlockShards() {
	s.noteSeen(s.shards...)
	for _, i := range s.shards {
		s.rt.Keyspace.Shard(i).Unlock()
	}
	s.shards = s.shards[:0]
}

// logEffects appends what the command just run changed to the log, while its
// locks are still held. Several effects, or several shards, are one unit.
func (s *Session) logEffects(shard int, args [][]byte) {
	c := &s.ctx
	if !c.HasEffects() {
		return
	}
	log := s.rt.Log()
	if log == nil {
		return
	}
	switch {
	case shard >= 0 && c.Verbatim():
		log.Append(shard, c.DB, args)
	case shard >= 0 && c.NumEffects() == 1:
		n, effect := c.Effect(0, s.effect[:0])
		s.effect = effect
		log.Append(shard, n, effect)
	default:
		locked := s.shards
		if shard >= 0 {
			s.shards = append(s.shards[:0], shard)
			locked = s.shards
		}
		s.effects = command.AppendEffects(c, s.effects[:0])
		log.AppendTx(locked, s.effects)
	}
	if c.Writes() {
		s.noteWrite(log)
	}
}

// noteWrite marks that the reply of the running command depends on the log.
func (s *Session) noteWrite(log *wal.Log) {
	s.waitFor(log, log.Mark())
	s.wrote, s.writes = true, true
}

// noteSeen marks, before the locks of shards are given up, that the replies of the
// batch tell of what is in them. Under always they wait until that is durable,
// whoever wrote it: no client sees what a crash then takes back.
func (s *Session) noteSeen(shards ...int) {
	log := s.rt.Log()
	if log == nil || log.Policy() != wal.Always || s.wrote && s.log != log {
		return
	}
	for _, n := range shards {
		s.waitFor(log, log.ShardMark(n))
	}
}

// waitFor has the replies of the batch wait until a log is durable up to mark.
func (s *Session) waitFor(log *wal.Log, mark uint64) {
	if s.log == log {
		mark = max(mark, s.mark)
	}
	s.log, s.mark = log, mark
}

// Finish ends a batch: it unlocks and waits for the durability that the
// policy promises. When that fails, the replies of the commands that have written
// are replaced by errors that say so: nothing that is not durable is
// acknowledged, and nothing that was executed is called refused. What was only
// read stands: it is what the checkpoint will hold that ends the failure. Of a log
// that is only being switched on nothing is promised yet.
func (s *Session) Finish(out *resp.Writer) {
	s.Release()
	log, wrote, written := s.log, s.wrote, s.written
	s.written = s.written[:0]
	if log == nil {
		return
	}
	s.log, s.wrote = nil, false
	err := log.CommitTo(s.mark)
	if !wrote {
		return
	}
	if err = s.rt.Committed(log, err); err == nil {
		return
	}
	replace(out, written, notDurable(err))
	s.rt.Stats.Errors.Add(int64(len(written)))
}

// notDurable is the reply of a command that was executed and whose writes are not
// durable. MISCONF is for commands that were refused: clients may repeat those.
func notDurable(err error) string {
	return "NOTDURABLE The command was executed, but what it wrote is not durable: " + err.Error() +
		". Do not just repeat it: its effect can be seen, and becomes durable with the next checkpoint."
}

// replace puts an error in the place of each of the replies. Where one of them is
// a long one that has left the buffer already, the replies end with the first
// error, and the connection with them: none of the later ones can be told from
// another any more.
func replace(out *resp.Writer, replies []reply, msg string) {
	if len(replies) == 0 {
		return
	}
	first := replies[0].start
	rest, ok := out.Cut(first)
	if !ok {
		out.Error(msg)
		out.Over = true
		return
	}
	done := 0 // of rest
	for _, r := range replies {
		out.Raw(rest[done : r.start-first])
		out.Error(msg)
		done = r.end - first
	}
	out.Raw(rest[done:])
}

// Close gives up the session: watched keys are forgotten.
func (s *Session) Close() {
	s.release()
	s.unwatch()
}
