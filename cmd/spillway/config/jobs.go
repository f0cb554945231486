package config

import (
	"fmt"
	"slices"
	"time"
	_ "time/tzdata" // zones are known where the machine knows none, as in an image of nothing else

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"github.com/spillwaydb/spillway/cmd/spillway/hooks"
	"github.com/spillwaydb/spillway/cmd/spillway/schedule"
)

// Job is when something is done by itself, and whom to tell how it has ended.
type Job struct {
	Schedule *schedule.Schedule // nil: not by the clock
	Jitter   time.Duration
	Hooks    []hooks.Hook
}

// Verification is the block verify: reading what sinks hold to its last byte.
type Verification struct {
	Job
	From []string // names of sinks, each verified by itself
	Deep bool     // decode and count, not only compare digests
}

// Drill is the block drill: restoring a backup for practice.
type Drill struct {
	Job
	From     []string // names of sinks, which are one source together
	Scratch  string   // directory to restore in; "": the system's for temporary files
	Evidence string   // directory that keeps what was shown; "": none
}

// NamedJob is a job with its name.
type NamedJob struct {
	Name string
	Job
}

// Jobs are what is done by the clock.
func (c *Config) Jobs() (out []NamedJob) {
	if c.Check.Schedule != nil {
		out = append(out, NamedJob{CheckpointJob, c.Check.Job})
	}
	if v := c.Verification; v != nil {
		out = append(out, NamedJob{VerificationJob, v.Job})
	}
	if v := c.Drill; v != nil {
		out = append(out, NamedJob{DrillJob, v.Job})
	}
	return out
}

// The names of jobs.
const (
	DrillJob        = "drill"
	CheckpointJob   = "checkpoint"
	VerificationJob = "verification"
)

type verifyBlock struct {
	Schedule *hcl.Attribute `hcl:"schedule"`
	Timezone *hcl.Attribute `hcl:"timezone"`
	Jitter   *hcl.Attribute `hcl:"jitter"`
	From     *hcl.Attribute `hcl:"from"`
	Deep     *hcl.Attribute `hcl:"deep"`

	OnSuccess []hookBlock `hcl:"on_success,block"`
	OnFailure []hookBlock `hcl:"on_failure,block"`

	Range hcl.Range `hcl:",def_range"`
}

type drillBlock struct {
	Schedule *hcl.Attribute `hcl:"schedule"`
	Timezone *hcl.Attribute `hcl:"timezone"`
	Jitter   *hcl.Attribute `hcl:"jitter"`
	From     *hcl.Attribute `hcl:"from"`
	Scratch  *hcl.Attribute `hcl:"scratch"`
	Evidence *hcl.Attribute `hcl:"evidence"`

	OnSuccess []hookBlock `hcl:"on_success,block"`
	OnFailure []hookBlock `hcl:"on_failure,block"`

	Range hcl.Range `hcl:",def_range"`
}

// longestJitter bounds jitter.
const longestJitter = 24 * time.Hour

// job decodes when something is to be done.
func (d *decoder) job(expr, timezone, jitter *hcl.Attribute) (j Job) {
	zone := time.Local
	if name := d.str(timezone, ""); name != "" {
		var err error
		if zone, err = time.LoadLocation(name); err != nil {
			d.errorf(timezone, "Unknown time zone", "There is no time zone %q; want a name as in \"Europe/Berlin\", \"UTC\" or \"Local\".", name)
			return j
		}
	}
	if j.Jitter = d.duration(jitter, 0); j.Jitter > longestJitter {
		d.errorf(jitter, "Out of range", "%q wants %q at most.", jitter.Name, longestJitter.String())
	}
	if expr == nil {
		for _, a := range []*hcl.Attribute{timezone, jitter} {
			if a != nil {
				d.errorAt(&a.NameRange, "No schedule", "%q goes with a schedule.", a.Name)
			}
		}
		return j
	}
	text, ok := d.value(expr, cty.String)
	if !ok {
		return j
	}
	s, err := schedule.Parse(text.AsString(), zone)
	if err != nil {
		d.errorf(expr, "Not a schedule", "%q wants five fields of cron, as in \"0 3 * * *\", or @daily and the like: %s.", expr.Name, err)
		return j
	}
	j.Schedule = s
	return j
}

// verification decodes the block verify. The pipelines have been.
func (d *decoder) verification(b *verifyBlock, c *Config) {
	v := &Verification{Job: d.job(b.Schedule, b.Timezone, b.Jitter), From: d.from(b.From, &b.Range, "verify", c), Deep: d.boolean(b.Deep, true)}
	v.Hooks = d.hooks(VerificationJob, b.OnSuccess, b.OnFailure)
	if b.Schedule == nil {
		d.errorAt(&b.Range, "Missing schedule", "The block verify wants schedule, as in schedule = \"0 5 * * 0\".")
	}
	c.Verification = v
}

// drill decodes the block drill. The pipelines have been.
func (d *decoder) drill(b *drillBlock, c *Config) {
	v := &Drill{
		Job: d.job(b.Schedule, b.Timezone, b.Jitter), From: d.from(b.From, &b.Range, "drill", c),
		Scratch: beside(d.dir, d.str(b.Scratch, "")), Evidence: beside(d.dir, d.str(b.Evidence, "")),
	}
	v.Hooks = d.hooks(DrillJob, b.OnSuccess, b.OnFailure)
	if b.Schedule == nil {
		d.errorAt(&b.Range, "Missing schedule", "The block drill wants schedule, as in schedule = \"0 6 1 * *\".")
	}
	c.Drill = v
}

// from decodes names of sinks: one, a list, or, if it is left out, all of them.
func (d *decoder) from(a *hcl.Attribute, at *hcl.Range, block string, c *Config) (out []string) {
	known := c.sources()
	if len(known) == 0 && !d.f.diags.HasErrors() {
		d.errorAt(at, "No sink", "The block %s reads sinks beside the data directory, and there is none that it could.", block)
	}
	if a == nil {
		return known
	}
	if v, diags := a.Expr.Value(d.ctx); !diags.HasErrors() && v.Type() == cty.String {
		out = []string{d.str(a, "")}
	} else {
		out = d.strings(a)
	}
	for _, name := range out {
		if !slices.Contains(known, name) && !d.f.diags.HasErrors() {
			d.errorf(a, "Unknown sink", "%q is no sink that can be read from; there are %s.%s", name, quoted(known), DidYouMean(name, known))
		}
	}
	return out
}

// sources are the names of the sinks that another process can read, each once.
func (c *Config) sources() (out []string) {
	for _, pl := range c.Pipelines() {
		for _, m := range pl.Mirrors {
			if m.FS.Kind != "mem" && !slices.Contains(out, m.Name) {
				out = append(out, m.Name)
			}
		}
	}
	return out
}

// Next is when a job runs next, without its jitter, as people read it.
func (j Job) Next(now time.Time) string {
	return j.Schedule.Next(now).Format("2006-01-02 15:04 -07:00")
}

// String is the schedule as people read it, "" without one.
func (j Job) String() string {
	if j.Schedule == nil {
		return ""
	}
	s := fmt.Sprintf("%s (%s)", j.Schedule, j.Schedule.Zone())
	if j.Jitter > 0 {
		s += fmt.Sprintf(", up to %s later", j.Jitter)
	}
	return s
}

// node adds what decides when a job runs.
func (j Job) node(b *node) {
	hooksNode(b, j.Hooks)
	if j.Schedule == nil {
		return
	}
	b.text("schedule", j.Schedule.String())
	b.text("timezone", j.Schedule.Zone())
	b.text("jitter", j.Jitter.String())
	b.next = j.Next(time.Now())
}

func (c *Config) jobsNode(root *node) {
	if v := c.Verification; v != nil {
		b := root.block("verify")
		v.node(b)
		b.set("from", texts(v.From))
		b.set("deep", cty.BoolVal(v.Deep))
	}
	if v := c.Drill; v != nil {
		b := root.block("drill")
		v.node(b)
		b.set("from", texts(v.From))
		if v.Scratch != "" {
			b.text("scratch", v.Scratch)
		}
		if v.Evidence != "" {
			b.text("evidence", v.Evidence)
		}
	}
}
