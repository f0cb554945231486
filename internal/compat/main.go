package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// Exit statuses beside 0.
const (
	exitFailed      = 1
	exitUnavailable = 3 // the suite cannot be had here
)

// compat is one invocation.
type compat struct {
	profile    profile
	suite      string   // Redis's source
	command    []string // what starts a server, without port and directory
	standIn    []string // the environment of the stand-in for redis-server; none for the true one
	logs       string
	unitLimit  time.Duration
	replyLimit time.Duration
	retries    int
	jobs       int
	before     list // what passed before
	reference  list // what redis-server passes
}

// options are the flags.
type options struct {
	profile, cache, lists, server string
	reference, update, asJSON     bool
	verbose, fetchOnly            bool
}

func main() {
	if filepath.Base(os.Args[0]) == standInName {
		if err := standIn(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, "stand-in for redis-server:", err)
			os.Exit(exitFailed)
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := newCommand().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "compat:", err)
		if errors.Is(err, errUnavailable) {
			os.Exit(exitUnavailable) //nolint:gocritic // nothing is deferred that an exit does not do
		}
		os.Exit(exitFailed)
	}
}

func newCommand() *cobra.Command {
	var o options
	c := &compat{}
	cmd := &cobra.Command{
		Use:           "compat [UNIT...]",
		Short:         "Run Redis's own tests against this daemon",
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.main(cmd.Context(), o, args, cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.profile, "profile", "standard", "which tests: standard, or full, which has the slow ones and those that need DEBUG; started has those of servers that the suite starts itself")
	f.StringVar(&o.cache, "cache", "bin/redis-suite", "where the suite is downloaded to, and logs are written")
	f.StringVar(&o.lists, "lists", "internal/compat/testdata", "where the lists of passing tests are")
	f.StringVar(&o.server, "server", "bin/spillway", "the daemon")
	f.BoolVar(&o.reference, "reference", false, "run them against the installed redis-server")
	f.BoolVar(&o.update, "update", false, "write what passes into the list: the daemon's gains tests, the reference's becomes what passed")
	f.BoolVar(&o.asJSON, "json", false, "print JSON")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "print what failed, and why")
	f.BoolVar(&o.fetchOnly, "fetch-only", false, "download the suite, and no more; exit status 3 when it cannot be had")
	f.DurationVar(&c.unitLimit, "unit-limit", 5*time.Minute, "how long a unit may take")
	f.DurationVar(&c.replyLimit, "reply-limit", 20*time.Second, "how long a reply may take")
	f.IntVar(&c.retries, "retries", 2, "how often a unit is run again in which a test fails that passed before")
	f.IntVar(&c.jobs, "jobs", 2, "how many units run at once")
	return cmd
}

// main is the invocation, once the flags are read.
func (c *compat) main(ctx context.Context, o options, units []string, out io.Writer) (err error) {
	if c.suite, err = fetchSuite(ctx, o.cache); err != nil || o.fetchOnly {
		return err
	}
	if _, err := exec.LookPath("tclsh"); err != nil {
		return fmt.Errorf("%w: %w", errUnavailable, err)
	}
	p, err := profileNamed(o.profile)
	if err != nil {
		return err
	}
	if c.profile, err = p.only(units); err != nil {
		return err
	}
	side := "spillway"
	if o.reference {
		side = "redis"
	}
	if c.logs, err = filepath.Abs(filepath.Join(o.cache, "logs", o.profile, side)); err != nil {
		return err
	}
	if err := os.MkdirAll(c.logs, 0o755); err != nil {
		return err
	}
	referenceFile := filepath.Join(o.lists, o.profile+"-redis-7.0.15.tsv")
	beforeFile := filepath.Join(o.lists, o.profile+"-passing.tsv")
	if c.reference, err = readList(referenceFile); err != nil {
		return err
	}
	if c.before, err = readList(beforeFile); err != nil {
		return err
	}
	if o.reference {
		c.before, c.retries = c.reference, 0
		c.command = []string{"redis-server", "--save", "", "--enable-debug-command", "yes", "--enable-protected-configs", "yes"}
	} else if err = c.spillway(o.server); err != nil {
		return err
	}
	results, err := c.all(ctx, func(r result) {
		if !o.asJSON {
			r.printRow(out)
		}
	})
	if err != nil {
		return err
	}
	if o.asJSON {
		if err := json.NewEncoder(out).Encode(map[string]any{"profile": o.profile, "units": results}); err != nil {
			return err
		}
	} else {
		c.print(out, results, o.verbose)
	}
	if o.update && o.reference {
		for _, r := range results {
			delete(c.reference, r.Unit)
			for _, name := range r.passing {
				c.reference.add(r.Unit, name)
			}
		}
		return c.reference.write(referenceFile)
	}
	if o.update {
		for _, r := range results {
			for _, name := range r.New {
				c.before.add(r.Unit, name)
			}
		}
		if err := c.before.write(beforeFile); err != nil {
			return err
		}
	}
	regressed := 0
	for _, r := range results {
		regressed += len(r.Regressed)
	}
	if regressed > 0 {
		return fmt.Errorf("%d tests fail that passed before; the logs are in %s", regressed, c.logs)
	}
	return nil
}

// spillway makes the daemon at path what is tested. It keeps no log and takes no
// snapshot unless a test asks for it, as the suite's own servers.
func (c *compat) spillway(path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	help, err := exec.Command(path, "serve", "--help").Output()
	if err != nil {
		return fmt.Errorf("%s serve --help: %w", path, err)
	}
	flags := regexp.MustCompile(`(?m)^ +(--[a-z-]+) `).FindAllStringSubmatch(string(help), -1)
	var names []string
	for _, f := range flags {
		names = append(names, f[1])
	}
	c.command = []string{path, "serve", "--save", "", "--appendonly", "no"}
	for _, name := range []string{"--enable-debug-command", "--enable-protected-configs"} {
		if slices.Contains(names, name) {
			c.command = append(c.command, name, "yes")
		}
	}
	c.standIn = []string{envDaemon + "=" + path, envFlags + "=" + strings.Join(names, " ")}
	return nil
}
