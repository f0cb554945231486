package persist

import (
	"context"
	"io"
	"reflect"
	"slices"

	"github.com/spillwaydb/spillway/core/sink"
)

// Pipelines are what checkpoints and the segments of the log go through. They can be
// replaced while the engine runs, see [Persister.Prepare].
type Pipelines struct {
	Stages       []sink.Stage // every part goes through them, in order
	Targets      []sink.Target
	VerifyDecode bool // parts are decoded back before the commit
	Keep         int  // committed checkpoints in the data directory, the base included
	Archive      Archive
}

// route is what a checkpoint goes through. A job uses the one it began with to its
// end; one that was replaced is let go of when nobody uses it any more.
type route struct {
	usage
	spec   Pipelines // without the archive
	pipe   *sink.Pipeline
	guards []*guard // in front of each target
}

// newRoute makes the route of spec that follows before, nil for none: what both
// have keeps its guard and its counters.
func (p *Persister) newRoute(spec Pipelines, before *route) *route {
	r := &route{spec: spec}
	var guards []*guard
	var pipe *sink.Pipeline
	if before != nil {
		guards, pipe = before.guards, before.pipe
	}
	targets, guards := guarded(p.own, spec.Targets, guards)
	r.guards = guards
	var done func(sink.Step)
	if p.events.CheckpointStep != nil {
		done = p.memberStepped
	}
	r.pipe = sink.NewPipeline("checkpoint", spec.Stages, p.local, targets, sink.PipelineOptions{
		Done: done, Logger: p.env.Logger, Clock: p.env.Clock, VerifyDecode: spec.VerifyDecode, Known: p.own.knows, After: pipe,
		Registry: sink.NewRegistry(append(slices.Clone(p.env.DecodeStages), spec.Stages...)...),
	})
	return r
}

// using is the route of whatever begins now; its done must follow.
func (p *Persister) using() *route {
	for {
		if r := p.route.Load(); r.begin() {
			return r
		}
	}
}

// checkpoints lists what the data directory and every target hold.
func (p *Persister) checkpoints(ctx context.Context) ([]sink.Set, error) {
	r := p.using()
	defer r.done()
	return r.pipe.Checkpoints(ctx)
}

// ReadPart has f read one part of a checkpoint of the data directory, as it was
// before the stages it went through.
func (p *Persister) ReadPart(ctx context.Context, part sink.SetPart, f func(io.Reader) error) error {
	r := p.using()
	defer r.done()
	return r.pipe.Read(ctx, part, f)
}

// same tells whether two stages or sinks are one.
func same[T any](a, b T) bool {
	t := reflect.TypeOf(a)
	return t != nil && t == reflect.TypeOf(b) && t.Comparable() && any(a) == any(b)
}

// sameStages tells whether two lists of stages are the same ones.
func sameStages(a, b []sink.Stage) bool { return slices.EqualFunc(a, b, same[sink.Stage]) }

// sameTargets tells whether two lists of targets are the same, with the same rules.
func sameTargets(a, b []sink.Target) bool {
	return slices.EqualFunc(a, b, func(a, b sink.Target) bool {
		one := same(a.Sink, b.Sink)
		a.Sink, b.Sink = nil, nil
		return one && a == b
	})
}
