package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/spillwaydb/spillway/cmd/spillway/config"
	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/repair"
	"github.com/spillwaydb/spillway/core/vfs"
)

// repairHint is what a start that finds damage says after naming it.
func repairHint(dir string) string {
	return fmt.Sprintf("`spillway repair --dir %s` examines all of it and tells what can be saved and what that would lose; without --fix it changes nothing.", dir)
}

func repairCommand() *cobra.Command {
	var o overrides
	var fix bool
	var generation uint64
	cmd := &cobra.Command{
		Use: "repair", Short: "Examine a data directory that does not start, and mend it", Args: noArgs,
		Long: "repair reads a data directory as a start would, tells what is damaged and what could be done,\n" +
			"and, with --fix, does it: it ends the log before the first damage, or, with --generation, goes\n" +
			"back to an older checkpoint. What is cut off is kept in the directory's torn/. It exits with 1\n" +
			"when the directory is damaged and was not mended.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := o.load(cmd)
			if err != nil {
				return err
			}
			if cfg.Data.Kind != "os" {
				return usageError{fmt.Errorf("the data directory is on a filesystem %q: there is nothing to repair", cfg.Data.Kind)}
			}
			r := repairer{dir: cfg.Data.Root, out: cmd.OutOrStdout(), fix: fix, generation: generation, back: cmd.Flags().Changed("generation")}
			return r.run(cmd.Context())
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.config, "config", "", "configuration file that names the data directory (default: plugins.hcl, if it is there)")
	f.StringVar(&o.dir, "dir", "", "data directory")
	f.BoolVar(&fix, "fix", false, "act; without it nothing is changed")
	f.Uint64Var(&generation, "generation", 0, "go back to this checkpoint of the data directory")
	return cmd
}

type repairer struct {
	dir        string
	out        io.Writer
	fix, back  bool
	generation uint64
}

func (r *repairer) run(ctx context.Context) (err error) {
	if st, err := os.Stat(r.dir); err != nil || !st.IsDir() {
		return usageError{fmt.Errorf("%s is not a directory: nothing to repair", r.dir)} // and none is to be made
	}
	data, err := config.OpenFS(r.dir)
	if err != nil {
		return err
	}
	if l, ok := data.(vfs.Locker); ok {
		lock, err := l.Lock(core.LockFile)
		if err != nil {
			return fmt.Errorf("locking the data directory: %w", err)
		}
		defer func() { err = errors.Join(err, lock.Close()) }()
	}
	x, err := repair.Examine(ctx, data)
	if err != nil {
		return err
	}
	fmt.Fprintf(r.out, "data directory %s\n", r.dir)
	r.show(x)
	if r.back {
		return r.goBack(ctx, data)
	}
	if x.Whole() {
		fmt.Fprintln(r.out, "A start succeeds: there is nothing to repair.")
		return nil
	}
	if x.Manifest == nil && (x.Base == nil || len(x.Base.Damage) == 0) {
		return r.cut(ctx, data, x)
	}
	r.offerKept(x)
	return errReported
}

func (r *repairer) printf(format string, args ...any) { fmt.Fprintf(r.out, format+"\n", args...) }

// show tells what is there and what is wrong with it.
func (r *repairer) show(x *repair.Examination) {
	if x.Manifest != nil {
		r.printf("  DAMAGED  %v", x.Manifest)
	}
	if x.Base != nil {
		r.showSet("base", x.Base)
	}
	for _, s := range x.Segments {
		switch {
		case s.Damage != "":
			r.printf("  DAMAGED  %s at offset %d of %d: %s", s.Path, s.Offset, s.Size, s.Damage)
			r.printf("           before it: %s", blocks(s.Blocks, s.Commands))
			if s.Header {
				r.printf("           the manifest knows that line; behind it: %s that are whole", blocks(s.LostBlocks, s.LostCommands))
				continue
			}
			r.printf("           from there on: %d bytes, with %s that are whole", s.Size-s.Offset, blocks(s.LostBlocks, s.LostCommands))
		case s.Torn:
			r.printf("  torn     %s at offset %d of %d: %s before it; a start sets the rest aside by itself", s.Path, s.Offset, s.Size, blocks(s.Blocks, s.Commands))
		default:
			r.printf("  ok       %s: %s", s.Path, blocks(s.Blocks, s.Commands))
		}
	}
	for i := range x.Kept {
		r.showSet("older", &x.Kept[i])
	}
	if x.Unreadable != nil {
		r.printf("  DAMAGED  %s", strings.ReplaceAll(x.Unreadable.Error(), "\n", "\n  DAMAGED  "))
	}
}

func (r *repairer) showSet(what string, s *repair.SetState) {
	state := "ok     "
	if len(s.Damage) > 0 {
		state = "DAMAGED"
	}
	r.printf("  %s  %s checkpoint %d (%s), taken %s: %s, %d bytes", state, what, s.ID.Generation, s.ID.Kind, s.CreatedAt.Format(time.RFC3339), count(s.Keys, "key"), s.Bytes)
	for _, d := range s.Damage {
		r.printf("           %s", d)
	}
}

func blocks(n, commands int64) string {
	return fmt.Sprintf("%s (%s)", count(n, "block"), count(commands, "command"))
}

// cut mends the log, or says what that would do.
func (r *repairer) cut(ctx context.Context, data vfs.FS, x *repair.Examination) error {
	if !r.fix {
		what := "end the log before the damage"
		if x.Segments[x.BadSegment()].Header {
			what = "write the first line anew, and then cut what is still damaged, if anything is"
		}
		r.printf("Nothing was changed. To %s:\n  spillway repair --dir %s --fix", what, r.dir)
		r.printf("A copy of the file, put back in its place, would lose nothing.")
		return errReported
	}
	for range 1 + 2*len(x.Segments) { // each segment may have a header to mend, and one is cut
		aside, err := repair.CutLog(data, x, time.Now())
		r.kept(aside)
		if err == nil {
			x, err = repair.Examine(ctx, data)
		}
		if err != nil {
			return err
		}
		if x.Whole() {
			r.printf("Repaired: a start succeeds, with")
			r.show(x)
			return nil
		}
	}
	return fmt.Errorf("the log in %s is still damaged at %s", r.dir, x.Segments[x.BadSegment()].Path)
}

// offerKept says what there is when the base or the manifest is damaged.
func (r *repairer) offerKept(x *repair.Examination) {
	r.printf("Nothing was changed. A copy of the damaged file, put back in its place, would lose nothing.")
	for _, s := range x.Kept {
		if len(s.Damage) > 0 {
			continue
		}
		r.printf("To go back to checkpoint %d, giving up every write since %s:\n  spillway repair --dir %s --generation %d --fix",
			s.ID.Generation, s.CreatedAt.Format(time.RFC3339), r.dir, s.ID.Generation)
		return
	}
	r.printf("No other checkpoint in the directory is whole. If another sink has one, copy its directory to %s\n"+
		"and go back to it with spillway repair --dir %s --generation N --fix.", r.dir+"/checkpoints/", r.dir)
}

func (r *repairer) goBack(ctx context.Context, data vfs.FS) error {
	if !r.fix {
		r.printf("Nothing was changed. Going back to checkpoint %d would set aside the log and what is later; add --fix to do it.", r.generation)
		return errReported
	}
	aside, err := repair.GoBack(ctx, data, r.generation, "spillway "+version, time.Now())
	r.kept(aside)
	if err != nil {
		return err
	}
	r.printf("The directory holds checkpoint %d now; a start succeeds.", r.generation)
	return nil
}

func (r *repairer) kept(aside []string) {
	if len(aside) > 0 {
		r.printf("Set aside, in %s:\n  %s", r.dir, strings.Join(aside, "\n  "))
	}
}
