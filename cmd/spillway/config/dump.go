package config

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/param"
	"github.com/spillwaydb/spillway/core/server"
	"github.com/spillwaydb/spillway/core/sink"
)

// Dump is the whole configuration as a file would say it, defaults and flags included,
// without secrets.
func (c *Config) Dump() []byte {
	f := hclwrite.NewEmptyFile()
	c.node().masked().hcl(f.Body())
	return f.Bytes()
}

// Whole is Dump with its secrets: what a process of ours is handed that does something
// by this configuration. Paths that are relative begin where this process is.
func (c *Config) Whole() []byte {
	f := hclwrite.NewEmptyFile()
	c.node().hcl(f.Body())
	return f.Bytes()
}

// DumpJSON is Dump as an object.
func (c *Config) DumpJSON() []byte {
	b, err := json.MarshalIndent(c.node().masked().json(), "", "  ")
	if err != nil {
		panic(err) // strings, numbers and lists
	}
	return append(b, '\n')
}

// node is the configuration as blocks.
func (c *Config) node() *node {
	root := &node{}
	s := root.block("server")
	for _, p := range Params() {
		if p.HCL == "" {
			continue
		}
		text := c.Var(p).String()
		if p.Name == "shards" && text == "0" {
			text = strconv.Itoa(keyspace.DefaultShards())
		}
		s.set(p.HCL, paramValue(p, text))
	}
	log := root.block("log")
	log.text("level", c.Log.Level)
	log.text("format", map[bool]string{true: "json", false: "text"}[c.Log.JSON])
	for _, l := range c.Listen {
		b := root.block("listener", l.Network, l.Name)
		b.text(map[string]string{"tcp": "address", "unix": "path"}[l.Network], l.Address)
		if l.TLS != nil {
			tlsNode(b, *l.TLS)
		}
	}
	c.metricsNode(root)
	c.tracingNode(root)
	c.appendOnlyNode(root)
	usersNode(root, c.Engine.Users)
	c.filesystems(root)
	for i := range c.Plugins {
		c.Plugins[i].node(root)
	}
	c.pipelines(root)
	c.jobsNode(root)
	return root
}

func tlsNode(in *node, o server.TLSOptions) {
	b := in.block("tls")
	b.text("cert", o.CertFile)
	b.text("key", o.KeyFile)
	if o.ClientCAFile != "" {
		b.text("client_ca", o.ClientCAFile)
	}
	if o.ClientAuth != "" {
		b.text("client_auth", string(o.ClientAuth))
	}
	if o.ClientUser {
		b.set("client_user", cty.True)
	}
	for name, version := range tlsVersions {
		if version == o.MinVersion {
			b.text("min_version", name)
		}
	}
}

func usersNode(in *node, users []core.UserRules) {
	for _, u := range users {
		in.block("user", u.Name).set("rules", texts(u.Rules))
	}
}

// texts is a list of strings.
func texts(all []string) cty.Value {
	if len(all) == 0 {
		return cty.EmptyTupleVal
	}
	out := make([]cty.Value, len(all))
	for i, s := range all {
		out[i] = cty.StringVal(s)
	}
	return cty.TupleVal(out)
}

// filesystems are those that are used.
func (c *Config) filesystems(root *node) {
	all := []Filesystem{c.Data}
	for _, pl := range c.Pipelines() {
		for _, m := range pl.Mirrors {
			if m.Plugin == nil && m.Make == nil && !slices.Contains(all, m.FS) {
				all = append(all, m.FS)
			}
		}
	}
	for _, fs := range all {
		b := root.block("filesystem", fs.Kind, fs.Name)
		switch {
		case fs.Remote():
			b.text("url", fs.Root)
		case fs.Root != "":
			b.text("root", fs.Root)
		}
	}
}

func (p *Plugin) node(root *node) {
	b := root.block("plugin", p.Name)
	b.set("command", texts(p.Command))
	if p.Checksum != "" {
		b.text("checksum", p.Checksum)
	}
	if p.Insecure {
		b.set("insecure", cty.True)
	}
	if len(p.Env) > 0 {
		env := make(map[string]cty.Value)
		for k, v := range p.Env {
			env[k] = cty.StringVal(v)
		}
		b.set("env", cty.ObjectVal(env))
	}
	b.text("start", p.StartsAt())
	b.text("timeout", p.Timeout.String())
	r := b.block("restart")
	r.set("max_attempts", cty.NumberIntVal(int64(p.Restart.MaxAttempts)))
	r.text("backoff", p.Restart.Backoff.String())
	r.text("max_backoff", p.Restart.MaxBackoff.String())
}

func (c *Config) pipelines(root *node) {
	check := root.block("pipeline", c.Check.Name)
	c.Check.node(check)
	check.set("verify_decode", cty.BoolVal(c.Check.Verify))
	stagesNode(check, c.Check.Stages)
	local := check.block("sink", "filesystem", c.localName())
	local.refer("uses", "filesystem", c.Data.Kind, c.Data.Name)
	local.set("keep", cty.NumberIntVal(int64(c.Check.Keep)))
	sinksNode(check, c.Check.Mirrors, true)
	if len(c.Archive.Mirrors) == 0 {
		return
	}
	archive := root.block("pipeline", archiveName)
	archive.text("seal_after", c.Archive.SealAfter.String())
	archive.text("seal_size", param.FormatMemory(c.Archive.SealSize))
	hooksNode(archive, c.Archive.Hooks)
	archive.text("rate", FormatRate(c.Archive.Rate))
	stagesNode(archive, c.Archive.Stages)
	sinksNode(archive, c.Archive.Mirrors, false)
}

// localName is a name for the sink that is the data directory, which the file's own is
// not kept of.
func (c *Config) localName() string {
	name := "local"
	for slices.ContainsFunc(c.Check.Mirrors, func(m Mirror) bool { return m.Name == name }) {
		name += "-data"
	}
	return name
}

func stagesNode(in *node, stages []Stage) {
	for _, s := range stages {
		if s.Plugin == nil {
			in.block("stage", s.Name).given(s.Options)
			continue
		}
		useNode(in.block("stage", pluginKind, s.Name), "stage", s.Plugin)
	}
}

// useNode adds what a stage or a sink of a plugin has.
func useNode(b *node, kind string, u *Use) {
	b.refer("uses", "plugin", u.Plugin)
	if u.Component != "" {
		b.text(kind, u.Component)
	}
	b.given(u.Config)
}

func sinksNode(in *node, mirrors []Mirror, checkpoints bool) {
	for _, m := range mirrors {
		var b *node
		switch {
		case m.Plugin != nil:
			b = in.block("sink", pluginKind, m.Name)
			useNode(b, "sink", m.Plugin)
		case m.Make != nil:
			b = in.block("sink", m.Kind, m.Name)
			b.given(m.Options)
		default:
			b = in.block("sink", "filesystem", m.Name)
			b.refer("uses", "filesystem", m.FS.Kind, m.FS.Name)
		}
		if checkpoints {
			b.set("required", cty.BoolVal(m.Required))
		}
		b.text("timeout", m.Timeout.String())
		b.text("rate", FormatRate(m.Rate))
		if !m.Keep.All() {
			b.set("keep", keepValue(m.Keep))
		}
	}
}

func keepValue(r sink.Retention) cty.Value {
	if r == (sink.Retention{Last: r.Last}) {
		return cty.NumberIntVal(int64(r.Last))
	}
	rules := make(map[string]cty.Value)
	for name, n := range map[string]int{"last": r.Last, "hourly": r.Hourly, "daily": r.Daily, "weekly": r.Weekly} {
		if n > 0 {
			rules[name] = cty.NumberIntVal(int64(n))
		}
	}
	return cty.ObjectVal(rules)
}

// paramValue is how the block server says the value of a parameter that CONFIG GET shows
// as text.
func paramValue(p *param.Param, text string) cty.Value {
	switch t := p.Type.(type) {
	case param.Bool:
		return cty.BoolVal(text == "yes")
	case param.Int:
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return cty.NumberIntVal(n)
		}
	case param.Memory:
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return cty.StringVal(param.FormatMemory(n))
		}
	case param.Duration:
		if d, err := time.ParseDuration(text + map[time.Duration]string{time.Second: "s", time.Millisecond: "ms", time.Microsecond: "us"}[t.Unit]); err == nil {
			return cty.StringVal(d.String())
		}
	case param.List:
		size := len(strings.Fields(t.Example[0]))
		var items []string
		for words := range slices.Chunk(strings.Fields(text), size) {
			items = append(items, strings.Join(words, " "))
		}
		return texts(items)
	}
	return cty.StringVal(text)
}
