package config

import (
	"time"

	"github.com/hashicorp/hcl/v2"

	"github.com/spillwaydb/spillway/core/sink"
)

// archiveName is the name of the pipeline that the log goes through.
const archiveName = "archive"

const (
	leastSealAfter = 100 * time.Millisecond
	leastSealSize  = 64 << 10
)

// Pipelines are both pipelines of the configuration.
func (c *Config) Pipelines() []*Pipeline { return []*Pipeline{&c.Check, &c.Archive.Pipeline} }

// Archives tells whether it is the pipeline that the log goes through.
func (p *Pipeline) Archives() bool { return p.Name == archiveName }

// Shown is what a stage or a sink of the pipeline is called where both pipelines
// are shown: the archive's are told from those of checkpoints.
func (p *Pipeline) Shown(name string) string {
	if p.Archives() {
		return archiveName + "." + name
	}
	return name
}

// archive decodes the pipeline "archive". None of its sinks is the data
// directory, and none can fail anything: each gets what it missed later.
func (d *decoder) archive(b *pipelineBlock, c *Config) {
	a := &c.Archive
	a.Name = b.Name
	if b.On != nil {
		for _, k := range d.strings(b.On) {
			if sink.Kind(k) != sink.KindSegment {
				d.errorf(b.On, "Unknown job", "The pipeline %q runs \"on\" \"segment\"; this is %q.", archiveName, k)
			}
		}
	}
	for _, a := range []*hcl.Attribute{b.Verify, b.Schedule, b.Timezone, b.Jitter} {
		if a != nil {
			d.errorAt(&a.NameRange, "Unsupported argument", "%q belongs to the checkpoint pipeline.", a.Name)
		}
	}
	if a.SealAfter = d.duration(b.After, 10*time.Second); a.SealAfter < leastSealAfter {
		d.errorf(b.After, "Out of range", "%q wants at least %q.", b.After.Name, leastSealAfter.String())
	}
	if a.SealSize = d.size(b.Size, 64<<20); a.SealSize < leastSealSize {
		d.errorf(b.Size, "Out of range", "%q wants at least \"64kb\".", b.Size.Name)
	}
	a.Hooks = d.hooks(ArchiveJob, b.OnSuccess, b.OnFailure)
	a.Rate = d.rate(b.Rate)
	a.Stages = d.stages(b.Stages, false)
	names := make(map[string]bool)
	for i := range b.Sinks {
		s := &b.Sinks[i]
		if names[s.Name] {
			d.errorAt(&s.Range, "Sink defined twice", "The pipeline has already a sink named %q.", s.Name)
		}
		names[s.Name] = true
		if s.Required != nil {
			d.errorAt(&s.Required.NameRange, "Unsupported argument", "No sink of the archive is required: a write never waits for it, and what it missed it gets later.")
		}
		m, ok := d.remote(s)
		if !ok {
			fs, known := d.uses(s)
			if !known {
				continue
			}
			if fs == c.Data {
				d.errorAt(&s.Range, "Same filesystem twice", "This sink uses the filesystem of the data directory.")
			}
			made := d.mirror(Mirror{Name: s.Name, FS: fs}, s)
			m = &made
		}
		if m != nil {
			m.Required = false
			a.Mirrors = append(a.Mirrors, *m)
		}
	}
	if len(b.Sinks) == 0 {
		d.errorAt(&b.Range, "No sink", "The pipeline %q has no sink.", b.Name)
	}
	if c.Engine.NoLog {
		d.errorAt(&b.Range, "No log", "The pipeline %q archives the log, and append_only is false.", b.Name)
	}
}
