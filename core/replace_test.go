package core_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/coretest"
	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

// pipelines are those of options under other names, so that they are others.
func (o *offsite) pipelines(name string) core.Pipelines {
	return core.Pipelines{
		Stages: []sink.Stage{o.held()}, Keep: 1,
		Targets: []sink.Target{{Name: name, Sink: o.sink(name), Required: true}},
		Archive: core.Archive{Targets: []sink.Target{{Name: name, Sink: o.sink(name)}}, MaxWaiting: 1 << 20, ShutdownWait: time.Second},
	}
}

// replaced puts pipelines in force; the channel is closed when the earlier ones are not
// used any more.
func replaced(t *testing.T, h *coretest.Harness, p core.Pipelines) <-chan struct{} {
	t.Helper()
	r, err := h.DB.PreparePipelines(context.Background(), p)
	if err != nil {
		t.Fatal(err)
	}
	released := make(chan struct{})
	r.Apply(func() { close(released) })
	return released
}

// TestReplacedPipelines: whatever is under way when the pipelines are replaced, all of
// the log is archived, and what is restored is what there is.
func TestReplacedPipelines(t *testing.T) {
	playArchiveJobs(t, []archiveJob{
		{"the archive is another one", func(t *testing.T, h *coretest.Harness, o *offsite) {
			o.down.Store(true)
			fill(h, "a")
			h.DB.Tick()
			h.Clock.Advance(40 * time.Second)
			until(t, h, "a failure", func(s core.ArchiveStats) bool { return s.Waiting == 1 && s.Err != nil })
			if err := h.DB.Save(context.Background()); err != nil { // from here on the segment is owed
				t.Fatal(err)
			}
			released := replaced(t, h, o.pipelines("elsewhere"))
			if s := h.DB.Archive(); s.Waiting < 1 {
				t.Errorf("what the old archive lacked the new one does not: %+v", s)
			}
			o.down.Store(false)
			until(t, h, "an empty queue", func(s core.ArchiveStats) bool { h.Clock.Advance(time.Second); return s.Waiting == 0 })
			<-released
		}},
		{"the pipelines are others while BGSAVE is in flight", func(t *testing.T, h *coretest.Harness, o *offsite) {
			fill(h, "a")
			h.DB.Tick()
			o.hold.Store(true)
			h.Do("BGSAVE")
			until(t, h, "what the cut has sealed", func(s core.ArchiveStats) bool { return s.LastSegment > 0 })
			released := replaced(t, h, o.pipelines("elsewhere"))
			again := replaced(t, h, o.pipelines("still elsewhere"))
			fill(h, "b")
			h.DB.Tick()
			h.Clock.Advance(time.Minute)
			until(t, h, "a seal", func(s core.ArchiveStats) bool { return s.Waiting == 0 && s.Lag == 0 })
			select {
			case <-released:
				t.Error("what the checkpoint in flight uses was let go of")
			default:
			}
			if field(t, h, "rdb_bgsave_in_progress") != "1" {
				t.Error("the save has ended: the test shows nothing")
			}
			o.hold.Store(false)
			<-released
			<-again
			h.Settle()
		}},
		{"there is no archive for a while", func(t *testing.T, h *coretest.Harness, o *offsite) {
			none := o.pipelines("none")
			none.Archive = core.Archive{}
			<-replaced(t, h, none)
			fill(h, "a")
			h.Clock.Advance(time.Minute)
			h.DB.Tick()
			h.Settle()
			if err := h.DB.Save(context.Background()); err != nil {
				t.Fatal(err)
			}
			<-replaced(t, h, o.pipelines("elsewhere"))
		}},
	})
}

// TestReplacementRefused: a sink that holds another directory's sets, and a required one
// that gives no answer, are refused before anything changes; a best-effort one that gives
// none is told of. What is discarded was never in force.
func TestReplacementRefused(t *testing.T) {
	other := newOffsite()
	h := coretest.New(t, other.options)
	fill(h, "x")
	if err := h.DB.Save(context.Background()); err != nil {
		t.Fatal(err)
	}
	_ = h.DB.Close()

	o := newOffsite()
	h = coretest.New(t, o.options)
	ctx := context.Background()
	prepare := func(target sink.Target) (*core.Replacement, error) {
		return h.DB.PreparePipelines(ctx, core.Pipelines{Targets: []sink.Target{target}})
	}
	var state *core.SinkStateError
	if _, err := prepare(sink.Target{Name: "foreign", Sink: other.sink("foreign")}); !errors.As(err, &state) || state.State != core.SinkForeign {
		t.Errorf("a sink of others: %v", err)
	}
	silent := mute{sink.NewFSSink("silent", memfs.New(), "checkpoints")}
	if _, err := prepare(sink.Target{Name: "silent", Sink: silent, Required: true}); err == nil || !strings.Contains(err.Error(), errDown.Error()) {
		t.Errorf("a required sink that does not answer: %v", err)
	}
	r, err := prepare(sink.Target{Name: "silent", Sink: silent})
	if err != nil || len(r.Unasked) != 1 || !errors.Is(r.Unasked[0], errDown) {
		t.Fatalf("a best-effort sink that does not answer: %+v, %v", r, err)
	}
	r.Discard()
	fill(h, "y")
	if err := h.DB.Save(ctx); err != nil {
		t.Fatal(err)
	}
	sets, err := o.sink("look").List(ctx)
	if err != nil || !slices.ContainsFunc(sets, func(s sink.Set) bool { return s.ID.Kind == sink.KindSnapshot }) {
		t.Errorf("the sink in force has %d sets, %v", len(sets), err)
	}
}

// mute is a sink that does not say what it holds.
type mute struct{ sink.Sink }

func (mute) List(context.Context) ([]sink.Set, error) { return nil, errDown }
