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

// config returns the configuration.
func (o *pluginTool) config(cmd *cobra.Command) (*config.Config, error) {
	from := overrides{config: o.file}
	return from.read(cmd)
}

// read returns the configuration, which has plugins, and the names that were
// given, which are some of them; no name means all.
func (o *pluginTool) read(cmd *cobra.Command, names []string) (*config.Config, []string, error) {
	cfg, err := o.config(cmd)
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
			cfg, err := o.config(cmd)
			if err != nil {
				return err
			}
			if len(cfg.Plugins) == 0 && !o.json {
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s has no plugin\n", configName(cfg))
				return err
			}
			out, bad, err := o.list(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			if o.json {
				err = writeJSON(cmd.OutOrStdout(), out)
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
	out = []listed{}
	if len(cfg.Plugins) == 0 {
		return out, 0, nil
	}
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
