package session

import (
	"slices"

	"github.com/spillwaydb/spillway/core/acl"
	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/resp"
)

// transaction is a session's MULTI: what is queued, and what it watches.
type transaction struct {
	open    bool
	spoiled bool // a command was refused while queuing: EXEC aborts
	queue   []queued
	bytes   int // of the arguments in queue
	watch   *command.Watcher
	now     int64 // while EXEC runs: what time it is to all of its commands, in Unix milliseconds; else 0
}

type queued struct {
	cmd  *command.Command
	args [][]byte
}

func (s *Session) multiCommand(_ [][]byte, out *resp.Writer) command.Outcome {
	if s.tx.open { // which goes on, as in Redis
		out.Error("ERR MULTI calls can not be nested")
		return command.Failed
	}
	s.tx.open, s.tx.spoiled = true, false
	s.queued.Store(0)
	out.OK()
	return command.Done
}

func (s *Session) discardCommand(_ [][]byte, out *resp.Writer) command.Outcome {
	if !s.tx.open {
		return s.reject(out, "ERR DISCARD without MULTI")
	}
	s.endMulti()
	out.OK()
	return command.Done
}

func (s *Session) watchCommand(args [][]byte, out *resp.Writer) command.Outcome {
	if s.tx.open {
		out.Error("ERR WATCH inside MULTI is not allowed")
		return command.Failed
	}
	if !s.watch(args[1:]) {
		return s.rejectBusy(out)
	}
	out.OK()
	return command.Done
}

func (s *Session) unwatchCommand(_ [][]byte, out *resp.Writer) command.Outcome {
	s.unwatch()
	out.OK()
	return command.Done
}

// queue keeps a copy of a command until EXEC.
func (s *Session) queue(cmd *command.Command, args [][]byte, out *resp.Writer) command.Outcome {
	if cmd.Flags&command.NoMulti != 0 || command.Reloads(cmd, args) {
		return s.reject(out, "ERR Command not allowed inside a transaction")
	}
	if command.SwitchesLogOn(args) {
		return s.reject(out, "ERR CONFIG SET appendonly yes is not allowed inside a transaction: it waits until the log is on")
	}
	s.tx.queue = append(s.tx.queue, queued{cmd, cloneArgs(args)})
	for _, a := range args {
		s.tx.bytes += len(a)
	}
	s.queued.Store(int32(len(s.tx.queue)))
	out.SimpleString("QUEUED")
	return command.Done
}

// endsMulti tells whether a command ends a transaction, in one way or another.
func endsMulti(cmd *command.Command) bool {
	switch cmd.Name {
	case "exec", "discard", "reset", "quit":
		return true
	}
	return false
}

// endMulti forgets the transaction and what it watched.
func (s *Session) endMulti() {
	s.tx.open, s.tx.spoiled, s.tx.queue, s.tx.bytes = false, false, nil, 0
	s.queued.Store(-1)
	s.unwatch()
}

// QueuedBytes is what the commands queued since MULTI take: a server counts it
// to the client's request, which is not complete before EXEC.
func (s *Session) QueuedBytes() int { return s.tx.bytes }

// ListenBytes is about what the engine keeps of what the client wants to be told:
// keys that it watches, subscriptions, prefixes that it tracks. A server counts it
// to what the client takes.
func (s *Session) ListenBytes() int {
	n := s.sub.Bytes() + s.track.PrefixBytes()
	if s.tx.watch != nil {
		n += s.tx.watch.Bytes()
	}
	return n
}

// watch registers keys; their shards are locked one after another. It is false when
// a script is busy that has one of them.
func (s *Session) watch(keys [][]byte) bool {
	defer s.release()
	s.release()
	s.enter()
	if s.tx.watch == nil {
		s.tx.watch = new(command.Watcher)
	}
	now := s.rt.Clock.Now().UnixMilli()
	for _, k := range keys {
		n := s.rt.Keyspace.ShardOf(k)
		shard := s.rt.Keyspace.Shard(n)
		if !shard.LockUnlessBusy() {
			return false
		}
		s.rt.Watches.Watch(s.tx.watch, n, s.DB(), k, shard.DB(s.DB()), now)
		shard.Unlock()
	}
	return true
}

// unwatch forgets every watched key.
func (s *Session) unwatch() {
	w := s.tx.watch
	if w == nil {
		return
	}
	s.tx.watch = nil
	s.release()
	s.enter()
	for i, n := range w.Shards() {
		if shard := s.rt.Keyspace.Shard(n); !shard.LockUnlessBusy() {
			go s.rt.unwatchLater(w, w.Shards()[i:]) // the client is answered beside a busy script
			break
		}
		s.rt.Watches.Unwatch(w, n)
		s.rt.Keyspace.Shard(n).Unlock()
	}
	s.release()
}

// unwatchLater forgets what nobody looks at any more.
func (rt *Runtime) unwatchLater(w *command.Watcher, shards []int) {
	rt.Gate.RLock()
	defer rt.Gate.RUnlock()
	for _, n := range shards {
		shard := rt.Keyspace.Shard(n)
		shard.Lock()
		rt.Watches.Unwatch(w, n)
		shard.Unlock()
	}
}

// execCommand runs the queued commands as one unit.
func (s *Session) execCommand(args [][]byte, out *resp.Writer) (outcome command.Outcome) {
	if !s.tx.open {
		return s.reject(out, "ERR EXEC without MULTI")
	}
	defer func() {
		if outcome != command.Blocked {
			s.endMulti()
		}
	}()
	if s.tx.spoiled {
		return s.reject(out, "EXECABORT Transaction discarded because of previous errors.")
	}
	if s.rt.Cluster && !s.tx.oneSlot() {
		return s.reject(out, command.CrossSlot)
	}
	s.release()
	writes, scripts := s.tx.writes(), s.tx.scripts()
	if scripts {
		s.measure()
	}
	if limit := s.rt.MaxMemory(); limit > 0 && s.tx.takesMemory() && !s.makeRoom(limit) {
		return s.reject(out, "EXECABORT Transaction discarded because of: "+errOOM)
	}
	if writes || scripts {
		if msg := s.admit(); msg != "" {
			return s.reject(out, msg)
		}
	}
	if err := s.addTransaction(); err != nil {
		return s.reject(out, "ERR "+err.Error())
	}
	s.unit.script = scripts
	if !s.lock(false) {
		s.release()
		out.Error("EXECABORT Transaction discarded because of: " + s.busyOr())
		return command.Failed
	}
	if exec := s.cmd.Load(); s.holdsBack(exec, args) {
		s.unlock()
		return s.postpone(exec, args)
	}
	defer s.release()
	defer s.unlock()
	if w := s.tx.watch; w != nil && w.Touched(s.rt.Clock.Now().UnixMilli(), s.watchedDB) {
		out.NullArray()
		return command.Done
	}
	if writes {
		if msg := s.rt.refusesWrites(); msg != "" {
			return s.reject(out, "EXECABORT Transaction discarded because of: "+msg)
		}
	}
	s.ctx.MayBlock = false
	s.tx.now = s.clock.unixMilli(s.began())
	defer func() { s.tx.now = 0 }()
	out.Array(len(s.tx.queue))
	for _, q := range s.tx.queue {
		out.Proto = s.Proto()
		if d := s.User().Check(q.cmd, q.args); d.Reason != acl.Allowed {
			s.noteRefused(d, q.cmd, q.args)
			out.Error(d.ExecReply())
			continue
		}
		if q.cmd.Handler == nil {
			s.execOwn(q, out)
			continue
		}
		s.call(q.cmd, q.args, out)
		s.collect()
		out.Shed(s.replyStart)
	}
	s.logAll()
	return command.Done
}

// execOwn runs a queued command of the session's own. UNWATCH has nothing to do,
// since EXEC forgets the watched keys anyway, and may not take locks here.
func (s *Session) execOwn(q queued, out *resp.Writer) {
	if q.cmd.Name == "unwatch" {
		out.OK()
		return
	}
	began, errors := s.began(), out.Errors+out.Again
	if sc, ok := scriptingCommands[q.cmd.Name]; ok {
		sc.run(s, q.cmd, q.args, out)
	} else {
		aclCommands[q.cmd.Name](s, q.args, out)
	}
	s.account(q.cmd, q.args, began, outcomeOf(out, errors))
}

// addTransaction adds to the unit what the queued commands and the watched keys need.
func (s *Session) addTransaction() error {
	for _, q := range s.tx.queue {
		if err := s.unit.add(s.rt.Keyspace, q.cmd, q.args); err != nil {
			s.unit.shards = s.unit.shards[:0]
			return err
		}
	}
	if s.tx.watch != nil {
		s.unit.addShards(s.tx.watch.Shards())
	}
	return nil
}

// oneSlot tells whether all keys of the queued commands are in one slot.
func (t *transaction) oneSlot() bool {
	slot := -1
	return !slices.ContainsFunc(t.queue, func(q queued) bool { return !q.cmd.OneSlot(q.args, &slot) })
}

// writes tells whether a queued command may change the keyspace.
func (t *transaction) writes() bool {
	return slices.ContainsFunc(t.queue, func(q queued) bool { return q.cmd.Changes(q.args) })
}

// takesMemory tells whether a queued command is refused while memory is over maxmemory.
func (t *transaction) takesMemory() bool {
	return slices.ContainsFunc(t.queue, func(q queued) bool { return q.cmd.Flags&command.DenyOOM != 0 })
}

// scripts tells whether a queued command runs a script.
func (t *transaction) scripts() bool {
	return slices.ContainsFunc(t.queue, func(q queued) bool { return q.cmd.Handler == nil && scriptingCommands[q.cmd.Name].script })
}

func cloneArgs(args [][]byte) [][]byte {
	n := 0
	for _, a := range args {
		n += len(a)
	}
	buf := make([]byte, 0, n)
	out := make([][]byte, len(args))
	for i, a := range args {
		start := len(buf)
		buf = append(buf, a...)
		out[i] = buf[start:len(buf):len(buf)]
	}
	return out
}

// watchedDB finds the database of a watched key.
func (s *Session) watchedDB(shard, n int) *keyspace.DB { return s.rt.Keyspace.Shard(shard).DB(n) }
