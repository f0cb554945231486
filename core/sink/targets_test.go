package sink_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/plugins/plugintest"
)

type putFunc = func(ctx context.Context, p sink.Part, src io.Reader) (sink.Receipt, error)

// A best-effort target fails in every way there is; the part, the local sink
// and the required target do not notice, and Retry makes up for it.
func TestBestEffortFaults(t *testing.T) {
	for name, put := range map[string]putFunc{
		"fails at once": func(context.Context, sink.Part, io.Reader) (sink.Receipt, error) { return nil, boom },
		"fails in the middle": func(_ context.Context, _ sink.Part, src io.Reader) (sink.Receipt, error) {
			_, _ = io.CopyN(io.Discard, src, big/2)
			return nil, boom
		},
		"returns early": func(context.Context, sink.Part, io.Reader) (sink.Receipt, error) { return nil, nil },
		"panics":        func(context.Context, sink.Part, io.Reader) (sink.Receipt, error) { panic("ouch") },
		"reads nothing": func(ctx context.Context, _ sink.Part, _ io.Reader) (sink.Receipt, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		},
		"is slow": func(_ context.Context, _ sink.Part, src io.Reader) (sink.Receipt, error) {
			for {
				time.Sleep(10 * time.Millisecond)
				if _, err := io.CopyN(io.Discard, src, 100); err != nil {
					return nil, err
				}
			}
		},
		"hangs after the end": func(ctx context.Context, _ sink.Part, src io.Reader) (sink.Receipt, error) {
			_, _ = io.Copy(io.Discard, src)
			<-ctx.Done()
			return nil, context.Cause(ctx)
		},
		"ignores its cancellation": func(context.Context, sink.Part, io.Reader) (sink.Receipt, error) {
			time.Sleep(time.Second)
			return nil, nil
		},
	} {
		inBubble(t, name, func(t *testing.T) {
			plugintest.NoLeaks(t)
			local, need := plugintest.NewMemSink("l"), plugintest.NewMemSink("n")
			best := &plugintest.FuncSink{Inner: plugintest.NewMemSink("b"), PutFunc: put}
			p := sink.NewPipeline("test", []sink.Stage{plugintest.XOR("x", 3)}, local, []sink.Target{
				{Name: "best", Sink: best}, {Name: "need", Sink: need, Required: true},
			}, quick())
			plugintest.Within(t, "Write", func() {
				sp, err := p.Write(bg, snap(p), payload(big), nil)
				if err != nil {
					t.Errorf("Write: %v", err)
					return
				}
				if _, has := sp.TargetReceipts["best"]; has {
					t.Error("the failed target has a receipt")
				}
				if err := p.Publish(bg, setWith(p, sp)); err != nil {
					t.Errorf("Publish: %v", err)
				}
				mustRead(t, p, sp, big)
			})
			if s := stats(p, "best"); s.Pending != 1 || (s.Errors == 0 && s.Stuck == 0) {
				t.Errorf("%+v", s)
			}
			if sets, _ := need.List(bg); len(sets) != 1 {
				t.Error("the required target has not got the set")
			}
			for stats(p, "best").Stuck > 0 {
				time.Sleep(time.Millisecond)
			}
			best.PutFunc = nil
			if err := p.Retry(bg); err != nil {
				t.Errorf("Retry: %v", err)
			}
			if s := stats(p, "best"); s.Pending != 0 || s.Retried != 1 {
				t.Errorf("%+v", s)
			}
			sets, _ := best.List(bg)
			if len(sets) != 1 {
				t.Fatalf("%d sets after Retry", len(sets))
			}
			if err := p.ReadFrom(bg, best, sets[0].Parts[0], func(io.Reader) error { return nil }); err != nil {
				t.Errorf("read what Retry put: %v", err)
			}
		})
	}
}

// published writes and publishes one set on p.
func published(t *testing.T, p *sink.Pipeline, gen uint64) sink.Set {
	t.Helper()
	var parts []sink.SetPart
	for i := range 2 {
		sp, err := p.Write(bg, p.Part(1, sink.SetID{Generation: gen, Kind: sink.KindSnapshot}, i, 2), payload(20_000+i), nil)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, sp)
	}
	set := setWith(p, parts...)
	set.CreatedAt = set.CreatedAt.Add(time.Duration(gen) * time.Hour)
	if err := p.Publish(bg, set); err != nil {
		t.Fatal(err)
	}
	return set
}

func TestRequiredPublishFails(t *testing.T) {
	local := plugintest.NewMemSink("l")
	need := &plugintest.FuncSink{Inner: plugintest.NewMemSink("n"), PublishFunc: func(context.Context, sink.Set) error { return boom }}
	p := sink.NewPipeline("test", nil, local, []sink.Target{{Name: "need", Sink: need, Required: true}}, quick())
	sp, err := p.Write(bg, snap(p), payload(10), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Publish(bg, setWith(p, sp)); !errors.Is(err, boom) || !strings.Contains(err.Error(), "sink need") {
		t.Errorf("error %v", err)
	}
	if sets, _ := local.List(bg); len(sets) != 0 {
		t.Error("published locally although a required target failed")
	}
	missing := sp
	missing.TargetReceipts = nil
	if err := p.Publish(bg, setWith(p, missing)); err == nil {
		t.Error("a required target without the part: no error")
	}
	foreign := setWith(p, sp)
	foreign.ID.Generation++
	if err := p.Publish(bg, foreign); err == nil {
		t.Error("a part of another set: no error")
	}
}

func TestRetryAfterFailedPublish(t *testing.T) {
	plugintest.NoLeaks(t)
	var down atomic.Bool
	down.Store(true)
	mem := plugintest.NewMemSink("b")
	best := &plugintest.FuncSink{Inner: mem, PublishFunc: func(ctx context.Context, s sink.Set) error {
		if down.Load() {
			return boom
		}
		return mem.Publish(ctx, s)
	}}
	p := sink.NewPipeline("test", nil, plugintest.NewMemSink("l"), []sink.Target{{Name: "best", Sink: best}}, quick())
	for gen := uint64(1); gen <= 3; gen++ {
		published(t, p, gen)
	}
	if err := p.Retry(bg); !errors.Is(err, boom) {
		t.Errorf("Retry while it is down: %v", err)
	}
	if s := stats(p, "best"); s.Pending != 3 {
		t.Errorf("%+v", s)
	}
	if err := p.Abort(bg, sink.SetID{Generation: 2, Kind: sink.KindSnapshot}); err != nil {
		t.Error(err)
	}
	down.Store(false)
	if err := p.Retry(bg); err != nil {
		t.Errorf("Retry: %v", err)
	}
	sets, _ := mem.List(bg)
	if len(sets) != 2 || sets[0].ID.Generation != 1 || sets[1].ID.Generation != 3 {
		t.Errorf("%v: want 1 and 3, and not the aborted 2", sets)
	}
}

// Abort comes while Retry is at that very set: it must not survive there.
func TestAbortDuringRetry(t *testing.T) {
	plugintest.NoLeaks(t)
	mem := plugintest.NewMemSink("b")
	best := &plugintest.FuncSink{Inner: mem}
	p := sink.NewPipeline("test", nil, plugintest.NewMemSink("l"), []sink.Target{{Name: "best", Sink: best}}, quick())
	best.PutFunc = func(context.Context, sink.Part, io.Reader) (sink.Receipt, error) { return nil, boom }
	published(t, p, 1)
	best.PutFunc = nil
	best.PublishFunc = func(ctx context.Context, s sink.Set) error {
		// The local part is gone after Abort, so the parts are put already.
		if err := p.Abort(bg, s.ID); err != nil {
			t.Error(err)
		}
		for i := range s.Parts { // as if Abort's Remove had come before the puts
			r, err := mem.Put(ctx, s.Parts[i].Part, strings.NewReader(strings.Repeat("x", int(s.Parts[i].Bytes))))
			if err != nil {
				return err
			}
			s.Parts[i].SinkReceipt = r
		}
		return mem.Publish(ctx, s)
	}
	if err := p.Retry(bg); err != nil {
		t.Error(err)
	}
	if sets, _ := mem.List(bg); len(sets) != 0 || mem.Staged() != 0 {
		t.Errorf("an aborted set is on the target: %v, %d parts", sets, mem.Staged())
	}
	if s := stats(p, "best"); s.Pending != 0 {
		t.Errorf("%+v", s)
	}
}

func TestRetryWhenTheSourceIsGoneOrDamaged(t *testing.T) {
	plugintest.NoLeaks(t)
	local := plugintest.NewMemSink("l")
	best := &plugintest.FuncSink{Inner: plugintest.NewMemSink("b")}
	best.PutFunc = func(context.Context, sink.Part, io.Reader) (sink.Receipt, error) { return nil, boom }
	p := sink.NewPipeline("test", nil, local, []sink.Target{{Name: "best", Sink: best}}, quick())
	one, two := published(t, p, 1), published(t, p, 2)
	best.PutFunc = nil
	if err := local.Remove(bg, one.ID); err != nil {
		t.Fatal(err)
	}
	local.Corrupt(two.Parts[1].Part, 100)
	if err := p.Retry(bg); !errors.Is(err, sink.ErrCorrupt) {
		t.Errorf("Retry from a damaged part: %v", err)
	}
	if s := stats(p, "best"); s.Pending != 1 {
		t.Errorf("%+v: want the retired set given up and the damaged one kept", s)
	}
	if sets, _ := best.List(bg); len(sets) != 0 {
		t.Errorf("published from damaged parts: %v", sets)
	}
}

func TestCatchUpAfterARestart(t *testing.T) {
	local, best := plugintest.NewMemSink("l"), plugintest.NewMemSink("b")
	set := published(t, sink.NewPipeline("test", nil, local, nil, quick()), 1)
	p := sink.NewPipeline("test", nil, local, []sink.Target{{Name: "best", Sink: best}}, quick())
	for range 2 {
		if err := p.CatchUp(bg, set); err != nil {
			t.Error(err)
		}
	}
	if s := stats(p, "best"); s.Pending != 1 {
		t.Errorf("%+v", s)
	}
	if err := p.Retry(bg); err != nil {
		t.Error(err)
	}
	if err := p.CatchUp(bg, set); err != nil || stats(p, "best").Pending != 0 {
		t.Errorf("the target has it: %v, %+v", err, stats(p, "best"))
	}
	if sets, _ := best.List(bg); len(sets) != 1 {
		t.Errorf("%d sets", len(sets))
	}
}

// Close must end a Retry that hangs in a sink without a timeout.
func TestCloseEndsRetry(t *testing.T) {
	plugintest.NoLeaks(t)
	best := &plugintest.FuncSink{Inner: plugintest.NewMemSink("b")}
	best.PutFunc = func(context.Context, sink.Part, io.Reader) (sink.Receipt, error) { return nil, boom }
	p := sink.NewPipeline("test", nil, plugintest.NewMemSink("l"), []sink.Target{{Name: "best", Sink: best}}, quick())
	published(t, p, 1)
	entered := make(chan struct{})
	best.PutFunc = func(ctx context.Context, _ sink.Part, _ io.Reader) (sink.Receipt, error) {
		close(entered)
		<-ctx.Done()
		return nil, ctx.Err()
	}
	go func() { <-entered; p.Close() }()
	plugintest.Within(t, "Retry", func() {
		if err := p.Retry(bg); err == nil {
			t.Error("no error")
		}
	})
	if err := p.Retry(bg); err == nil {
		t.Error("Retry after Close: no error")
	}
}

func TestPrune(t *testing.T) {
	local, a, b := plugintest.NewMemSink("l"), plugintest.NewMemSink("a"), plugintest.NewMemSink("b")
	p := sink.NewPipeline("test", nil, local, []sink.Target{{Name: "a", Sink: a, Keep: sink.Retention{Last: 2}}, {Name: "b", Sink: b, Required: true}}, quick())
	// Another life of the data directory, with the same numbers and others.
	for _, gen := range []uint64{1, 2, 3, 900} {
		publish(t, p, lifeA, gen, sink.KindSnapshot)
	}
	for gen := uint64(1); gen <= 4; gen++ {
		publish(t, p, lifeB, gen, sink.KindSnapshot)
	}
	publish(t, p, lifeB, 1, sink.KindSegment)
	publish(t, p, "", 5, sink.KindSnapshot) // of a version that did not say
	for _, c := range []struct {
		committed uint64
		left      string
	}{
		{3, "segment 1 of b, snapshot 1 of a, snapshot 2 of a, snapshot 2 of b, snapshot 3 of a, snapshot 3 of b, snapshot 4 of b, snapshot 5 of , snapshot 900 of a"}, // the job of 4 may fail yet
		{4, "segment 1 of b, snapshot 1 of a, snapshot 2 of a, snapshot 3 of a, snapshot 3 of b, snapshot 4 of b, snapshot 5 of , snapshot 900 of a"},
	} {
		if err := p.Prune(bg, lifeB, 1, c.committed); err != nil {
			t.Error(err)
		}
		var got []string
		sets, _ := a.List(bg)
		for _, s := range sets {
			got = append(got, fmt.Sprintf("%s %d of %.1s", s.ID.Kind, s.ID.Generation, s.Lineage()))
		}
		slices.Sort(got)
		if s := strings.Join(got, ", "); s != c.left {
			t.Errorf("%d is committed, and left is: %s", c.committed, s)
		}
	}
	for _, s := range []*plugintest.MemSink{local, b} {
		if sets, _ := s.List(bg); len(sets) != 10 {
			t.Errorf("%s was pruned to %d sets", s.Info().Name, len(sets))
		}
	}
}

func TestReadThroughOtherStages(t *testing.T) {
	local := plugintest.NewMemSink("l")
	old := sink.NewPipeline("old", []sink.Stage{plugintest.XOR("a", 1), plugintest.XOR("b", 2)}, local, nil, quick())
	sp, err := old.Write(bg, snap(old), payload(50_000), nil)
	if err != nil {
		t.Fatal(err)
	}
	opts := quick()
	now := sink.NewPipeline("now", []sink.Stage{plugintest.XOR("b", 99)}, local, nil, opts)
	if err := now.Read(bg, sp, func(io.Reader) error { return nil }); !errors.Is(err, sink.ErrUnknownStage) || !strings.Contains(err.Error(), `"a"`) {
		t.Errorf("without the stage: %v", err)
	}
	made := 0
	opts.Registry = sink.NewRegistry()
	opts.Registry.Register("a", func() (sink.Stage, error) { made++; return plugintest.XOR("a", 42), nil })
	now = sink.NewPipeline("now", []sink.Stage{plugintest.XOR("b", 99)}, local, nil, opts)
	for range 2 {
		mustRead(t, now, sp, 50_000)
	}
	if made != 1 {
		t.Errorf("the factory was called %d times", made)
	}
	opts.Registry.Register("a", func() (sink.Stage, error) { return nil, boom })
	if err := now.Read(bg, sp, func(io.Reader) error { return nil }); !errors.Is(err, boom) {
		t.Errorf("a factory that fails: %v", err)
	}
}

func TestReadFaults(t *testing.T) {
	ok := func(io.Reader) error { return nil }
	all := func(r io.Reader) error { _, err := io.Copy(io.Discard, r); return err }
	for _, f := range []struct {
		name  string
		plant func(sp *sink.SetPart, local *plugintest.MemSink, stage *plugintest.FuncStage)
		fn    func(io.Reader) error
		is    error
		say   string
	}{
		{"a bit is flipped, reader stops early", func(sp *sink.SetPart, l *plugintest.MemSink, _ *plugintest.FuncStage) { l.Corrupt(sp.Part, big-1) }, ok, sink.ErrCorrupt, "SHA-256"},
		{"a bit is flipped, reader trips over it", func(sp *sink.SetPart, l *plugintest.MemSink, _ *plugintest.FuncStage) { l.Corrupt(sp.Part, 5) }, func(io.Reader) error { return boom }, sink.ErrCorrupt, "boom"},
		{"shorter than recorded", func(sp *sink.SetPart, _ *plugintest.MemSink, _ *plugintest.FuncStage) { sp.Bytes++ }, ok, sink.ErrCorrupt, "bytes are recorded"},
		{"longer than recorded", func(sp *sink.SetPart, _ *plugintest.MemSink, _ *plugintest.FuncStage) { sp.Bytes-- }, ok, sink.ErrCorrupt, "there are more"},
		{"decodes to less", func(sp *sink.SetPart, _ *plugintest.MemSink, _ *plugintest.FuncStage) { sp.RawBytes++ }, all, sink.ErrCorrupt, "decodes to"},
		{"decodes to more", func(sp *sink.SetPart, _ *plugintest.MemSink, _ *plugintest.FuncStage) { sp.RawBytes-- }, all, sink.ErrCorrupt, "decodes to more"},
		{"no digest", func(sp *sink.SetPart, _ *plugintest.MemSink, _ *plugintest.FuncStage) { sp.SHA256 = "" }, ok, sink.ErrCorrupt, ""},
		{"no raw digest", func(sp *sink.SetPart, _ *plugintest.MemSink, _ *plugintest.FuncStage) { sp.RawSHA256 = "" }, ok, sink.ErrCorrupt, ""},
		{"a negative size", func(sp *sink.SetPart, _ *plugintest.MemSink, _ *plugintest.FuncStage) { sp.Bytes = -5 }, ok, sink.ErrCorrupt, ""},
		{"receipts are missing", func(sp *sink.SetPart, _ *plugintest.MemSink, _ *plugintest.FuncStage) { sp.StageReceipts = nil }, ok, sink.ErrCorrupt, "receipts"},
		{"the part is gone", func(sp *sink.SetPart, l *plugintest.MemSink, _ *plugintest.FuncStage) {
			_ = l.Remove(bg, sp.Part.ID())
		}, ok, os.ErrNotExist, "sink local"},
		{"the reader fails", nil, func(io.Reader) error { return boom }, boom, ""},
		{"the reader panics", nil, func(io.Reader) error { panic("ouch") }, nil, "panic: ouch"},
		{"a stage fails", func(_ *sink.SetPart, _ *plugintest.MemSink, s *plugintest.FuncStage) {
			s.DecodeFunc = func(context.Context, sink.Part, sink.Receipt, io.Writer, io.Reader) error { return boom }
		}, ok, boom, "stage x"},
		{"a stage returns early", func(_ *sink.SetPart, _ *plugintest.MemSink, s *plugintest.FuncStage) {
			s.DecodeFunc = func(context.Context, sink.Part, sink.Receipt, io.Writer, io.Reader) error { return nil }
		}, ok, sink.ErrEarly, "stage x"},
		{"a stage panics", func(_ *sink.SetPart, _ *plugintest.MemSink, s *plugintest.FuncStage) {
			s.DecodeFunc = func(context.Context, sink.Part, sink.Receipt, io.Writer, io.Reader) error { panic("ouch") }
		}, all, nil, "stage x: panic: ouch"},
		{"a stage never ends", func(_ *sink.SetPart, _ *plugintest.MemSink, s *plugintest.FuncStage) {
			s.DecodeFunc = func(_ context.Context, _ sink.Part, _ sink.Receipt, dst io.Writer, _ io.Reader) error {
				for { // a bomb: it is cut off at the recorded size
					if _, err := dst.Write(make([]byte, 1000)); err != nil {
						return err
					}
				}
			}
		}, all, sink.ErrCorrupt, "decodes to more"},
	} {
		t.Run(f.name, func(t *testing.T) {
			plugintest.NoLeaks(t)
			local, stage := plugintest.NewMemSink("l"), plugintest.XOR("x", 7)
			p := sink.NewPipeline("test", []sink.Stage{stage, plugintest.XOR("y", 8)}, local, nil, quick())
			sp, err := p.Write(bg, snap(p), payload(big), nil)
			if err != nil {
				t.Fatal(err)
			}
			if f.plant != nil {
				f.plant(&sp, local, stage)
			}
			plugintest.Within(t, "Read", func() {
				err := p.Read(bg, sp, f.fn)
				if err == nil || !strings.Contains(err.Error(), f.say) || (f.is != nil && !errors.Is(err, f.is)) {
					t.Errorf("error %v; want %v that says %q", err, f.is, f.say)
				}
			})
			ctx, cancel := context.WithCancelCause(bg)
			cancel(boom)
			if err := p.Read(ctx, sp, ok); err == nil {
				t.Error("with a cancelled context: no error")
			}
		})
	}
}
