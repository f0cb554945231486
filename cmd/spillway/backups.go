package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/spillwaydb/spillway/core/backup"
	"github.com/spillwaydb/spillway/core/sink"
)

func backupsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "backups", Short: "List the backups of a sink, or remove old ones", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(backupsListCommand(), backupsPruneCommand())
	return cmd
}

func backupsListCommand() *cobra.Command {
	var s sourceFlags
	cmd := &cobra.Command{
		Use: "list", Short: "List checkpoints, and from when to when every moment can be restored", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			defer interruptible(cmd)()
			inv, done, err := s.inventory(cmd, false)
			if err != nil {
				return err
			}
			defer done()
			return inv.show(cmd, s.json, false)
		},
	}
	s.register(cmd, "default: the configuration's only sink beside the data directory")
	return cmd
}

// pruned is what `backups prune --json` prints.
type pruned struct {
	From    string     `json:"from"`
	Keep    string     `json:"keep"`
	DryRun  bool       `json:"dry_run"`
	Kept    []shownSet `json:"kept"`
	Removed []shownSet `json:"removed"`
	Bytes   int64      `json:"bytes"` // that were, or would be, freed
}

func backupsPruneCommand() *cobra.Command {
	var s sourceFlags
	var keep sink.Retention
	var dryRun bool
	var lineage string
	cmd := &cobra.Command{
		Use: "prune", Short: "Remove the checkpoints that no rule keeps, and the log segments that only they need", Args: noArgs,
		Long: "prune keeps, of every lineage (the life of one data directory), each checkpoint that one of the rules\n" +
			"keeps, always the newest, and the log segments from the oldest kept checkpoint on. Without a rule it\n" +
			"takes the sink's `keep` in the configuration. With --lineage it touches nothing of the others.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			defer interruptible(cmd)()
			for _, n := range []int{keep.Last, keep.Hourly, keep.Daily, keep.Weekly} {
				if n < 0 {
					return usageError{fmt.Errorf("%d is no number of backups to keep", n)}
				}
			}
			src, err := s.open(cmd, false)
			if err != nil {
				return err
			}
			defer src.close()
			if src.data != nil {
				return usageError{fmt.Errorf("%s is a data directory: its engine prunes it, as `keep` of its sink says", src.where)}
			}
			if keep.All() {
				keep = src.keep
			}
			if keep.All() {
				return usageError{errors.New("say what to keep: --keep-last, --keep-hourly, --keep-daily or --keep-weekly")}
			}
			return s.prune(cmd, src, keep, strings.ToLower(lineage), dryRun)
		},
	}
	s.register(cmd, "default: the configuration's only sink beside the data directory")
	f := cmd.Flags()
	f.IntVar(&keep.Last, "keep-last", 0, "keep the newest so many checkpoints")
	f.IntVar(&keep.Hourly, "keep-hourly", 0, "keep the newest of each of the last so many hours that have one")
	f.IntVar(&keep.Daily, "keep-daily", 0, "and of so many days")
	f.IntVar(&keep.Weekly, "keep-weekly", 0, "and of so many weeks")
	f.StringVar(&lineage, "lineage", "", "prune this lineage only: its name or the first digits of it")
	f.BoolVar(&dryRun, "dry-run", false, "say what would be removed, and remove nothing")
	return cmd
}

func (s *sourceFlags) prune(cmd *cobra.Command, src *source, keep sink.Retention, lineage string, dryRun bool) error {
	ctx := cmd.Context()
	c, err := backup.List(ctx, src)
	if err != nil {
		return err
	}
	out := pruned{From: src.where, Keep: keep.String(), DryRun: dryRun, Kept: []shownSet{}, Removed: []shownSet{}}
	sets := slices.Concat(c.Checkpoints, c.Segments)
	kept := keep.Kept(sets)
	now := time.Now()
	var errs []error
	for i := range sets {
		if kept[sets[i].ID] || !strings.HasPrefix(sets[i].Lineage(), lineage) {
			out.Kept = append(out.Kept, shown(&sets[i], now))
			continue
		}
		if !dryRun {
			if err := src.Remove(ctx, sets[i].ID); err != nil {
				errs = append(errs, fmt.Errorf("removing %s: %w", sets[i].ID, err))
				continue
			}
		}
		out.Removed = append(out.Removed, shown(&sets[i], now))
		out.Bytes += sets[i].Bytes()
	}
	if c.Unreadable != nil {
		errs = append(errs, fmt.Errorf("not touched, since it cannot be told what they are: %w", c.Unreadable))
	}
	if s.json {
		return errors.Join(append(errs, writeJSON(cmd.OutOrStdout(), out))...)
	}
	w := cmd.OutOrStdout()
	verb := "removed"
	if dryRun {
		verb = "would remove"
	}
	for i := range out.Removed {
		r := &out.Removed[i]
		fmt.Fprintf(w, "%s %s %d of lineage %.8s, %s, %s\n", verb, r.Kind, r.Generation, r.Lineage, r.CreatedAt.Local().Format(time.DateTime), size(r.Bytes))
	}
	_, err = fmt.Fprintf(w, "%s %s, %s; %d kept (%s)\n", verb, count(len(out.Removed), "set"), size(out.Bytes), len(out.Kept), out.Keep)
	return errors.Join(append(errs, err)...)
}
