package sink

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

const (
	// maxOwed bounds the sets a best-effort target can be behind by; the
	// oldest is given up first.
	maxOwed = 64
	// retryTimeout bounds a call of Retry on a target without a timeout.
	retryTimeout = 10 * time.Minute
)

// feed is a set that a best-effort target is owed.
type feed struct {
	set      Set
	receipts map[string]Receipt // by part name: what the target has already
	dropped  bool               // aborted; guarded by Pipeline.mu
}

// owe queues a set for a target; one that is queued already stays as it is.
func (p *Pipeline) owe(m *member, set Set) {
	f := &feed{set: *set.Clone(), receipts: make(map[string]Receipt)}
	for i := range set.Parts {
		if r, ok := set.Parts[i].TargetReceipts[m.name]; ok {
			f.receipts[set.Parts[i].Part.Name] = r
		}
	}
	p.oweFeed(m, f)
}

// oweFeed queues f where its number belongs: the oldest set is sent first.
func (p *Pipeline) oweFeed(m *member, f *feed) {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := p.pending[m]
	if f.dropped || slices.ContainsFunc(q, func(o *feed) bool { return o.set.ID == f.set.ID }) {
		return
	}
	if len(q) >= maxOwed {
		p.log.Error("a best-effort sink is too far behind; its oldest owed set is given up", "sink", m.name, "set", q[0].set.ID.String())
		q[0].dropped = true
		q = q[1:]
	}
	q = append(slices.Clip(q), f)
	slices.SortStableFunc(q, func(a, b *feed) int { return cmp.Compare(a.set.ID.Generation, b.set.ID.Generation) })
	p.pending[m] = q
}

// forget takes a set out of every queue.
func (p *Pipeline) forget(id SetID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for m := range p.pending {
		p.pending[m] = slices.DeleteFunc(slices.Clone(p.pending[m]), func(f *feed) bool {
			if f.set.ID == id {
				f.dropped = true
			}
			return f.dropped
		})
	}
}

// settle takes one feed out of its queue.
func (p *Pipeline) settle(m *member, f *feed) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pending[m] = slices.DeleteFunc(slices.Clone(p.pending[m]), func(o *feed) bool { return o == f })
}

// CatchUp queues a committed set for every best-effort target that does not
// have it: what Retry owed is not kept over a restart. Targets that cannot be
// asked are queued too, and their errors returned.
func (p *Pipeline) CatchUp(ctx context.Context, set Set) error {
	ctx, cancel := p.background(ctx)
	defer cancel()
	var errs []error
	for _, m := range p.target {
		if m.required {
			continue
		}
		has, err := p.has(ctx, m, set.ID)
		if err != nil {
			errs = append(errs, &Error{Op: "list", Path: set.ID.String(), Sink: m.name, Err: err})
		}
		if !has {
			p.owe(m, set)
		}
	}
	return errors.Join(errs...)
}

// Retry feeds each best-effort target the sets it missed, oldest first, from
// the local parts. It goes on with the next target at the first failure of one,
// and returns what went wrong; what failed stays queued. A set that is no
// longer there locally is given up. Concurrent calls wait for each other.
func (p *Pipeline) Retry(ctx context.Context) error {
	p.retry.Lock()
	defer p.retry.Unlock()
	ctx, cancel := p.background(ctx)
	defer cancel()
	var errs []error
	for _, m := range p.target {
		for {
			p.mu.Lock()
			var f *feed
			if q := p.pending[m]; len(q) > 0 {
				f = q[0]
			}
			p.mu.Unlock()
			if f == nil {
				break
			}
			if err := ctx.Err(); err != nil {
				return errors.Join(append(errs, err)...)
			}
			if err := p.feed(ctx, m, f); err != nil {
				m.errors.Add(1)
				errs = append(errs, err)
				break
			}
		}
	}
	return errors.Join(errs...)
}

// feed brings one set to one target. nil means that it is off the queue.
func (p *Pipeline) feed(ctx context.Context, m *member, f *feed) error {
	id := f.set.ID
	fault := func(err error) error {
		return &Error{Op: "retry", Path: id.String(), Sink: m.name, Err: err}
	}
	has, err := p.has(ctx, m, id)
	if err != nil {
		return fault(err)
	}
	if !has {
		if err := p.putAll(ctx, m, f); err != nil {
			if errors.Is(err, errSourceGone) {
				p.log.Warn("a set was retired before a best-effort sink got it", "sink", m.name, "set", id.String())
				p.settle(m, f)
				p.removeFrom(ctx, m, id)
				return nil
			}
			return fault(err)
		}
	}
	p.settle(m, f)
	p.mu.Lock()
	dropped := f.dropped
	p.mu.Unlock()
	if dropped { // aborted meanwhile: Abort may have come too early to see it
		p.removeFrom(ctx, m, id)
		return nil
	}
	m.retried.Add(1)
	p.log.Info("a best-effort sink has caught up with a set", "sink", m.name, "set", id.String())
	return nil
}

// errSourceGone says that the local part is no longer there.
var errSourceGone = errors.New("the local part is gone")

// putAll puts the parts a target lacks and publishes the set there.
func (p *Pipeline) putAll(ctx context.Context, m *member, f *feed) error {
	for i := range f.set.Parts {
		sp := f.set.Parts[i]
		if _, ok := f.receipts[sp.Part.Name]; ok {
			continue
		}
		r, err := p.copyPart(ctx, m, sp)
		if err != nil {
			return fmt.Errorf("put %s: %w", sp.Part.Name, err)
		}
		f.receipts[sp.Part.Name] = r
	}
	own := f.set.Clone()
	for i := range own.Parts {
		own.Parts[i].SinkReceipt = f.receipts[own.Parts[i].Part.Name]
		own.Parts[i].TargetReceipts = nil
	}
	_, err := call(ctx, p, m, p.retryBound(m), func(ctx context.Context) (struct{}, error) {
		return struct{}{}, m.sink.Publish(ctx, *own)
	})
	if err != nil {
		clear(f.receipts) // perhaps it lost a part: the next attempt puts them all again
		return fmt.Errorf("publish: %w", err)
	}
	return nil
}

// copyPart feeds the stored bytes of a local part to a target.
func (p *Pipeline) copyPart(ctx context.Context, m *member, sp SetPart) (Receipt, error) {
	cctx, cancel := withHeldTimeout(ctx, p.opts.Clock, p.retryBound(m))
	defer cancel()
	r := p.newRun(cctx, "retry", sp.Part)
	defer r.stop()
	src := r.pipe()
	pumped := r.pump(p.local, sp, digestProof(sp), src)
	work := m.begin(func() flow {
		n, _, _ := src.flow()
		return flow{in: n}
	})
	put := start(p, m, func() (Receipt, error) {
		if err := m.ready(); err != nil {
			return nil, err
		}
		return m.sink.Put(r.ctx, sp.Part, readOnly{src})
	}, func(receipt Receipt, err error) error {
		err = finished(r.ctx, src, receipt, err)
		work.end(err) // Retry counts its errors
		if err != nil {
			r.fail(err)
		}
		return err
	})
	_, perr := pumped.wait(r.ctx.Done())
	receipt, err := put.wait(r.ctx.Done())
	switch {
	case errors.Is(perr, os.ErrNotExist):
		return nil, fmt.Errorf("%w: %w", errSourceGone, perr)
	case r.failure() != nil:
		return nil, r.failure()
	}
	return receipt, err
}

// has tells whether a target lists a set. A target that lists it beside sets it
// cannot read has it.
func (p *Pipeline) has(ctx context.Context, m *member, id SetID) (bool, error) {
	sets, err := call(ctx, p, m, p.retryBound(m), m.sink.List)
	if slices.ContainsFunc(sets, func(s Set) bool { return s.ID == id }) {
		return true, nil
	}
	return false, err
}

func (p *Pipeline) removeFrom(ctx context.Context, m *member, id SetID) {
	if err := p.remove(ctx, m, id); err != nil {
		p.log.Warn("removing a set from a best-effort sink failed", "sink", m.name, "set", id.String(), "error", err)
	}
}

// retryBound is the bound for calls in the background.
func (p *Pipeline) retryBound(m *member) time.Duration {
	if m.timeout > 0 {
		return m.timeout
	}
	return retryTimeout
}

// ErrClosed says that Close has ended what was done in the background.
var ErrClosed = errors.New("the pipeline is closed")

// background is ctx, ended by Close too.
func (p *Pipeline) background(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	unhook := context.AfterFunc(p.life, func() { cancel(ErrClosed) })
	return ctx, func() { unhook(); cancel(nil) }
}

// Prune removes from each target those checkpoints and log segments of a lineage
// that the target's Keep does not keep. What is of another lineage, or does not
// say of which it is, is not the caller's to remove. Sets that are being written
// or are owed stay whatever Keep says. The local sink is the manifest's business.
//
// It sweeps what was left staged there: by jobs of this pipeline that could not
// remove it, and by earlier processes of that lineage, which are those that drew
// numbers below first. What has such a number or a higher one may belong to a job
// that is running right now, of an engine on a copy of the data directory.
//
// committed is the number of the last checkpoint of the lineage that the caller has committed. One of a higher number
// may be there already and be taken back yet, when its job fails: it stays, and nothing
// goes on its account.
func (p *Pipeline) Prune(ctx context.Context, lineage string, first, committed uint64) error {
	return p.eachTarget(ctx, func(ctx context.Context, m *member) error {
		// A segment is not removed where a checkpoint that cannot be read may need it.
		errs := []error{p.pruneTarget(ctx, m, lineage, committed, nil, func(s *Set, unreadable bool) bool {
			return s.Lineage() == lineage && (!unreadable || s.ID.Kind != KindSegment)
		})}
		// Segments are another pipeline's: see PruneSegments.
		return errors.Join(append(errs, p.sweepTarget(ctx, m, lineage, first, func(id SetID) bool { return id.Kind != KindSegment }))...)
	})
}

// PruneSegments is Prune for the log segments alone, given the checkpoints that
// there are elsewhere: the checkpoints on the targets are another pipeline's.
func (p *Pipeline) PruneSegments(ctx context.Context, lineage string, first, committed uint64, checkpoints []Set) error {
	return p.eachTarget(ctx, func(ctx context.Context, m *member) error {
		err := p.pruneTarget(ctx, m, lineage, committed, checkpoints, func(s *Set, unreadable bool) bool {
			return s.Lineage() == lineage && s.ID.Kind == KindSegment && !unreadable
		})
		return errors.Join(err, p.sweepTarget(ctx, m, lineage, first, func(id SetID) bool { return id.Kind == KindSegment }))
	})
}

// eachTarget calls f for every target and joins what goes wrong.
func (p *Pipeline) eachTarget(ctx context.Context, f func(ctx context.Context, m *member) error) error {
	ctx, cancel := p.background(ctx)
	defer cancel()
	var errs []error
	for _, m := range p.target {
		if err := f(ctx, m); err != nil {
			errs = append(errs, &Error{Op: "prune", Sink: m.name, Err: err})
		}
	}
	return errors.Join(errs...)
}

// pruneTarget removes what m's Keep does not keep, given further sets that are
// elsewhere. own says which sets may go at all; unreadable tells it that m holds
// sets that cannot be read.
func (p *Pipeline) pruneTarget(ctx context.Context, m *member, lineage string, committed uint64, elsewhere []Set, own func(s *Set, unreadable bool) bool) error {
	if m.keep.All() {
		return nil
	}
	var errs []error
	sets, err := call(ctx, p, m, p.retryBound(m), m.sink.List)
	if err != nil {
		errs = append(errs, err) // the sets that can be read are still pruned
	}
	all := slices.Concat(sets, elsewhere)
	for i := range all {
		if p.opts.Known != nil && all[i].Lineage() == lineage {
			if !p.opts.Known(&all[i]) {
				return errors.Join(append(errs, fmt.Errorf("%s is of this lineage, and not of this data directory: nothing is removed there", all[i].ID))...)
			}
		}
	}
	early := func(s *Set) bool {
		return s.Lineage() == lineage && s.ID.Kind != KindSegment && s.ID.Generation > committed
	}
	kept := m.keep.Kept(slices.DeleteFunc(all, func(s Set) bool { return early(&s) }))
	for i := range sets {
		id := sets[i].ID
		if kept[id] || early(&sets[i]) || p.inUse(m, id) || !own(&sets[i], err != nil) {
			continue
		}
		if err := p.remove(ctx, m, id); err != nil {
			errs = append(errs, fmt.Errorf("remove %s: %w", id, err))
		}
	}
	return errors.Join(errs...)
}

// sweepTarget removes the staged sets of a kind that nobody can be at any more.
func (p *Pipeline) sweepTarget(ctx context.Context, m *member, lineage string, first uint64, kind func(SetID) bool) error {
	sw, ok := m.sink.(Sweeper)
	if !ok {
		return nil
	}
	_, err := call(ctx, p, m, p.retryBound(m), func(ctx context.Context) ([]string, error) {
		return sw.Sweep(ctx, func(id SetID) bool {
			old := id.Of(lineage) && id.Generation < first
			return !kind(id) || !old && !p.isLeft(id) || p.inUse(m, id)
		})
	})
	if err != nil {
		return fmt.Errorf("sweep: %w", err)
	}
	return nil
}

func (p *Pipeline) remove(ctx context.Context, m *member, id SetID) error {
	_, err := call(ctx, p, m, p.retryBound(m), func(ctx context.Context) (struct{}, error) {
		return struct{}{}, m.sink.Remove(ctx, id)
	})
	return err
}

// Checkpoints lists what the local sink and every target hold, log segments
// aside. An error means that there may be more.
func (p *Pipeline) Checkpoints(ctx context.Context) ([]Set, error) {
	return p.list(ctx, func(s Set) bool { return s.ID.Kind != KindSegment })
}

// Segments lists the log segments that the local sink and every target hold. An
// error means that there may be more.
func (p *Pipeline) Segments(ctx context.Context) ([]Set, error) {
	return p.list(ctx, func(s Set) bool { return s.ID.Kind == KindSegment })
}

func (p *Pipeline) list(ctx context.Context, which func(Set) bool) ([]Set, error) {
	ctx, cancel := p.background(ctx)
	defer cancel()
	var all []Set
	var errs []error
	for _, m := range p.sinks() {
		sets, err := call(ctx, p, m, p.retryBound(m), m.sink.List)
		if err != nil {
			errs = append(errs, &Error{Op: "list", Sink: m.name, Err: err})
		}
		all = append(all, sets...)
	}
	return slices.DeleteFunc(all, func(s Set) bool { return !which(s) }), errors.Join(errs...)
}

// isLeft tells whether an Abort of this pipeline's could not remove the set.
func (p *Pipeline) isLeft(id SetID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for o := range p.left {
		if o.SharesDir(id) {
			return true
		}
	}
	return false
}

// inUse tells whether a staged set on m may still be published. What is only
// staged does not say whether it is a snapshot or a rewrite: IDs are compared by
// their directories.
func (p *Pipeline) inUse(m *member, id SetID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for o := range p.active {
		if o.SharesDir(id) {
			return true
		}
	}
	return slices.ContainsFunc(p.pending[m], func(f *feed) bool { return f.set.ID.SharesDir(id) })
}
