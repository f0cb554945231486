package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/spillwaydb/spillway/cmd/spillway/status"
	"github.com/spillwaydb/spillway/core/backup"
	"github.com/spillwaydb/spillway/core/sink"
)

// evidence is what a drill has shown: what `drill --json` prints and --evidence keeps.
type evidence struct {
	Began   time.Time    `json:"began"`
	Version string       `json:"version"`
	From    string       `json:"from"`
	OK      bool         `json:"ok"`
	Problem string       `json:"problem,omitempty"`
	Seconds float64      `json:"seconds"`     // all of it
	RTO     float64      `json:"rto_seconds"` // the longest restore with its load
	Moments []*rehearsal `json:"moments"`
}

func drillCommand() *cobra.Command {
	var s sourceFlags
	var servant servant
	s.o.servant = &servant
	var at daemonAt
	d := &drill{s: &s}
	tell := false
	var file string
	cmd := &cobra.Command{
		Use: "drill", Short: "Restore a backup into a scratch directory and compare what comes back", Args: noArgs,
		Long: "drill restores the latest moment of a backup, and another one by chance, each into a scratch directory,\n" +
			"and has an engine load it, read-only. It compares what the engine holds of the checkpoint, keys by type\n" +
			"and a digest of all values and deadlines, with what it reads from the backup itself without an engine,\n" +
			"and the commands of the log that the engine has executed with those that are there. The scratch directory\n" +
			"is removed afterwards. It needs room there for the data as they are without stages, and memory for all keys.\n\n" +
			"Exit status: 0 what was restored is what was written; 1 it is not, or it could not be restored; 2 a mistake\n" +
			"in the command line or the configuration, or a key that is missing.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			defer interruptible(cmd)()
			defer servant.begin(cmd)()
			src, err := s.open(cmd, false)
			if err != nil {
				return err
			}
			defer src.close()
			d.src = src
			e, err := d.run(cmd.Context())
			if mistake := (usageError{}); errors.As(err, &mistake) {
				return err
			}
			if cmd.Context().Err() != nil {
				return context.Cause(cmd.Context()) // that shows nothing
			}
			if file != "" {
				if werr := e.keep(file); werr != nil {
					return errors.Join(err, fmt.Errorf("--evidence: %w", werr))
				}
			}
			var perr error
			switch {
			case servant.on:
				return writeJSON(cmd.OutOrStdout(), finding{Source: e.From, OK: e.OK, Text: e.text(), Seconds: e.RTO})
			case s.json:
				perr = writeJSON(cmd.OutOrStdout(), e)
			default:
				perr = e.print(cmd.OutOrStdout())
			}
			if perr == nil && tell {
				perr = e.tell(cmd, &s, at)
			}
			switch {
			case perr != nil:
				return perr
			case errors.Is(err, sink.ErrNoKey):
				return usageError{err}
			case !e.OK:
				return errReported
			}
			return nil
		},
	}
	s.register(cmd, "default: the configuration's only sink beside the data directory")
	s.registerAt(cmd, "", "restore this moment only (default: the latest, and one by chance)")
	f := cmd.Flags()
	f.StringVar(&d.scratch, "scratch", "", "directory in which the scratch directory is made (default: the system's for temporary files)")
	f.BoolVar(&d.keep, "keep", false, "leave what was restored in the scratch directory")
	f.StringVar(&file, "evidence", "", "file, or directory, to keep what was shown in, as JSON")
	f.BoolVar(&tell, "tell", false, "tell the running daemon what was found, for its metrics and `spillway status`")
	at.register(f)
	servant.register(cmd)
	return cmd
}

// drill is a drill under way.
type drill struct {
	s       *sourceFlags
	src     *source
	scratch string
	keep    bool
}

// run restores one moment after the other. The evidence is there after an error too, and
// says what it is.
func (d *drill) run(ctx context.Context) (*evidence, error) {
	e := &evidence{Began: time.Now().UTC().Truncate(time.Millisecond), Version: version, From: d.src.where, Moments: []*rehearsal{}}
	err := d.moments(ctx, e)
	e.Seconds = time.Since(e.Began).Seconds()
	if e.OK = err == nil; err != nil {
		e.Problem = err.Error()
	}
	return e, err
}

func (d *drill) moments(ctx context.Context, e *evidence) error {
	c, err := backup.List(ctx, d.src)
	if err != nil {
		return err
	}
	at, err := d.s.moment()
	if err != nil {
		return err
	}
	chosen := "latest"
	if d.s.at != "" {
		chosen = "asked for"
	}
	p, err := c.Plan(at)
	if err != nil {
		return noBackup(fmt.Errorf("%s: %w", d.src.where, err))
	}
	if err := d.rehearse(ctx, e, p, chosen); err != nil || d.s.at != "" {
		return err
	}
	other, ok := byChance(c, p)
	if !ok {
		return nil // there is one moment
	}
	other.Lineage = at.Lineage
	if p, err = c.Plan(other); err != nil {
		return err
	}
	return d.rehearse(ctx, e, p, "by chance")
}

// byChance is another moment than the latest one: of the stretches of time that can be
// restored, or, where there are moments only, one of those.
func byChance(c *backup.Catalog, latest *backup.Point) (backup.At, bool) {
	total := time.Duration(0)
	var own []backup.Window
	for _, w := range c.Windows() {
		if w.Lineage == latest.Lineage() {
			own = append(own, w)
			total += w.To.Sub(w.From)
		}
	}
	if total > time.Millisecond {
		for n := rand.N(total); ; {
			w := own[0]
			if length := w.To.Sub(w.From); n >= length {
				n -= length
				own = own[1:]
				continue
			}
			// Blocks have milliseconds, and the cut is behind the one that it is in.
			return backup.At{Time: w.From.Add(n).UTC().Truncate(time.Millisecond).Add(time.Millisecond)}, true
		}
	}
	var others []uint64
	for _, w := range own {
		for _, id := range w.Checkpoints {
			if id.Generation != latest.Set.ID.Generation {
				others = append(others, id.Generation)
			}
		}
	}
	if len(others) == 0 {
		return backup.At{}, false
	}
	return backup.At{Generation: others[rand.IntN(len(others))]}, true
}

// rehearse restores one moment, and removes it again.
func (d *drill) rehearse(ctx context.Context, e *evidence, p *backup.Point, chosen string) (err error) {
	if err := p.Reached(); err != nil && !d.s.older {
		return fmt.Errorf("%w\nWith --allow-older that is taken", err)
	}
	dir, err := os.MkdirTemp(d.scratch, ".spillway-drill-*")
	if err != nil {
		return err
	}
	r := newRehearsal(p, chosen)
	e.Moments = append(e.Moments, r)
	defer func() {
		e.RTO = max(e.RTO, r.RTO)
		if r.OK = err == nil; err != nil {
			r.Problem = err.Error()
			err = fmt.Errorf("the moment %s: %w", r.At, err)
		}
		if d.keep {
			r.Scratch = dir
			return
		}
		err = errors.Join(err, os.RemoveAll(dir))
	}()
	if err := roomFor(dir, r.RawBytes); err != nil {
		return err
	}
	return r.play(ctx, d, p, dir)
}

// roomFor refuses a restore that the disk has no room for.
func roomFor(dir string, need int64) error {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return fmt.Errorf("how much room there is in %s: %w", filepath.Dir(dir), err)
	}
	if free := int64(st.Bavail) * int64(st.Bsize); free < need { //nolint:unconvert // the types differ from system to system
		return fmt.Errorf("%s has room for %s, and the restore needs %s; --scratch names another directory", filepath.Dir(dir), size(free), size(need))
	}
	return nil
}

// keep writes the evidence to a file, whole or not at all, or to one of its own in a
// directory.
func (e *evidence) keep(file string) error {
	if st, err := os.Stat(file); err == nil && st.IsDir() {
		file = filepath.Join(file, "drill-"+e.Began.Format("20060102T150405.000Z")+".json")
	}
	var text bytes.Buffer
	if err := writeJSON(&text, e); err != nil {
		return err
	}
	return writeFile(file, text.Bytes())
}

// text is the evidence in a line.
func (e *evidence) text() string {
	if !e.OK {
		return e.Problem
	}
	return fmt.Sprintf("%s restored and compared, the longest ready after %.1f s", count(len(e.Moments), "moment"), e.RTO)
}

func (e *evidence) print(w io.Writer) error {
	fmt.Fprintf(w, "backup %s\n", e.From)
	for _, r := range e.Moments {
		r.print(w)
	}
	end := "What was restored is what was written."
	if !e.OK {
		end = "FAILED: " + e.Problem
	}
	_, err := fmt.Fprintln(w, end)
	return err
}

// tell has the running daemon know.
func (e *evidence) tell(cmd *cobra.Command, s *sourceFlags, at daemonAt) error {
	return s.tell(cmd, at, "DRILLED", e.From, map[bool]string{true: "ok", false: "failed"}[e.OK], strconv.FormatFloat(e.RTO, 'f', 3, 64), e.text())
}

// drilled is what the daemon is told of a drill: source, ok or failed, seconds, text.
func drilled(args []string) (d status.Drill, ok bool) {
	if len(args) != 4 || !slices.Contains([]string{"ok", "failed"}, args[1]) {
		return d, false
	}
	seconds, err := strconv.ParseFloat(args[2], 64)
	return status.Drill{Source: args[0], At: time.Now(), OK: args[1] == "ok", RestoreSeconds: seconds, Text: args[3]}, err == nil && seconds >= 0
}
