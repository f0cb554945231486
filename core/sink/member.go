package sink

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
)

// member is one stage or sink of a pipeline.
type member struct {
	name     string
	role     string
	stage    Stage // of a stage
	sink     Sink  // of the local sink and of targets
	required bool
	timeout  time.Duration
	keep     Retention
	*tally
}

// is tells whether two members are the same stage or sink.
func (m *member) is(o *member) bool {
	return m.name == o.name && same(m.stage, o.stage) && same(m.sink, o.sink)
}

// same tells whether two stages or sinks are one, or both none.
func same[T any](a, b T) bool {
	t := reflect.TypeOf(a)
	return t == reflect.TypeOf(b) && (t == nil || t.Comparable() && any(a) == any(b))
}

// tally is what a member has done so far. The pipelines that have the member one
// after the other share it.
type tally struct {
	errors, retried atomic.Int64
	stuck           atomic.Int64 // calls left behind that still run

	mu    sync.Mutex
	done  flow           // by calls that have ended
	parts int64          // of these, without an error
	calls map[*work]bool // running
}

// flow is what a member has handled, and the time it took.
type flow struct {
	in, out int64
	busy    time.Duration
}

func (f *flow) add(o flow) {
	f.in += o.in
	f.out += o.out
	f.busy += max(o.busy, 0)
}

// work is a call of a member that is under way: what it has done so far counts.
type work struct {
	m     *member
	sofar func() flow
}

func (m *member) snapshot() StageStats {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.done
	for w := range m.calls {
		f.add(w.sofar())
	}
	return StageStats{
		Name: m.name, Role: m.role,
		Parts: m.parts, BytesIn: f.in, BytesOut: f.out,
		Nanoseconds: int64(f.busy), Errors: m.errors.Load(), Retried: m.retried.Load(),
		Stuck: max(m.stuck.Load(), 0),
	}
}

// begin counts a call from now on. sofar may be called from any goroutine until
// end has returned.
func (m *member) begin(sofar func() flow) *work {
	w := &work{m, sofar}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.calls == nil {
		m.calls = make(map[*work]bool)
	}
	m.calls[w] = true
	return w
}

// end counts the call for good. Errors are counted where it is known whose they
// are.
func (w *work) end(err error) {
	m := w.m
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.calls, w)
	m.done.add(w.sofar())
	if err == nil {
		m.parts++
	}
}

// ready refuses work for a member that still has a call hanging: a second one
// would hang beside it, and on a sink could meet the first one's bytes.
func (m *member) ready() error {
	if n := m.stuck.Load(); n > 0 {
		return Transient(fmt.Errorf("%d earlier call(s) still hang: %w", n, ErrStuck))
	}
	return nil
}

// task is one call of a member in a goroutine of its own.
type task[T any] struct {
	p     *Pipeline
	m     *member
	state atomic.Int32 // running, returned, or left behind
	done  chan struct{}
	val   T
	err   error
}

const (
	taskRunning = iota
	taskReturned
	taskLeft
)

// start runs f in its own goroutine. A panic or a runtime.Goexit in it becomes
// its error. after, if not nil, sees the result before anyone else and may
// replace it.
func start[T any](p *Pipeline, m *member, f func() (T, error), after func(T, error) error) *task[T] {
	t := &task[T]{p: p, m: m, done: make(chan struct{})}
	go func() {
		finished := false
		defer func() {
			if r := recover(); r != nil {
				t.err = panicError(p.log, m.name, r)
			} else if !finished {
				t.err = Permanent(errors.New("ended its goroutine (runtime.Goexit)"))
			}
			if after != nil {
				t.err = after(t.val, t.err)
			}
			close(t.done)
			if !t.state.CompareAndSwap(taskRunning, taskReturned) {
				m.stuck.Add(-1)
			}
		}()
		t.val, t.err = f()
		finished = true
	}()
	return t
}

// panicError turns a recovered panic into an error, and logs where it was.
func panicError(log hclog.Logger, name string, r any) error {
	log.Error("panic", "in", name, "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
	return Permanent(fmt.Errorf("panic: %v", r))
}

// wait returns when the task has returned, or when it has not within the pipeline's
// grace after cancelled was closed: the task is then left behind and counted as
// stuck until it returns after all. Later waits for a task left behind return at once.
// A task is waited for by one goroutine.
func (t *task[T]) wait(cancelled <-chan struct{}) (T, error) {
	var none T
	stuck := Transient(fmt.Errorf("%w (waited %s)", ErrStuck, t.p.opts.Grace))
	if t.state.Load() == taskLeft {
		return none, stuck
	}
	select {
	case <-t.done:
		return t.val, t.err
	case <-cancelled:
	}
	late, stop := t.p.opts.Clock.NewTicker(t.p.opts.Grace)
	defer stop()
	select {
	case <-t.done:
		return t.val, t.err
	case <-late:
	}
	if t.state.CompareAndSwap(taskRunning, taskLeft) {
		t.m.stuck.Add(1)
		return none, stuck
	}
	<-t.done
	return t.val, t.err
}

// call runs one call of a sink that carries no part, under the member's timeout
// and patience, whichever is shorter (0: none), and does not wait for one that
// ignores its cancellation.
func call[T any](ctx context.Context, p *Pipeline, m *member, patience time.Duration, f func(ctx context.Context) (T, error)) (T, error) {
	var none T
	if err := m.ready(); err != nil {
		return none, err
	}
	cctx, cancel := withTimeout(ctx, shorter(m.timeout, patience))
	defer cancel()
	t := start(p, m, func() (T, error) { return f(cctx) }, nil)
	v, err := t.wait(cctx.Done())
	return v, explain(cctx, err)
}

// withTimeout is context.WithTimeout with a cause that says the bound; 0 sets
// none. It is of real time whatever the clock, since members hand the deadline on:
// to the network, and to another process.
func withTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if d <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, d, timeoutError(d))
}

func timeoutError(d time.Duration) error {
	return Transient(fmt.Errorf("not done within %s: %w", d, context.DeadlineExceeded))
}

// explain replaces a bare context error by the cause the context was ended with.
func explain(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil {
		return err
	}
	cause := context.Cause(ctx)
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return cause
	}
	if errors.Is(err, cause) {
		return err
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrStuck) {
		return fmt.Errorf("%w (%w)", err, cause)
	}
	return err
}

// shorter is the smaller of two bounds of which 0 means none.
func shorter(a, b time.Duration) time.Duration {
	if a <= 0 || (b > 0 && b < a) {
		return b
	}
	return a
}
