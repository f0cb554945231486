package session

import (
	"fmt"
	"slices"

	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/core/wal"
)

// transaction is a session's MULTI: what is queued, and what it watches.
type transaction struct {
	open    bool
	spoiled bool // a command was refused while queuing: EXEC aborts
	queue   []queued
	bytes   int // of the arguments in queue
	watch   *command.Watcher
}

type queued struct {
	cmd  *command.Command
	args [][]byte
}

// transact runs the commands that a session executes itself.
func (s *Session) transact(cmd *command.Command, args [][]byte, out *resp.Writer) {
	switch cmd.Name {
	case "multi":
		if s.tx.open {
			spoiled := s.tx.spoiled
			s.reject(out, "ERR MULTI calls can not be nested")
			s.tx.spoiled = spoiled // Redis lets the transaction go on
			return
		}
		s.tx.open, s.tx.spoiled = true, false
		s.queued.Store(0)
		out.OK()
	case "exec":
		s.exec(out)
	case "discard":
		if !s.tx.open {
			s.reject(out, "ERR DISCARD without MULTI")
			return
		}
		s.endMulti()
		out.OK()
	case "watch":
		if s.tx.open {
			out.Error("ERR WATCH inside MULTI is not allowed")
			return
		}
		s.watch(args[1:])
		out.OK()
	case "unwatch":
		s.unwatch()
		out.OK()
	case "reset":
		s.endMulti()
		s.resetClient()
		out.Proto = s.Proto()
		out.SimpleString("RESET")
	default:
		s.reject(out, fmt.Sprintf("ERR command '%s' has no handler", cmd.Name))
	}
}

// queue keeps a copy of a command until EXEC.
func (s *Session) queue(cmd *command.Command, args [][]byte, out *resp.Writer) {
	if cmd.Flags&command.NoMulti != 0 {
		s.reject(out, "ERR Command not allowed inside a transaction")
		return
	}
	if command.SwitchesLogOn(args) {
		s.reject(out, "ERR CONFIG SET appendonly yes is not allowed inside a transaction: it waits until the log is on")
		return
	}
	s.tx.queue = append(s.tx.queue, queued{cmd, cloneArgs(args)})
	for _, a := range args {
		s.tx.bytes += len(a)
	}
	s.queued.Store(int32(len(s.tx.queue)))
	out.SimpleString("QUEUED")
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

// watch registers keys; their shards are locked one after another.
func (s *Session) watch(keys [][]byte) {
	s.release()
	s.enter()
	if s.tx.watch == nil {
		s.tx.watch = new(command.Watcher)
	}
	now := s.rt.Clock.Now().UnixMilli()
	for _, k := range keys {
		n := s.rt.Keyspace.ShardOf(k)
		shard := s.rt.Keyspace.Shard(n)
		shard.Lock()
		s.rt.Watches.Watch(s.tx.watch, n, s.DB(), k, shard.DB(s.DB()), now)
		shard.Unlock()
	}
	s.release()
}

// unwatch forgets every watched key.
func (s *Session) unwatch() {
	w := s.tx.watch
	if w == nil {
		return
	}
	s.release()
	s.enter()
	for _, n := range w.Shards() {
		shard := s.rt.Keyspace.Shard(n)
		shard.Lock()
		s.rt.Watches.Unwatch(w, n)
		shard.Unlock()
	}
	s.release()
	s.tx.watch = nil
}

// exec runs the queued commands with all their shards locked, and logs what
// they changed as one unit.
func (s *Session) exec(out *resp.Writer) {
	if !s.tx.open {
		s.reject(out, "ERR EXEC without MULTI")
		return
	}
	defer s.endMulti()
	if s.tx.spoiled {
		s.rt.Stats.Errors.Add(1)
		out.Error("EXECABORT Transaction discarded because of previous errors.")
		return
	}
	s.release()
	writes := s.tx.writes()
	if writes && !s.admit(out) {
		return
	}
	err := s.lockTransaction()
	if err != nil {
		s.reject(out, "ERR "+err.Error())
		return
	}
	defer s.release()
	defer s.unlockShards()
	if w := s.tx.watch; w != nil && w.Touched(s.rt.Clock.Now().UnixMilli(), s.watchedDB) {
		out.NullArray()
		return
	}
	if writes {
		if msg := s.rt.RefusesWrites(); msg != "" {
			out.Error("EXECABORT Transaction discarded because of: " + msg)
			return
		}
	}
	log := s.rt.Log()
	out.Array(len(s.tx.queue))
	var effects []wal.Cmd
	wrote := false
	for _, q := range s.tx.queue {
		out.Proto = s.Proto()
		s.call(q.cmd, q.args, out, -1)
		if log != nil && s.ctx.HasEffects() {
			effects = command.AppendEffects(&s.ctx, effects)
			wrote = wrote || s.ctx.Writes()
		}
		out.Shed(s.replyStart)
	}
	if len(effects) > 0 {
		log.AppendTx(s.shards, effects)
	}
	if wrote {
		s.noteWrite(log)
	}
}

// writes tells whether a queued command may change the keyspace.
func (t *transaction) writes() bool {
	return slices.ContainsFunc(t.queue, func(q queued) bool { return q.cmd.Flags&command.Write != 0 })
}

// lockTransaction locks every shard that a queued command or a watched key
// lives on.
func (s *Session) lockTransaction() error {
	s.shards = s.shards[:0]
	for _, q := range s.tx.queue {
		if q.cmd.Flags&command.AllShards != 0 {
			for i := range s.rt.Keyspace.NumShards() {
				s.addShard(i)
			}
			continue
		}
		keys, err := q.cmd.Keys(q.args)
		if err != nil {
			return err
		}
		for _, k := range keys {
			s.addShard(s.rt.Keyspace.ShardOf(q.args[k.At]))
		}
	}
	if s.tx.watch != nil {
		for _, n := range s.tx.watch.Shards() {
			s.addShard(n)
		}
	}
	s.lockShards()
	return nil
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
