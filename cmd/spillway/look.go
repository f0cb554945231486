package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"github.com/spillwaydb/spillway/cmd/spillway/internal/values"
	"github.com/spillwaydb/spillway/core/backup"
	"github.com/spillwaydb/spillway/core/rdb"
)

// looker is what get, scan and diff have in common: they read the keys of a backup,
// as they were at a moment, and write nothing there.
type looker struct {
	s   sourceFlags
	db  int
	raw bool
	tmp string
}

func (l *looker) register(cmd *cobra.Command, db int, dbHelp string) {
	l.s.register(cmd, "default: the data directory")
	f := cmd.Flags()
	f.StringVar(&l.s.o.dir, "dir", "", "data directory")
	f.IntVarP(&l.db, "db", "n", db, dbHelp)
	f.StringVar(&l.tmp, "tmp", "", "directory for what an engine has to read (default: the system's)")
}

// spell is how strings are printed: as they are where a program reads them, quoted
// on a terminal, as redis-cli does it.
func (l *looker) spell() func([]byte) string {
	if l.raw || !isatty.IsTerminal(os.Stdout.Fd()) {
		return values.Plain
	}
	return values.Quoted
}

// view is a backup at a moment.
type view struct {
	src  *source
	p    *backup.Point
	at   time.Time
	read *reading
}

// open finds the moment at, as --at has it.
func (l *looker) open(cmd *cobra.Command, at string) (*view, error) {
	l.s.at = at
	m, err := l.s.moment()
	if err != nil {
		return nil, err
	}
	src, err := l.s.open(cmd, true)
	if err != nil {
		return nil, err
	}
	p, err := backup.Plan(cmd.Context(), src, m)
	if err == nil {
		err = l.s.reached(cmd, p)
	} else {
		err = noBackup(err)
	}
	if err != nil {
		src.close()
		return nil, err
	}
	r := &reading{src: src, p: p, tmp: l.tmp, parallel: l.s.parallel}
	return &view{src, p, r.moment(), r}, nil
}

func (v *view) close() { v.src.close() }

// String is which state of the data it is.
func (v *view) String() string {
	return fmt.Sprintf("%s: %s, as of %s", v.src.where, v.p, v.at.Local().Format("2006-01-02 15:04:05.000 -07:00"))
}

// errEnough ends a look that has found what it was for.
var errEnough = errors.New("enough")

// each calls fn with every key that is there at the moment, and ends with its first
// error; errEnough is none. The object and what it refers to are valid during the call
// only. One key at a time is in memory where the point is a checkpoint alone, and all of
// them where an engine has to execute the log behind it.
func (v *view) each(ctx context.Context, quiet bool, fn func(o *rdb.Object) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	progress := new(backup.Progress)
	progress.Total.Store(v.p.Bytes())
	defer watch("reading", progress, quiet)()
	err, werr := eachObject(func(out io.Writer) error {
		_, err := v.read.writeRDB(ctx, out, progress)
		return err
	}, fn, cancel)
	switch {
	case errors.Is(err, errEnough):
		return nil
	case werr != nil && !errors.Is(werr, context.Canceled):
		return fmt.Errorf("reading %s: %w", v.src.where, werr)
	}
	return err
}

// eachObject calls fn with every key of the RDB file that write writes, while it is being
// written. The first error is that of fn, or of what cannot be read; then stop is called,
// and what is written fails. The second is why it could not be written, and nil where
// nothing was the matter but that no more was read.
func eachObject(write func(io.Writer) error, fn func(o *rdb.Object) error, stop func()) (err, werr error) {
	in, out := io.Pipe()
	written := make(chan error, 1)
	go func() {
		err := write(out)
		_ = out.CloseWithError(err) // as EOF where it is nil
		written <- err
	}()
	err = rdb.Read(in, rdb.Handler{Object: fn, Function: func([]byte) error { return nil }})
	_ = in.CloseWithError(errEnough)
	stop()
	if werr = <-written; errors.Is(werr, errEnough) {
		werr = nil
	}
	return err, werr
}

// describe tells on stderr which state of the data is shown.
func (v *view) describe(cmd *cobra.Command, quiet bool) {
	if !quiet {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s\n", v)
	}
}
