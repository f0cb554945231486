package persist

import (
	"context"
	"errors"
	"time"

	"github.com/spillwaydb/spillway/core/sink"
)

const (
	retryFirst = time.Second      // before a sink that failed is fed again; doubles …
	retryLast  = 30 * time.Second // … up to this
)

// retryTargets feeds, in the background and one attempt at a time, the
// best-effort sinks that missed a committed set.
func (p *Persister) retryTargets() {
	if p.clock.Now().Sub(p.targetsTried) >= time.Duration(p.retryAfter.Load()) {
		p.feedTargets("a best-effort sink is still behind", func(ctx context.Context, r *route) error { return r.pipe.Retry(ctx) })
	}
}

// feedTargets runs feed in the background unless an attempt is under way. A
// failure makes the next attempt wait for longer.
func (p *Persister) feedTargets(complaint string, feed func(context.Context, *route) error) {
	if !p.retrying.CompareAndSwap(false, true) {
		return
	}
	p.targetsTried = p.clock.Now()
	p.bg.run(func() {
		defer p.retrying.Store(false)
		r := p.using()
		defer r.done()
		err := feed(context.Background(), r)
		p.noteTargets(err)
		if errors.Is(err, sink.ErrClosed) {
			return // what has replaced it, or the next start, tries again
		}
		if err != nil {
			wait := min(2*time.Duration(p.retryAfter.Load()), retryLast)
			p.retryAfter.Store(int64(wait))
			p.logger.Warn(complaint, "error", err, "next_attempt_in", wait)
			return
		}
		p.retryAfter.Store(int64(retryFirst))
	})
}

// noteTargets tells which best-effort sinks have got behind, or caught up. err is
// why an attempt to feed them has failed.
func (p *Persister) noteTargets(err error) {
	if p.events.SinkBehind == nil && p.events.SinkCaughtUp == nil {
		return
	}
	for _, s := range p.route.Load().pipe.Stats() {
		if s.Role == "best-effort" {
			p.events.sink(useCheckpoints, s.Name, s.Pending > 0, err)
		}
	}
}

// catchUp feeds, in the background, best-effort sinks that had not got the
// newest checkpoint when the last process ended.
func (p *Persister) catchUp() {
	base := p.ledger.current().Base
	if base == nil || len(p.route.Load().guards) == 0 {
		return
	}
	set := *base
	p.feedTargets("a best-effort sink is behind", func(ctx context.Context, r *route) error {
		return errors.Join(r.pipe.CatchUp(ctx, set), r.pipe.Retry(ctx))
	})
}
