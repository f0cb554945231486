package sink

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Hold stops the timeout that a pipeline has set on a call of Put until release is
// called: what a sink is kept waiting on purpose, by a limit of its rate, is not time
// that it took. ctx is the call's or one made of it; with any other, Hold does nothing.
// Holds of one call may overlap, from any goroutines; release may be called again.
func Hold(ctx context.Context) (release func()) {
	b, ok := ctx.Value(boundKey{}).(*bound)
	if !ok {
		return func() {}
	}
	b.hold()
	return sync.OnceFunc(b.release)
}

// boundKey is what the bound of a call is found by in its context.
type boundKey struct{}

// bound is a timeout that can be stopped. Like every timeout of a call it is of real
// time: what it bounds is a network, or another process. How much of it is over when it
// is stopped is by the pipeline's clock, and begins anew under one that measures nothing.
type bound struct {
	clock  Clock
	mu     sync.Mutex
	timer  *time.Timer
	left   time.Duration // when the timer was started last
	since  time.Time     // the timer runs since then
	holds  int
	passed bool // or not wanted any more
}

func (b *bound) hold() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.holds++; b.holds > 1 || b.passed {
		return
	}
	b.timer.Stop()
	b.left -= b.clock.Now().Sub(b.since)
}

func (b *bound) release() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.holds--; b.holds > 0 || b.passed {
		return
	}
	b.since = b.clock.Now()
	b.timer.Reset(max(b.left, 0))
}

// over tells whether the time has passed, once, unless a hold came just before.
func (b *bound) over() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.holds > 0 || b.passed {
		return false
	}
	b.passed = true
	return true
}

func (b *bound) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.passed = true
	b.timer.Stop()
}

// withHeldTimeout is withTimeout for a call that carries bytes: Hold stops it. Since it
// may end later than it seems, the context shows no deadline of its own.
func withHeldTimeout(ctx context.Context, clock Clock, d time.Duration) (context.Context, context.CancelFunc) {
	if d <= 0 {
		return context.WithCancel(ctx)
	}
	inner, cancel := context.WithCancelCause(ctx)
	b := &bound{clock: clock, left: d, since: clock.Now()}
	b.mu.Lock() // the timer may fire before it has a name
	b.timer = time.AfterFunc(d, func() {
		if b.over() {
			cancel(timeoutError(d))
		}
	})
	b.mu.Unlock()
	return heldContext{context.WithValue(inner, boundKey{}, b)}, func() { b.stop(); cancel(nil) }
}

// heldContext says of itself what a context with a deadline says once that has passed.
type heldContext struct{ context.Context }

// Err implements context.Context.
func (c heldContext) Err() error {
	err := c.Context.Err()
	if err != nil && errors.Is(context.Cause(c.Context), context.DeadlineExceeded) {
		return context.DeadlineExceeded
	}
	return err
}
