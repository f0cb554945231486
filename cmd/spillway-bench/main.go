// Command spillway-bench runs this daemon beside other servers of Redis's family
// on one machine, in alternating rounds, and prints medians and paired ratios.
//
//	spillway-bench --peer redis-7=redis-server --peer valkey-9=bin/peers/valkey-9 throughput bgsave
//
// All servers of a scenario are alive at once with the same data, and those that are
// not being measured are stopped (SIGSTOP), so that they cost nothing. Where there
// are two processors the servers have one and the load another; load and replay,
// when nothing else runs, have all of them. Beside throughput stands the server's own
// CPU time per operation, user and system: the figure that a noisy machine moves
// least. A prober that sends at fixed times measures latency meanwhile. How much of
// the machine went to others is said with the figures.
//
// A server that does not start, ends, or replies with an error ends the run with what
// it last logged; figures of what was being measured are not in the report.
//
// Linux only, since it reads /proc.
//
// Exit status: 0 when every figure was taken, 1 otherwise. It judges nothing.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// bench is one invocation.
type bench struct {
	spillway   string   // our daemon
	peers      []string // name=command
	only       string   // a regular expression of workloads
	quick      bool
	rounds     int
	keys       int // of all but throughput
	keyspace   int // of throughput
	seconds    float64
	ops        int // of a round of throughput, see few; 0 is what takes about seconds
	clients    int // workloads of more are left out
	settle     time.Duration
	appendOnly string // of bgsave and neighbours
	fsync      string
	proberOnly bool
	json       string
	markdown   string
	plot       string

	ctx    context.Context // ends with the first interrupt or hang-up
	dir    string          // for the servers' data
	specs  []spec          // ours first
	pins   pins
	cert   certificate
	chosen *regexp.Regexp
	report *report
}

// scenarios in the order they run.
var scenarios = []struct {
	name, about string
	run         func(*bench) error
}{
	{"throughput", "operations a second, CPU per operation and a prober's latency, by workload", (*bench).throughput},
	{"memory", "resident bytes per key and per element, of one round", (*bench).memory},
	{"bgsave", "latency through a BGSAVE under load", (*bench).bgsave},
	{"rewrite", "latency through a BGREWRITEAOF under load, with the log", (*bench).rewrite},
	{"neighbours", "what a command that takes long costs everybody else", (*bench).neighbours},
	{"load", "starts from a snapshot", (*bench).load},
	{"replay", "starts from the log", (*bench).replay},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := command().ExecuteContext(ctx)
	if ctx.Err() != nil {
		err = errors.New("interrupted")
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "spillway-bench:", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	b := &bench{}
	var names []string
	long := "Compare this daemon with other servers, side by side.\n\nScenarios, all unless named:\n"
	for _, s := range scenarios {
		names = append(names, s.name)
		long += fmt.Sprintf("  %-12s%s\n", s.name, s.about)
	}
	cmd := &cobra.Command{
		Use: "spillway-bench [scenario...]", Short: "Compare this daemon with other servers, side by side", Long: long,
		ValidArgs: names, Args: cobra.OnlyValidArgs,
		SilenceErrors: true, SilenceUsage: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			b.ctx = cmd.Context()
			if b.quick {
				b.hurry(cmd)
			}
			return b.run(args)
		},
	}
	f := cmd.Flags()
	f.StringVar(&b.spillway, "spillway", "bin/spillway", "the daemon")
	f.StringArrayVar(&b.peers, "peer", nil, "name=command of a server to compare with, one that takes redis-server's options; repeatable (default: redis-server, if it is found)")
	f.BoolVar(&b.quick, "quick", false, "a quarter of an hour in place of more than one: fewer rounds, shorter ones, fewer keys; what else is given counts")
	f.StringVar(&b.only, "workloads", "", "regular expression of the workloads to run, of throughput, load and replay")
	f.IntVar(&b.rounds, "rounds", 5, "alternating rounds")
	f.IntVar(&b.keys, "keys", 5_000_000, "keys of all but throughput, and of neighbours up to a million")
	f.IntVar(&b.keyspace, "keyspace", 1_000_000, "keys of throughput")
	f.Float64Var(&b.seconds, "seconds", 3, "about how long the slowest server's round of throughput takes")
	f.IntVar(&b.ops, "ops", 0, "operations of a round of throughput, times its pipeline, or as many as move 64 MiB")
	f.IntVar(&b.clients, "max-clients", 10_000, "workloads of throughput with more connections are not measured")
	f.DurationVar(&b.settle, "settle", 3*time.Second, "how long the load of bgsave and rewrite runs before and behind it")
	f.StringVar(&b.appendOnly, "appendonly", "no", "of all servers in bgsave and neighbours")
	f.StringVar(&b.fsync, "appendfsync", "everysec", "of all servers in bgsave, rewrite, neighbours and replay")
	f.BoolVar(&b.proberOnly, "prober-only", false, "no load in bgsave and rewrite, only the prober")
	f.StringVar(&b.json, "json", "", "write everything to this `file`, see docs/performance.md")
	f.StringVar(&b.markdown, "markdown", "", "write the tables to this `file` too")
	f.StringVar(&b.plot, "plot", "", "draw latency through a BGSAVE to this SVG `file`")
	cmd.AddCommand(renderCommand(), generateCommand(), hollowCommand())
	return cmd
}

// hurry is --quick: what was not given otherwise gets smaller.
func (b *bench) hurry(cmd *cobra.Command) {
	for name, value := range map[string]string{"rounds": "2", "seconds": "0.8", "keys": "1000000", "keyspace": "200000"} {
		if f := cmd.Flags().Lookup(name); !f.Changed {
			if err := f.Value.Set(value); err != nil {
				panic(err) // a value of ours
			}
		}
	}
}

func (b *bench) run(names []string) (err error) {
	if b.chosen, err = regexp.Compile(b.only); err != nil {
		return fmt.Errorf("--workloads: %w", err)
	}
	if b.rounds < 1 || b.keys < minKeys || b.keyspace < minKeys {
		return fmt.Errorf("--rounds wants 1 at least, --keys and --keyspace %d", minKeys)
	}
	if b.specs, err = specs(b.spillway, b.peers); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp("", "spillway-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	if b.cert, err = newCertificate(b.dir); err != nil {
		return err
	}
	if b.pins, err = choosePins(); err != nil {
		return err
	}
	b.report = newReport(b)
	before, err := workSoFar()
	if err != nil {
		return err
	}
	for _, s := range scenarios {
		if len(names) > 0 && !slices.Contains(names, s.name) {
			continue
		}
		if err = s.run(b); err != nil {
			err = fmt.Errorf("%s: %w", s.name, err)
			b.report.Failed = err.Error()
			break
		}
	}
	after, e := workSoFar()
	if e != nil {
		return errors.Join(err, e)
	}
	b.report.OtherWork = after.others(before)
	return errors.Join(err, b.write())
}

// write puts the report where it is wanted.
func (b *bench) write() error {
	b.report.finish()
	var err error
	if b.json != "" {
		err = errors.Join(err, writeFile(b.json, b.report.json()))
	}
	text := b.report.tables()
	if b.markdown != "" {
		err = errors.Join(err, writeFile(b.markdown, []byte(text)))
	}
	if b.plot != "" && len(b.report.Timelines) > 0 {
		err = errors.Join(err, writeFile(b.plot, []byte(b.report.drawing())))
	}
	_, e := fmt.Print(text)
	return errors.Join(err, e)
}

// progress tells whoever waits what is being measured.
func (b *bench) progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
}

// writeFile writes a file and the directory it lies in.
func writeFile(name string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, content, 0o644)
}
