package follow

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/rdb"
	"github.com/spillwaydb/spillway/core/wal"
)

// What is applied as one unit, unless the source says that more belongs together. All
// shards are locked meanwhile.
const (
	unitCommands = 512
	unitBytes    = 1 << 20
)

// loader gives the commands that a dataset is built with to the target.
type loader struct {
	f     *Follower
	at    keyspace.Following
	db    int
	cmds  []wal.Cmd
	bytes int
}

// load replaces what the target holds by the dataset of a link. Up to its end the
// target is FollowSyncing.
func (f *Follower) load(l *Link, at keyspace.Following) error {
	at.State = keyspace.FollowSyncing
	m := &loader{f: f, at: at}
	if err := f.apply([]wal.Cmd{command(0, "FLUSHALL"), command(0, "FUNCTION", "FLUSH")}, at); err != nil {
		return err
	}
	c := rdb.NewCommands(m.emit)
	h := rdb.Handler{
		Function: func(code []byte) error {
			c.Function(code)
			return c.Err()
		},
		Object: func(o *rdb.Object) error {
			if have := f.target.Databases(); o.DB >= have {
				return &StopError{fmt.Errorf("the source has data in database %d, but only %d are configured here", o.DB, have)}
			}
			m.db = o.DB
			c.Object(o)
			return c.Err()
		},
	}
	err := rdb.Read(countedReader{l, &f.status}, h)
	if err == nil {
		err = drained(l)
	}
	if err == nil {
		err = m.flush()
	}
	var unsupported *rdb.UnsupportedError
	var corrupt *rdb.CorruptError
	switch {
	case errors.As(err, &unsupported):
		return &StopError{fmt.Errorf("the source has what cannot be held here: %w", err)}
	case errors.As(err, &corrupt):
		return fmt.Errorf("the dataset is damaged: %w", err)
	case err != nil:
		return err
	}
	at.State = keyspace.FollowStream
	return f.apply(nil, at)
}

// drained makes sure that a dataset was read to its end.
func drained(l *Link) error {
	if n, err := io.Copy(io.Discard, l); err != nil || n > 0 {
		return errors.Join(err, fmt.Errorf("%d bytes follow the end of the dataset", n))
	}
	return nil
}

// emit takes a command, whose arguments are valid during the call only.
func (m *loader) emit(args [][]byte) error {
	kept := make([][]byte, len(args))
	for i, a := range args {
		kept[i] = bytes.Clone(a)
		m.bytes += len(a)
	}
	m.cmds = append(m.cmds, wal.Cmd{DB: m.db, Args: kept})
	if len(m.cmds) < unitCommands && m.bytes < unitBytes {
		return nil
	}
	return m.flush()
}

func (m *loader) flush() error {
	err := m.f.apply(m.cmds, m.at)
	m.cmds, m.bytes = m.cmds[:0], 0
	return err
}

func command(db int, words ...string) wal.Cmd {
	c := wal.Cmd{DB: db}
	for _, w := range words {
		c.Args = append(c.Args, []byte(w))
	}
	return c
}

// countedReader tells the status how much of a dataset has come.
type countedReader struct {
	src io.Reader
	s   *status
}

func (c countedReader) Read(b []byte) (int, error) {
	n, err := c.src.Read(b)
	c.s.came(int64(n))
	return n, err
}
