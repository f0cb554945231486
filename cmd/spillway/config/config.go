// Package config reads plugins.hcl: what the daemon runs, in HCL 2.
//
// It turns a file into a [Config] or into diagnostics that name file, line and
// column, show the snippet and suggest what was meant. It opens nothing and
// starts nothing: that is the daemon's part. The file at the top of the
// repository, plugins.hcl, is its manual.
package config

import (
	"io"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/gohcl"
	"github.com/hashicorp/hcl/v2/hclparse"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/core/wal"
)

// Config is a valid configuration.
type Config struct {
	Path   string // of the file, empty without one
	Server Server
	Listen []Listener
	Data   Filesystem // the data directory
	Log    Log
	Check  Pipeline // the checkpoint pipeline
}

// Server is the block server.
type Server struct {
	Shards, Databases   int
	AppendOnly          bool
	Fsync               wal.Policy
	Save                []core.SavePoint
	RewritePercentage   int
	RewriteMinSize      int64
	ContinueOnSaveError bool
	MaxMemory           int64
	MaxMemoryPolicy     string
	RequirePass         string
	MaxClients          int
	Timeout             time.Duration
	ProtectedMode       bool
}

// Listener is a block listener: Network is "tcp" or "unix".
type Listener struct {
	Name, Network, Address string
}

// Filesystem is a block filesystem: Kind is "os" or "mem".
type Filesystem struct {
	Kind, Name, Root string
}

// URL is what fsbackends.Open takes.
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
	Stages  []sink.Stage
	Keep    int // checkpoints kept in the data directory
	Verify  bool
	Mirrors []Mirror
}

// Mirror is a sink beside the data directory.
type Mirror struct {
	Name     string
	FS       Filesystem
	Required bool
	Timeout  time.Duration
	Keep     int
}

// file is the shape of the document. Attributes stay unevaluated so that what
// is wrong with a value can be said where it stands.
type file struct {
	Server      *serverBlock      `hcl:"server,block"`
	Log         *logBlock         `hcl:"log,block"`
	Listeners   []listenerBlock   `hcl:"listener,block"`
	Filesystems []filesystemBlock `hcl:"filesystem,block"`
	Pipelines   []pipelineBlock   `hcl:"pipeline,block"`
}

type serverBlock struct {
	Shards          *hcl.Attribute `hcl:"shards"`
	Databases       *hcl.Attribute `hcl:"databases"`
	AppendOnly      *hcl.Attribute `hcl:"append_only"`
	Fsync           *hcl.Attribute `hcl:"fsync"`
	Save            *hcl.Attribute `hcl:"save"`
	RewritePercent  *hcl.Attribute `hcl:"rewrite_percentage"`
	RewriteMinSize  *hcl.Attribute `hcl:"rewrite_min_size"`
	StopOnSaveError *hcl.Attribute `hcl:"stop_writes_on_save_error"`
	MaxMemory       *hcl.Attribute `hcl:"max_memory"`
	MaxMemoryPolicy *hcl.Attribute `hcl:"max_memory_policy"`
	Password        *hcl.Attribute `hcl:"password"`
	MaxClients      *hcl.Attribute `hcl:"max_clients"`
	Timeout         *hcl.Attribute `hcl:"timeout"`
	ProtectedMode   *hcl.Attribute `hcl:"protected_mode"`
}

type logBlock struct {
	Level  *hcl.Attribute `hcl:"level"`
	Format *hcl.Attribute `hcl:"format"`
}

type listenerBlock struct {
	Network string         `hcl:"network,label"`
	Name    string         `hcl:"name,label"`
	Address *hcl.Attribute `hcl:"address"`
	Path    *hcl.Attribute `hcl:"path"`
	Range   hcl.Range      `hcl:",def_range"`
}

type filesystemBlock struct {
	Kind  string         `hcl:"kind,label"`
	Name  string         `hcl:"name,label"`
	Root  *hcl.Attribute `hcl:"root"`
	Range hcl.Range      `hcl:",def_range"`
}

type pipelineBlock struct {
	Name   string         `hcl:"name,label"`
	On     *hcl.Attribute `hcl:"on"`
	Verify *hcl.Attribute `hcl:"verify_decode"`
	Stages []stageBlock   `hcl:"stage,block"`
	Sinks  []sinkBlock    `hcl:"sink,block"`
	Range  hcl.Range      `hcl:",def_range"`
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
	Range    hcl.Range      `hcl:",def_range"`
}

// A File is a parsed document and the diagnostics about it.
type File struct {
	parser *hclparse.Parser
	diags  hcl.Diagnostics
}

// Parse reads a configuration from src; name is what diagnostics call it. On
// any error the Config is nil and File.Report says what is wrong.
func Parse(name string, src []byte) (*Config, *File) {
	f := &File{parser: hclparse.NewParser()}
	doc, diags := f.parser.ParseHCL(src, name)
	f.diags = append(f.diags, diags...)
	if diags.HasErrors() {
		return nil, f
	}
	var raw file
	f.diags = append(f.diags, gohcl.DecodeBody(doc.Body, baseContext(), &raw)...)
	if f.diags.HasErrors() {
		return nil, f
	}
	d := newDecoder(f, raw.Filesystems)
	cfg := d.decode(&raw)
	if f.diags.HasErrors() {
		return nil, f
	}
	cfg.Path = name
	return cfg, f
}

// maxShown bounds the diagnostics that are printed: one unterminated quote
// makes dozens.
const maxShown = 10

// Failed tells whether there are errors.
func (f *File) Failed() bool { return f.diags.HasErrors() }

// Report writes the diagnostics, each with its place and snippet, and returns
// how many errors there are in all.
func (f *File) Report(w io.Writer, width uint, color bool) (errs int, err error) {
	shown := f.diags
	if len(shown) > maxShown {
		shown = shown[:maxShown]
	}
	for _, d := range f.diags {
		if d.Severity == hcl.DiagError {
			errs++
		}
	}
	if err := hcl.NewDiagnosticTextWriter(w, f.parser.Files(), width, color).WriteDiagnostics(shown); err != nil {
		return errs, err
	}
	if more := len(f.diags) - len(shown); more > 0 {
		_, err = io.WriteString(w, plural(more, "further problem")+" not shown; they often follow from the first.\n")
	}
	return errs, err
}
