package config

import (
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"github.com/spillwaydb/spillway/cmd/spillway/hooks"
)

// Whoever watches for what a job tells is asked for in these blocks of the job's.
const (
	onSuccess = "on_success"
	onFailure = "on_failure"
)

// ArchiveJob is what hooks know the archive by, which is no job of the clock.
const ArchiveJob = "archive"

type hookBlock struct {
	URL     *hcl.Attribute `hcl:"url"`
	Headers *hcl.Attribute `hcl:"headers"`
	Command *hcl.Attribute `hcl:"command"`
	Env     *hcl.Attribute `hcl:"env"`
	Timeout *hcl.Attribute `hcl:"timeout"`
	Range   hcl.Range      `hcl:",def_range"`
}

// hooks decodes whom the end of a job is told.
func (d *decoder) hooks(job string, success, failure []hookBlock) (out []hooks.Hook) {
	for i := range success {
		out = append(out, d.hook(&success[i], hooks.Hook{Event: job, Result: hooks.Success}))
	}
	for i := range failure {
		out = append(out, d.hook(&failure[i], hooks.Hook{Event: job, Result: hooks.Failure}))
	}
	return out
}

func (d *decoder) hook(b *hookBlock, h hooks.Hook) hooks.Hook {
	h.URL, h.Headers = d.str(b.URL, ""), d.stringMap(b.Headers)
	h.Command, h.Env = d.strings(b.Command), d.stringMap(b.Env)
	h.Timeout = d.positive(b.Timeout, hooks.DefaultTimeout)
	switch {
	case (b.URL == nil) == (b.Command == nil):
		d.errorAt(&b.Range, "Whom to tell", "A hook wants url, as in \"https://hc-ping.com/…\", or command, a program and its arguments, and not both.")
	case b.URL != nil && b.Env != nil:
		d.errorAt(&b.Env.NameRange, "Unsupported argument", "\"env\" goes with a command.")
	case b.Command != nil && b.Headers != nil:
		d.errorAt(&b.Headers.NameRange, "Unsupported argument", "\"headers\" go with a url.")
	case b.URL != nil && h.URL != "":
		open, err := hooks.CheckURL(h.URL)
		if err != nil {
			d.errorf(b.URL, "Not a URL", "%s.", err)
		} else if open {
			r := b.URL.Expr.Range()
			d.f.diags = append(d.f.diags, &hcl.Diagnostic{
				Severity: hcl.DiagWarning, Summary: "Not encrypted", Detail: "What is posted there can be read on the way: https:// is not.", Subject: &r,
			})
		}
	case b.Command != nil && len(h.Command) == 0 && !d.f.diags.HasErrors():
		d.errorf(b.Command, "No program", "\"command\" wants a program and its arguments, as in [\"/usr/local/bin/notify\"].")
	case len(h.Command) > 0:
		if strings.ContainsRune(h.Command[0], filepath.Separator) {
			h.Command[0] = beside(d.dir, h.Command[0])
		}
		d.f.programs = append(d.f.programs, program{h.Command[0], b.Command.Expr.Range()})
	}
	return h
}

// program is one that has to be there when the daemon starts.
type program struct {
	name string
	at   hcl.Range
}

// verifyPrograms requires those of hooks.
func (f *File) verifyPrograms() {
	for _, p := range f.programs {
		if _, err := exec.LookPath(p.name); err != nil {
			f.diags = append(f.diags, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Hook cannot run", Detail: err.Error() + ".", Subject: &p.at})
		}
	}
}

// Hooks are all of the configuration.
func (c *Config) Hooks() (out []hooks.Hook) {
	out = append(out, c.Check.Hooks...)
	out = append(out, c.Archive.Hooks...)
	out = append(out, c.LogHooks...)
	if v := c.Verification; v != nil {
		out = append(out, v.Hooks...)
	}
	if v := c.Drill; v != nil {
		out = append(out, v.Hooks...)
	}
	return out
}

func hooksNode(in *node, all []hooks.Hook) {
	for _, h := range all {
		b := in.block(map[string]string{hooks.Success: onSuccess, hooks.Failure: onFailure}[h.Result])
		if h.URL != "" {
			b.text("url", h.URL)
		} else {
			b.set("command", texts(h.Command))
		}
		b.strings("headers", h.Headers)
		b.strings("env", h.Env)
		b.text("timeout", h.Timeout.String())
	}
}

// isHook tells whether a block is a hook, of which there may be several.
func isHook(kind string) bool { return kind == onSuccess || kind == onFailure }

// hasHeaders tells whether a block has headers, and a URL, that may be secrets: a hook, and
// the block tracing.
func hasHeaders(kind string) bool { return isHook(kind) || kind == tracingKind }

// maskHook hides what a hook's url and headers may have of secrets.
func maskHook(name string, v cty.Value) (cty.Value, bool) {
	switch name {
	case "url":
		return cty.StringVal(strings.TrimSuffix(hooks.Shown(v.AsString()), "…") + redacted), true
	case "headers":
		out := make(map[string]cty.Value)
		for k := range v.AsValueMap() {
			out[k] = cty.StringVal(redacted)
		}
		return cty.ObjectVal(out), true
	}
	return v, false
}
