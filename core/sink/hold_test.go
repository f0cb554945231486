package sink_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

// pausedSink is a sink whose Put holds its timeout for longer than that, or not.
type pausedSink struct {
	sink.Sink
	hold func(ctx context.Context) func()
	wait func(ctx context.Context) error
}

func (s pausedSink) Put(ctx context.Context, p sink.Part, src io.Reader) (sink.Receipt, error) {
	release := s.hold(ctx)
	err := s.wait(ctx)
	release()
	if err != nil {
		return nil, err
	}
	return s.Sink.Put(ctx, p, src)
}

// TestHold: what a sink is kept waiting on purpose does not count for its timeout, and
// what it takes beside that does.
func TestHold(t *testing.T) {
	none := func(context.Context) func() { return func() {} }
	for name, c := range map[string]struct {
		hold   func(ctx context.Context) (release func())
		passes bool
	}{
		"held": {sink.Hold, true},
		"held by two": {func(ctx context.Context) func() {
			first, second := sink.Hold(ctx), sink.Hold(ctx)
			first()
			first() // is one
			return second
		}, true},
		"not held": {none, false},
		"let go":   {func(ctx context.Context) func() { sink.Hold(ctx)(); return func() {} }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// One that passes has the whole bound for what is not held, on a busy machine too.
			bound := time.Millisecond
			wait := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
			if c.passes {
				bound = time.Second
				wait = func(ctx context.Context) error {
					select {
					case <-time.After(bound + 50*time.Millisecond):
						return nil
					case <-ctx.Done():
						return ctx.Err()
					}
				}
			}
			far := pausedSink{sink.NewFSSink("far", memfs.New(), sink.SetsDir), c.hold, wait}
			p := sink.NewPipeline("test", nil, sink.NewFSSink("local", memfs.New(), sink.SetsDir),
				[]sink.Target{{Name: "far", Sink: far, Required: true, Timeout: bound}}, sink.PipelineOptions{})
			id := sink.NewSetID(1, sink.KindSnapshot, "0123456789abcdef")
			_, err := p.Write(context.Background(), p.Part(1, id, 0, 1), func(w io.Writer) (int64, error) {
				_, err := w.Write([]byte("x"))
				return 1, err
			}, nil)
			if c.passes != (err == nil) {
				t.Fatalf("Write: %v", err)
			}
			if err != nil && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v is not told as a timeout", err)
			}
		})
	}
}
