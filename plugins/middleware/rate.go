package middleware

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/spillwaydb/spillway/core/sink"
)

// A Rate is how many bytes a second may pass, of all calls together that it is a Limit
// of: to and from one sink, say. Its methods may be called from any goroutine.
//
// Calls stand in two lines, those of log segments and those of checkpoints, and take
// turns where both wait: a segment waits for one read of a checkpoint's part at most,
// however many parts are on their way, and has half of the rate while it needs that.
// Neither can starve the other.
type Rate struct {
	clock sink.Clock
	lines [2]chan struct{} // who holds the token is next: checkpoints, segments

	perSecond atomic.Int64 // 0: no bound
	bytes     atomic.Int64
	waited    atomic.Int64

	mu      sync.Mutex // for what is below it
	bucket  *rate.Limiter
	changed chan struct{} // closed by Set
}

// NewRate returns a rate without a bound. The clock is what it goes by.
func NewRate(clock sink.Clock) *Rate {
	r := &Rate{clock: clock, changed: make(chan struct{})}
	for i := range r.lines {
		r.lines[i] = make(chan struct{}, 1)
	}
	return r
}

// The most that passes in one piece: a sixteenth of a second's bytes, so that a slow rate
// is smooth and calls take turns often, and no more than is read at once anyway. The
// bucket holds an eighth of a second's, which makes up for timers that are late.
const (
	pieces   = 16
	bucketOf = 8
	maxPiece = 64 << 10
)

// Set bounds the rate from now on, for calls under way too; 0 or less is no bound.
func (r *Rate) Set(bytesPerSecond int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	bytesPerSecond = max(bytesPerSecond, 0)
	if bytesPerSecond == r.perSecond.Load() {
		return
	}
	r.perSecond.Store(bytesPerSecond)
	burst := int(max(bytesPerSecond/bucketOf, 1))
	if r.bucket == nil {
		r.bucket = rate.NewLimiter(rate.Limit(bytesPerSecond), burst)
	}
	now := r.clock.Now()
	r.bucket.SetLimitAt(now, rate.Limit(bytesPerSecond))
	r.bucket.SetBurstAt(now, burst)
	close(r.changed)
	r.changed = make(chan struct{})
}

// PerSecond is the bound in bytes per second, 0 for none.
func (r *Rate) PerSecond() int64 { return r.perSecond.Load() }

// Counts are how many bytes have passed while there was a bound, and how long calls
// have waited for it, all of them together.
func (r *Rate) Counts() (bytes int64, waited time.Duration) {
	return r.bytes.Load(), time.Duration(r.waited.Load())
}

// piece is how much of n bytes may pass at once.
func (r *Rate) piece(n int) int {
	if per := r.perSecond.Load(); per > 0 {
		return int(min(int64(n), max(per/pieces, 1), maxPiece))
	}
	return n
}

// wait returns when n bytes may pass, or with why ctx has ended.
func (r *Rate) wait(ctx context.Context, line chan struct{}, n int) error {
	if r.perSecond.Load() == 0 {
		return nil
	}
	if r.pass(line, n) {
		return nil
	}
	release := sink.Hold(ctx)
	defer release()
	began := r.clock.Now()
	defer func() { r.waited.Add(int64(r.clock.Now().Sub(began))) }()
	select {
	case line <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-line }()
	for left := n; left > 0; {
		took, err := r.take(ctx, left)
		if err != nil {
			return err
		}
		left -= took
	}
	return nil
}

// pass takes n bytes that are there without waiting, if nobody is in line for them.
func (r *Rate) pass(line chan struct{}, n int) bool {
	select {
	case line <- struct{}{}:
	default:
		return false
	}
	defer func() { <-line }()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.bucket.AllowN(r.clock.Now(), n) {
		return false
	}
	r.bytes.Add(int64(n))
	return true
}

// take waits for as much of n bytes as the bucket can hold, and returns how much that
// was. It is 0 when the rate was changed meanwhile, and n when there is none any more.
func (r *Rate) take(ctx context.Context, n int) (int, error) {
	r.mu.Lock()
	if r.perSecond.Load() == 0 {
		r.mu.Unlock()
		return n, nil
	}
	n = min(n, r.bucket.Burst())
	now := r.clock.Now()
	slot, changed := r.bucket.ReserveN(now, n), r.changed
	delay := slot.DelayFrom(now)
	r.mu.Unlock()
	if delay > 0 {
		ticks, stop := r.clock.NewTicker(delay)
		defer stop()
		select {
		case <-ticks:
		case <-changed:
			slot.CancelAt(r.clock.Now())
			return 0, nil
		case <-ctx.Done():
			slot.CancelAt(r.clock.Now())
			return 0, context.Cause(ctx)
		}
	}
	r.bytes.Add(int64(n))
	return n, nil
}

// Limit has the bytes of a sink's parts wait for r, as they are read: by a Put, or from
// a part that was opened. What is waited counts neither for a Deadline nor for the
// pipeline's timeout, and ends at once when the call is cancelled or the opened part is
// closed. Several limits all apply.
func Limit(r *Rate) Interceptor {
	return func(ctx context.Context, c *Call, next func(context.Context) error) error {
		if c.Op != "put" && c.Op != "open" {
			return next(ctx)
		}
		line := r.lines[0]
		if c.Kind == sink.KindSegment {
			line = r.lines[1]
		}
		waiting, cancel := ctx, func() {}
		if c.Op == "open" {
			waiting, cancel = context.WithCancel(ctx)
		}
		c.limits = append(c.limits, limit{r, line, waiting})
		err := next(ctx)
		c.atEnd(err, cancel)
		return err
	}
}

// limit is a Rate around a call.
type limit struct {
	*Rate
	line chan struct{}
	ctx  context.Context
}

// piece is how much of n bytes may pass at once.
func (c *Call) piece(n int) int {
	for _, l := range c.limits {
		n = l.piece(n)
	}
	return n
}

// limited returns when n bytes may pass, or why the call has ended.
func (c *Call) limited(n int) error {
	for _, l := range c.limits {
		if err := l.wait(l.ctx, l.line, n); err != nil {
			return err
		}
	}
	return nil
}

// Reader is src at the rate, until ctx ends, for bytes that are no sink's, as those of an
// import are.
func (r *Rate) Reader(ctx context.Context, src io.Reader) io.Reader {
	return reader{&Call{limits: []limit{{r, r.lines[0], ctx}}}, src}
}
