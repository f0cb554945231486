// Package config reads plugins.hcl: what the daemon runs, in HCL 2.
//
// It turns a file into a [Config] or into diagnostics that name file, line and
// column, show the snippet and suggest what was meant. It starts nothing, and
// looks at the machine only in [File.Verify]. The file at the top of the
// repository, plugins.hcl, is its manual.
package config

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/gohcl"
	"github.com/hashicorp/hcl/v2/hclparse"

	"github.com/spillwaydb/spillway/cmd/spillway/hooks"
	"github.com/spillwaydb/spillway/cmd/spillway/tracing"
	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/server"
	"github.com/spillwaydb/spillway/core/sink"
)

// Config is a valid configuration.
type Config struct {
	Path    string         // of the file, empty without one
	Include string         // the file that is read after it, if it is there, and that CONFIG REWRITE writes
	Engine  core.Options   // the parameters of the engine, and nothing else of its options
	Server  server.Options // the parameters of the server
	Listen  []Listener
	Data    Filesystem // the data directory
	Log     Log
	Check   Pipeline // the checkpoint pipeline
	Archive Archive  // of the log
	// Metrics is the address that Prometheus reads from; empty is none.
	Metrics      string
	MetricsFront MetricsFront

	// Tracing is where traces of checkpoints go; nil is nowhere.
	Tracing *tracing.Target

	Plugins []Plugin

	// LogHooks are told that the log of writes has failed, and that it is healed.
	LogHooks []hooks.Hook
	// Drill is nil where no restore is drilled by the clock.
	Drill *Drill
	// Verification is nil where sinks are not verified by the clock.
	Verification *Verification

	metricsAt    hcl.Range
	metricsTLSAt hcl.Range
	own          map[string]string // what the file itself says of parameters that Include changes
	ownUsers     []core.UserRules  // the users of the file itself
	ownLevel     string            // its level of the log
	ownListen    []Listener        // its listeners
	listen       map[string]string // what Include says of listeners
	// ReadOnly has the data directory looked at only. A flag sets it: a file
	// describes a daemon that writes.
	ReadOnly bool
}

// Listener is a block listener: Network is "tcp" or "unix".
type Listener struct {
	Name, Network, Address string
	TLS                    *server.TLSOptions // nil without TLS

	at    hcl.Range // of the address; zero for one that is not of a file
	tlsAt hcl.Range // of the block tls
}

// Filesystem is a block filesystem: Kind is "os", "mem", or that of a remote one.
type Filesystem struct {
	Kind, Name string
	Root       string // a directory, or the URL of a remote one
}

// Remote tells whether it is on another machine.
func (f Filesystem) Remote() bool { return fsSchemes[f.Kind] != "" }

// URL is what OpenFS takes.
func (f Filesystem) URL() string {
	if f.Kind == "mem" {
		return "mem:"
	}
	return f.Root
}

// Log is the block log. Level is one of hclog's names.
type Log struct {
	Level string
	JSON  bool
}

// Pipeline is a block pipeline.
type Pipeline struct {
	Name    string
	Job     // of the checkpoint pipeline: when one is taken by the clock
	Stages  []Stage
	Keep    int // checkpoints kept in the data directory
	Verify  bool
	Mirrors []Mirror
}

// Archive is the block pipeline "archive". Without Mirrors there is none.
type Archive struct {
	Pipeline
	SealAfter time.Duration
	SealSize  int64
	Rate      int64 // bytes per second of all its sinks together, 0 for no bound
}

// Stage is a block stage: one that is built in, or a plugin's.
type Stage struct {
	Name    string // what manifests record
	BuiltIn sink.Stage
	Options json.RawMessage // of a built-in one: an object, which may hold secrets
	Plugin  *Use            // nil for one that is built in
}

// Mirror is a sink beside the data directory: one that is built in, a plugin's,
// or one on a filesystem.
type Mirror struct {
	Name     string
	Kind     string           // of a built-in one, as in "blob"
	Make     Maker[sink.Sink] // makes a built-in one; nil for others
	Options  json.RawMessage  // of a built-in one: an object, which may hold secrets
	Plugin   *Use             // nil for one that is not a plugin's
	FS       Filesystem
	Required bool
	Timeout  time.Duration
	Keep     sink.Retention // the zero value keeps all
	Rate     int64          // bytes per second, 0 for no bound; a sink of the same name in the other pipeline has it too

	rateAt *hcl.Attribute        // nil where the block says nothing of it
	place  func(error) hcl.Range // of what Make refuses
}

// file is the shape of the document. Attributes stay unevaluated so that what
// is wrong with a value can be said where it stands.
type file struct {
	Include     *hcl.Attribute    `hcl:"include"`
	Server      *serverBlock      `hcl:"server,block"`
	Log         *logBlock         `hcl:"log,block"`
	Metrics     *metricsBlock     `hcl:"metrics,block"`
	Tracing     *tracingBlock     `hcl:"tracing,block"`
	AppendOnly  *appendOnlyBlock  `hcl:"append_only,block"`
	Listeners   []listenerBlock   `hcl:"listener,block"`
	Users       []userBlock       `hcl:"user,block"`
	Filesystems []filesystemBlock `hcl:"filesystem,block"`
	Plugins     []pluginBlock     `hcl:"plugin,block"`
	Pipelines   []pipelineBlock   `hcl:"pipeline,block"`
	Verify      *verifyBlock      `hcl:"verify,block"`
	Drill       *drillBlock       `hcl:"drill,block"`
}

// serverBlock is decoded by the table of parameters.
type serverBlock struct {
	Body  hcl.Body `hcl:",remain"`
	attrs hcl.Attributes
}

type logBlock struct {
	Level  *hcl.Attribute `hcl:"level"`
	Format *hcl.Attribute `hcl:"format"`
}

type userBlock struct {
	Name  string         `hcl:"name,label"`
	Rules *hcl.Attribute `hcl:"rules"`
	Range hcl.Range      `hcl:",def_range"`
}

type listenerBlock struct {
	Network string         `hcl:"network,label"`
	Name    string         `hcl:"name,label"`
	Address *hcl.Attribute `hcl:"address"`
	Path    *hcl.Attribute `hcl:"path"`
	TLS     *tlsBlock      `hcl:"tls,block"`
	Range   hcl.Range      `hcl:",def_range"`
}

type tlsBlock struct {
	Cert       *hcl.Attribute `hcl:"cert"`
	Key        *hcl.Attribute `hcl:"key"`
	ClientCA   *hcl.Attribute `hcl:"client_ca"`
	ClientAuth *hcl.Attribute `hcl:"client_auth"`
	ClientUser *hcl.Attribute `hcl:"client_user"`
	MinVersion *hcl.Attribute `hcl:"min_version"`
	Range      hcl.Range      `hcl:",def_range"`
}

type filesystemBlock struct {
	Kind  string         `hcl:"kind,label"`
	Name  string         `hcl:"name,label"`
	Root  *hcl.Attribute `hcl:"root"`
	URL   *hcl.Attribute `hcl:"url"`
	Range hcl.Range      `hcl:",def_range"`
}

type pipelineBlock struct {
	Name   string         `hcl:"name,label"`
	On     *hcl.Attribute `hcl:"on"`
	Verify *hcl.Attribute `hcl:"verify_decode"`
	After  *hcl.Attribute `hcl:"seal_after"`
	Size   *hcl.Attribute `hcl:"seal_size"`

	Schedule *hcl.Attribute `hcl:"schedule"`
	Timezone *hcl.Attribute `hcl:"timezone"`
	Jitter   *hcl.Attribute `hcl:"jitter"`

	Rate *hcl.Attribute `hcl:"rate"`

	OnSuccess []hookBlock `hcl:"on_success,block"`
	OnFailure []hookBlock `hcl:"on_failure,block"`

	Stages []stageBlock `hcl:"stage,block"`
	Sinks  []sinkBlock  `hcl:"sink,block"`
	Range  hcl.Range    `hcl:",def_range"`
}

type stageBlock struct {
	Name  string    `hcl:"name,label"`
	Body  hcl.Body  `hcl:",remain"`
	Range hcl.Range `hcl:",def_range"`
}

type sinkBlock struct {
	Kind     string         `hcl:"kind,label"`
	Name     string         `hcl:"name,label"`
	Uses     *hcl.Attribute `hcl:"uses"`
	Keep     *hcl.Attribute `hcl:"keep"`
	Required *hcl.Attribute `hcl:"required"`
	Timeout  *hcl.Attribute `hcl:"timeout"`
	Rate     *hcl.Attribute `hcl:"rate"`
	Rest     hcl.Body       `hcl:",remain"`
	Range    hcl.Range      `hcl:",def_range"`
}

// A File is a parsed document and the diagnostics about it.
type File struct {
	parser   *hclparse.Parser
	diags    hcl.Diagnostics
	programs []program // of hooks
}

// Parse reads a configuration from src; name is what diagnostics call it, and
// the files that it reads are looked for beside that: those it names, and the one that
// CONFIG REWRITE writes. On any error the Config is nil and File.Report says what is wrong.
func Parse(name string, src []byte) (*Config, *File) {
	f := &File{parser: hclparse.NewParser()}
	doc, diags := f.parser.ParseHCL(src, name)
	f.diags = append(f.diags, diags...)
	if diags.HasErrors() {
		return nil, f
	}
	joinStageLabels(doc.Body)
	var raw file
	f.diags = append(f.diags, gohcl.DecodeBody(doc.Body, baseContext(filepath.Dir(name)), &raw)...)
	raw.Server.decode(f)
	if f.diags.HasErrors() {
		return nil, f
	}
	d := newDecoder(f, filepath.Dir(name), raw.Filesystems)
	include, kept := d.include(name, raw.Include)
	cfg := d.decode(&raw, kept)
	if f.diags.HasErrors() {
		return nil, f
	}
	cfg.Path, cfg.Include = name, include
	return cfg, f
}

// decode takes the attributes of the block apart.
func (b *serverBlock) decode(f *File) {
	if b != nil {
		content, diags := b.Body.Content(serverSchema())
		f.diags = append(f.diags, diags...)
		b.attrs = content.Attributes
	}
}

// maxShown bounds the diagnostics that are printed: one unterminated quote
// makes dozens.
const maxShown = 10

// Failed tells whether there are errors.
func (f *File) Failed() bool { return f.diags.HasErrors() }

// Report writes the diagnostics in the order of their places, each with file,
// line and column and its snippet, and returns how many errors there are in all.
// Secrets are not shown.
func (f *File) Report(w io.Writer, width uint, color bool) (errs int, err error) {
	all, files := f.masked()
	for _, d := range all {
		if d.Severity == hcl.DiagError {
			errs++
		}
	}
	text := hcl.NewDiagnosticTextWriter(w, files, width, color)
	for _, d := range all[:min(len(all), maxShown)] {
		if at := d.Subject; at != nil {
			if _, err := fmt.Fprintf(w, "%s:%d:%d\n", at.Filename, at.Start.Line, at.Start.Column); err != nil {
				return errs, err
			}
		}
		if err := text.WriteDiagnostic(d); err != nil {
			return errs, err
		}
	}
	if more := len(all) - maxShown; more > 0 {
		_, err = io.WriteString(w, plural(more, "further problem")+" not shown; they often follow from the first.\n")
	}
	return errs, err
}

// Diagnostic is one problem, for machines. Lines and columns count from 1;
// they are 0 for a problem without a place.
type Diagnostic struct {
	Severity string `json:"severity"` // "error" or "warning"
	Summary  string `json:"summary"`
	Detail   string `json:"detail"`
	File     string `json:"file,omitempty"`
	Line     int    `json:"line,omitempty"`
	Column   int    `json:"column,omitempty"`
}

// Diagnostics returns what Report would show, in the same order.
func (f *File) Diagnostics() []Diagnostic {
	all, _ := f.masked()
	out := make([]Diagnostic, 0, min(len(all), maxShown))
	for _, d := range all[:min(len(all), maxShown)] {
		severity := "error"
		if d.Severity == hcl.DiagWarning {
			severity = "warning"
		}
		o := Diagnostic{Severity: severity, Summary: d.Summary, Detail: d.Detail}
		if d.Subject != nil {
			o.File, o.Line, o.Column = d.Subject.Filename, d.Subject.Start.Line, d.Subject.Start.Column
		}
		out = append(out, o)
	}
	return out
}

// Err is what is wrong, in one line, nil if nothing is.
func (f *File) Err() error {
	var out []string
	for _, d := range f.Diagnostics() {
		if d.Severity != "error" {
			continue
		}
		at := ""
		if d.File != "" {
			at = fmt.Sprintf("%s:%d:%d: ", d.File, d.Line, d.Column)
		}
		out = append(out, at+strings.TrimSuffix(d.Summary, ".")+": "+strings.Join(strings.Fields(d.Detail), " "))
	}
	if len(out) == 0 {
		return nil
	}
	return errors.New(strings.Join(out, "; "))
}

// sorted are the diagnostics by place, those without one first.
func (f *File) sorted() hcl.Diagnostics {
	at := func(d *hcl.Diagnostic) (string, int) {
		if d.Subject == nil {
			return "", -1
		}
		return d.Subject.Filename, d.Subject.Start.Byte
	}
	all := slices.Clone(f.diags)
	slices.SortStableFunc(all, func(a, b *hcl.Diagnostic) int {
		inA, atA := at(a)
		inB, atB := at(b)
		return cmp.Or(cmp.Compare(inA, inB), cmp.Compare(atA, atB))
	})
	return all
}
