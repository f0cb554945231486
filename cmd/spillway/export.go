package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/spillwaydb/spillway/core/backup"
)

// exported is what `export --json` prints.
type exported struct {
	From     string     `json:"from"`
	To       string     `json:"to"`
	Format   string     `json:"format"`
	Point    string     `json:"point"`
	Ends     backup.End `json:"ends"`
	Why      string     `json:"why,omitempty"`
	Reach    time.Time  `json:"reach"`
	Keys     int64      `json:"keys,omitempty"`     // of an RDB file
	Commands int64      `json:"commands,omitempty"` // of an append-only file
	Bytes    int64      `json:"bytes"`
}

func exportCommand() *cobra.Command {
	e := exporter{format: "rdb"}
	cmd := &cobra.Command{
		Use: "export", Short: "Write one file that redis-server loads", Args: noArgs,
		Long: "export writes a backup, or a data directory, as one RDB file or one append-only file. It merges the\n" +
			"shards and changes nothing where it reads. A data directory may be in use: what its engine has written\n" +
			"so far is exported. An RDB of a checkpoint that a log follows takes an engine, with all keys in\n" +
			"memory; everything else streams.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			defer interruptible(cmd)()
			return e.run(cmd)
		},
	}
	e.s.register(cmd, "default: the data directory")
	e.s.registerAt(cmd, "latest", "the moment to export")
	f := cmd.Flags()
	f.StringVar(&e.s.o.dir, "dir", "", "data directory")
	f.StringVar(&e.format, "format", "rdb", "rdb or aof")
	f.StringVar(&e.to, "to", "", `file to write, "-" for the standard output`)
	f.BoolVar(&e.force, "force", false, "replace the file if it is there")
	f.StringVar(&e.tmp, "tmp", "", "directory for what an engine has to read (default: where the file goes, or the system's)")
	return cmd
}

type exporter struct {
	s               sourceFlags
	format, to, tmp string
	force           bool
}

func (e *exporter) run(cmd *cobra.Command) error {
	if e.format != "rdb" && e.format != "aof" {
		return usageError{fmt.Errorf("--format %q: want rdb or aof", e.format)}
	}
	if e.to == "" {
		return usageError{errors.New(`--to: say which file to write, or "-" for the standard output`)}
	}
	if _, err := os.Lstat(e.to); e.to != "-" && !e.force && err == nil {
		return usageError{fmt.Errorf("%s is there already: --force replaces it", e.to)}
	}
	at, err := e.s.moment()
	if err != nil {
		return err
	}
	src, err := e.s.open(cmd, true)
	if err != nil {
		return err
	}
	defer src.close()
	p, err := backup.Plan(cmd.Context(), src, at)
	if err != nil {
		return noBackup(err)
	}
	if err := e.s.reached(cmd, p); err != nil {
		return err
	}
	out := &exported{From: src.where, To: e.to, Format: e.format, Point: p.String(), Ends: p.End, Why: p.Why, Reach: p.Reach}
	if e.to == "-" {
		n := &counted{dst: cmd.OutOrStdout()}
		err = e.write(cmd.Context(), src, p, n, out)
		out.Bytes = n.n
	} else {
		err = e.toFile(func(w io.Writer) error {
			n := &counted{dst: w}
			err := e.write(cmd.Context(), src, p, n, out)
			out.Bytes = n.n
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("exporting %s: %w", src.where, err)
	}
	return e.report(cmd, out)
}

// counted counts what is written.
type counted struct {
	dst io.Writer
	n   int64
}

func (c *counted) Write(b []byte) (int, error) {
	n, err := c.dst.Write(b)
	c.n += int64(n)
	return n, err
}

// report tells what was exported, on stderr where the data is on stdout.
func (e *exporter) report(cmd *cobra.Command, out *exported) error {
	w := cmd.OutOrStdout()
	if e.to == "-" {
		w = cmd.ErrOrStderr()
	}
	if e.s.json {
		return writeJSON(w, out)
	}
	if e.s.quiet {
		return nil
	}
	what := count(out.Keys, "key")
	if e.format == "aof" {
		what = count(out.Commands, "command")
	}
	_, err := fmt.Fprintf(w, "exported %s to %s: %s, %s\n  %s\n", out.From, out.To, what, size(out.Bytes), out.Point)
	return err
}

// toFile writes a file next to its place and moves it there when it is whole.
func (e *exporter) toFile(write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(e.to), "."+filepath.Base(e.to)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	err = write(f)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), e.to)
}

func (e *exporter) write(ctx context.Context, src *source, p *backup.Point, w io.Writer, out *exported) (err error) {
	progress := new(backup.Progress)
	progress.Total.Store(p.Bytes())
	defer watch("exporting", progress, e.s.quiet || e.to == "-")()
	r := &reading{src: src, p: p, tmp: e.tmp, parallel: e.s.parallel}
	if e.tmp == "" && e.to != "-" {
		r.tmp = filepath.Dir(e.to)
	}
	if e.format == "rdb" {
		out.Keys, err = r.writeRDB(ctx, w, progress)
		return err
	}
	out.Commands, err = backup.WriteAOF(ctx, backup.Counted(src, progress), p, src.stages, w)
	return r.retired(err)
}
