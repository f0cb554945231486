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

func pluginsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "plugins", Short: "Look at the plugins of a configuration", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(pluginsListCommand(), pluginsPingCommand(), &cobra.Command{
		Use: "checksum FILE...", Short: "Print the checksum that pins a program", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			for _, f := range files {
				sum, err := host.Checksum(f)
				if err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s  %s\n", sum, f)
			}
			return nil
		},
	})
	return cmd
}

// withPlugins reads the configuration and gives do the plugins that are named,
// or all. They are not the running daemon's: each command starts its own.
func withPlugins(cmd *cobra.Command, file string, verbose bool, names []string, do func(*plugged, []*host.Plugin) error) error {
	o := overrides{config: file}
	cfg, err := o.read(cmd)
	if err != nil {
		return err
	}
	if len(cfg.Plugins) == 0 {
		return usageError{errors.New("the configuration has no plugin")}
	}
	log := hclog.NewNullLogger() // what goes wrong is in the answer
	if verbose {
		log = newLogger(config.Log{Level: "debug"})
	}
	p, err := plug(cfg, log)
	if err != nil {
		return err
	}
	defer p.close(log)
	var chosen []*host.Plugin
	for _, pl := range p.host.Plugins() {
		if len(names) == 0 || slices.Contains(names, pl.Name()) {
			chosen = append(chosen, pl)
		}
	}
	for _, n := range names {
		if _, ok := p.plugins[n]; !ok {
			var all []string
			for _, pl := range p.host.Plugins() {
				all = append(all, pl.Name())
			}
			return usageError{fmt.Errorf("the configuration has no plugin %q.%s", n, config.DidYouMean(n, all))}
		}
	}
	return do(p, chosen)
}

// listed is a line of `plugins list`.
type listed struct {
	Name     string   `json:"name"`
	Command  []string `json:"command"`
	Checksum string   `json:"checksum,omitempty"`
	Start    string   `json:"start"`
	Offers   []string `json:"offers,omitempty"`
	UsedBy   []string `json:"used_by"`
	Error    string   `json:"error,omitempty"`
}

func pluginsListCommand() *cobra.Command {
	var file string
	var asJSON, verbose bool
	cmd := &cobra.Command{
		Use: "list", Short: "Start the plugins and list what they offer", Args: noArgs,
		Long: "list starts every plugin of the configuration, apart from a daemon that may be running,\n" +
			"asks what it offers and ends it. It exits with 1 if one does not start.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withPlugins(cmd, file, verbose, nil, func(p *plugged, all []*host.Plugin) error {
				out, failed := listPlugins(cmd.Context(), p, all)
				if err := printPlugins(cmd.OutOrStdout(), out, asJSON); err != nil || failed == 0 {
					return err
				}
				return fmt.Errorf("%d of %d plugins do not start", failed, len(all))
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	pluginFlags(cmd, &file, &verbose)
	return cmd
}

func pluginFlags(cmd *cobra.Command, file *string, verbose *bool) {
	cmd.Flags().StringVar(file, "config", "", "configuration file (default: plugins.hcl, if it is there)")
	cmd.Flags().BoolVar(verbose, "verbose", false, "show the plugins' logs on stderr")
}

func listPlugins(ctx context.Context, p *plugged, all []*host.Plugin) (out []listed, failed int) {
	for _, pl := range all {
		c := p.plugins[pl.Name()]
		l := listed{Name: pl.Name(), Command: c.Command, Checksum: c.Checksum, Start: "first-use", UsedBy: []string{}}
		if c.AtBoot {
			l.Start = "boot"
		}
		for _, u := range p.uses {
			if u.plugin == pl.Name() {
				l.UsedBy = append(l.UsedBy, u.kind+" "+u.name)
			}
		}
		offers, err := pl.Offers(ctx)
		if err != nil {
			l.Error = err.Error()
			failed++
		}
		for _, o := range offers {
			l.Offers = append(l.Offers, o.Kind+" "+o.Name)
		}
		out = append(out, l)
	}
	return out, failed
}

func printPlugins(w io.Writer, all []listed, asJSON bool) error {
	if asJSON {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(all)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tPROGRAM\tPINNED\tSTARTS\tUSED BY\tOFFERS")
	for _, l := range all {
		offers := strings.Join(l.Offers, ", ")
		if l.Error != "" {
			offers = "error: " + l.Error
		}
		pinned := "yes"
		if l.Checksum == "" {
			pinned = "no"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", l.Name, l.Command[0], pinned, l.Start, strings.Join(l.UsedBy, ", "), offers)
	}
	return t.Flush()
}

func pluginsPingCommand() *cobra.Command {
	var file string
	var verbose bool
	cmd := &cobra.Command{
		Use: "ping [NAME...]", Short: "Start plugins, configure what uses them, and wait for their answer",
		Long: "ping starts the named plugins, or all, apart from a daemon that may be running, has them make\n" +
			"the stages and sinks of the configuration, and measures how long they take to answer. It exits\n" +
			"with 1 if anything fails.",
		RunE: func(cmd *cobra.Command, names []string) error {
			return withPlugins(cmd, file, verbose, names, func(p *plugged, chosen []*host.Plugin) error {
				failed := 0
				for _, pl := range chosen {
					failed += pingPlugin(cmd.Context(), cmd.OutOrStdout(), p, pl)
				}
				if failed > 0 {
					return fmt.Errorf("%d failed", failed)
				}
				return nil
			})
		},
	}
	pluginFlags(cmd, &file, &verbose)
	return cmd
}

// pingPlugin prints how a plugin and everything that uses it fares, and returns
// how many of them failed.
func pingPlugin(ctx context.Context, w io.Writer, p *plugged, pl *host.Plugin) (failed int) {
	begin := time.Now()
	if err := pl.Start(ctx); err != nil {
		fmt.Fprintf(w, "%s: %v\n", pl.Name(), err)
		return 1
	}
	started := time.Since(begin)
	answer, err := pl.Ping(ctx)
	if err != nil {
		fmt.Fprintf(w, "%s: %v\n", pl.Name(), err)
		return 1
	}
	fmt.Fprintf(w, "%s: started in %s, answers in %s\n", pl.Name(), started.Round(time.Millisecond), answer.Round(time.Microsecond))
	for _, u := range p.uses {
		if u.plugin != pl.Name() {
			continue
		}
		if err := u.check(ctx); err != nil {
			failed++
			fmt.Fprintf(w, "  %s %s: %v\n", u.kind, u.name, err)
			continue
		}
		fmt.Fprintf(w, "  %s %s: ok\n", u.kind, u.name)
	}
	return failed
}
