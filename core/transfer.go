package core

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/rdb"
	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/core/vfs"
)

// WriteRDB writes all keys, as they are at this moment, as one RDB file and
// returns how many there are. Writes go on meanwhile. What was written is worth
// nothing after an error.
func (db *DB) WriteRDB(out io.Writer) (keys int64, err error) {
	db.gate.RLock()
	defer db.gate.RUnlock()
	var views []*keyspace.View
	defer func() {
		for _, v := range views {
			v.Release()
		}
	}()
	db.lockAll()
	for i := range db.ks.NumShards() {
		v, err := db.ks.Shard(i).Freeze()
		if err != nil {
			db.unlockAll()
			return 0, fmt.Errorf("freezing the keyspace: %w", err)
		}
		views = append(views, v)
	}
	w := rdb.NewWriter(out)
	w.Header(RDBHeader(db.clock.Now()))
	db.unlockAll()
	for _, v := range views {
		n, err := v.Encode(w, nil)
		keys += n
		if err != nil {
			return keys, err
		}
	}
	return keys, w.End()
}

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

func (i *Imported) add(o Imported) {
	i.Keys += o.Keys
	i.Commands += o.Commands
	i.CutAt = o.CutAt
}

// ErrForeign is wrapped by Import for what is neither an RDB nor an append-only
// file.
var ErrForeign = errors.New("it is no file of Redis's")

// Import loads what Redis wrote into the keyspace: an RDB file, an append-only
// file, or one that begins with an RDB. name is what errors call it. Nothing is
// logged: a checkpoint makes it durable. It is for a tool that has the engine,
// which has recovered, for itself; after an error the keyspace holds a part of
// the input.
func (db *DB) Import(ctx context.Context, r io.Reader, name string, o ImportOptions) (Imported, error) {
	if db.opts.ReadOnly {
		return Imported{}, ErrReadOnly
	}
	in := bufio.NewReaderSize(vfs.ContextReader(ctx, r), 256<<10)
	if magic, _ := in.Peek(5); string(magic) == "REDIS" {
		return db.importRDB(in, name, o)
	}
	if first, _ := in.Peek(1); len(first) > 0 && first[0] != '*' && first[0] != '#' {
		return Imported{CutAt: -1}, fmt.Errorf("%s: %w: it begins with neither \"REDIS\" nor a command", name, ErrForeign)
	}
	return db.importCommands(in, name, o)
}

func (db *DB) importRDB(in io.Reader, name string, o ImportOptions) (out Imported, err error) {
	out.CutAt = -1
	h := rdb.Handler{
		Object: func(obj *rdb.Object) error {
			if obj.DB >= db.opts.Databases {
				return fmt.Errorf("it is in database %d, but only %d are configured", obj.DB, db.opts.Databases)
			}
			out.Keys++
			return db.ks.Load(obj)
		},
		Rest: func(r io.Reader) error {
			rest := bufio.NewReaderSize(r, 256<<10)
			if _, err := rest.Peek(1); errors.Is(err, io.EOF) {
				return nil
			}
			more, err := db.importCommands(rest, name, o)
			out.add(more)
			return err
		},
	}
	if o.Skip != nil {
		h.Unsupported = func(e *rdb.UnsupportedError) error { return o.Skip(e) }
	}
	if err := rdb.Read(in, h); err != nil {
		return out, fmt.Errorf("%s: %w", name, err)
	}
	return out, nil
}

// importer executes the commands of an append-only file.
type importer struct {
	db   *DB
	a    *applier
	o    ImportOptions
	n    int // the database that is selected
	tx   [][][]byte
	inTx bool
	out  Imported
}

func (db *DB) importCommands(in *bufio.Reader, name string, o ImportOptions) (out Imported, err error) {
	m := &importer{db: db, a: newApplier(db), o: o, out: Imported{CutAt: -1}}
	defer m.a.close()
	var tx int64 // where the open transaction begins
	for r := resp.NewReader(in); ; {
		args, at, err := r.Next()
		switch {
		case err == io.EOF && !m.inTx: //nolint:errorlint // what merely wraps it is a failure
			return m.out, m.a.wait()
		case err == io.EOF, err == io.ErrUnexpectedEOF: //nolint:errorlint // likewise
			if !o.Truncated {
				return m.out, fmt.Errorf("%s, offset %d: it ends in the middle of a command or transaction: %w", name, at, io.ErrUnexpectedEOF)
			}
			if m.out.CutAt = at; m.inTx {
				m.out.CutAt = tx
			}
			return m.out, m.a.wait()
		case err != nil:
			return m.out, fmt.Errorf("%s, offset %d: %w", name, at, err)
		case bytes.HasPrefix(args[0], []byte("#")): // an annotation
			continue
		case !m.inTx:
			tx = at
		}
		m.a.at = origin{path: name, offset: at, foreign: true}
		if err := m.command(args); err != nil {
			return m.out, err
		}
	}
}

// command takes in one command; those of a transaction wait for its end.
func (m *importer) command(args [][]byte) error {
	switch {
	case bytes.EqualFold(args[0], []byte("MULTI")):
		m.inTx = true
		return nil
	case bytes.EqualFold(args[0], []byte("EXEC")):
		m.inTx = false
		queued := m.tx
		m.tx = nil
		for _, c := range queued {
			if err := m.apply(c); err != nil {
				return err
			}
		}
		return nil
	case m.inTx:
		m.tx = append(m.tx, args)
		return nil
	}
	return m.apply(args)
}

func (m *importer) apply(args [][]byte) error {
	cmd := command.Lookup(args[0])
	if cmd == selectCommand && len(args) == 2 {
		n, err := parseDB(args[1], m.db.opts.Databases)
		if err != nil {
			return m.a.at.refuse(err)
		}
		m.n = n
		return nil
	}
	if cmd == nil {
		err := m.a.at.refuse(unknown(args))
		if m.o.Skip == nil {
			return err
		}
		return m.o.Skip(err)
	}
	if cmd.Flags&command.Write == 0 {
		return nil // it changed nothing where it comes from either
	}
	m.out.Commands++
	return m.a.apply(m.n, args)
}

// unknown is a command that this engine does not have.
func unknown(args [][]byte) error {
	name := bytes.ToUpper(args[0])
	if len(args) > 1 {
		return fmt.Errorf("unsupported command %.40q on key %.100q", name, args[1])
	}
	return fmt.Errorf("unsupported command %.40q", name)
}
