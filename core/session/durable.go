package session

import (
	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/core/wal"
)

// noteWrite marks that the reply of the running command depends on the log, and on
// whatever else takes the order. A log that has failed takes nothing, and the
// reply has to tell so.
func (s *Session) noteWrite() {
	log, order := s.rt.Log(), s.rt.Order
	if log == nil && !order.Taken() {
		return
	}
	s.lastWrite = order.Mark()
	s.waitFor(log, s.lastWrite)
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

// waitFor has the replies of the batch wait until a log, nil for none, and the
// other takers of the order have everything up to mark.
func (s *Session) waitFor(log *wal.Log, mark uint64) {
	s.log, s.mark = log, max(mark, s.mark)
}

// Finish ends a batch: it unlocks and waits for the durability that the
// policy promises. When that fails, the replies of the commands that have written
// are replaced by errors that say so: nothing that is not durable is
// acknowledged, and nothing that was executed is called refused. What was only
// read stands: it is what the checkpoint will hold that ends the failure. Of a log
// that is only being switched on nothing is promised yet.
func (s *Session) Finish(out *resp.Writer) {
	s.Release()
	s.ctx.Out, s.silent = out, false
	s.track.Flush()
	s.countErrors(out) // what others have appended
	log, mark, wrote, written := s.log, s.mark, s.wrote, s.written
	s.written = s.written[:0]
	if log == nil && mark == 0 {
		return
	}
	s.log, s.mark, s.wrote = nil, 0, false
	var err error
	if log != nil {
		err = log.CommitTo(mark)
	} else {
		err = s.rt.Order.CommitTo(mark)
	}
	if !wrote {
		return
	}
	if log != nil {
		err = s.rt.Committed(log, err)
	}
	if err == nil {
		return
	}
	replace(out, written, notDurable(err))
	s.countErrors(out)
}

// AwaitsDisk tells whether Finish is about to wait for an fsync. What is executed before
// shares it.
func (s *Session) AwaitsDisk() bool {
	log := s.log
	return log != nil && log.Policy() == wal.Always && !log.Synced(s.mark)
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

// Synced implements command.Client.
func (s *Session) Synced() (kept, synced bool) {
	log := s.rt.Log()
	return log != nil, log != nil && log.Synced(s.lastWrite)
}

// SyncWrites implements command.Client. Where the log fails the waiting ends too: what
// is not synced then will not be.
func (s *Session) SyncWrites(unblock bool) {
	log, t := s.rt.Log(), s.ticket.Load()
	if log == nil {
		return
	}
	go func() {
		_ = log.Sync() // the reply tells
		if unblock && t != nil {
			t.settle(late)
		}
	}()
}
