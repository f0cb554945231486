package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"

	"github.com/spillwaydb/spillway/plugins/host"
)

// Plugin is a block plugin.
type Plugin struct {
	host.Spec
	// AtBoot starts it with the daemon, not at its first use.
	AtBoot bool

	at  hcl.Range // the block
	pin hcl.Range // checksum, or the block
}

// StartsAt is "boot" or "first-use".
func (p *Plugin) StartsAt() string {
	if p.AtBoot {
		return "boot"
	}
	return "first-use"
}

// Users are the stages and sinks of a plugin, as in "stage gpg".
func (c *Config) Users(plugin string) []string {
	out := []string{}
	add := func(u *Use, what string) {
		if u != nil && u.Plugin == plugin && !slices.Contains(out, what) {
			out = append(out, what)
		}
	}
	for _, p := range c.Pipelines() {
		for _, s := range p.Stages {
			add(s.Plugin, "stage "+p.Shown(s.Name))
		}
		for _, m := range p.Mirrors {
			add(m.Plugin, "sink "+p.Shown(m.Name))
		}
	}
	return out
}

// Use is a stage or a sink that a plugin offers.
type Use struct {
	// Plugin names the block.
	Plugin string
	// Component chooses one of what the plugin offers; "" leaves the choice to
	// the name of the stage or the sink.
	Component string
	// Config is what the plugin gets: a JSON object. It may hold secrets.
	Config json.RawMessage
}

type pluginBlock struct {
	Name     string         `hcl:"name,label"`
	Command  *hcl.Attribute `hcl:"command"`
	Checksum *hcl.Attribute `hcl:"checksum"`
	Insecure *hcl.Attribute `hcl:"insecure"`
	Env      *hcl.Attribute `hcl:"env"`
	Start    *hcl.Attribute `hcl:"start"`
	Timeout  *hcl.Attribute `hcl:"timeout"`
	Restart  *restartBlock  `hcl:"restart,block"`
	Range    hcl.Range      `hcl:",def_range"`
}

type restartBlock struct {
	MaxAttempts *hcl.Attribute `hcl:"max_attempts"`
	Backoff     *hcl.Attribute `hcl:"backoff"`
	MaxBackoff  *hcl.Attribute `hcl:"max_backoff"`
}

// plugins decodes the blocks plugin, and makes them known as plugin.NAME.
func (d *decoder) plugins(blocks []pluginBlock) []Plugin {
	var out []Plugin
	names := make(map[string]cty.Value)
	for i := range blocks {
		b := &blocks[i]
		if _, dup := names[b.Name]; dup {
			d.errorAt(&b.Range, "Plugin defined twice", "There is already a plugin %q.", b.Name)
			continue
		}
		names[b.Name] = cty.StringVal(b.Name)
		d.known[b.Name] = true
		if !hclsyntax.ValidIdentifier(b.Name) {
			d.errorAt(&b.Range, "Not a name", "%q cannot be written as plugin.NAME: want letters, digits, - and _, beginning with a letter.", b.Name)
		}
		out = append(out, d.plugin(b))
	}
	d.ctx.Variables["plugin"] = cty.ObjectVal(names)
	return out
}

func (d *decoder) plugin(b *pluginBlock) Plugin {
	p := Plugin{at: b.Range, pin: b.Range}
	if b.Checksum != nil {
		p.pin = b.Checksum.Expr.Range()
	}
	p.Name = b.Name
	p.Command = d.strings(b.Command)
	if len(p.Command) > 0 && strings.ContainsRune(p.Command[0], filepath.Separator) {
		p.Command[0] = beside(d.dir, p.Command[0])
	}
	if b.Command == nil {
		d.errorAt(&b.Range, "Missing command", "A plugin wants command, the program and its arguments, as in command = [\"spillway-plugin-zstd\"].")
	}
	p.Checksum = d.str(b.Checksum, "")
	p.Insecure = d.boolean(b.Insecure, false)
	p.Env = d.stringMap(b.Env)
	p.AtBoot = d.oneOf(b.Start, "boot", "boot", "first-use") == "boot"
	p.Timeout = d.positive(b.Timeout, host.DefaultTimeout)
	p.Restart = host.Restart{MaxAttempts: host.DefaultMaxAttempts, Backoff: host.DefaultBackoff, MaxBackoff: host.DefaultMaxBackoff}
	if r := b.Restart; r != nil {
		p.Restart.MaxAttempts = int(d.integer(r.MaxAttempts, host.DefaultMaxAttempts, 1, 1000))
		p.Restart.Backoff = d.positive(r.Backoff, host.DefaultBackoff)
		p.Restart.MaxBackoff = d.positive(r.MaxBackoff, max(host.DefaultMaxBackoff, p.Restart.Backoff))
	}
	return p
}

// positive is a duration that cannot be 0.
func (d *decoder) positive(a *hcl.Attribute, def time.Duration) time.Duration {
	t := d.duration(a, def)
	if t == 0 {
		d.errorf(a, "Not a duration", "%q wants a duration above 0, as in \"30s\".", a.Name)
	}
	return t
}

func (d *decoder) stringMap(a *hcl.Attribute) map[string]string {
	v, ok := d.value(a, cty.Map(cty.String))
	if !ok {
		return nil
	}
	out := make(map[string]string)
	for k, e := range v.AsValueMap() {
		out[k] = e.AsString()
	}
	return out
}

// use decodes what a stage or a sink of a plugin has in common: uses, the
// attribute that chooses the component, which is called as its block is, and
// the rest, which is the plugin's own configuration.
func (d *decoder) use(kind string, uses *hcl.Attribute, at *hcl.Range, rest hcl.Body) *Use {
	attrs, diags := rest.JustAttributes()
	d.f.diags = append(d.f.diags, diags...)
	if uses == nil {
		d.errorAt(at, "Missing plugin", "A %s \"plugin\" wants uses, as in uses = plugin.NAME.", kind)
		return nil
	}
	v, ok := d.value(uses, cty.String)
	if !ok {
		return nil
	}
	u := &Use{Plugin: v.AsString()}
	if !d.known[u.Plugin] {
		d.errorf(uses, "Unknown plugin", "%q is no plugin of this file; write plugin.NAME.%s", u.Plugin, DidYouMean(u.Plugin, slices.Sorted(maps.Keys(d.known))))
	}
	if a := attrs[kind]; a != nil {
		u.Component = d.str(a, "")
		delete(attrs, kind)
	}
	u.Config = d.json(attrs)
	return u
}

// json turns attributes into the object that a plugin gets.
func (d *decoder) json(attrs hcl.Attributes) json.RawMessage {
	names := make([]string, 0, len(attrs))
	for name := range attrs {
		names = append(names, name)
	}
	sort.Strings(names)
	out := make(map[string]json.RawMessage)
	for _, name := range names {
		a := attrs[name]
		v, diags := a.Expr.Value(d.ctx)
		d.f.diags = append(d.f.diags, diags...)
		if diags.HasErrors() || v.IsNull() {
			continue
		}
		b, err := ctyjson.Marshal(v, v.Type())
		if err != nil {
			d.errorf(a, "Wrong kind of value", "%q cannot be given to a plugin: %s.", name, err)
			continue
		}
		out[name] = b
	}
	b, err := json.Marshal(out)
	if err != nil {
		panic(fmt.Sprintf("config: values that were JSON do not marshal: %v", err))
	}
	return b
}

// pluginKind is the first label of a stage or a sink that a plugin offers.
const pluginKind = "plugin"

// joinStageLabels makes `stage "plugin" "NAME"` look like a stage with one
// label, as the others have, so that all stages of a pipeline stay in order.
func joinStageLabels(body hcl.Body) {
	root, ok := body.(*hclsyntax.Body)
	if !ok {
		return
	}
	for _, p := range root.Blocks {
		if p.Type != "pipeline" {
			continue
		}
		for _, s := range p.Body.Blocks {
			if s.Type == "stage" && len(s.Labels) == 2 {
				s.LabelRanges = []hcl.Range{hcl.RangeBetween(s.LabelRanges[0], s.LabelRanges[1])}
				s.Labels = []string{strings.Join(s.Labels, " ")}
			}
		}
	}
}

// pluginName is NAME of `stage "plugin" "NAME"`.
func (b *stageBlock) pluginName() (string, bool) {
	name, ok := strings.CutPrefix(b.Name, pluginKind+" ")
	return name, ok && name != ""
}

// Verify looks at what the configuration names on this machine: the program of
// every plugin is to be there and the one that checksum pins, and the built-in
// sinks are to accept their options. Nothing is started and no store is
// spoken to. What is wrong is added to the diagnostics; it returns whether
// nothing is.
func (f *File) Verify(c *Config) bool {
	fail := func(summary string, err error, at hcl.Range) {
		f.diags = append(f.diags, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: summary, Detail: err.Error() + ".", Subject: &at})
	}
	for i := range c.Plugins {
		p := &c.Plugins[i]
		if err := p.Verify(); errors.Is(err, host.ErrChecksum) {
			fail("Plugin cannot run", err, p.pin)
		} else if err != nil {
			fail("Plugin cannot run", err, p.at)
		}
	}
	f.verifyPrograms()
	for _, m := range slices.Concat(c.Check.Mirrors, c.Archive.Mirrors) {
		if m.Make == nil {
			continue
		}
		s, err := m.Make(m.Name, hclog.NewNullLogger())
		if closer, ok := s.(io.Closer); ok && err == nil {
			err = closer.Close()
		}
		if err != nil {
			fail("Invalid sink", err, m.place(err))
		}
	}
	return !f.diags.HasErrors()
}
