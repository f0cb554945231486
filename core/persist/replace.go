package persist

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/spillwaydb/spillway/core/manifest"
	"github.com/spillwaydb/spillway/core/sink"
)

// Replacement is other pipelines, ready to take the place of those in force. It ends
// with Apply or Discard.
type Replacement struct {
	p        *Persister
	route    *route // nil: the one in force stays
	archive  *archiver
	archives bool // archive takes the place of the one in force
	held     []Holding

	// Unasked are the reasons why best-effort sinks and targets of the archive could
	// not be asked what they hold. They are asked again before anything is put there.
	Unasked []error
}

// Prepare makes the pipelines of spec, and asks every target that is new what it
// holds: one that holds what this directory must not be taken for is refused, as at a
// start, and so is a required one that gives no answer. What stays the same has to be
// the same Go value. Nothing is in force before Apply.
func (p *Persister) Prepare(ctx context.Context, spec Pipelines) (*Replacement, error) {
	p.mu.Lock()
	closed := p.closed
	p.mu.Unlock()
	switch {
	case closed:
		return nil, ErrShuttingDown
	case p.env.ReadOnly:
		return nil, ErrReadOnly
	}
	x := &Replacement{p: p}
	now := p.using() // so that what is compared with stays
	defer now.done()
	if spec.Keep <= 0 {
		spec.Keep = 1
	}
	next := spec
	next.Archive = Archive{}
	if !sameStages(now.spec.Stages, next.Stages) || !sameTargets(now.spec.Targets, next.Targets) ||
		now.spec.VerifyDecode != next.VerifyDecode || now.spec.Keep != next.Keep {
		x.route = p.newRoute(next, now)
	}
	if old := p.archive.Load(); !old.is(spec.Archive.withDefaults()) {
		x.archive, x.archives = p.newArchive(spec.Archive, old), true
	}
	if err := x.survey(ctx); err != nil {
		x.Discard()
		return nil, err
	}
	return x, nil
}

// survey asks the targets that are new.
func (x *Replacement) survey(ctx context.Context) error {
	var ask []*guard
	required := make(map[*guard]bool)
	if r := x.route; r != nil {
		before := x.p.route.Load().guards
		for i, g := range r.guards {
			required[g] = r.spec.Targets[i].Required
			if !slices.Contains(before, g) {
				ask = append(ask, g)
			}
		}
	}
	if a := x.archive; a != nil {
		before := x.p.archive.Load().guardsOf()
		for _, g := range a.guards {
			if !slices.Contains(before, g) {
				ask = append(ask, g)
			}
		}
	}
	var refusals []error
	for _, h := range x.p.ask(ctx, ask) {
		if h.err != nil {
			err := fmt.Errorf("sink %q cannot be asked what it holds: %w", h.guard.name, h.err)
			if required[h.guard] {
				refusals = append(refusals, err)
			} else {
				x.Unasked = append(x.Unasked, err)
			}
			continue
		}
		if err := x.p.own.judge(h.guard.name, h.sets, false).err(); err != nil {
			refusals = append(refusals, err)
			continue
		}
		x.held = append(x.held, h)
	}
	return errors.Join(refusals...)
}

// Discard gives the replacement up.
func (x *Replacement) Discard() {
	if x.route != nil {
		x.route.pipe.Close()
	}
	x.archive.close()
}

// Apply puts the replacement in force: what begins from now on uses it. A checkpoint
// in flight goes on with what it began with, whatever is sent in the background is
// broken off, and goes on by the new rules. released is called when nobody uses what
// is not in force any more.
//
// What a target is owed that stays, it is owed by the replacement. A target that is
// new gets the newest checkpoint if it is a best-effort one, and of the log all that
// is still in the data directory.
func (x *Replacement) Apply(released func()) {
	p := x.p
	var left atomic.Int32
	left.Store(1)
	one := func() {
		if left.Add(-1) == 0 {
			released()
		}
	}
	for _, h := range x.held {
		h.guard.note(p.own.judge(h.guard.name, h.sets, false))
	}
	if x.archives {
		left.Add(1)
		x.swapArchive(one)
	}
	if x.route != nil {
		left.Add(1)
		x.swapRoute(one)
	}
	one()
}

// swapRoute has checkpoints go through the new route.
func (x *Replacement) swapRoute(released func()) {
	p, next := x.p, x.route
	old := p.route.Swap(next)
	old.pipe.Close()
	aside := func(f func()) {
		if !p.bg.run(f) {
			f() // the engine's end: it is quick, since everything is closed
		}
	}
	next.more()
	aside(func() {
		defer next.done()
		p.inherit(next, old)
		if base := p.ledger.current().Base; base != nil && len(next.guards) > 0 {
			if err := next.pipe.CatchUp(context.Background(), *base); err != nil && !errors.Is(err, sink.ErrClosed) {
				p.logger.Warn("a new best-effort sink is not there yet", "error", err)
			}
		}
	})
	old.retire(func() {
		aside(func() {
			r := p.using() // perhaps a later one
			defer r.done()
			p.inherit(r, old)
			released()
		})
	})
	if !sameStages(old.spec.Stages, next.spec.Stages) {
		p.renewBase()
	}
}

// renewBase has a checkpoint be taken through the stages that are in force now, so that
// a start does not need those of before to read the base. Without a base, and with none
// on its way, there is nothing to be read.
func (p *Persister) renewBase() {
	p.mu.Lock()
	flying := p.job != nil
	if flying && p.scheduled == "" {
		p.scheduled = sink.KindSnapshot
	}
	p.mu.Unlock()
	if flying || p.ledger.current().Base == nil {
		return
	}
	if _, err := p.start(context.Background(), sink.KindSnapshot, "the stages are others", false); err != nil {
		p.jobLog.Warn("no checkpoint was begun, though the stages are others: a start needs those of before", "error", err)
	}
}

// inherit has a route owe what an earlier one does.
func (p *Persister) inherit(r, old *route) {
	for name, n := range r.pipe.TakeOver(old.pipe) {
		p.logger.Warn("a sink is none any more: what it had missed is not sent to it", "sink", name, "sets", n)
	}
}

// swapArchive has the log go to the new archive. Nobody rotates the log meanwhile or
// commits a manifest, which decides what a segment is still needed for.
func (x *Replacement) swapArchive(released func()) {
	p, next := x.p, x.archive
	p.turn.Lock()
	defer p.turn.Unlock()
	p.ledger.writing.Lock()
	defer p.ledger.writing.Unlock()
	old := p.archive.Swap(next)
	old.close()
	if old == nil {
		released()
	} else {
		old.usage.retire(released)
	}
	next.goOn(old)
	m := p.ledger.current()
	sealed := slices.DeleteFunc(slices.Clone(m.Segments), func(s manifest.Segment) bool { return !p.ledger.isSealed(s.ID) })
	next.found(slices.Concat(m.Owed, sealed))
	if next == nil && len(m.Owed) > 0 {
		p.logger.Warn("log segments wait for an archive, and there is none any more: the next checkpoint removes them", "segments", len(m.Owed))
	}
}
