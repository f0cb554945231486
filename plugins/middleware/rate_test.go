package middleware_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/internal/testutil"
	"github.com/spillwaydb/spillway/plugins/middleware"
	"github.com/spillwaydb/spillway/plugins/plugintest"
)

// slowly is a rate of so many bytes a second, by a clock that is moved by hand.
func slowly(perSecond int64) (*middleware.Rate, *testutil.Clock) {
	clock := testutil.NewClock(time.Unix(1_000_000, 0))
	r := middleware.NewRate(clock)
	r.Set(perSecond)
	return r, clock
}

// drain moves the clock, a sixteenth of a second at a time, until what runs has ended. It
// returns how far the clock was moved.
func drain(clock *testutil.Clock, over func() bool) (d time.Duration) {
	for ; !over(); d += time.Second / 16 {
		clock.Advance(time.Second / 16)
		runtime.Gosched()
		time.Sleep(100 * time.Microsecond)
	}
	return d
}

// TestRateGrants: what passes is what the rate grants, for whoever reads as for several
// at once, and not less.
func TestRateGrants(t *testing.T) {
	t.Parallel()
	const perSecond, size = 16 << 10, 64 << 10
	r, clock := slowly(perSecond)
	var done atomic.Int32
	for range 3 {
		src := r.Reader(t.Context(), bytes.NewReader(make([]byte, size)))
		go func() {
			if n, err := io.Copy(io.Discard, src); n != size || err != nil {
				t.Errorf("%d bytes, %v", n, err)
			}
			done.Add(1)
		}()
	}
	began := clock.Now()
	for done.Load() < 3 {
		// What is granted at any moment is at most the rate, and what the bucket held.
		bytes, _ := r.Counts()
		if most := perSecond*clock.Now().Sub(began).Seconds() + perSecond/8; float64(bytes) > most+1 {
			t.Fatalf("%d bytes have passed within %s", bytes, clock.Now().Sub(began))
		}
		drain(clock, func() bool { now, _ := r.Counts(); return now > bytes || done.Load() == 3 })
	}
	if bytes, waited := r.Counts(); bytes != 3*size || waited <= 0 {
		t.Errorf("%d bytes have passed, %s were waited", bytes, waited)
	}
}

// TestNoRate: without a bound nothing is counted and the clock need not move.
func TestNoRate(t *testing.T) {
	t.Parallel()
	r, _ := slowly(0)
	if n, err := io.Copy(io.Discard, r.Reader(t.Context(), strings.NewReader("abc"))); n != 3 || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	if bytes, waited := r.Counts(); bytes != 0 || waited != 0 {
		t.Errorf("%d bytes, %s", bytes, waited)
	}
}

// TestRateSetMeanwhile: a bound that is raised, or taken away, is so for whoever waits.
func TestRateSetMeanwhile(t *testing.T) {
	t.Parallel()
	for _, to := range []int64{0, 1 << 30} {
		r, clock := slowly(1)
		read := make(chan error, 1)
		go func() {
			_, err := io.Copy(io.Discard, r.Reader(t.Context(), bytes.NewReader(make([]byte, 1000))))
			read <- err
		}()
		clock.AwaitTicker(1) // it waits, for 999 seconds
		r.Set(to)
		var err error
		took := drain(clock, func() bool {
			select {
			case err = <-read:
				return true
			default:
				return false
			}
		})
		if err != nil || took > 500*time.Second {
			t.Errorf("it took %s by the clock, as if nothing had changed; %v", took, err)
		}
		if got := r.PerSecond(); got != to {
			t.Errorf("PerSecond is %d, want %d", got, to)
		}
	}
}

// TestSegmentsAreNotStarved: while many parts of a checkpoint are on their way at a slow
// rate, a log segment has half of it; and the checkpoint has the other half.
func TestSegmentsAreNotStarved(t *testing.T) {
	t.Parallel()
	const perSecond, size = 16 << 10, 32 << 10
	r, clock := slowly(perSecond)
	var moved [2]atomic.Int64 // of the checkpoint, of the segment
	to := middleware.Sink(countingSink{plugintest.NewMemSink("m"), &moved}, middleware.Limit(r))
	ctx, cancel := context.WithCancel(t.Context())
	parts := make(chan error)
	const shards = 16
	for i := range shards {
		p := part()
		p.Shards, p.Shard, p.Name = shards, i, strings.Repeat("x", i+1)
		go func() {
			_, err := to.Put(ctx, p, zeros{})
			parts <- err
		}()
	}
	clock.AwaitTicker(1) // the bucket is empty
	before := moved[0].Load()
	segment := make(chan error, 1)
	go func() {
		p := sink.Part{Kind: sink.KindSegment, Generation: 7, Shards: 1, Name: "shard-0000.aof"}
		_, err := to.Put(t.Context(), p, bytes.NewReader(make([]byte, size)))
		segment <- err
	}()
	var err error
	drain(clock, func() bool {
		select {
		case err = <-segment:
			return true
		default:
			return false
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if other := moved[0].Load() - before; other < size/4 || other > 4*size {
		t.Errorf("while a segment's %d bytes passed, %d of the checkpoint did", size, other)
	}
	cancel() // and the bucket is not waited for: the clock stands still
	for range shards {
		if err := <-parts; !errors.Is(err, context.Canceled) {
			t.Errorf("a part that was cancelled: %v", err)
		}
	}
}

// zeros has no end.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// countingSink counts what its parts have read.
type countingSink struct {
	sink.Sink
	moved *[2]atomic.Int64
}

func (s countingSink) Put(_ context.Context, p sink.Part, src io.Reader) (sink.Receipt, error) {
	n := &s.moved[0]
	if p.Kind == sink.KindSegment {
		n = &s.moved[1]
	}
	b := make([]byte, 1<<10)
	for {
		got, err := src.Read(b)
		n.Add(int64(got))
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// TestLimitOfAnOpenedPart: what is read from a sink waits for the rate as well, and is
// given up when the part is closed or the call is cancelled, not when the bucket is full.
func TestLimitOfAnOpenedPart(t *testing.T) {
	t.Parallel()
	store := plugintest.NewMemSink("m")
	p := part()
	receipt, err := store.Put(t.Context(), p, bytes.NewReader(make([]byte, 4096)))
	if err != nil {
		t.Fatal(err)
	}
	for name, end := range map[string]func(cancel func(), c io.Closer){
		"cancelled": func(cancel func(), _ io.Closer) { cancel() },
		"closed":    func(_ func(), c io.Closer) { _ = c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			r, clock := slowly(64)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			src, err := middleware.Sink(store, middleware.Limit(r)).Open(ctx, p, receipt)
			if err != nil {
				t.Fatal(err)
			}
			read := make(chan error, 1)
			go func() {
				_, err := io.Copy(io.Discard, src)
				read <- err
			}()
			clock.AwaitTicker(1)
			end(cancel, src)
			if err := <-read; !errors.Is(err, context.Canceled) {
				t.Errorf("the read ended with %v", err)
			}
		})
	}
}

// TestLimitIsNoStall: a part that waits for its rate is neither stalled, as a Deadline
// sees it, nor made again.
func TestLimitIsNoStall(t *testing.T) {
	t.Parallel()
	r := middleware.NewRate(core.SystemClock{})
	r.Set(64)
	const deadline = 20 * time.Millisecond // a byte takes 15
	to := middleware.Sink(plugintest.NewMemSink("m"), middleware.Limit(r), middleware.Retry(middleware.Policy{Attempts: 3}), middleware.Deadline(deadline))
	if _, err := to.Put(t.Context(), part(), iotest.HalfReader(bytes.NewReader(make([]byte, 20)))); err != nil {
		t.Error(err)
	}
	if bytes, waited := r.Counts(); bytes != 20 || waited <= 0 {
		t.Errorf("%d bytes have passed, %s were waited: the rate was never reached", bytes, waited)
	}
}
