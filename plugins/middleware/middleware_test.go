package middleware_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
	"github.com/spillwaydb/spillway/plugins/middleware"
	"github.com/spillwaydb/spillway/plugins/plugintest"
)

func everything(n *middleware.Counters) []middleware.Interceptor {
	return []middleware.Interceptor{
		middleware.Count(n), middleware.Log(hclog.New(&hclog.LoggerOptions{Level: hclog.Debug, Output: io.Discard})),
		middleware.Retry(middleware.Policy{Attempts: 3, Backoff: time.Millisecond}), middleware.Deadline(time.Minute),
	}
}

func part() sink.Part {
	return sink.Part{Kind: sink.KindSnapshot, Generation: 1, Shards: 1, Name: "shard-0000.rdb"}
}

// TestConformance: whatever is around them, a stage and a sink keep their
// promises.
func TestConformance(t *testing.T) {
	var n middleware.Counters
	t.Run("stage", func(t *testing.T) {
		plugintest.TestStage(t, func(testing.TB) sink.Stage {
			return middleware.Stage(plugintest.XOR("xor", 0x33), everything(&n)...)
		})
	})
	t.Run("sink", func(t *testing.T) {
		plugintest.TestSink(t, func(testing.TB) sink.Sink {
			return middleware.Sink(sink.NewFSSink("mem", memfs.New(), "sets"), everything(&n)...)
		})
	})
	if c := n.Counts(); c.Running != 0 || c.Calls == 0 || c.Errors == 0 || c.BytesIn == 0 || c.BytesOut == 0 {
		t.Errorf("counts %+v", c)
	}
}

func TestSweeperStaysOne(t *testing.T) {
	if _, ok := middleware.Sink(plugintest.NewMemSink("m")).(sink.Sweeper); ok {
		t.Error("a sink that cannot sweep has become a sweeper")
	}
	if _, ok := middleware.Sink(sink.NewFSSink("m", memfs.New(), "x")).(sink.Sweeper); !ok {
		t.Error("a sweeper is none any more")
	}
}

func TestCount(t *testing.T) {
	var n middleware.Counters
	boom := errors.New("boom")
	inner := &plugintest.FuncStage{Name: "half", EncodeFunc: func(_ context.Context, _ sink.Part, dst io.Writer, src io.Reader) (sink.Receipt, error) {
		b, err := io.ReadAll(src)
		if err != nil {
			return nil, err
		}
		if c := n.Counts(); c.Running != 1 {
			t.Errorf("while it runs: %+v", c)
		}
		_, err = dst.Write(b[:len(b)/2])
		return nil, errors.Join(err, boom)
	}}
	s := middleware.Stage(inner, middleware.Count(&n))
	if _, err := s.Encode(t.Context(), part(), io.Discard, bytes.NewReader(make([]byte, 1000))); !errors.Is(err, boom) {
		t.Error(err)
	}
	c := n.Counts()
	if c.Calls != 1 || c.Errors != 1 || c.Running != 0 || c.BytesIn != 1000 || c.BytesOut != 500 {
		t.Errorf("%+v", c)
	}
}

// slowReader gives its bytes one read at a time, with pauses.
type slowReader struct {
	n     int
	pause time.Duration
}

func (r *slowReader) Read(b []byte) (int, error) {
	if r.n == 0 {
		return 0, io.EOF
	}
	time.Sleep(r.pause)
	r.n--
	return copy(b, "x"), nil
}

// TestDeadlineBlamesTheRightOne: waiting for slow neighbours is no stall, doing
// nothing is.
func TestDeadlineBlamesTheRightOne(t *testing.T) {
	const d = 500 * time.Millisecond
	copying := middleware.Stage(&plugintest.FuncStage{Name: "copy"}, middleware.Deadline(d))
	if _, err := copying.Encode(t.Context(), part(), io.Discard, &slowReader{n: 2, pause: 2 * d}); err != nil {
		t.Errorf("a slow source: %v", err)
	}
	slow := writerFunc(func(b []byte) (int, error) { time.Sleep(2 * d); return len(b), nil })
	if _, err := copying.Encode(t.Context(), part(), slow, strings.NewReader("x")); err != nil {
		t.Errorf("a slow destination: %v", err)
	}
	hang := &plugintest.FuncStage{Name: "hang", EncodeFunc: func(ctx context.Context, _ sink.Part, _ io.Writer, src io.Reader) (sink.Receipt, error) {
		if _, err := src.Read(make([]byte, 3)); err != nil {
			return nil, err
		}
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	_, err := middleware.Stage(hang, middleware.Deadline(d)).Encode(t.Context(), part(), io.Discard, strings.NewReader("abc"))
	var stall *middleware.StallError
	if !errors.As(err, &stall) || stall.In != 3 || !errors.Is(err, context.DeadlineExceeded) || sink.IsPermanent(err) {
		t.Errorf("a stage that hangs: %v", err)
	}
}

type writerFunc func(b []byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// TestDeadlineOfAnOpenedPart: a sink that stops delivering is cut off, a caller
// that reads slowly is not.
func TestDeadlineOfAnOpenedPart(t *testing.T) {
	const d = 500 * time.Millisecond
	inner := &plugintest.FuncSink{Inner: plugintest.NewMemSink("m"), OpenFunc: func(ctx context.Context, _ sink.Part, _ sink.Receipt) (io.ReadCloser, error) {
		first := true
		return io.NopCloser(readerFunc(func(b []byte) (int, error) {
			if first {
				first = false
				return copy(b, "abc"), nil
			}
			<-ctx.Done()
			return 0, context.Cause(ctx)
		})), nil
	}}
	rc, err := middleware.Sink(inner, middleware.Deadline(d)).Open(t.Context(), part(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	time.Sleep(2 * d)
	buf := make([]byte, 10)
	if n, err := rc.Read(buf); n != 3 || err != nil {
		t.Errorf("after a pause of the caller: %d, %v", n, err)
	}
	var stall *middleware.StallError
	if _, err := rc.Read(buf); !errors.As(err, &stall) {
		t.Errorf("a sink that stops delivering: %v", err)
	}
}

type readerFunc func(b []byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

// answer is an error that a plugin's component gave.
type answer struct{ error }

func (a answer) Unwrap() error { return a.error }
func (answer) Answered() bool  { return true }

func TestRetry(t *testing.T) {
	boom := errors.New("boom")
	calls := 0
	fail := func(times int, err error) error {
		calls++
		if calls <= times {
			return err
		}
		return nil
	}
	policy := middleware.Policy{Attempts: 3, Backoff: time.Millisecond}
	stage := func(f func(src io.Reader) error) sink.Stage {
		calls = 0
		return middleware.Stage(&plugintest.FuncStage{Name: "s", EncodeFunc: func(_ context.Context, _ sink.Part, _ io.Writer, src io.Reader) (sink.Receipt, error) {
			return nil, f(src)
		}}, middleware.Retry(policy))
	}
	encode := func(s sink.Stage) error {
		_, err := s.Encode(t.Context(), part(), io.Discard, strings.NewReader("x"))
		return err
	}
	if err := encode(stage(func(io.Reader) error { return fail(2, boom) })); err != nil || calls != 3 {
		t.Errorf("two failures before it began: %d calls, %v", calls, err)
	}
	if err := encode(stage(func(io.Reader) error { return fail(9, boom) })); !errors.Is(err, boom) || calls != 3 {
		t.Errorf("more failures than attempts: %d calls, %v", calls, err)
	}
	if err := encode(stage(func(io.Reader) error { return fail(9, sink.Permanent(boom)) })); !errors.Is(err, boom) || calls != 1 {
		t.Errorf("a permanent failure: %d calls, %v", calls, err)
	}
	if err := encode(stage(func(src io.Reader) error { _, _ = src.Read(make([]byte, 1)); return fail(9, boom) })); !errors.Is(err, boom) || calls != 1 {
		t.Errorf("a failure in the middle: %d calls, %v", calls, err)
	}
	calls = 0
	s := middleware.Sink(&plugintest.FuncSink{Inner: plugintest.NewMemSink("m"), PublishFunc: func(context.Context, sink.Set) error { return fail(1, boom) }}, middleware.Retry(policy))
	if err := s.Publish(t.Context(), sink.Set{}); err != nil || calls != 2 {
		t.Errorf("publish: %d calls, %v", calls, err)
	}
	if err := encode(stage(func(io.Reader) error { return fail(9, answer{boom}) })); !errors.Is(err, boom) || calls != 1 {
		t.Errorf("a plugin's own answer: %d calls, %v", calls, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	calls = 0
	if err := s.Publish(ctx, sink.Set{}); !errors.Is(err, boom) || calls != 1 {
		t.Errorf("publish with a context that has ended: %d calls, %v", calls, err)
	}
}
