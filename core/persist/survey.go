package persist

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spillwaydb/spillway/core/manifest"
	"github.com/spillwaydb/spillway/core/sink"
)

// surveyWait is how long a start waits for a target to say what it holds.
const surveyWait = 15 * time.Second

// surveyGrace is how long the engine's end waits for a target that was told to
// stop answering.
const surveyGrace = time.Second

// Holding is what a target was found to hold at a start.
type Holding struct {
	guard *guard
	sets  []sink.Set
	err   error // it could not be asked
}

// Survey asks every target what it holds, all at once. A target that gives no
// answer in time is left behind: it is asked again before anything is put there.
// It comes before the data are loaded, and not beside that, so that a history of
// the laboratory meets the same operations in the same order when it is replayed.
func (p *Persister) Survey(ctx context.Context) []Holding {
	return p.ask(ctx, slices.Concat(p.route.Load().guards, p.archive.Load().guardsOf()))
}

// ask is Survey of some targets.
func (p *Persister) ask(ctx context.Context, guards []*guard) (all []Holding) {
	ctx, cancel := context.WithTimeoutCause(ctx, surveyWait, fmt.Errorf("no answer within %s", surveyWait))
	defer cancel()
	answers := make(chan Holding, len(guards))
	for _, g := range guards {
		done := make(chan struct{})
		go func() {
			defer close(done)
			sets, err := g.List(ctx)
			if len(sets) > 0 || errors.Is(err, sink.ErrCorrupt) {
				err = nil // what cannot be read hides nothing else
			}
			answers <- Holding{g, sets, err}
		}()
		p.bg.run(func() { // Close waits for those that end when they are told to
			select {
			case <-done:
				return
			case <-ctx.Done():
			}
			grace, over := context.WithTimeout(context.Background(), surveyGrace)
			defer over()
			select {
			case <-done:
			case <-grace.Done():
			}
		})
	}
	missing := slices.Clone(guards)
	for len(missing) > 0 {
		select {
		case h := <-answers:
			all = append(all, h)
			missing = slices.DeleteFunc(missing, func(g *guard) bool { return g == h.guard })
		case <-ctx.Done():
			for _, g := range missing {
				all = append(all, Holding{guard: g, err: context.Cause(ctx)})
			}
			return all
		}
	}
	return all
}

// Recovered is what a start has read back before it settles on a manifest.
type Recovered struct {
	Empty   bool   // no key and no command was found
	LastSeq uint64 // of the last block of the log, 0 without one
}

// Settle compares what this directory is, m, with what its targets hold, and
// returns the manifest to go on with; one that differs from m is committed later,
// by Accept. The error is a *SinkStateError, or several: this start is one
// that a person has to decide about.
func (p *Persister) Settle(m *manifest.Manifest, held []Holding, found Recovered) (*manifest.Manifest, error) {
	next := m.Clone()
	if next.Lineage == "" {
		next.Lineage = manifest.NewLineage()
	}
	p.ledger.install(next)
	p.env.Order.Continue(found.LastSeq)
	p.own.begin(next, found.LastSeq)
	empty := found.Empty
	var refusals []error
	var verdicts []*verdict
	for _, h := range held {
		if h.err != nil {
			if empty && !p.own.adopt {
				refusals = append(refusals, &SinkStateError{Sink: h.guard.name, State: SinkUnknown, Empty: true, Err: h.err})
				continue
			}
			p.jobLog.Warn("a sink could not be asked what it holds; it is asked again before anything is put there", "sink", h.guard.name, "error", h.err)
			continue
		}
		v := p.own.judge(h.guard.name, h.sets, false)
		var state *SinkStateError
		if err := v.err(); errors.As(err, &state) {
			state.Empty = empty
			refusals = append(refusals, err)
			continue
		}
		verdicts = append(verdicts, v)
		h.guard.note(v)
	}
	if len(refusals) > 0 {
		return nil, errors.Join(refusals...)
	}
	next.Lineage, next.Follows = p.own.goOn(verdicts)
	p.ledger.install(next)
	return next, nil
}

// commitLineage commits what Settle has decided, so that nothing reaches a sink in
// the name of a lineage that a crash could take back. The lineage of a directory
// that has none yet comes with its first manifest.
func (p *Persister) commitLineage(onDisk *manifest.Manifest) error {
	next := p.ledger.current()
	if (onDisk.Lineage == next.Lineage || onDisk.Lineage == "") && slices.Equal(onDisk.Follows, next.Follows) {
		return nil
	}
	p.ledger.writing.Lock()
	defer p.ledger.writing.Unlock()
	return p.ledger.commit(next.Clone())
}
