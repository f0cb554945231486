package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/spillwaydb/spillway/cmd/spillway/config"
	"github.com/spillwaydb/spillway/plugins/host"
)

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
				err = writeJSON(cmd.OutOrStdout(), out)
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
	p, err := plug(cfg, log, nil)
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
