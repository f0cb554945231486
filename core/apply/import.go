package apply

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/rdb"
	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/core/wal"
)

// ImportOptions say what Import may leave out.
type ImportOptions struct {
	// Skip is told what this engine cannot hold, key and type or command, and
	// lets it be left out by returning nil. A nil function refuses it.
	Skip func(what error) error
	// Truncated lets the input end in the middle of a command or a
	// transaction, which is left out, as Redis does after a crash.
	Truncated bool
}

// Imported is what an import has brought.
type Imported struct {
	Keys     int64 // out of RDB data
	Commands int64 // executed
	CutAt    int64 // where an unfinished end of the commands was left out, -1: nowhere
}

// ErrForeign is wrapped by Import for what is neither an RDB nor an append-only
// file.
var ErrForeign = errors.New("it is no file of Redis's")

// Import loads what Redis wrote: an RDB file, an append-only file, or one that
// begins with an RDB. name is what errors call it. After an error the keyspace
// holds a part of the input.
func Import(ks *keyspace.Keyspace, src io.Reader, name string, o ImportOptions) (Imported, error) {
	m := &importer{ks: ks, name: name, o: o, out: Imported{CutAt: -1}}
	in := bufio.NewReaderSize(src, importBuffer)
	var err error
	if magic, _ := in.Peek(rdb.MagicSize); rdb.IsMagic(magic) {
		err = m.rdb(in)
	} else if first, _ := in.Peek(1); len(first) > 0 && first[0] != '*' && first[0] != '#' {
		err = fmt.Errorf("%s: %w: it begins with neither \"REDIS\" nor a command", name, ErrForeign)
	} else {
		err = m.commands(in)
	}
	return m.out, err
}

const importBuffer = 256 << 10

// importer is one Import.
type importer struct {
	ks   *keyspace.Keyspace
	name string
	o    ImportOptions
	out  Imported
}

// rdb loads an RDB, and executes the commands behind it.
func (m *importer) rdb(in io.Reader) error {
	into := m.ks.NewLoader()
	h := rdb.Handler{
		Packed:   true,
		Function: func(code []byte) error { return command.LoadLibrary(m.ks, code) },
		Object: func(obj *rdb.Object) error {
			if have := m.ks.NumDatabases(); obj.DB >= have {
				return fmt.Errorf("it is in database %d, but only %d are configured", obj.DB, have)
			}
			if !obj.More {
				m.out.Keys++
			}
			return into.Load(obj)
		},
		Rest: func(r io.Reader) error {
			into.Flush()
			rest := bufio.NewReaderSize(r, importBuffer)
			if _, err := rest.Peek(1); errors.Is(err, io.EOF) {
				return nil
			}
			return m.commands(rest)
		},
	}
	if m.o.Skip != nil {
		h.Unsupported = func(e *rdb.UnsupportedError) error { return m.o.Skip(e) }
	}
	if err := rdb.Read(in, h); err != nil {
		into.Abort()
		return fmt.Errorf("%s: %w", m.name, err)
	}
	return nil
}

// commands executes the commands of an append-only file.
func (m *importer) commands(in io.Reader) error {
	f := &appendOnly{importer: m, a: New(m.ks, Options{})}
	defer f.a.Close()
	for r := resp.NewReader(in); ; {
		args, at, err := r.Next()
		switch {
		case err == io.EOF, err == io.ErrUnexpectedEOF: //nolint:errorlint // what merely wraps them is a failure
			return f.end(at, err)
		case err != nil:
			return fmt.Errorf("%s, offset %d: %w", m.name, at, err)
		case bytes.HasPrefix(args[0], []byte("#")): // an annotation
			continue
		}
		if err := f.command(queued{args, at}); err != nil {
			return err
		}
	}
}

// appendOnly is an append-only file while its commands are executed.
type appendOnly struct {
	*importer
	a  *Applier
	db int // that is selected

	inTx bool
	txAt int64 // where the transaction begins
	tx   []queued
}

// queued is a command and where it begins.
type queued struct {
	args [][]byte
	at   int64
}

// command takes in one command; those of a transaction wait for its end.
func (f *appendOnly) command(q queued) error {
	switch {
	case bytes.EqualFold(q.args[0], []byte("MULTI")):
		f.inTx, f.txAt = true, q.at
		return nil
	case bytes.EqualFold(q.args[0], []byte("EXEC")):
		return f.exec()
	case f.inTx:
		f.tx = append(f.tx, q)
		return nil
	}
	c, err := f.accept(q)
	if err != nil || c.Args == nil {
		return err
	}
	return f.a.Apply(c, f.origin(q.at))
}

// exec applies the transaction that is open.
func (f *appendOnly) exec() error {
	var cmds []wal.Cmd
	for _, q := range f.tx {
		c, err := f.accept(q)
		if err != nil {
			return err
		}
		if c.Args != nil {
			cmds = append(cmds, c)
		}
	}
	f.inTx, f.tx = false, nil
	return f.a.Transaction(cmds, f.origin(f.txAt))
}

// accept returns what a command has to be applied as, which is nothing for
// SELECT, for what changes no key, and for what is left out.
func (f *appendOnly) accept(q queued) (c wal.Cmd, err error) {
	cmd := command.LookupLogged(q.args[0])
	switch {
	case isSelect(q.args):
		if f.db, err = database(q.args[1], f.ks.NumDatabases()); err != nil {
			return c, f.origin(q.at).refuse(err)
		}
		return c, nil
	case cmd == nil:
		err := f.origin(q.at).refuse(unknown(q.args))
		if f.o.Skip == nil {
			return c, err
		}
		return c, f.o.Skip(err)
	case cmd.Resolve(q.args).Flags&command.Write == 0, command.IsFollowing(cmd):
		return c, nil // it changed nothing where it comes from either
	}
	f.out.Commands++
	return wal.Cmd{DB: f.db, Args: q.args}, nil
}

// end is the end of the file at an offset: between two commands (io.EOF), or
// within one (io.ErrUnexpectedEOF).
func (f *appendOnly) end(at int64, how error) error {
	if f.inTx || how == io.ErrUnexpectedEOF { //nolint:errorlint // it is one of the two
		if !f.o.Truncated {
			return fmt.Errorf("%s, offset %d: it ends in the middle of a command or transaction: %w", f.name, at, io.ErrUnexpectedEOF)
		}
		if f.out.CutAt = at; f.inTx {
			f.out.CutAt = f.txAt
		}
	}
	return f.a.Wait()
}

func (f *appendOnly) origin(at int64) Origin {
	return Origin{File: f.name, Offset: at, Foreign: true}
}

// unknown is a command that this engine does not have.
func unknown(args [][]byte) error {
	name := bytes.ToUpper(args[0])
	if len(args) > 1 {
		return fmt.Errorf("unsupported command %.40q on key %.100q", name, args[1])
	}
	return fmt.Errorf("unsupported command %.40q", name)
}
