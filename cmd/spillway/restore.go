package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"

	"github.com/spillwaydb/spillway/cmd/spillway/config"
	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/backup"
	"github.com/spillwaydb/spillway/core/manifest"
	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/plugins/age"
)

// restored is what `restore --json` prints.
type restored struct {
	From      string     `json:"from"`
	To        string     `json:"to"`
	At        string     `json:"at"`
	Taken     time.Time  `json:"taken"` // the checkpoint
	Reach     time.Time  `json:"reach"`
	Ends      backup.End `json:"ends"`
	Why       string     `json:"why,omitempty"`
	TookMS    int64      `json:"took_ms"`
	Unreached bool       `json:"unreached"` // it is older than what was asked for, which --allow-older allows
	*backup.Result

	start string // how to start on it
}

func restoreCommand() *cobra.Command {
	var s sourceFlags
	var to string
	var plain, restart bool
	cmd := &cobra.Command{
		Use: "restore", Short: "Make a data directory of a backup", Args: noArgs,
		Long: "restore fetches a checkpoint and the log segments that follow it and makes a data directory of them,\n" +
			"as it was at a moment. It verifies every digest, and never writes into a directory that holds anything\n" +
			"else. A restore that was interrupted goes on where it was when it is run again.\n\n" +
			"Parts are stored as they are in the backup: the engine undoes their stages when it starts. With --plain\n" +
			"they are decoded first, and any configuration can start on them.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			defer interruptible(cmd)()
			if to == "" {
				return usageError{errors.New("--to: say which directory to restore into")}
			}
			at, err := s.moment()
			if err != nil {
				return err
			}
			if err := wantDataDir("--to", to); err != nil {
				return err
			}
			src, err := s.open(cmd, false)
			if err != nil {
				return err
			}
			defer src.close()
			p, err := backup.Plan(cmd.Context(), src, at)
			if err != nil {
				return noBackup(err)
			}
			if err := s.reached(cmd, p); err != nil {
				return err
			}
			fs, err := config.OpenFS(to)
			if err != nil {
				return err
			}
			began := time.Now()
			opts := backup.Options{
				Stages: src.stages, Plain: plain, Parallel: s.parallel, Restart: restart, Command: again(),
				CreatedBy: "spillway " + version, Now: time.Now, Logger: src.log, Progress: new(backup.Progress),
			}
			stop := watch("restoring", opts.Progress, s.quiet)
			res, err := backup.Restore(cmd.Context(), fs, src, p, opts)
			stop()
			if err != nil {
				return unfinished(fs, err)
			}
			out := restored{
				From: src.where, To: to, At: at.String(), Taken: p.Set.CreatedAt, Reach: p.Reach, Ends: p.End, Why: p.Why,
				TookMS: time.Since(began).Milliseconds(), start: startHint(src, p, to, plain), Unreached: p.Short != nil, Result: res,
			}
			if s.json {
				return writeJSON(cmd.OutOrStdout(), out)
			}
			return out.print(cmd)
		},
	}
	s.register(cmd, "default: the configuration's only sink beside the data directory")
	s.registerAt(cmd, "latest", "the moment to go back to")
	f := cmd.Flags()
	f.StringVar(&to, "to", "", "directory to restore into: new or empty")
	f.BoolVar(&plain, "plain", false, "decode the parts, so that an engine without any stage can start")
	f.BoolVar(&restart, "restart", false, "give up a restore of another moment that did not come to its end there")
	return cmd
}

// startHint is how to start on what was restored: with stages that have to be
// undone, a configuration that can is needed.
func startHint(src *source, p *backup.Point, to string, plain bool) string {
	start := "start it with: spillway serve --dir " + to
	if plain {
		return start
	}
	for _, rec := range p.Set.Stages {
		if _, err := src.stages.Stage(rec.Name); err != nil || rec.Name == age.Name {
			return fmt.Sprintf("its parts are as they were stored, %s. Start it with a configuration whose pipeline can undo that:\n"+
				"  spillway serve --config plugins.hcl --dir %s\nor restore with --plain, which needs no configuration at the start", strings.Join(stageNames(p.Set.Stages), " → "), to)
		}
	}
	return start
}

// again is the command line, as a shell takes it.
func again() string {
	words := []string{"spillway"}
	for _, a := range os.Args[1:] {
		if strings.Contains(a, "://") {
			a = redactURL(a) // it is written down
		}
		if strings.ContainsAny(a, " \t\n'\"\\$&|;<>()*?[]#~`!{}") || a == "" {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		words = append(words, a)
	}
	return strings.Join(words, " ")
}

// unfinished adds to an error what there is to know about what it left.
func unfinished(fs vfs.FS, err error) error {
	if errors.Is(err, backup.ErrNotEmpty) {
		return err
	}
	if mark, merr := manifest.Marked(fs); merr == nil && mark != nil {
		return fmt.Errorf("%w\nWhat was fetched so far is kept: run the same command again to go on", err)
	}
	return err
}

func (r *restored) print(cmd *cobra.Command) error {
	w := cmd.OutOrStdout()
	what := fmt.Sprintf("%s, taken %s, %s in %s", r.Set, r.Taken.Local().Format(time.RFC3339), count(r.Keys, "key"), count(r.Parts, "part"))
	if r.Set.Generation == 0 {
		what = "a log without a checkpoint"
	}
	fmt.Fprintf(w, "restored %s from %s: %s\n", r.To, r.From, what)
	if r.Segments > 0 {
		fmt.Fprintf(w, "  and %s with %s\n", count(r.Segments, "log segment"), count(r.Commands, "command"))
	}
	fmt.Fprintf(w, "  %s fetched, %s were there already, %s\n", size(r.Bytes), size(r.Reused), (time.Duration(r.TookMS) * time.Millisecond).Round(time.Millisecond))
	fmt.Fprintf(w, "  the last write in it is of %s\n", r.LastWrite.Local().Format("2006-01-02 15:04:05.000 -07:00"))
	_, err := fmt.Fprintf(w, "%s\n(with --read-only to look into it: that writes nothing and uses no sink)\n", r.start)
	return err
}

// lineageHint says what to do when a sink holds the backups of several data
// directories, which a daemon does not choose among.
func lineageHint(err error) error {
	if errors.Is(err, backup.ErrLineages) {
		return fmt.Errorf("%w\nChoose one with `spillway restore --lineage …`, and start on what it restores", err)
	}
	return err
}

// restoreIfEmpty fills an empty data directory from a sink of the configuration
// before the engine looks at it. An empty sink is a first start.
func restoreIfEmpty(ctx context.Context, cfg *config.Config, plugged *plugged, data vfs.FS, opts core.Options, from string, older bool, log hclog.Logger) error {
	mark, err := manifest.Marked(data)
	if err != nil {
		return err
	}
	const command = "spillway serve --restore-if-empty"
	if mark == nil {
		found, err := backup.Strangers(data)
		if err != nil || len(found) > 0 {
			return err
		}
	}
	var srcs []sink.Sink
	var names []string
	for _, t := range opts.Targets {
		names = append(names, t.Name)
		if t.Name == from || from == "" && len(opts.Targets) == 1 {
			srcs = append(srcs, t.Sink)
		}
	}
	switch {
	case len(srcs) == 0 && from == "" && len(names) > 0:
		return usageError{fmt.Errorf("--restore-from: say which sink, there are %s", strings.Join(names, ", "))}
	case len(srcs) == 0:
		return usageError{fmt.Errorf("--restore-if-empty: there is no sink %q to restore from.%s", from, config.DidYouMean(from, names))}
	}
	for _, t := range opts.Archive.Targets { // and what was written since that checkpoint
		srcs = append(srcs, t.Sink)
	}
	src := backup.Union(srcs...)
	c, err := backup.List(ctx, src)
	if err != nil {
		return fmt.Errorf("restoring the empty data directory: %w", err)
	}
	p, err := c.Plan(backup.At{})
	if errors.Is(err, backup.ErrNoCheckpoint) && c.Unreadable == nil && mark == nil {
		log.Warn("the data directory is empty and so is the sink: starting with nothing", "sink", src.Info().Name)
		return nil
	}
	if err != nil {
		return fmt.Errorf("restoring the empty data directory from %s: %w", src.Info().Name, lineageHint(err))
	}
	if err := p.Reached(); err != nil {
		if !older {
			return fmt.Errorf("restoring the empty data directory from %s: %w\nWith --restore-allow-older that is taken", src.Info().Name, err)
		}
		log.Warn("the restore is allowed to be older", "why", err)
	}
	stages, err := decoders(cfg, plugged, "")
	if err != nil {
		return err
	}
	log.Info("the data directory is empty: restoring", "sink", src.Info().Name, "point", p.String(), "ends", p.End)
	progress := new(backup.Progress)
	told := make(chan struct{})
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer close(told)
		for t := time.NewTicker(progressEvery); ; {
			select {
			case <-t.C:
				log.Info("restoring", "done", size(progress.Done.Load()), "of", size(progress.Total.Load()))
			case <-ctx.Done():
				t.Stop()
				return
			}
		}
	}()
	defer func() { cancel(); <-told }()
	res, err := backup.Restore(ctx, data, src, p, backup.Options{
		Stages: stages, Command: command, Restart: mark != nil && mark.Command == command,
		CreatedBy: "spillway " + version, Now: time.Now, Logger: log, Progress: progress,
	})
	if err != nil {
		return err
	}
	log.Info("restored", "generation", res.Set.Generation, "keys", res.Keys, "segments", res.Segments, "commands", res.Commands, "last_write", res.LastWrite)
	return nil
}
