package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/spillwaydb/spillway/cmd/spillway/config"
	"github.com/spillwaydb/spillway/core/keyspace"
)

// plan is what `check` prints: what `serve` would run.
type plan struct {
	Config     string   `json:"config"`
	Listeners  []string `json:"listeners"`
	Busy       []string `json:"in_use"` // addresses that another process listens on now
	Data       string   `json:"data"`
	Shards     int      `json:"shards"`
	Databases  int      `json:"databases"`
	AppendOnly bool     `json:"append_only"`
	Fsync      string   `json:"fsync"`
	Save       []string `json:"save"`
	MaxMemory  int64    `json:"max_memory"`
	Password   bool     `json:"password"`
	Stages     []string `json:"stages"`
	Sinks      []string `json:"sinks"`
	Metrics    string   `json:"metrics,omitempty"`
	Archive    []string `json:"archive"`
	Plugins    []string `json:"plugins"`
	Schedules  []string `json:"schedules"`

	metricsScheme string
}

func checkCommand() *cobra.Command {
	o := overrides{listens: true}
	cmd := &cobra.Command{
		Use: "check", Short: "Validate a configuration and print what it would run", Args: noArgs,
		Long: "check reads the configuration as serve would, with the same flags, starts nothing and\n" +
			"touches no data. Names are resolved and addresses tried, without ever listening; one that\n" +
			"another process listens on now is no mistake, and said. It exits with 2 if serve would\n" +
			"refuse the configuration.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := o.load(cmd)
			if err != nil {
				return err
			}
			p := planOf(cfg)
			p.Busy = append(p.Busy, o.busy...)
			if o.jsonErrors {
				return writeJSON(cmd.OutOrStdout(), p)
			}
			return p.print(cmd.OutOrStdout())
		},
	}
	o.register(cmd)
	cmd.Flags().BoolVar(&o.jsonErrors, "json", false, "print JSON, what is wrong included")
	return cmd
}

func planOf(c *config.Config) plan {
	p := plan{
		Config: configName(c), Data: c.Data.URL(), Shards: c.Engine.Shards, Databases: c.Engine.Databases,
		AppendOnly: !c.Engine.NoLog, Fsync: c.Engine.Fsync.String(), MaxMemory: c.Engine.MaxMemory,
		Password: c.Engine.RequirePass != "", Metrics: c.Metrics, Listeners: []string{}, Busy: []string{}, Save: []string{}, Stages: []string{}, Archive: []string{}, Plugins: []string{}, Schedules: []string{},
	}
	p.metricsScheme = "http"
	if c.MetricsFront.TLS != nil {
		p.metricsScheme = "https"
	}
	if p.Shards == 0 {
		p.Shards = keyspace.DefaultShards()
	}
	for _, l := range c.Listen {
		scheme := l.Network
		if l.TLS != nil {
			scheme = "tls"
		}
		p.Listeners = append(p.Listeners, scheme+"://"+l.Address)
	}
	for _, s := range c.Engine.Save {
		p.Save = append(p.Save, s.String())
	}
	for _, s := range c.Check.Stages {
		p.Stages = append(p.Stages, s.Name+ofPlugin(s.Plugin))
	}
	p.Sinks = append(p.Sinks, fmt.Sprintf("%s (data directory, keep %d)", c.Data.URL(), c.Check.Keep))
	for _, m := range c.Check.Mirrors {
		kind := "best effort"
		if m.Required {
			kind = "required"
		}
		p.Sinks = append(p.Sinks, fmt.Sprintf("%s: %s (%s, timeout %s, keep %s%s)", m.Name, whereOf(m), kind, m.Timeout, m.Keep, atRate(m.Rate)))
	}
	for _, s := range c.Archive.Stages {
		p.Archive = append(p.Archive, "stage "+s.Name+ofPlugin(s.Plugin))
	}
	for _, m := range c.Archive.Mirrors {
		p.Archive = append(p.Archive, fmt.Sprintf("%s: %s (segments after %s or %s, timeout %s, keep %s%s)",
			m.Name, whereOf(m), c.Archive.SealAfter, size(c.Archive.SealSize), m.Timeout, m.Keep, atRate(m.Rate)))
	}
	if c.Archive.Rate > 0 {
		p.Archive = append(p.Archive, "all sinks together: at most "+config.FormatRate(c.Archive.Rate))
	}
	for _, c := range c.Plugins {
		pin := c.Checksum + ", verified"
		if c.Insecure {
			pin = "not pinned"
		}
		p.Plugins = append(p.Plugins, fmt.Sprintf("%s: %s (%s, start %s)", c.Name, strings.Join(c.Command, " "), pin, c.StartsAt()))
	}
	for _, j := range c.Jobs() {
		p.Schedules = append(p.Schedules, fmt.Sprintf("%s: %s, next %s", j.Name, j.Job, j.Next(time.Now())))
	}
	return p
}

// atRate says the bound of a sink, if it has one.
func atRate(n int64) string {
	if n == 0 {
		return ""
	}
	return ", at most " + config.FormatRate(n)
}

// configName says where a configuration is from.
func configName(c *config.Config) string {
	if c.Path == "" {
		return "(built-in defaults)"
	}
	return c.Path
}

// whereOf says where a sink beside the data directory keeps its sets.
func whereOf(m config.Mirror) string {
	if m.Kind == "" && m.Plugin == nil {
		if m.FS.Remote() {
			return redactURL(m.FS.URL())
		}
		return m.FS.URL()
	}
	return strings.TrimSpace(m.Kind + ofPlugin(m.Plugin))
}

// ofPlugin says which plugin a stage or a sink is of.
func ofPlugin(u *config.Use) string {
	if u == nil {
		return ""
	}
	return " (plugin " + u.Plugin + ")"
}

func (p plan) print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name string, v any) { fmt.Fprintf(t, "%s\t%v\n", name, v) }
	row("configuration", p.Config+" is valid")
	for _, l := range p.Listeners {
		row("listener", l)
	}
	for _, b := range p.Busy {
		row("in use", b+": another process listens there now, and serve would have to wait for its end")
	}
	row("data directory", p.Data)
	row("shards", p.Shards)
	row("databases", p.Databases)
	log := "off"
	if p.AppendOnly {
		log = "on, fsync " + p.Fsync
	}
	row("log", log)
	for _, s := range p.Save {
		row("save point", s)
	}
	if p.MaxMemory > 0 {
		row("max memory", fmt.Sprint(p.MaxMemory, " bytes"))
	}
	if p.Metrics != "" {
		row("metrics", p.metricsScheme+"://"+p.Metrics+"/metrics")
	}
	row("password", map[bool]string{true: "set", false: "none"}[p.Password])
	for _, s := range p.Stages {
		row("stage", s)
	}
	for _, s := range p.Sinks {
		row("sink", s)
	}
	for _, s := range p.Archive {
		row("archive", s)
	}
	for _, s := range p.Plugins {
		row("plugin", s)
	}
	for _, s := range p.Schedules {
		row("schedule", s)
	}
	return t.Flush()
}
