package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/spillwaydb/spillway/core/backup"
	"github.com/spillwaydb/spillway/core/sink"
)

// inventory is what `inspect --json` and `backups list --json` print.
type inventory struct {
	From        string          `json:"from"`
	Checkpoints []shownSet      `json:"checkpoints"`
	Segments    []shownSet      `json:"segments"`
	Lineages    []backup.Life   `json:"lineages"` // the data directories whose sets these are
	Windows     []backup.Window `json:"windows"`  // stretches of which every moment can be had back
	Unreadable  string          `json:"unreadable,omitempty"`
}

type shownSet struct {
	Generation uint64            `json:"generation"`
	Token      string            `json:"token,omitempty"` // with the generation, the set's name
	Kind       sink.Kind         `json:"kind"`
	Lineage    string            `json:"lineage,omitempty"`
	CreatedAt  time.Time         `json:"created_at"`
	AgeSeconds int64             `json:"age_seconds"`
	Keys       int64             `json:"keys"`
	Bytes      int64             `json:"bytes"`
	RawBytes   int64             `json:"raw_bytes"`
	Ratio      float64           `json:"ratio"` // raw to stored
	Stages     []string          `json:"stages"`
	CreatedBy  string            `json:"created_by,omitempty"`
	Meta       map[string]string `json:"meta,omitempty"`
	Parts      []shownPart       `json:"parts"`
}

type shownPart struct {
	Name     string   `json:"name"`
	Shard    int      `json:"shard"`
	Keys     int64    `json:"keys"`
	Bytes    int64    `json:"bytes"`
	RawBytes int64    `json:"raw_bytes"`
	SHA256   string   `json:"sha256"`
	Stages   []string `json:"stages"`
}

func inspectCommand() *cobra.Command {
	var s sourceFlags
	var parts bool
	cmd := &cobra.Command{
		Use: "inspect", Short: "Show what a backup holds and what can be had back", Args: noArgs,
		Long: "inspect lists the checkpoints and archived log segments of a backup, or of a data directory: sizes,\n" +
			"stages, age, and from when to when every moment can be restored. It reads descriptions only; verify\n" +
			"reads the data.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			defer interruptible(cmd)()
			inv, done, err := s.inventory(cmd, true)
			if err != nil {
				return err
			}
			defer done()
			return inv.show(cmd, s.json, parts)
		},
	}
	s.register(cmd, "default: the data directory")
	cmd.Flags().StringVar(&s.o.dir, "dir", "", "data directory")
	cmd.Flags().BoolVar(&parts, "parts", false, "also list the parts")
	return cmd
}

// inventory lists the source.
func (s *sourceFlags) inventory(cmd *cobra.Command, dataDir bool) (*inventory, func(), error) {
	src, err := s.open(cmd, dataDir)
	if err != nil {
		return nil, nil, err
	}
	c, err := backup.List(cmd.Context(), src)
	if err != nil {
		src.close()
		return nil, nil, err
	}
	return inventoryOf(src.where, c, time.Now()), src.close, nil
}

func inventoryOf(where string, c *backup.Catalog, now time.Time) *inventory {
	inv := &inventory{From: where, Checkpoints: []shownSet{}, Segments: []shownSet{}, Lineages: c.Lives(), Windows: c.Windows()}
	if c.Unreadable != nil {
		inv.Unreadable = c.Unreadable.Error()
	}
	for i := range c.Checkpoints {
		inv.Checkpoints = append(inv.Checkpoints, shown(&c.Checkpoints[i], now))
	}
	for i := range c.Segments {
		inv.Segments = append(inv.Segments, shown(&c.Segments[i], now))
	}
	return inv
}

func shown(s *sink.Set, now time.Time) shownSet {
	out := shownSet{
		Generation: s.ID.Generation, Token: s.ID.Token, Kind: s.ID.Kind, Lineage: s.Lineage(), CreatedAt: s.CreatedAt, AgeSeconds: int64(now.Sub(s.CreatedAt).Seconds()),
		Keys: s.Keys(), Bytes: s.Bytes(), RawBytes: s.RawBytes(), Stages: stageNames(s.Stages), CreatedBy: s.CreatedBy, Meta: s.Meta, Parts: []shownPart{},
	}
	if out.Bytes > 0 {
		out.Ratio = float64(out.RawBytes) / float64(out.Bytes)
	}
	for _, p := range s.Parts {
		out.Parts = append(out.Parts, shownPart{
			Name: p.Part.Name, Shard: p.Part.Shard, Keys: p.Keys, Bytes: p.Bytes, RawBytes: p.RawBytes, SHA256: p.SHA256, Stages: stageNames(p.Stages),
		})
	}
	if len(out.Stages) == 0 && len(s.Parts) > 0 {
		out.Stages = out.Parts[0].Stages
	}
	return out
}

func stageNames(records []sink.StageRecord) []string {
	names := []string{}
	for _, r := range records {
		names = append(names, r.Name)
	}
	return names
}

func (s *shownSet) row(w io.Writer, what string) {
	stages := strings.Join(s.Stages, " → ")
	if stages == "" {
		stages = "none"
	}
	taken, age := "-", "-"
	if !s.CreatedAt.IsZero() {
		taken, age = s.CreatedAt.Local().Format("2006-01-02 15:04:05"), strings.TrimSuffix(humanize.RelTime(s.CreatedAt, s.CreatedAt.Add(time.Duration(s.AgeSeconds)*time.Second), "", ""), " ")
	}
	lineage := s.Lineage[:min(len(s.Lineage), 8)]
	if lineage == "" {
		lineage = "-"
	}
	fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%d\t%d\t%s\t%s\t%.1f\t%s\n", s.Generation, what, lineage, taken, age, s.Keys, len(s.Parts), size(s.Bytes), size(s.RawBytes), s.Ratio, stages)
}

// show prints the inventory; what cannot be read in it is a failure.
func (inv *inventory) show(cmd *cobra.Command, asJSON, parts bool) error {
	var err error
	if asJSON {
		err = writeJSON(cmd.OutOrStdout(), inv)
	} else {
		err = inv.print(cmd.OutOrStdout(), parts)
	}
	if err == nil && inv.Unreadable != "" {
		err = errReported
	}
	return err
}

// printLineages says whose sets these are where there are several.
func (inv *inventory) printLineages(out io.Writer) {
	for _, l := range inv.Lineages {
		name, follows := l.Lineage, ""
		if name == "" {
			name = "without a name"
		}
		if len(l.Follows) > 0 {
			follows = ", goes on from " + l.Follows[0].Lineage
		}
		fmt.Fprintf(out, "lineage %s: %s, %s%s\n", name, count(l.Checkpoints, "checkpoint"), count(l.Segments, "log segment"), follows)
	}
}

func (inv *inventory) print(out io.Writer, parts bool) error {
	fmt.Fprintf(out, "backup %s\n", inv.From)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if len(inv.Checkpoints) > 0 {
		fmt.Fprintln(w, "GENERATION\tKIND\tLINEAGE\tTAKEN\tAGE\tKEYS\tPARTS\tSTORED\tRAW\tRATIO\tSTAGES")
	}
	for i := range inv.Checkpoints {
		s := &inv.Checkpoints[i]
		s.row(w, string(s.Kind))
		if !parts {
			continue
		}
		for _, p := range s.Parts {
			fmt.Fprintf(w, "\t%s\t\t\t\t%d\t\t%s\t%s\t\t\n", p.Name, p.Keys, size(p.Bytes), size(p.RawBytes))
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if n := len(inv.Segments); n > 0 {
		var stored, raw int64
		for _, s := range inv.Segments {
			stored += s.Bytes
			raw += s.RawBytes
		}
		fmt.Fprintf(out, "%s, %d to %d: %s stored, %s raw\n", count(n, "log segment"), inv.Segments[0].Generation, inv.Segments[n-1].Generation, size(stored), size(raw))
		if parts {
			w = tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "SEGMENT\tKIND\tLINEAGE\tTAKEN\tAGE\tKEYS\tPARTS\tSTORED\tRAW\tRATIO\tSTAGES")
			for i := range inv.Segments {
				inv.Segments[i].row(w, "segment")
			}
			if err := w.Flush(); err != nil {
				return err
			}
		}
	}
	if len(inv.Lineages) > 1 {
		inv.printLineages(out)
	}
	for _, win := range inv.Windows {
		const layout = "2006-01-02 15:04:05.000"
		switch {
		case win.To.IsZero(): // a data directory's log, and nothing in it yet
			fmt.Fprintln(out, "restorable: an empty directory, nothing was written yet")
		case win.From.IsZero():
			fmt.Fprintf(out, "restorable: every moment up to %s\n", win.To.Local().Format(layout))
		case win.From.Equal(win.To):
			fmt.Fprintf(out, "restorable: %s (checkpoint %d)\n", win.From.Local().Format(layout), win.Checkpoints[0].Generation)
		default:
			fmt.Fprintf(out, "restorable: every moment from %s to %s\n", win.From.Local().Format(layout), win.To.Local().Format(layout))
		}
		if win.Gap != "" {
			fmt.Fprintf(out, "  gap: %s\n", win.Gap)
		}
	}
	if len(inv.Windows) == 0 {
		fmt.Fprintln(out, "restorable: nothing, no checkpoint is there")
	}
	if inv.Unreadable != "" {
		fmt.Fprintf(out, "DAMAGED: %s\n", strings.ReplaceAll(inv.Unreadable, "\n", "\n         "))
	}
	return nil
}
