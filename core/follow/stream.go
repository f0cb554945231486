package follow

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/core/wal"
)

// noteEvery is after how many bytes without a command, PINGs, the target is told how
// far the stream has come: one that is started again asks for what the source still has.
const noteEvery = 64 << 10

// stream is the replication stream of a link.
type stream struct {
	f     *Follower
	l     *Link
	ctx   context.Context //nolint:containedctx // of one call
	at    keyspace.Following
	noted int64 // the offset that the target knows
	db    int   // that is selected

	failed  error     // of the target: what comes behind must not be applied
	pending []wal.Cmd // that came whole and are not applied
	bytes   int       // of them
	inTx    bool
	tx      []wal.Cmd
}

// stream applies what comes until the link breaks or ctx ends.
func (f *Follower) stream(ctx context.Context, l *Link, at keyspace.Following) error {
	s := &stream{f: f, l: l, ctx: ctx, at: at, noted: f.target.Following().Offset, db: at.DB}
	r := resp.NewReader(s)
	for {
		args, _, err := r.Next()
		if err != nil {
			return s.end(err)
		}
		if err := s.take(args, at.Offset+r.Offset()); err != nil {
			return err
		}
	}
}

// end applies what came whole before the end.
func (s *stream) end(err error) error {
	var protocol *resp.ProtocolError
	if errors.As(err, &protocol) {
		err = fmt.Errorf("what the master sends is no command: %w", err)
	}
	if s.failed != nil {
		return err
	}
	if s.ctx.Err() != nil && s.at.Offset > s.noted {
		return errors.Join(err, s.note())
	}
	return errors.Join(err, s.flush())
}

// Read implements io.Reader for the reader of commands, which calls it when what has
// come holds no further whole command: that is when to apply those that it does hold.
func (s *stream) Read(b []byte) (int, error) {
	if err := s.flush(); err != nil {
		return 0, err
	}
	if s.l.in.Buffered() == 0 {
		if err := s.ctx.Err(); err != nil {
			return 0, err
		}
		if err := s.l.conn.SetReadDeadline(s.l.source.Clock.Now().Add(patience)); err != nil {
			return 0, err
		}
	}
	n, err := s.l.in.Read(b)
	s.f.status.heard()
	return n, err
}

// take takes in a command that ends at an offset of the stream.
func (s *stream) take(args [][]byte, end int64) error {
	switch name := args[0]; {
	case bytes.EqualFold(name, []byte("SELECT")) && len(args) == 2:
		db, err := strconv.Atoi(string(args[1]))
		if have := s.f.target.Databases(); err != nil || db < 0 || db >= have {
			return &StopError{fmt.Errorf("the source uses database %.20q, but only %d are configured here", args[1], have)}
		}
		s.db = db
	case bytes.EqualFold(name, []byte("PING")):
	case bytes.EqualFold(name, []byte("REPLCONF")):
		if len(args) > 1 && bytes.EqualFold(args[1], []byte("GETACK")) {
			if err := s.flush(); err != nil {
				return err
			}
			s.f.target.Sync()
			if err := s.l.Ack(s.f.acknowledged()); err != nil {
				return err
			}
		}
	case bytes.EqualFold(name, []byte("MULTI")):
		s.inTx = true
		return nil
	case bytes.EqualFold(name, []byte("EXEC")):
		s.pending, s.tx, s.inTx = append(s.pending, s.tx...), nil, false
	default:
		c := wal.Cmd{DB: s.db, Args: args}
		for _, a := range args {
			s.bytes += len(a)
		}
		if s.inTx {
			s.tx = append(s.tx, c)
			return nil
		}
		s.pending = append(s.pending, c)
	}
	if s.inTx { // as a whole, or not at all
		return nil
	}
	s.at.Offset, s.at.DB = end, s.db
	if len(s.pending) >= unitCommands || s.bytes >= unitBytes {
		return s.flush()
	}
	return nil
}

// flush applies what is pending.
func (s *stream) flush() error {
	if len(s.pending) > 0 || s.at.Offset-s.noted >= noteEvery {
		return s.note()
	}
	s.f.status.applied(s.at)
	return nil
}

// note applies what is pending, and has the target know how far the stream has come.
func (s *stream) note() error {
	if s.failed != nil {
		return s.failed
	}
	s.f.status.noted.Store(s.at.Offset)
	s.failed = s.f.apply(s.pending, s.at)
	clear(s.pending) // they may be large
	s.pending, s.bytes = s.pending[:0], 0
	if s.failed != nil {
		return s.failed
	}
	s.noted = s.at.Offset
	s.f.status.applied(s.at)
	return nil
}
