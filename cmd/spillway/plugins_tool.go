package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"

	"github.com/spillwaydb/spillway/cmd/spillway/config"
	"github.com/spillwaydb/spillway/plugins/host"
)

// pluginTool is what the commands `spillway plugins …` have in common.
type pluginTool struct {
	file    string
	json    bool
	verbose bool
	addr    string
	lines   int
}

func pluginsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "plugins", Short: "Look at the plugins of a configuration and of the running daemon", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(pluginsListCommand(), pluginsPingCommand(), pluginsLogsCommand(), &cobra.Command{
		Use: "checksum FILE...", Short: "Print the line that pins a program", Args: atLeastOne("FILE"),
		RunE: func(cmd *cobra.Command, files []string) error {
			for _, f := range files {
				sum, err := host.Checksum(f)
				if err != nil {
					return err
				}
				line := fmt.Sprintf("checksum = %q", sum)
				if len(files) > 1 {
					line += " # " + f
				}
				fmt.Fprintln(cmd.OutOrStdout(), line)
			}
			return nil
		},
	})
	return cmd
}

func atLeastOne(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usageError{errors.New("want at least one " + what)}
		}
		return nil
	}
}

func (o *pluginTool) register(cmd *cobra.Command, daemon bool) *cobra.Command {
	f := cmd.Flags()
	f.StringVar(&o.file, "config", "", "configuration file (default: plugins.hcl, if it is there)")
	f.BoolVar(&o.json, "json", false, "print JSON")
	if daemon {
		f.StringVar(&o.addr, "addr", "", "where the daemon listens, HOST:PORT or the path of a Unix socket (default: as the configuration says)")
	} else {
		f.BoolVar(&o.verbose, "verbose", false, "show the plugins' logs on stderr")
	}
	return cmd
}

// read returns the configuration, which has plugins, and the names that were
// given, which are some of them; no name means all.
func (o *pluginTool) read(cmd *cobra.Command, names []string) (*config.Config, []string, error) {
	from := overrides{config: o.file}
	cfg, err := from.read(cmd)
	if err != nil {
		return nil, nil, err
	}
	if len(cfg.Plugins) == 0 {
		return nil, nil, usageError{errors.New("the configuration has no plugin")}
	}
	var all []string
	for _, p := range cfg.Plugins {
		all = append(all, p.Name)
	}
	for _, n := range names {
		if !slices.Contains(all, n) {
			return nil, nil, usageError{fmt.Errorf("the configuration has no plugin %q.%s", n, config.DidYouMean(n, all))}
		}
	}
	if len(names) == 0 {
		names = all
	}
	return cfg, names, nil
}

func encode(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// listed is a plugin as `plugins list` shows it: the configuration's view, and
// the running daemon's, if there is one.
type listed struct {
	Name     string   `json:"name"`
	Command  []string `json:"command"`
	Checksum string   `json:"checksum,omitempty"`
	Start    string   `json:"start"`
	UsedBy   []string `json:"used_by"`
	Problem  string   `json:"problem,omitempty"` // why it could not be started
	Daemon   *state   `json:"daemon,omitempty"`
}

func pluginsListCommand() *cobra.Command {
	var o pluginTool
	return o.register(&cobra.Command{
		Use: "list", Short: "List the plugins of a configuration, and what the running daemon says of them", Args: noArgs,
		Long: "list shows every plugin of the configuration and what uses it, checks its program against the\n" +
			"checksum, and asks the daemon, if one runs, what state it is in. It starts nothing. It exits\n" +
			"with 1 if a program is not there or not the pinned one.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, _, err := o.read(cmd, nil)
			if err != nil {
				return err
			}
			out, bad, err := o.list(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			if o.json {
				err = encode(cmd.OutOrStdout(), out)
			} else {
				err = printPlugins(cmd.OutOrStdout(), out)
			}
			if err == nil && bad > 0 {
				err = fmt.Errorf("%d of %d plugins could not be started", bad, len(out))
			}
			return err
		},
	}, true)
}

func (o *pluginTool) list(ctx context.Context, cfg *config.Config) (out []listed, bad int, err error) {
	states := make(map[string]*state)
	items, err := askDaemon(ctx, cfg, o.addr, "LIST")
	if err != nil && (o.addr != "" || !unreachable(err)) {
		return nil, 0, err
	}
	for _, it := range items {
		var s state
		if err := json.Unmarshal([]byte(it), &s); err != nil {
			return nil, 0, fmt.Errorf("the daemon's answer: %w", err)
		}
		states[s.Name] = &s
	}
	for i := range cfg.Plugins {
		p := &cfg.Plugins[i]
		l := listed{Name: p.Name, Command: p.Command, Checksum: p.Checksum, Start: p.StartsAt(), UsedBy: cfg.Users(p.Name), Daemon: states[p.Name]}
		if err := p.Verify(); err != nil {
			l.Problem = err.Error()
			bad++
		}
		out = append(out, l)
	}
	return out, bad, nil
}

func printPlugins(w io.Writer, all []listed) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tPROGRAM\tPINNED\tSTARTS AT\tUSED BY\tDAEMON")
	for _, l := range all {
		pinned, daemon := "yes", "no daemon"
		if l.Checksum == "" {
			pinned = "no"
		}
		if s := l.Daemon; s != nil {
			daemon = fmt.Sprintf("%s for %s, %d starts, %d failures", s.State, time.Since(s.Since).Round(time.Second), s.Starts, s.Failures)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", l.Name, l.Command[0], pinned, l.Start, strings.Join(l.UsedBy, ", "), daemon)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, l := range all {
		if l.Problem != "" {
			fmt.Fprintln(w, l.Problem)
		}
		if l.Daemon != nil && l.Daemon.Error != "" {
			fmt.Fprintln(w, "last error of", l.Daemon.Error)
		}
	}
	return nil
}

// pinged is what `plugins ping` found out about a plugin.
type pinged struct {
	Name    string   `json:"name"`
	OK      bool     `json:"ok"`
	Error   string   `json:"error,omitempty"`
	StartMS float64  `json:"start_ms,omitempty"`
	PingMS  float64  `json:"ping_ms,omitempty"`
	Offers  []string `json:"offers,omitempty"`
	Uses    []usedBy `json:"uses,omitempty"`
}

// usedBy is a stage or a sink, and why the plugin does not make it.
type usedBy struct {
	What  string `json:"what"`
	Error string `json:"error,omitempty"`
}

func pluginsPingCommand() *cobra.Command {
	var o pluginTool
	return o.register(&cobra.Command{
		Use: "ping [NAME...]", Short: "Start plugins, configure what uses them, and wait for their answer",
		Long: "ping starts the named plugins, or all, apart from a daemon that may be running, has them make\n" +
			"the stages and sinks of the configuration, measures how long they take to answer, and ends\n" +
			"them. It exits with 1 if anything fails.",
		RunE: func(cmd *cobra.Command, names []string) error {
			cfg, names, err := o.read(cmd, names)
			if err != nil {
				return err
			}
			out, err := o.ping(cmd.Context(), cfg, names)
			if err != nil {
				return err
			}
			if o.json {
				err = encode(cmd.OutOrStdout(), out)
			} else {
				printPings(cmd.OutOrStdout(), out)
			}
			failed := 0
			for _, p := range out {
				if !p.OK {
					failed++
				}
			}
			if err == nil && failed > 0 {
				err = fmt.Errorf("%d of %d plugins failed", failed, len(out))
			}
			return err
		},
	}, false)
}

func (o *pluginTool) ping(ctx context.Context, cfg *config.Config, names []string) ([]pinged, error) {
	level := "off" // what goes wrong is in the answer
	if o.verbose {
		level = "debug"
	}
	log := newLogger(config.Log{Level: level})
	p, err := plug(cfg, log)
	if err != nil {
		return nil, err
	}
	defer p.close(log)
	var out []pinged
	for _, pl := range p.host.Plugins() {
		if slices.Contains(names, pl.Name()) {
			out = append(out, pingPlugin(ctx, p, pl))
		}
	}
	return out, nil
}

// pingPlugin starts a plugin and has it make everything that uses it.
func pingPlugin(ctx context.Context, p *plugged, pl *host.Plugin) pinged {
	out := pinged{Name: pl.Name()}
	begin := time.Now()
	offers, err := pl.Offers(ctx)
	out.StartMS = ms(time.Since(begin))
	var took time.Duration
	if err == nil {
		took, err = pl.Ping(ctx)
	}
	if err != nil {
		out.Error = err.Error()
		return out
	}
	out.PingMS, out.OK = ms(took), true
	for _, o := range offers {
		out.Offers = append(out.Offers, o.Kind+" "+o.Name)
	}
	for _, u := range p.uses {
		if u.plugin != pl.Name() {
			continue
		}
		used := usedBy{What: u.kind + " " + u.name}
		if err := u.check(ctx); err != nil {
			used.Error, out.OK = err.Error(), false
		}
		out.Uses = append(out.Uses, used)
	}
	return out
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func printPings(w io.Writer, all []pinged) {
	for _, p := range all {
		if p.Error != "" {
			fmt.Fprintf(w, "%s: %s\n", p.Name, p.Error)
			continue
		}
		fmt.Fprintf(w, "%s: started in %.0f ms, answers in %.3f ms, offers %s\n", p.Name, p.StartMS, p.PingMS, strings.Join(p.Offers, ", "))
		for _, u := range p.Uses {
			fmt.Fprintf(w, "  %s: %s\n", u.What, map[bool]string{true: "ok", false: u.Error}[u.Error == ""])
		}
	}
}

func pluginsLogsCommand() *cobra.Command {
	var o pluginTool
	cmd := o.register(&cobra.Command{
		Use: "logs [NAME...]", Short: "Show what the plugins of the running daemon logged last",
		Long: "logs asks the running daemon for the last lines that the named plugins, or all, have logged, and\n" +
			"that it logged about them. The daemon remembers 500 lines of each, those of its own log level.",
		RunE: func(cmd *cobra.Command, names []string) error {
			cfg, names, err := o.read(cmd, names)
			if err != nil {
				return err
			}
			if o.lines < 1 {
				return usageError{fmt.Errorf("--lines %d: want at least 1", o.lines)}
			}
			var all []string
			for _, n := range names {
				items, err := askDaemon(cmd.Context(), cfg, o.addr, "LOGS", n, o.lines)
				if err != nil {
					return err
				}
				all = append(all, items...)
			}
			return o.printLogs(cmd.OutOrStdout(), all)
		},
	}, true)
	cmd.Flags().IntVarP(&o.lines, "lines", "n", 50, "how many lines of each plugin")
	return cmd
}

// printLogs prints lines of JSON as they are, one a line, or as the daemon's
// own log has them.
func (o *pluginTool) printLogs(w io.Writer, all []string) error {
	for _, line := range all {
		if o.json {
			fmt.Fprintln(w, line)
			continue
		}
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			return fmt.Errorf("the daemon's answer: %w", err)
		}
		printLine(w, fields)
	}
	return nil
}

// printLine has hclog format a line that it wrote as JSON.
func printLine(w io.Writer, fields map[string]any) {
	own := func(key string) string {
		s, _ := fields["@"+key].(string)
		delete(fields, "@"+key)
		return s
	}
	at, err := time.Parse("2006-01-02T15:04:05.000000Z07:00", own("timestamp"))
	log := hclog.New(&hclog.LoggerOptions{
		Name: own("module"), Level: hclog.Trace, Output: w, DisableTime: err != nil, TimeFn: func() time.Time { return at },
	})
	level, msg := hclog.LevelFromString(own("level")), own("message")
	keys := make([]string, 0, len(fields))
	for k := range fields {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	args := make([]any, 0, 2*len(keys))
	for _, k := range keys {
		args = append(args, k, fields[k])
	}
	log.Log(level, msg, args...)
}
