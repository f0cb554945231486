package core_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/coretest"
	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

// eventsOf is a channel of what an engine tells its owner, in words.
func eventsOf(o *core.Options) chan string {
	ch := make(chan string, 100)
	checkpoint := func(what string) func(core.CheckpointEvent) {
		return func(e core.CheckpointEvent) {
			ch <- fmt.Sprintf("%s %s %d keys=%d err=%t", what, e.Kind, e.Generation, e.Keys, e.Err != nil)
		}
	}
	o.Events = core.Events{
		CheckpointBegun: checkpoint("begun"), CheckpointCommitted: checkpoint("committed"), CheckpointFailed: checkpoint("failed"),
		SegmentSealed: func(e core.SegmentEvent) { ch <- fmt.Sprint("segment ", e.Active) },
		SinkBehind:    func(e core.SinkEvent) { ch <- fmt.Sprintf("behind %s", e.Sink) },
		SinkCaughtUp:  func(e core.SinkEvent) { ch <- fmt.Sprintf("caught up %s", e.Sink) },
		LogFailed:     func(e core.LogEvent) { ch <- fmt.Sprintf("log failed err=%t", e.Err != nil) },
		LogHealed:     func(e core.LogEvent) { ch <- fmt.Sprintf("log healed refused=%t", e.Refused > 0) },
	}
	return ch
}

// expect reads events until all of those wanted have come, in their order; others
// may come between them.
func expect(t *testing.T, ch chan string, want ...string) {
	t.Helper()
	var seen []string
	for len(want) > 0 {
		select {
		case e := <-ch:
			seen = append(seen, e)
			if e == want[0] {
				want = want[1:]
			}
		case <-time.After(time.Minute):
			t.Fatalf("no %q among %q", want[0], seen)
		}
	}
}

// TestEvents: an owner is told what happens to checkpoints, to the log and to a
// sink, in its order.
func TestEvents(t *testing.T) {
	var ch chan string
	var down atomic.Bool
	store := sink.NewFSSink("elsewhere", memfs.New(), sink.SetsDir)
	h := coretest.New(t, func(o *core.Options) {
		ch = eventsOf(o)
		o.Targets = []sink.Target{{Name: "elsewhere", Sink: flaky{store, &down}}}
	})
	h.Do("SET", "a", "1")
	h.Do("SAVE")
	expect(t, ch, "begun snapshot 1 keys=0 err=false", "committed snapshot 1 keys=1 err=false")
	h.Do("SET", "b", "1")
	if err := h.DB.RewriteAOF(context.Background()); err != nil {
		t.Fatal(err)
	}
	expect(t, ch, "begun rewrite 2 keys=0 err=false", "committed rewrite 2 keys=2 err=false")

	down.Store(true)
	h.Do("SAVE")
	expect(t, ch, "committed snapshot 3 keys=2 err=false", "behind elsewhere")
	down.Store(false)
	h.Clock.Advance(time.Hour)
	h.DB.Tick()
	expect(t, ch, "caught up elsewhere")

	h.FS.FailSync(func(name string) error {
		if strings.HasPrefix(name, "log/") {
			return syscall.EIO
		}
		return nil
	})
	if got := h.Do("SET", "lost", "1"); !strings.Contains(got, "NOTDURABLE") {
		t.Fatal(got)
	}
	expect(t, ch, "log failed err=true")
	h.Do("SAVE")
	expect(t, ch, "failed snapshot 4 keys=0 err=true")
	h.FS.FailSync(nil)
	h.Clock.Advance(time.Minute)
	h.Do("SAVE")
	expect(t, ch, "log healed refused=true", "committed snapshot 5 keys=3 err=false")
}

// TestEventsAreNotHeldUp: an owner that is slow to hear holds nothing up, may use
// the engine, and hears everything before Close returns.
func TestEventsAreNotHeldUp(t *testing.T) {
	release, heard := make(chan struct{}), 0
	var h *coretest.Harness
	h = coretest.New(t, func(o *core.Options) {
		o.Events.CheckpointCommitted = func(core.CheckpointEvent) {
			<-release
			heard++
			if v, err := h.DB.Session().Do("INCR", "heard"); err != nil || v.Err() != nil {
				t.Error(v, err)
			}
		}
	})
	for range 3 {
		h.Do("SAVE")
	}
	close(release)
	if err := h.DB.Close(); err != nil || heard != 3 {
		t.Errorf("%v, heard %d", err, heard)
	}
}

// TestPatience: how long a checkpoint waits for a best-effort sink that hangs is up
// to the engine's clock.
func TestPatience(t *testing.T) {
	var ch chan string
	waits := make(chan time.Duration, 100)
	h := coretest.New(t, func(o *core.Options) {
		ch = eventsOf(o)
		o.Shards, o.Clock = 1, watched{o.Clock, waits} // one part: one wait
		o.Targets = []sink.Target{{Name: "hanging", Sink: hanging{sink.NewFSSink("hanging", memfs.New(), sink.SetsDir)}}}
	})
	h.Do("SET", "a", "1")
	done := make(chan error, 1)
	go func() { done <- h.DB.Save(t.Context()) }()
	const patience = 10 * time.Second
	for d := range waits {
		if d == patience { // before that everything but the hanging sink is done
			break
		}
	}
	h.Clock.Advance(patience)
	if err := <-done; err != nil {
		t.Error(err)
	}
	expect(t, ch, "committed snapshot 1 keys=1 err=false", "behind hanging")
}

// watched is a clock that tells what is waited for on it.
type watched struct {
	core.Clock
	waits chan time.Duration
}

func (w watched) NewTicker(d time.Duration) (<-chan time.Time, func()) {
	c, stop := w.Clock.NewTicker(d)
	select {
	case w.waits <- d:
	default:
	}
	return c, stop
}

// hanging is a sink whose Put ends when it is told to.
type hanging struct{ sink.Sink }

func (hanging) Put(ctx context.Context, _ sink.Part, _ io.Reader) (sink.Receipt, error) {
	<-ctx.Done()
	return nil, context.Cause(ctx)
}

// flaky is a sink that is down at times.
type flaky struct {
	sink.Sink
	down *atomic.Bool
}

func (f flaky) Put(ctx context.Context, p sink.Part, src io.Reader) (sink.Receipt, error) {
	if f.down.Load() {
		return nil, errors.New("it is down")
	}
	return f.Sink.Put(ctx, p, src)
}

// TestSaveIsGivenUp: a checkpoint ends with the context of who asked for it.
func TestSaveIsGivenUp(t *testing.T) {
	g := newGate()
	var ch chan string
	h := coretest.New(t, func(o *core.Options) {
		ch = eventsOf(o)
		o.Stages = []sink.Stage{g.stage()}
	})
	h.Do("SET", "a", "1")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.DB.Save(ctx) }()
	expect(t, ch, "begun snapshot 1 keys=0 err=false")
	cancel()
	if err := <-done; err == nil {
		t.Error("it was committed")
	}
	g.open()
	if err := h.DB.Save(t.Context()); err != nil {
		t.Error(err)
	}
	h.Crash(memfs.LoseAll)
	if got := h.Do("GET", "a"); got != `"1"` {
		t.Error(got)
	}
}
