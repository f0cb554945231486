package sink_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/plugins/plugintest"
)

var (
	bg   = context.Background()
	boom = errors.New("boom")
)

const big = 3 << 20 // more than all buffers of a pipeline hold

// machineClock is the clock of the machine, or of the bubble that a test runs in.
type machineClock struct{}

func (machineClock) Now() time.Time { return time.Now() }

func (machineClock) NewTicker(d time.Duration) (<-chan time.Time, func()) {
	t := time.NewTicker(d)
	return t.C, t.Stop
}

// quick makes the tests' waits short and the buffers small.
func quick() sink.PipelineOptions {
	return sink.PipelineOptions{Clock: machineClock{}, Buffer: 8 << 10, Patience: 150 * time.Millisecond, Grace: 150 * time.Millisecond}
}

// inBubble runs a subtest in a bubble of testing/synctest: time passes when nothing
// else can happen, and costs none.
func inBubble(t *testing.T, name string, f func(t *testing.T)) {
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}

// payload is an encoder of n bytes.
func payload(n int) func(io.Writer) (int64, error) {
	return func(w io.Writer) (int64, error) {
		data := plugintest.Payload(n)
		for len(data) > 0 {
			k := min(len(data), 10_000)
			if _, err := w.Write(data[:k]); err != nil {
				return 0, fmt.Errorf("write: %w", err)
			}
			data = data[k:]
		}
		return int64(n), nil
	}
}

func snap(p *sink.Pipeline) sink.Part {
	return p.Part(1, sink.SetID{Generation: 1, Kind: sink.KindSnapshot}, 0, 1)
}

func setWith(p *sink.Pipeline, parts ...sink.SetPart) sink.Set {
	return sink.Set{ID: parts[0].Part.ID(), CreatedAt: time.Unix(1_700_000_000, 0).UTC(), Stages: p.StageRecords(), Parts: parts}
}

func mustRead(t *testing.T, p *sink.Pipeline, sp sink.SetPart, n int) {
	t.Helper()
	err := p.Read(bg, sp, func(r io.Reader) error {
		b, err := io.ReadAll(r)
		if err == nil && !bytes.Equal(b, plugintest.Payload(n)) {
			err = fmt.Errorf("%d other bytes come back", len(b))
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func stats(p *sink.Pipeline, name string) sink.StageStats {
	for _, s := range p.Stats() {
		if s.Name == name {
			return s
		}
	}
	return sink.StageStats{}
}

func TestWriteReadPublish(t *testing.T) {
	for _, n := range []int{0, 1, 100_000, big} {
		for stages := range 3 {
			t.Run(fmt.Sprint(n, " bytes, ", stages, " stages"), func(t *testing.T) {
				plugintest.NoLeaks(t)
				chain := []sink.Stage{plugintest.XOR("a", 1), plugintest.XOR("b", 2)}[:stages]
				local, need, best := plugintest.NewMemSink("l"), plugintest.NewMemSink("need"), plugintest.NewMemSink("best")
				p := sink.NewPipeline("test", chain, local, []sink.Target{
					{Name: "need", Sink: need, Required: true, Timeout: time.Minute}, {Name: "best", Sink: best},
				}, sink.PipelineOptions{Clock: machineClock{}, VerifyDecode: true})
				var prog sink.Progress
				sp, err := p.Write(bg, snap(p), payload(n), &prog)
				if err != nil {
					t.Fatal(err)
				}
				if sp.RawBytes != int64(n) || sp.Bytes != int64(n) || sp.Keys != int64(n) || len(sp.Stages) != stages ||
					len(sp.StageReceipts) != stages || len(sp.TargetReceipts) != 2 {
					t.Errorf("%+v", sp)
				}
				if prog.RawBytes.Load() != int64(n) || prog.StoredBytes.Load() != int64(n) {
					t.Errorf("progress: %d raw, %d stored", prog.RawBytes.Load(), prog.StoredBytes.Load())
				}
				if sets, _ := local.List(bg); len(sets) != 0 {
					t.Error("visible before Publish")
				}
				if err := p.Publish(bg, setWith(p, sp)); err != nil {
					t.Fatal(err)
				}
				mustRead(t, p, sp, n)
				for _, s := range []sink.Sink{need, best} {
					sets, _ := s.List(bg)
					if len(sets) != 1 {
						t.Fatalf("%s lists %d sets", s.Info().Name, len(sets))
					}
					var got []byte
					err := p.ReadFrom(bg, s, sets[0].Parts[0], func(r io.Reader) (err error) { got, err = io.ReadAll(r); return })
					if err != nil || len(got) != n {
						t.Errorf("from %s: %d bytes, %v", s.Info().Name, len(got), err)
					}
				}
				for _, s := range p.Stats() {
					if s.Parts != 1 || s.Errors != 0 || s.Stuck != 0 || s.Nanoseconds < 0 || (n > 0 && s.BytesIn+s.BytesOut == 0) {
						t.Errorf("stats: %+v", s)
					}
				}
			})
		}
	}
}

// Each fault must come back as an error that names who failed, with nothing
// left running, whatever it was doing and however much was flowing.
func TestWriteFaults(t *testing.T) {
	type parts struct {
		encode      func(io.Writer) (int64, error)
		stage       *plugintest.FuncStage
		local, need *plugintest.FuncSink
		timeout     time.Duration
	}
	early := func(n int64) func(context.Context, sink.Part, io.Writer, io.Reader) (sink.Receipt, error) {
		return func(_ context.Context, _ sink.Part, dst io.Writer, src io.Reader) (sink.Receipt, error) {
			_, err := io.CopyN(dst, src, n)
			return nil, err
		}
	}
	putAfter := func(n int64, f func() error) func(context.Context, sink.Part, io.Reader) (sink.Receipt, error) {
		return func(_ context.Context, _ sink.Part, src io.Reader) (sink.Receipt, error) {
			_, _ = io.CopyN(io.Discard, src, n)
			return nil, f()
		}
	}
	faults := []struct {
		name  string
		plant func(*parts)
		want  []string // in the error's text
		is    error
	}{
		{"encoder fails", func(p *parts) {
			p.encode = func(w io.Writer) (int64, error) { _, _ = w.Write(make([]byte, 100_000)); return 0, boom }
		}, []string{"encode", "boom"}, boom},
		{"encoder panics", func(p *parts) {
			p.encode = func(w io.Writer) (int64, error) { _, _ = w.Write(make([]byte, 100_000)); panic("ouch") }
		}, []string{"encoder", "panic: ouch"}, nil},
		{"stage fails at once", func(p *parts) {
			p.stage.EncodeFunc = func(context.Context, sink.Part, io.Writer, io.Reader) (sink.Receipt, error) { return nil, boom }
		}, []string{"stage faulty", "boom"}, boom},
		{"stage fails after all", func(p *parts) {
			p.stage.EncodeFunc = func(_ context.Context, _ sink.Part, dst io.Writer, src io.Reader) (sink.Receipt, error) {
				_, _ = io.Copy(dst, src)
				return nil, boom
			}
		}, []string{"stage faulty", "boom"}, boom},
		{"stage returns early", func(p *parts) { p.stage.EncodeFunc = early(1000) }, []string{"stage faulty"}, sink.ErrEarly},
		{"stage reads nothing", func(p *parts) { p.stage.EncodeFunc = early(0) }, []string{"stage faulty"}, sink.ErrEarly},
		{"stage reads all but the end", func(p *parts) { p.stage.EncodeFunc = early(big) }, []string{"stage faulty"}, sink.ErrEarly},
		{"stage panics", func(p *parts) {
			p.stage.EncodeFunc = func(_ context.Context, _ sink.Part, dst io.Writer, src io.Reader) (sink.Receipt, error) {
				_, _ = io.CopyN(dst, src, 50_000)
				panic("ouch")
			}
		}, []string{"stage faulty", "panic: ouch"}, nil},
		{"stage ends its goroutine", func(p *parts) {
			p.stage.EncodeFunc = func(context.Context, sink.Part, io.Writer, io.Reader) (sink.Receipt, error) {
				runtime.Goexit()
				return nil, nil
			}
		}, []string{"stage faulty", "Goexit"}, nil},
		{"stage's receipt is huge", func(p *parts) {
			p.stage.EncodeFunc = func(_ context.Context, _ sink.Part, dst io.Writer, src io.Reader) (sink.Receipt, error) {
				_, err := io.Copy(dst, src)
				return make(sink.Receipt, sink.MaxReceipt+1), err
			}
		}, []string{"stage faulty", "receipt"}, nil},
		{"local sink fails", func(p *parts) { p.local.PutFunc = putAfter(200_000, func() error { return boom }) }, []string{"sink local", "boom"}, boom},
		{"local sink fails at the end", func(p *parts) { p.local.PutFunc = putAfter(1<<40, func() error { return boom }) }, []string{"sink local", "boom"}, boom},
		{"required sink fails", func(p *parts) { p.need.PutFunc = putAfter(200_000, func() error { return boom }) }, []string{"sink need", "boom"}, boom},
		{"required sink fails at once", func(p *parts) { p.need.PutFunc = putAfter(0, func() error { return boom }) }, []string{"sink need", "boom"}, boom},
		{"required sink returns early", func(p *parts) { p.need.PutFunc = putAfter(5, func() error { return nil }) }, []string{"sink need"}, sink.ErrEarly},
		{"required sink panics", func(p *parts) { p.need.PutFunc = putAfter(5, func() error { panic("ouch") }) }, []string{"sink need", "panic: ouch"}, nil},
		{"required sink times out", func(p *parts) {
			p.timeout = 400 * time.Millisecond
			p.need.PutFunc = func(ctx context.Context, _ sink.Part, _ io.Reader) (sink.Receipt, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}
		}, []string{"sink need", "400ms"}, context.DeadlineExceeded},
		{"required sink hangs", func(p *parts) {
			p.timeout = 400 * time.Millisecond
			p.need.PutFunc = func(context.Context, sink.Part, io.Reader) (sink.Receipt, error) {
				time.Sleep(time.Second) // ignores its context
				return nil, nil
			}
		}, []string{"sink need", "400ms"}, context.DeadlineExceeded},
		{"local bytes are damaged", func(p *parts) {
			inner := p.local.Inner
			p.local.PutFunc = func(ctx context.Context, part sink.Part, src io.Reader) (sink.Receipt, error) {
				b, err := io.ReadAll(src)
				if err != nil {
					return nil, err
				}
				b[len(b)/2] ^= 1
				return inner.Put(ctx, part, bytes.NewReader(b))
			}
		}, []string{"verify", "sink local", "CRC-32C"}, sink.ErrCorrupt},
		{"local bytes are cut short", func(p *parts) {
			inner := p.local.Inner
			p.local.PutFunc = func(ctx context.Context, part sink.Part, src io.Reader) (sink.Receipt, error) {
				b, err := io.ReadAll(src)
				if err != nil {
					return nil, err
				}
				return inner.Put(ctx, part, bytes.NewReader(b[:len(b)-1]))
			}
		}, []string{"verify", "sink local"}, sink.ErrCorrupt},
		{"verify cannot open", func(p *parts) {
			p.local.OpenFunc = func(context.Context, sink.Part, sink.Receipt) (io.ReadCloser, error) { return nil, boom }
		}, []string{"verify", "sink local", "boom"}, boom},
	}
	for _, f := range faults {
		inBubble(t, f.name, func(t *testing.T) {
			plugintest.NoLeaks(t)
			x := &parts{
				encode: payload(big),
				stage:  &plugintest.FuncStage{Name: "faulty"},
				local:  &plugintest.FuncSink{Inner: plugintest.NewMemSink("l")},
				need:   &plugintest.FuncSink{Inner: plugintest.NewMemSink("n")},

				timeout: time.Minute,
			}
			f.plant(x)
			best := plugintest.NewMemSink("b")
			opts := quick()
			opts.Patience = time.Minute // the best-effort sink is not what fails here
			p := sink.NewPipeline("test", []sink.Stage{plugintest.XOR("x", 9), x.stage, plugintest.XOR("y", 7)}, x.local, []sink.Target{
				{Name: "best", Sink: best},
				{Name: "need", Sink: x.need, Required: true, Timeout: x.timeout},
				{Name: "also", Sink: plugintest.NewMemSink("a"), Required: true},
			}, opts)
			plugintest.Within(t, "Write", func() {
				_, err := p.Write(bg, snap(p), x.encode, nil)
				if err == nil {
					t.Error("no error")
					return
				}
				for _, w := range f.want {
					if !strings.Contains(err.Error(), w) {
						t.Errorf("error %q does not say %q", err, w)
					}
				}
				if f.is != nil && !errors.Is(err, f.is) {
					t.Errorf("error %q is not %q", err, f.is)
				}
				var e *sink.Error
				if !errors.As(err, &e) {
					t.Errorf("error %q is no *sink.Error", err)
				}
			})
			var errs int64
			for _, s := range p.Stats() {
				errs += s.Errors
			}
			if errs != 1 {
				t.Errorf("%d errors are counted, want the one: %+v", errs, p.Stats())
			}
			if err := p.Abort(bg, snap(p).ID()); err == nil && best.Staged() != 0 {
				t.Error("staged bytes stay after Abort")
			}
			time.Sleep(2 * time.Second) // a bubble must not end before the sink that hangs does
		})
	}
}

// An encoder that does not look at its write errors cannot hide a failure.
func TestEncoderIgnoresErrors(t *testing.T) {
	plugintest.NoLeaks(t)
	local := &plugintest.FuncSink{Inner: plugintest.NewMemSink("l"), PutFunc: func(context.Context, sink.Part, io.Reader) (sink.Receipt, error) { return nil, boom }}
	p := sink.NewPipeline("test", nil, local, nil, quick())
	_, err := p.Write(bg, snap(p), func(w io.Writer) (int64, error) {
		for range 1000 {
			_, _ = w.Write(make([]byte, 1000))
		}
		return 1, nil
	}, nil)
	if !errors.Is(err, boom) {
		t.Errorf("error %v", err)
	}
}

func TestEncoderEndsItsGoroutine(t *testing.T) {
	plugintest.NoLeaks(t)
	p := sink.NewPipeline("test", []sink.Stage{plugintest.XOR("x", 1)}, plugintest.NewMemSink("l"), nil, quick())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = p.Write(bg, snap(p), func(io.Writer) (int64, error) { runtime.Goexit(); return 0, nil }, nil)
		t.Error("Write returned")
	}()
	plugintest.Within(t, "Goexit", func() { <-done })
}

func TestCancellation(t *testing.T) {
	stuck := func(ctx context.Context, _ sink.Part, _ io.Reader) (sink.Receipt, error) {
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}
	for name, put := range map[string]func(context.Context, sink.Part, io.Reader) (sink.Receipt, error){
		"while a sink waits": stuck,
		"while a sink reads": func(_ context.Context, _ sink.Part, src io.Reader) (sink.Receipt, error) {
			_, err := io.Copy(io.Discard, src)
			return nil, err
		},
	} {
		t.Run(name, func(t *testing.T) {
			plugintest.NoLeaks(t)
			local := &plugintest.FuncSink{Inner: plugintest.NewMemSink("l"), PutFunc: put}
			p := sink.NewPipeline("test", []sink.Stage{plugintest.XOR("x", 1)}, local, []sink.Target{{Name: "b", Sink: plugintest.NewMemSink("b")}}, quick())
			ctx, cancel := context.WithCancelCause(bg)
			time.AfterFunc(30*time.Millisecond, func() { cancel(boom) })
			plugintest.Within(t, "Write", func() {
				_, err := p.Write(ctx, snap(p), func(w io.Writer) (int64, error) {
					for { // an endless encoder
						if _, err := w.Write(make([]byte, 1000)); err != nil {
							return 0, err
						}
					}
				}, nil)
				if !errors.Is(err, boom) {
					t.Errorf("error %v, want the cause of the cancellation", err)
				}
			})
			if _, err := p.Write(ctx, snap(p), payload(1), nil); !errors.Is(err, boom) {
				t.Errorf("with a cancelled context: %v", err)
			}
		})
	}
}

// A stage that hangs for ever is left behind, gets no more work meanwhile, and
// is forgiven once it has returned. The encoder has always returned.
func TestStuckStage(t *testing.T) { synctest.Test(t, testStuckStage) }

func testStuckStage(t *testing.T) {
	plugintest.NoLeaks(t)
	release := make(chan struct{})
	stage := &plugintest.FuncStage{Name: "hang", EncodeFunc: func(context.Context, sink.Part, io.Writer, io.Reader) (sink.Receipt, error) {
		<-release
		return nil, nil
	}}
	p := sink.NewPipeline("test", []sink.Stage{stage}, plugintest.NewMemSink("l"), nil, quick())
	ctx, cancel := context.WithTimeout(bg, 50*time.Millisecond)
	defer cancel()
	var encoding atomic.Bool
	encode := func(w io.Writer) (int64, error) {
		encoding.Store(true)
		defer encoding.Store(false)
		return payload(big)(w)
	}
	if _, err := p.Write(ctx, snap(p), encode, nil); !errors.Is(err, context.DeadlineExceeded) || encoding.Load() {
		t.Errorf("error %v; encoder still runs: %v", err, encoding.Load())
	}
	if _, err := p.Write(bg, snap(p), encode, nil); !errors.Is(err, sink.ErrStuck) {
		t.Errorf("second write: %v, want ErrStuck", err)
	}
	if s := stats(p, "hang"); s.Stuck != 1 {
		t.Errorf("%+v", s)
	}
	close(release)
	synctest.Wait()
	stage.EncodeFunc = nil
	if _, err := p.Write(bg, snap(p), encode, nil); err != nil {
		t.Errorf("after it returned: %v", err)
	}
}

func TestRefusesNames(t *testing.T) {
	p := sink.NewPipeline("test", nil, plugintest.NewMemSink("l"), nil, quick())
	part := snap(p)
	part.Name = "../MANIFEST"
	if _, err := p.Write(bg, part, payload(1), nil); err == nil {
		t.Error("no error")
	}
	if err := p.Read(bg, sink.SetPart{Part: part}, func(io.Reader) error { return nil }); err == nil {
		t.Error("no error")
	}
}

func TestPartNames(t *testing.T) {
	p := sink.NewPipeline("test", []sink.Stage{plugintest.XOR("x", 1), plugintest.XOR("y", 1)}, plugintest.NewMemSink("l"), nil, quick())
	for kind, want := range map[sink.Kind]string{
		sink.KindSnapshot: "shard-0003.rdb.x.y", sink.KindRewrite: "shard-0003.aof.x.y", sink.KindSegment: "segment-0003.aof.x.y",
	} {
		if got := p.Part(1, sink.SetID{Generation: 2, Kind: kind}, 3, 4).Name; got != want {
			t.Errorf("%s: %s, want %s", kind, got, want)
		}
	}
}

func BenchmarkWrite(b *testing.B) {
	p := sink.NewPipeline("bench", nil, plugintest.NewMemSink("l"), nil, sink.PipelineOptions{})
	data := make([]byte, 64<<20)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		_, err := p.Write(bg, snap(p), func(w io.Writer) (int64, error) {
			for i := 0; i < len(data); i += 64 << 10 {
				if _, err := w.Write(data[i : i+64<<10]); err != nil {
					return 0, err
				}
			}
			return 0, nil
		}, nil)
		if err != nil {
			b.Fatal(err)
		}
	}
}
