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

// TestSteps: an owner is told of every step of a checkpoint, before it is told of its end,
// with what each member has done; a step that failed says so.
func TestSteps(t *testing.T) {
	ch := make(chan string, 100)
	var down atomic.Bool
	store := sink.NewFSSink("elsewhere", memfs.New(), sink.SetsDir)
	h := coretest.New(t, func(o *core.Options) {
		o.Targets = []sink.Target{{Name: "elsewhere", Sink: flaky{store, &down}, Required: true}}
		end := func(e core.CheckpointEvent) {
			ch <- fmt.Sprintf("%d ended began=%t", e.Generation, !e.Began.IsZero())
		}
		o.Events.CheckpointCommitted, o.Events.CheckpointFailed = end, end
		o.Events.CheckpointStep = func(s core.StepEvent) {
			text := fmt.Sprintf("%d %s", s.Generation, s.Step)
			switch s.Step {
			case core.StepShard:
				text = fmt.Sprintf("%d shard %d keys=%d bytes=%t", s.Generation, s.Shard, s.Keys, s.Bytes > 0)
			case core.StepMember:
				m := s.Member
				text = fmt.Sprintf("%d %s %s %d in=%t out=%t", s.Generation, m.Op, m.Member, s.Shard, m.BytesIn > 0, m.BytesOut > 0)
			}
			if s.Err != nil {
				text += " failed"
			}
			if s.Began.IsZero() || s.Took < 0 {
				t.Errorf("%s: %s for %s", text, s.Began, s.Took)
			}
			ch <- text
		}
	}, func(o *core.Options) { o.Shards = 1 })
	h.Do("SET", "a", "1")
	h.Do("SAVE")
	expect(t, ch, "1 rotate", "1 freeze", "1 cut", "1 encode encoder 0 in=false out=true", "1 verify local 0 in=true out=false", "1 shard 0 keys=1 bytes=true", "1 encode",
		"1 publish elsewhere 0 in=false out=false", "1 publish local 0 in=false out=false", "1 publish", "1 commit", "1 ended began=true")
	down.Store(true)
	h.Do("SAVE")
	expect(t, ch, "2 put elsewhere 0 in=false out=false failed", "2 shard 0 keys=0 bytes=false failed", "2 encode failed", "2 ended began=true")
	down.Store(false)
	h.Do("SAVE")
	expect(t, ch, "3 commit", "3 ended began=true", "3 prune")
}

// TestSaveNext: it waits for the checkpoint in flight where Save is refused, as it is once
// the engine is to end: neither has begun.
func TestSaveNext(t *testing.T) {
	hold, held := make(chan struct{}), make(chan struct{}, 10)
	store := sink.NewFSSink("elsewhere", memfs.New(), sink.SetsDir)
	h := coretest.New(t, func(o *core.Options) {
		o.Targets = []sink.Target{{Name: "elsewhere", Sink: holding{store, hold, held}, Required: true}}
	})
	if got := h.Do("BGSAVE"); !strings.Contains(got, "started") {
		t.Fatal(got)
	}
	<-held
	if err := h.DB.Save(t.Context()); !errors.Is(err, core.ErrNotBegun) || !strings.HasPrefix(err.Error(), "ERR Background save already") {
		t.Errorf("Save beside another: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.DB.SaveNext(ctx); !errors.Is(err, core.ErrNotBegun) || !errors.Is(err, context.Canceled) {
		t.Errorf("SaveNext that is not wanted any more: %v", err)
	}
	next := make(chan error)
	go func() { next <- h.DB.SaveNext(t.Context()) }()
	close(hold)
	if err := <-next; err != nil {
		t.Error(err)
	}
	if _, n := h.DB.Checkpoints(); n != 2 {
		t.Errorf("%d checkpoints", n)
	}
	if err := h.DB.Close(); err != nil {
		t.Fatal(err)
	}
	if err := h.DB.SaveNext(t.Context()); !errors.Is(err, core.ErrNotBegun) {
		t.Errorf("SaveNext of an engine that has ended: %v", err)
	}
}

// holding is a sink whose Put tells held that it has begun, and waits.
type holding struct {
	sink.Sink
	hold <-chan struct{}
	held chan<- struct{}
}

func (s holding) Put(ctx context.Context, p sink.Part, src io.Reader) (sink.Receipt, error) {
	s.held <- struct{}{}
	<-s.hold
	return s.Sink.Put(ctx, p, src)
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
