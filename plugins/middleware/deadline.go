package middleware

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/spillwaydb/spillway/core/sink"
)

// StallError says that a stage or a sink did nothing for too long.
type StallError struct {
	// For is how long it did nothing.
	For time.Duration
	// In and Out are the bytes that had passed.
	In, Out int64
}

// Error implements error.
func (e *StallError) Error() string {
	return fmt.Sprintf("did nothing for %s, after %d bytes in and %d out", e.For, e.In, e.Out)
}

// Unwrap makes it a deadline that may pass.
func (e *StallError) Unwrap() []error { return []error{context.DeadlineExceeded, sink.ErrTransient} }

// ticks is how many looks at a call make one deadline.
const ticks = 8

// Deadline ends a call in which nothing moves for d: the callee neither reads
// nor writes, and is not waiting for its neighbours to do so. Time that the
// callee waits to read or to write does not count, however long; for a call
// without bytes d bounds the whole. The callee's context is cancelled with a
// *StallError. d <= 0 sets no deadline.
func Deadline(d time.Duration) Interceptor {
	return func(ctx context.Context, c *Call, next func(context.Context) error) error {
		if d <= 0 {
			return next(ctx)
		}
		ctx, cancel := context.WithCancelCause(ctx)
		w := &watch{c: c, d: d, fire: cancel}
		w.start()
		err := next(ctx)
		var stall *StallError
		if err != nil && errors.As(context.Cause(ctx), &stall) && !errors.Is(err, stall) {
			err = fmt.Errorf("%w (%w)", stall, err)
		}
		c.atEnd(err, func() { w.stop(); cancel(nil) })
		return err
	}
}

// watch looks at a call every now and then. A pause of this process itself is
// one look, not a stall.
type watch struct {
	c    *Call
	d    time.Duration
	fire context.CancelCauseFunc

	mu    sync.Mutex
	timer *time.Timer
	over  bool
	ops   int64
	quiet int
}

func (w *watch) start() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ops = w.c.ops.Load()
	w.timer = time.AfterFunc(w.d/ticks, w.look)
}

func (w *watch) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
	w.timer.Stop()
}

func (w *watch) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over {
		return
	}
	w.quiet++
	if ops := w.c.ops.Load(); ops != w.ops || w.c.waiting.Load() > 0 {
		w.ops, w.quiet = ops, 0
	}
	if w.quiet < ticks {
		w.timer.Reset(w.d / ticks)
		return
	}
	w.over = true
	w.fire(&StallError{For: w.d, In: w.c.In(), Out: w.c.Out()})
}
