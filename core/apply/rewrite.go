package apply

import (
	"fmt"
	"io"

	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/core/wal"
)

// Rewrite applies the commands of a part of a rewrite, and returns when all of
// them are. name is what errors call it.
func Rewrite(ks *keyspace.Keyspace, src io.Reader, name string) error {
	a := New(ks, Options{})
	defer a.Close()
	db := 0
	for r := resp.NewReader(src); ; {
		args, at, err := r.Next()
		switch {
		case err == io.EOF: //nolint:errorlint // what merely wraps it is a failure
			return a.Wait()
		case err != nil:
			return fmt.Errorf("offset %d: %w", at, err)
		case isSelect(args):
			if db, err = database(args[1], ks.NumDatabases()); err != nil {
				return err
			}
			continue
		}
		if err := a.Apply(wal.Cmd{DB: db, Args: args}, Origin{File: name, Offset: at}); err != nil {
			return err
		}
	}
}

var selectCommand = command.Lookup([]byte("select"))

// isSelect tells whether a command chooses the database of those behind it.
func isSelect(args [][]byte) bool {
	return len(args) == 2 && command.Lookup(args[0]) == selectCommand
}

// database is the number that SELECT was given.
func database(arg []byte, limit int) (int, error) {
	n := 0
	for _, c := range arg {
		if c < '0' || c > '9' || n > limit {
			return 0, fmt.Errorf("SELECT %q: not one of %d databases", arg, limit)
		}
		n = n*10 + int(c-'0')
	}
	if n >= limit || len(arg) == 0 {
		return 0, fmt.Errorf("SELECT %q: only %d databases are configured", arg, limit)
	}
	return n, nil
}
