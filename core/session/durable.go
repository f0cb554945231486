package session

import (
	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/core/wal"
)

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
	s.countErrors(out) // what others have appended
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
	s.countErrors(out)
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
