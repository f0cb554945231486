package tracing

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/sink"
)

const (
	// stepsKept bounds the steps of a checkpoint that are remembered until it ends.
	stepsKept = 1 << 14
	// tracesKept bounds the checkpoints that may have steps after their end.
	tracesKept = 8
	// farewell is how long what is not sent yet is sent for, where others are to get the
	// traces from now on.
	farewell = 10 * time.Second
)

// Options are what a Tracer knows of its daemon.
type Options struct {
	Logger             hclog.Logger
	Directory, Version string
}

// Tracer makes traces of what an engine tells. It is safe for concurrent use, but for its
// Close, which comes last; one that no exporter was given makes none.
type Tracer struct {
	opts Options
	counts

	mu     sync.Mutex
	to     *Exporter
	traces []*checkpoint // newest last
	over   sync.WaitGroup
}

// checkpoint is what is known of one in flight, and of one that has ended but for steps that
// may come yet.
type checkpoint struct {
	generation uint64
	steps      []core.StepEvent
	root       trace.SpanContext // of the one that has ended
	by         trace.Tracer
}

// New returns a Tracer. The caller closes it.
func New(o Options) *Tracer { return &Tracer{opts: o} }

// Become has traces go to another exporter from now on; nil has none made. The one before
// gets a little time, in which nobody waits for it.
func (t *Tracer) Become(e *Exporter) {
	t.mu.Lock()
	before := t.to
	t.to = e
	t.mu.Unlock()
	t.over.Go(func() { before.Close(farewell) })
}

// Close gives what is not sent yet a little time.
func (t *Tracer) Close(patience time.Duration) {
	t.mu.Lock()
	before := t.to
	t.to = nil
	t.mu.Unlock()
	before.Close(patience)
	t.over.Wait()
}

// Hear has the Tracer told of checkpoints, before whoever else is.
func (t *Tracer) Hear(e *core.Events) {
	e.CheckpointBegun = both(t.begun, e.CheckpointBegun)
	e.CheckpointStep = both(t.step, e.CheckpointStep)
	e.CheckpointCommitted = both(t.ended, e.CheckpointCommitted)
	e.CheckpointFailed = both(t.ended, e.CheckpointFailed)
}

func both[E any](first, second func(E)) func(E) {
	if second == nil {
		return first
	}
	return func(e E) { first(e); second(e) }
}

func (t *Tracer) begun(e core.CheckpointEvent) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.to == nil {
		return
	}
	if len(t.traces) >= tracesKept {
		t.traces = slices.Delete(t.traces, 0, 1)
	}
	t.traces = append(t.traces, &checkpoint{generation: e.Generation})
}

// of is what is known of a checkpoint, nil if nothing is. mu is held.
func (t *Tracer) of(generation uint64) *checkpoint {
	i := slices.IndexFunc(t.traces, func(c *checkpoint) bool { return c.generation == generation })
	if i < 0 {
		return nil
	}
	return t.traces[i]
}

func (t *Tracer) step(s core.StepEvent) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.of(s.Generation)
	switch {
	case c == nil:
	case c.by != nil: // it has ended
		span(trace.ContextWithSpanContext(context.Background(), c.root), c.by, &s)
	case len(c.steps) < stepsKept:
		c.steps = append(c.steps, s)
	default:
		t.dropped.Add(1)
	}
}

// ended makes the trace. A span needs to know the one that it is a part of, which ends after
// it: that is why steps are kept until now.
func (t *Tracer) ended(e core.CheckpointEvent) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.of(e.Generation)
	if c == nil {
		return // it began before there was anybody to tell
	}
	if t.to == nil {
		t.traces = slices.DeleteFunc(t.traces, func(o *checkpoint) bool { return o == c })
		return
	}
	by := t.to.tracer
	ctx, root := by.Start(context.Background(), "checkpoint", trace.WithTimestamp(e.Began), trace.WithNewRoot(), trace.WithAttributes(
		attribute.String("spillway.checkpoint.kind", string(e.Kind)), attribute.Int64("spillway.checkpoint.generation", int64(e.Generation)),
		attribute.Int64("spillway.keys", e.Keys), attribute.Int64("spillway.bytes", e.Bytes),
	))
	build(ctx, by, c.steps)
	fault(root, e.Err)
	root.End(trace.WithTimestamp(e.Began.Add(e.Took)))
	c.steps, c.root, c.by = nil, root.SpanContext(), by
}

// build makes the spans of steps, outer ones first.
func build(ctx context.Context, by trace.Tracer, steps []core.StepEvent) {
	rank := func(s core.StepEvent) int {
		return slices.Index([]string{core.StepShard, core.StepFreeze, core.StepMember}, s.Step) // -1 of the job's own
	}
	slices.SortStableFunc(steps, func(a, b core.StepEvent) int { return cmp.Compare(rank(a), rank(b)) })
	steady := make(map[string]context.Context) // of the job's steps
	shards := make(map[int]context.Context)
	for i := range steps {
		s := &steps[i]
		in := ctx
		switch s.Step {
		case core.StepShard:
			in = cmp.Or(steady[core.StepEncode], ctx)
			shards[s.Shard] = span(in, by, s)
			continue
		case core.StepFreeze:
			in = cmp.Or(steady[core.StepCut], ctx)
		case core.StepMember:
			if s.Member.Op == sink.OpPublish {
				in = cmp.Or(steady[core.StepPublish], ctx)
			} else {
				in = cmp.Or(shards[s.Shard], ctx)
			}
		}
		steady[s.Step] = span(in, by, s)
	}
}

// span makes the span of a step, and returns the context of what is a part of it.
func span(ctx context.Context, by trace.Tracer, s *core.StepEvent) context.Context {
	name := s.Step
	var is []attribute.KeyValue
	switch s.Step {
	case core.StepShard:
		is = append(is, attribute.Int("spillway.shard", s.Shard), attribute.Int64("spillway.keys", s.Keys), attribute.Int64("spillway.bytes", s.Bytes))
	case core.StepMember:
		m := &s.Member
		name = m.Op + " " + m.Member
		is = append(is, attribute.String("spillway.role", m.Role))
		switch m.Role {
		case sink.RoleEncoder:
		case sink.RoleStage:
			is = append(is, attribute.String("spillway.stage", m.Member))
		default:
			is = append(is, attribute.String("spillway.sink", m.Member))
		}
		if m.Op != sink.OpPublish {
			is = append(is, attribute.Int("spillway.shard", s.Shard), attribute.Int64("spillway.bytes_in", m.BytesIn))
		}
		if m.Op == sink.OpEncode {
			is = append(is, attribute.Int64("spillway.bytes_out", m.BytesOut))
		}
		if m.Busy > 0 {
			is = append(is, attribute.Float64("spillway.busy_seconds", m.Busy.Seconds()))
		}
	}
	ctx, made := by.Start(ctx, name, trace.WithTimestamp(s.Began), trace.WithAttributes(is...))
	fault(made, s.Err)
	made.End(trace.WithTimestamp(s.Began.Add(s.Took)))
	return ctx
}

// fault has a span say why it failed, if it did.
func fault(s trace.Span, err error) {
	if err != nil {
		s.SetStatus(codes.Error, oneLine(err.Error()))
	}
}
