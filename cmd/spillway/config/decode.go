package config

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/gohcl"
	"github.com/zclconf/go-cty/cty"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/acl"
	"github.com/spillwaydb/spillway/core/server"
	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/plugins/age"
	"github.com/spillwaydb/spillway/plugins/exec"
)

// decoder turns the document into a Config, collecting diagnostics.
type decoder struct {
	f   *File
	dir string // of the document
	ctx *hcl.EvalContext
	fss map[string]Filesystem // by "kind.name"

	known map[string]bool // plugins
}

// Default is what runs without a file: Redis's defaults with the log on, data
// under ./data, RESP on 127.0.0.1:6380.
func Default() *Config {
	o := core.DefaultOptions(nil)
	return &Config{
		Engine: o, Server: server.DefaultOptions(),
		Listen: []Listener{{Name: "main", Network: "tcp", Address: "127.0.0.1:6380"}},
		Data:   Filesystem{Kind: "os", Name: "data", Root: "./data"},
		Log:    Log{Level: "info"},
		Check:  Pipeline{Name: "checkpoint", Keep: o.Keep},
	}
}

// levels are those of the log.
var levels = []string{"trace", "debug", "info", "warn", "error"}

// newDecoder evaluates the filesystems first, since sinks refer to them as
// filesystem.KIND.NAME.
func newDecoder(f *File, dir string, blocks []filesystemBlock) *decoder {
	d := &decoder{f: f, dir: dir, ctx: baseContext(dir), fss: make(map[string]Filesystem), known: make(map[string]bool)}
	kinds := make(map[string]map[string]cty.Value)
	for i := range blocks {
		b := &blocks[i]
		id := b.Kind + "." + b.Name
		if _, dup := d.fss[id]; dup {
			d.errorAt(&b.Range, "Filesystem defined twice", "There is already a filesystem %q %q.", b.Kind, b.Name)
			continue
		}
		fs := Filesystem{Kind: b.Kind, Name: b.Name}
		switch b.Kind {
		case "os":
			fs.Root = d.str(b.Root, "")
			if fs.Root == "" && !f.diags.HasErrors() {
				d.errorAt(&b.Range, "Missing root", "A filesystem \"os\" wants root, the directory it keeps its files in.")
			}
			if err := RequireDataFS(fs.Root); err == nil {
				fs.Root = beside(d.dir, fs.Root)
			} else {
				d.errorf(b.Root, "No directory", "A filesystem \"os\" is a directory of this machine; this is a URL. There are the filesystems %s for those.", quoted(remoteKinds))
			}
		case "mem":
			if b.Root != nil {
				d.errorf(b.Root, "No root here", "A filesystem \"mem\" lives in memory and has no root.")
			}
		default:
			if fs.Remote() {
				d.remoteFS(b, &fs)
				break
			}
			d.errorAt(&b.Range, "Unknown filesystem", "There is no filesystem kind %q; there are %s.%s", b.Kind, quoted(fsKinds), DidYouMean(b.Kind, fsKinds))
		}
		if b.URL != nil && !fs.Remote() {
			d.errorAt(&b.URL.NameRange, "Unsupported argument", "A filesystem %q has no url.", b.Kind)
		}
		d.fss[id] = fs
		if kinds[b.Kind] == nil {
			kinds[b.Kind] = make(map[string]cty.Value)
		}
		kinds[b.Kind][b.Name] = cty.StringVal(id)
	}
	vars := make(map[string]cty.Value)
	for k, names := range kinds {
		vars[k] = cty.ObjectVal(names)
	}
	d.ctx.Variables["filesystem"] = cty.ObjectVal(vars)
	return d
}

// The kinds of filesystems, and those that are remote, with the schemes of their
// URLs.
var (
	fsSchemes   = map[string]string{"s3": "s3", "gcs": "gs", "azure": "azblob", "sftp": "sftp"}
	remoteKinds = []string{"s3", "gcs", "azure", "sftp"}
	fsKinds     = append([]string{"os", "mem"}, remoteKinds...)
)

// remoteFS decodes a filesystem that is somewhere else.
func (d *decoder) remoteFS(b *filesystemBlock, fs *Filesystem) {
	want := fsSchemes[b.Kind] + "://"
	switch fs.Root = d.str(b.URL, ""); {
	case b.Root != nil:
		d.errorAt(&b.Root.NameRange, "Unsupported argument", "A filesystem %q has no root but a url, as in url = \"%s…\".", b.Kind, want)
	case b.URL == nil:
		d.errorAt(&b.Range, "Missing url", "A filesystem %q wants a url, as in url = \"%s…\".", b.Kind, want)
	case fs.Root != "" && !strings.HasPrefix(fs.Root, want): // "" is one that was reported
		d.errorf(b.URL, "Wrong url", "The url of a filesystem %q begins with %q.", b.Kind, want)
	}
}

func (d *decoder) decode(raw *file, kept *keptFile) *Config {
	c := Default()
	if raw.Server != nil {
		d.server(raw.Server.attrs, c)
	}
	d.keptParams(kept, c)
	if raw.Log != nil {
		c.Log.Level = d.oneOf(raw.Log.Level, c.Log.Level, levels...)
		c.Log.JSON = d.oneOf(raw.Log.Format, "text", "text", "json") == "json"
	}
	d.keptLevel(kept, c)
	if raw.Metrics != nil {
		d.metrics(raw.Metrics, c)
	}
	if raw.Tracing != nil {
		d.tracing(raw.Tracing, c)
	}
	if b := raw.AppendOnly; b != nil {
		c.LogHooks = d.hooks(LogJob, b.OnSuccess, b.OnFailure)
	}
	if len(raw.Listeners) > 0 {
		c.Listen = nil
	}
	for i := range raw.Listeners {
		c.Listen = append(c.Listen, d.listener(&raw.Listeners[i]))
	}
	d.keptListeners(kept, c)
	for i := range raw.Users {
		d.user(&raw.Users[i], c)
	}
	d.keptUsers(kept, c)
	if fs, ok := d.fss["os.data"]; ok {
		c.Data = fs
	}
	c.Plugins = d.plugins(raw.Plugins)
	for i := range raw.Pipelines {
		p := &raw.Pipelines[i]
		archive := p.Name == archiveName
		for j := range i {
			if (raw.Pipelines[j].Name == archiveName) == archive {
				d.errorAt(&p.Range, "One pipeline too many", "There is one checkpoint pipeline, and one pipeline \"archive\"; %q is a second. Give the first further sinks instead.", p.Name)
				return c
			}
		}
		if !archive {
			d.pipeline(p, c)
		}
	}
	for i := range raw.Pipelines {
		if p := &raw.Pipelines[i]; p.Name == archiveName {
			d.archive(p, c)
		}
	}
	if raw.Verify != nil {
		d.verification(raw.Verify, c)
	}
	if raw.Drill != nil {
		d.drill(raw.Drill, c)
	}
	d.rates(c)
	return c
}

// address requires one that something could listen on, and notes its place.
// user adds a user. What is wrong with a rule is said at the line, and so is a
// second user of the name.
func (d *decoder) user(b *userBlock, c *Config) {
	rules := d.strings(b.Rules)
	scratch := acl.NewStore()
	if _, err := scratch.SetUser(b.Name, append([]string{"reset"}, rules...)); err != nil {
		at := &b.Range
		if b.Rules != nil {
			at = &b.Rules.Range
		}
		d.errorAt(at, "Not a user", "%s.", strings.TrimPrefix(err.Error(), "Error in ACL SETUSER modifier "))
	}
	for _, u := range c.Engine.Users {
		if u.Name == b.Name {
			d.errorAt(&b.Range, "Duplicate user", "There is a user %q above already.", b.Name)
		}
	}
	if c.Engine.ACLFile != "" {
		d.errorAt(&b.Range, "Users in two places", "The users are in acl_file, %s: give them there, or here, not both.", c.Engine.ACLFile)
	}
	c.Engine.Users = append(c.Engine.Users, core.UserRules{Name: b.Name, Rules: rules})
}

func (d *decoder) address(a *hcl.Attribute, network, address string, at *hcl.Range) {
	if a == nil || address == "" {
		return
	}
	*at = a.Expr.Range()
	if err := CheckAddress(network, address); err != nil {
		d.errorf(a, "Not an address", "%s.", err)
	}
}

// pipeline decodes the checkpoint pipeline. Its sink on the data directory's
// filesystem is the one that commits; every other sink is a mirror.
func (d *decoder) pipeline(b *pipelineBlock, c *Config) {
	p := &c.Check
	p.Name = b.Name
	if b.On != nil {
		for _, k := range d.strings(b.On) {
			if kind := sink.Kind(k); kind != sink.KindSnapshot && kind != sink.KindRewrite {
				d.errorf(b.On, "Unknown job", "A pipeline runs \"on\" \"snapshot\" and \"rewrite\"; this is %q.%s", k, DidYouMean(k, []string{"snapshot", "rewrite"}))
			}
		}
	}
	for _, a := range []*hcl.Attribute{b.After, b.Size, b.Rate} {
		if a != nil {
			d.errorAt(&a.NameRange, "Unsupported argument", "%q belongs to the pipeline %q.", a.Name, archiveName)
		}
	}
	p.Job = d.job(b.Schedule, b.Timezone, b.Jitter)
	p.Hooks = d.hooks(CheckpointJob, b.OnSuccess, b.OnFailure)
	p.Verify = d.boolean(b.Verify, false)
	p.Stages = d.stages(b.Stages, true)
	local := false
	names := make(map[string]bool)
	for i := range b.Sinks {
		s := &b.Sinks[i]
		if names[s.Name] {
			d.errorAt(&s.Range, "Sink defined twice", "The pipeline has already a sink named %q.", s.Name)
		}
		names[s.Name] = true
		if m, ok := d.remote(s); ok {
			if m != nil {
				p.Mirrors = append(p.Mirrors, *m)
			}
			continue
		}
		fs, ok := d.uses(s)
		if !ok {
			continue
		}
		if !local {
			local = true
			c.Data = fs
			if err := RequireDataFS(fs.URL()); err != nil {
				d.errorf(s.Uses, "Not for data", "The first sink is the data directory, and a %s.", err)
			}
			p.Keep = int(d.integer(s.Keep, int64(p.Keep), 1, 1<<20))
			if s.Required != nil && !d.boolean(s.Required, true) {
				d.errorf(s.Required, "The first sink is required", "The first sink is the data directory: a checkpoint that is not there does not exist.")
			}
			if s.Rate != nil {
				d.errorAt(&s.Rate.NameRange, "Unsupported argument", "The first sink is the data directory, which has no rate: it is for sinks beside it.")
			}
			continue
		}
		if fs == c.Data {
			d.errorAt(&s.Range, "Same filesystem twice", "This sink uses the filesystem of the first one.")
		}
		p.Mirrors = append(p.Mirrors, d.mirror(Mirror{Name: s.Name, FS: fs}, s))
	}
	if !local {
		d.errorAt(&b.Range, "No sink", "The pipeline %q has no sink: the first one, a sink \"filesystem\", is the data directory.", b.Name)
	}
}

// remote decodes a sink that is on no filesystem: nil if it is wrong. ok is
// false for one that is on a filesystem, or of no known kind.
func (d *decoder) remote(s *sinkBlock) (m *Mirror, ok bool) {
	if s.Kind == pluginKind {
		if u := d.use("sink", s.Uses, &s.Range, s.Rest); u != nil {
			made := d.mirror(Mirror{Name: s.Name, Plugin: u}, s)
			m = &made
		}
		return m, true
	}
	k, ok := sinkKinds[s.Kind]
	if !ok {
		return nil, false
	}
	if s.Uses != nil {
		d.errorAt(&s.Uses.NameRange, "Unsupported argument", "A sink %q is built in: it uses nothing.", s.Kind)
	}
	if mk, given, ok := options(d, k, s.Rest, sinkAttrs...); ok {
		made := d.mirror(Mirror{Name: s.Name, Kind: s.Kind, Make: mk, Options: given, place: place(s.Rest, s.Range)}, s)
		m = &made
	}
	return m, true
}

// sinkAttrs are the attributes of every sink beside the first.
var sinkAttrs = []string{"keep", "rate", "required", "timeout"}

// mirror decodes what every sink beside the first has.
func (d *decoder) mirror(m Mirror, s *sinkBlock) Mirror {
	m.Required = d.boolean(s.Required, true)
	m.Timeout = d.duration(s.Timeout, 10*time.Minute)
	m.Keep = d.retention(s.Keep)
	m.Rate, m.rateAt = d.rate(s.Rate), s.Rate
	return m
}

// uses decodes the filesystem of a sink that is on one, and nothing else.
func (d *decoder) uses(s *sinkBlock) (Filesystem, bool) {
	if s.Kind != "filesystem" {
		all := names(sinkKinds, "filesystem", pluginKind)
		d.errorAt(&s.Range, "Unknown sink", "There is no sink kind %q; there are %s.%s", s.Kind, quoted(all), DidYouMean(s.Kind, all))
		return Filesystem{}, false
	}
	rest, diags := s.Rest.JustAttributes()
	d.f.diags = append(d.f.diags, diags...)
	for name, a := range rest {
		d.errorAt(&a.NameRange, "Unsupported argument", "An argument named %q is not expected here.%s", name, DidYouMean(name, append(sinkAttrs, "uses")))
	}
	if s.Uses == nil {
		d.errorAt(&s.Range, "Missing filesystem", "A sink \"filesystem\" wants uses, as in uses = filesystem.os.data.")
		return Filesystem{}, false
	}
	v, ok := d.value(s.Uses, cty.String)
	if !ok {
		return Filesystem{}, false
	}
	fs, ok := d.fss[v.AsString()]
	if !ok {
		d.errorf(s.Uses, "Unknown filesystem", "%q is no filesystem of this file; write filesystem.KIND.NAME.", v.AsString())
	}
	return fs, ok
}

// stages decodes the stages of a pipeline, in order. What manifests record them
// by has to tell a plugin's from all others. readBack says that a start needs to
// undo them.
func (d *decoder) stages(blocks []stageBlock, readBack bool) []Stage {
	var out []Stage
	names := make(map[string]bool)
	for i := range blocks {
		b := &blocks[i]
		name, remote := b.pluginName()
		if !remote {
			if s, given := d.stage(b, readBack); s != nil {
				if b.Name == exec.Name && names[b.Name] {
					d.errorAt(&b.Range, "Stage defined twice", "The pipeline has already a stage \"exec\": what is stored could not be read back. A plugin's stage has a name of its own: stage \"plugin\" \"NAME\".")
				}
				names[b.Name] = true
				out = append(out, Stage{Name: b.Name, BuiltIn: s, Options: given})
			}
			continue
		}
		if names[name] {
			d.errorAt(&b.Range, "Stage defined twice", "The pipeline has already a stage named %q: what is stored could not be read back.", name)
		}
		names[name] = true
		var body struct {
			Uses *hcl.Attribute `hcl:"uses"`
			Rest hcl.Body       `hcl:",remain"`
		}
		d.f.diags = append(d.f.diags, gohcl.DecodeBody(b.Body, d.ctx, &body)...)
		if u := d.use("stage", body.Uses, &b.Range, body.Rest); u != nil {
			out = append(out, Stage{Name: name, Plugin: u})
		}
	}
	return out
}

// stage makes one of the built-in stages, nil if it is wrong, and returns its options.
func (d *decoder) stage(b *stageBlock, readBack bool) (sink.Stage, json.RawMessage) {
	k, known := stageKinds[b.Name]
	switch {
	case b.Name == pluginKind:
		d.errorAt(&b.Range, "Missing name", "A stage of a plugin wants a name, as in stage \"plugin\" \"gpg\".")
		return nil, nil
	case !known:
		all := names(stageKinds, pluginKind)
		d.errorAt(&b.Range, "Unknown stage", "There is no stage %q; there are %s.%s", b.Name, quoted(all), DidYouMean(b.Name, all))
		return nil, nil
	}
	mk, given, ok := options(d, k, b.Body)
	if !ok {
		return nil, nil
	}
	attrs, _ := b.Body.JustAttributes()
	if readBack && b.Name == age.Name && attrs["identities"] == nil {
		d.errorAt(&b.Range, "No identity", "The data directory is read back at every start, so a stage \"age\" wants identities besides recipients, as in identities = [file(\"backup.key\")].")
		return nil, nil
	}
	s, err := mk(b.Name, nil)
	if err != nil {
		where := place(b.Body, b.Range)(err)
		d.errorAt(&where, "Invalid stage", "%s.", err)
		return nil, nil
	}
	return s, given
}
