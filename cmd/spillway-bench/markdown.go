package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
)

// busy is the share of a machine's processors from which on a report says that the
// machine was not idle, and clientBound that of its processor from which on a load
// says more about itself than about the server.
const (
	busy        = 0.05
	clientBound = 97
	loadShare   = "share of its CPU that the load used"
	inKernel    = "of it in the kernel" // of the CPU of the server per operation
)

// renderCommand makes the tables and the plot of a report again.
func renderCommand() *cobra.Command {
	var plot string
	cmd := &cobra.Command{
		Use: "render FILE", Short: "Print the tables of a file that --json wrote", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			b, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			r := &report{}
			if err := json.Unmarshal(b, r); err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			if r.Schema != schema || len(r.Servers) == 0 {
				return fmt.Errorf("%s: it is of schema %d, and this program reads %d", args[0], r.Schema, schema)
			}
			if plot != "" {
				if len(r.Timelines) == 0 {
					return fmt.Errorf("%s: it has no BGSAVE to draw", args[0])
				}
				err = writeFile(plot, []byte(r.drawing()))
			}
			_, e := fmt.Fprint(cmd.OutOrStdout(), r.tables())
			return errors.Join(err, e)
		},
	}
	cmd.Flags().StringVar(&plot, "plot", "", "draw latency through a BGSAVE to this SVG `file`")
	return cmd
}

// tables is the report as Markdown. A scenario of one workload is one table of its
// metrics; any other has a table for each metric.
func (r *report) tables() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %d CPUs%s, %s of memory, %s, Linux %s, data on %s; %s.\n", r.Machine.CPU, r.Machine.CPUs, map[bool]string{true: " of a virtual machine"}[r.Machine.Virtual],
		humanize.IBytes(uint64(r.Machine.Memory)), r.Machine.System, r.Machine.Kernel, r.Machine.Filesystem, r.Date.Format("2 January 2006"))
	for i, s := range r.Servers {
		fmt.Fprintf(&b, "%s%s is %s", map[bool]string{false: ", "}[i == 0], s.Name, s.Version)
	}
	fmt.Fprintf(&b, ". %s Load: %s.\n\n", r.Pins, r.Machine.LoadTool)
	fmt.Fprintf(&b, "Medians of %d alternating rounds; in parentheses %s's share of the peer's, the median of the ratios by round, and the lowest and the highest.\n", r.Rounds, r.Servers[0].Name)
	fmt.Fprintf(&b, "Other programs used %.1f %% of the machine meanwhile.\n", r.OtherWork*100)
	if r.OtherWork >= busy {
		b.WriteString("**The machine was not idle: do not quote these figures.**\n")
	}
	if r.Failed != "" {
		fmt.Fprintf(&b, "\n**This run failed, and what is missing was not measured:**\n\n```\n%s\n```\n", r.Failed)
	}
	for _, s := range scenarios {
		var of []*figure
		for _, f := range r.Figures {
			if f.Scenario == s.name {
				of = append(of, f)
			}
		}
		if len(of) == 0 {
			continue
		}
		fmt.Fprintf(&b, "\n## %s: %s\n", s.name, s.about)
		if metrics := distinct(of, func(f *figure) string { return f.Metric }); len(distinct(of, func(f *figure) string { return f.Workload })) > 1 {
			for _, m := range metrics {
				r.table(&b, m, of, func(f *figure) (string, bool) { return f.Workload, f.Metric == m })
			}
		} else {
			r.table(&b, of[0].Workload, of, func(f *figure) (string, bool) { return f.Metric, true })
		}
	}
	for i, s := range r.Skipped {
		if i == 0 {
			b.WriteString("\n## Not measured\n\n")
		}
		fmt.Fprintf(&b, "- %s: %s: %s\n", s.Scenario, s.Workload, s.Why)
	}
	return b.String()
}

func distinct(of []*figure, name func(*figure) string) []string {
	var names []string
	for _, f := range of {
		if n := name(f); !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	return names
}

// table writes the figures that row takes, a server a column.
func (r *report) table(b *strings.Builder, title string, of []*figure, row func(*figure) (string, bool)) {
	unit := map[string]bool{}
	for _, f := range of {
		if _, ok := row(f); ok {
			unit[f.Unit] = true
		}
	}
	fmt.Fprintf(b, "\n| %s |", title+onlyUnit(unit))
	for _, s := range r.Servers {
		fmt.Fprintf(b, " %s |", s.Name)
	}
	b.WriteString("\n|" + strings.Repeat("---|", len(r.Servers)+1) + "\n")
	limited := false
	for _, f := range of {
		name, ok := row(f)
		if !ok {
			continue
		}
		if len(unit) > 1 {
			name += ", " + f.Unit
		}
		fmt.Fprintf(b, "| %s |", name)
		for _, s := range r.Servers {
			cell := "–"
			if v, ok := f.Median[s.Name]; ok {
				cell = number(v)
				if f.Metric == "operations a second" && r.bound(f, s.Name) {
					cell, limited = cell+"\\*", true
				}
			}
			if q, ok := f.Ratio[s.Name]; ok {
				cell += fmt.Sprintf(" (%.2f; %.2f–%.2f)", q.Median, q.Low, q.High)
			}
			fmt.Fprintf(b, " %s |", cell)
		}
		b.WriteString("\n")
	}
	if limited {
		fmt.Fprintf(b, "\n\\* The load was at the end of its own CPU (%d %% and more): the server may be able to do more.\n", clientBound)
	}
}

// bound is whether the load, not the server, was what a workload's figure shows.
func (r *report) bound(f *figure, server string) bool {
	i := slices.IndexFunc(r.Figures, func(l *figure) bool {
		return l.Scenario == f.Scenario && l.Workload == f.Workload && l.Metric == loadShare
	})
	return i >= 0 && r.Figures[i].Median[server] >= clientBound
}

// onlyUnit is what a title says of the unit, if it is the same in all of a table.
func onlyUnit(units map[string]bool) string {
	if len(units) != 1 {
		return ""
	}
	for u := range units {
		return ", " + u
	}
	return ""
}

// number prints three digits, or whole thousands.
func number(v float64) string {
	switch {
	case v >= 1000:
		return humanize.Comma(int64(v + 0.5))
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	case v >= 1:
		return fmt.Sprintf("%.2f", v)
	default:
		return fmt.Sprintf("%.3f", v)
	}
}
