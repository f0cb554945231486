// Command spillway-bench runs this daemon and a real redis-server side by side
// on one machine, in alternating rounds, and prints ratios.
//
//	spillway-bench --spillway bin/spillway throughput memory bgsave neighbours load replay
//
// The servers have CPU 0 and the load CPU 1, so that neither helps itself to
// more of the machine than the other; load and replay, when nothing else runs,
// have all of it. Beside throughput stands the server's own CPU time per
// operation, user and system: the figure that a noisy machine moves least.
// Linux only, since it reads /proc.
//
// Exit status: 0 when every figure was taken, 1 otherwise. It judges nothing.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"
)

// bench is one invocation.
type bench struct {
	spillway, redis string // binaries
	rounds          int
	keys            int // of memory, bgsave, neighbours, load and replay
	ops, pipelined  int // of throughput: without and with pipelining
	appendOnly      string
	fsync           string
	dir             string // for both servers' data
	proberOnly      bool
	asJSON          bool
	out             io.Writer
	results         []result
}

// result is one figure of both servers. Ratio is ours divided by theirs.
type result struct {
	Name     string  `json:"name"`
	Unit     string  `json:"unit"`
	Spillway float64 `json:"spillway"`
	Redis    float64 `json:"redis"`
	Ratio    float64 `json:"ratio"`
}

// scenarios in the order they run.
var scenarios = []struct {
	name string
	run  func(*bench) error
}{
	{"throughput", (*bench).throughput},
	{"memory", (*bench).memory},
	{"bgsave", (*bench).bgsave},
	{"neighbours", (*bench).neighbours},
	{"load", (*bench).load},
	{"replay", (*bench).replay},
}

func main() {
	if err := command().Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "spillway-bench:", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	b := &bench{}
	var names []string
	for _, s := range scenarios {
		names = append(names, s.name)
	}
	cmd := &cobra.Command{
		Use:       "spillway-bench [scenario...]",
		Short:     "Compare this daemon with redis-server, side by side",
		Long:      fmt.Sprintf("Compare this daemon with redis-server, side by side.\n\nScenarios, all unless named: %v.", names),
		ValidArgs: names, Args: cobra.OnlyValidArgs,
		SilenceErrors: true, SilenceUsage: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			b.out = cmd.OutOrStdout()
			return b.run(args)
		},
	}
	f := cmd.Flags()
	f.StringVar(&b.spillway, "spillway", "bin/spillway", "the daemon")
	f.StringVar(&b.redis, "redis", "redis-server", "what it is compared with; redis-benchmark must be on the PATH too")
	f.IntVar(&b.rounds, "rounds", 3, "alternating rounds; medians are printed")
	f.IntVar(&b.keys, "keys", 5_000_000, "keys of memory, bgsave, neighbours, load and replay")
	f.IntVar(&b.ops, "ops", 200_000, "operations of a throughput round without pipelining")
	f.IntVar(&b.pipelined, "pipelined-ops", 2_000_000, "operations of a throughput round with pipelining")
	f.StringVar(&b.appendOnly, "appendonly", "no", "of both servers, except in load and replay")
	f.StringVar(&b.fsync, "appendfsync", "everysec", "of both servers")
	f.BoolVar(&b.proberOnly, "prober-only", false, "no load in bgsave, only the prober")
	f.BoolVar(&b.asJSON, "json", false, "print one JSON array of figures at the end")
	return cmd
}

func (b *bench) run(names []string) (err error) {
	b.dir, err = os.MkdirTemp("", "spillway-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	for _, s := range scenarios {
		if len(names) > 0 && !slices.Contains(names, s.name) {
			continue
		}
		if err := s.run(b); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	if b.asJSON {
		e := json.NewEncoder(b.out)
		e.SetIndent("", "  ")
		return e.Encode(b.results)
	}
	return nil
}

// report notes the medians of a figure of ours and of theirs.
func (b *bench) report(name, unit string, ours, theirs []float64) {
	r := result{Name: name, Unit: unit, Spillway: median(ours), Redis: median(theirs)}
	if r.Redis != 0 {
		r.Ratio = r.Spillway / r.Redis
	}
	b.results = append(b.results, r)
	if !b.asJSON {
		_, _ = fmt.Fprintf(b.out, "%-36s %14.2f %14.2f %-8s %6.2f\n", r.Name, r.Spillway, r.Redis, r.Unit, r.Ratio)
	}
}

// title begins a scenario's table.
func (b *bench) title(about string) {
	if !b.asJSON {
		_, _ = fmt.Fprintf(b.out, "\n%s\n%-36s %14s %14s %-8s %6s\n", about, "", "spillway", "redis", "", "ratio")
	}
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	s := slices.Clone(v)
	slices.Sort(s)
	return s[len(s)/2]
}
