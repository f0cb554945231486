package persist

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/core/vfs"
)

// A guard stands between the engine and a target: no part is put there before
// the target has been asked whose sets it holds, once for each checkpoint and,
// since segments are many, at most once an askInterval for the archive.
//
//	start ──▶ survey: every target at once ──▶ refuse, or go on
//	job   ──▶ Put ──▶ ask ──▶ judge (lineage.go) ──▶ the sink's Put
//
// What it looks for cannot cost anybody a set: each has a name of its own, see
// sink.SetID. It keeps engines apart that would each take the other's sets for
// a part of their own history.
type guard struct {
	sink.Sink
	name string
	own  *ancestry

	asking vfs.IOLock // one asks, the others wait for the answer; guards the next four
	passed bool       // an earlier judgement let us in
	asked  sink.SetID // of which set's Put
	at     time.Time  // when
	answer error

	mu     sync.Mutex
	warned map[string]bool // the lineages beside ours that were reported
}

var (
	_ sink.Sink    = (*guard)(nil)
	_ sink.Sweeper = (*guard)(nil)
)

// askInterval is how long an answer counts for the segments of an archive.
const askInterval = time.Minute

// guarded puts a guard in front of each target: the one that it had before, if it had.
func guarded(own *ancestry, targets []sink.Target, before []*guard) (out []sink.Target, guards []*guard) {
	for _, t := range targets {
		var g *guard
		if i := slices.IndexFunc(before, func(g *guard) bool { return g.name == t.Name && same(g.Sink, t.Sink) }); i >= 0 {
			g = before[i]
		} else {
			g = &guard{Sink: t.Sink, name: t.Name, own: own, asking: vfs.NewIOLock(), warned: make(map[string]bool)}
		}
		t.Sink = g
		out, guards = append(out, t), append(guards, g)
	}
	return out, guards
}

// Put implements sink.Sink.
func (g *guard) Put(ctx context.Context, p sink.Part, src io.Reader) (sink.Receipt, error) {
	if err := g.admit(ctx, p.ID()); err != nil {
		return nil, err
	}
	return g.Sink.Put(ctx, p, src)
}

// Sweep implements sink.Sweeper; a sink that cannot sweep removes nothing.
func (g *guard) Sweep(ctx context.Context, keep func(sink.SetID) bool) ([]string, error) {
	if sw, ok := g.Sink.(sink.Sweeper); ok {
		return sw.Sweep(ctx, keep)
	}
	return nil, nil
}

// admit says whether parts of the set may be put. The parts of a set come at
// once: the first one asks, the others wait for its answer.
func (g *guard) admit(ctx context.Context, id sink.SetID) error {
	g.asking.Lock()
	defer g.asking.Unlock()
	now := g.own.now()
	recent := id.Kind == sink.KindSegment && g.asked.Kind == sink.KindSegment && now.Sub(g.at) < askInterval && !now.Before(g.at)
	if g.passed && g.answer == nil && (g.asked == id || recent) {
		return nil
	}
	sets, err := g.List(ctx)
	if err != nil && (len(sets) == 0 || !errors.Is(err, sink.ErrCorrupt)) {
		return fmt.Errorf("asking what it holds: %w", err)
	}
	v := g.own.judge(g.name, sets, g.passed)
	g.asked, g.at, g.answer = id, now, v.err()
	if g.answer != nil {
		return sink.Permanent(g.answer)
	}
	g.note(v)
	return nil
}

// note takes in that the target may be used. The caller holds asking.
func (g *guard) note(v *verdict) {
	g.passed = true
	g.own.learn(v)
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, f := range v.strangers {
		if !g.warned[f.Lineage] {
			g.warned[f.Lineage] = true
			g.own.log.Warn("a sink holds sets of another data directory beside ours; they are left alone", "sink", g.name,
				"lineage", f.Lineage, "generation", f.Generation)
		}
	}
}

// strangers counts the lineages that are beside ours on the target.
func (g *guard) strangers() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.warned)
}
