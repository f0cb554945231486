package core_test

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/coretest"
	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
	"github.com/spillwaydb/spillway/internal/testutil"
)

// journal is a logger's output, to be searched for lines.
type journal struct{ testutil.Buffer }

func (j *journal) logger() hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{Output: j, Level: hclog.Debug})
}

// gate is a stage that lets bytes through when it is opened.
type gate struct {
	opened chan struct{}
	met    chan struct{} // closed when a part has come to it
	first  sync.Once
}

func newGate() *gate { return &gate{opened: make(chan struct{}), met: make(chan struct{})} }

// open lets everything through from now on.
func (g *gate) open() { close(g.opened) }

func (g *gate) stage() sink.Stage {
	return hooked{func(ctx context.Context, dst io.Writer, src io.Reader) error {
		g.first.Do(func() { close(g.met) })
		select {
		case <-g.opened:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		_, err := io.Copy(dst, src)
		return err
	}}
}

func persistence(h *coretest.Harness) string { return h.DB.Admin().Info().Render(nil, "persistence") }

// field reads one field of INFO persistence.
func field(t *testing.T, h *coretest.Harness, name string) string {
	t.Helper()
	for line := range strings.Lines(persistence(h)) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), name+":"); ok {
			return v
		}
	}
	t.Fatalf("INFO has no %s:\n%s", name, persistence(h))
	return ""
}

// TestLogOffDuringJob: `CONFIG SET appendonly no` gives up a rewrite, as in Redis,
// and waits for a snapshot, which a client or a save point has asked for. Neither
// is a failure to persist: writes go on.
func TestLogOffDuringJob(t *testing.T) {
	for name, c := range map[string]struct {
		run   func(*core.DB, context.Context) error
		gives bool // the job up
	}{
		"snapshot": {(*core.DB).Save, false},
		"rewrite":  {(*core.DB).RewriteAOF, true},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGate()
			h := coretest.New(t, func(o *core.Options) {
				o.Stages = []sink.Stage{g.stage()}
				o.Save = []core.SavePoint{{Seconds: 100_000, Changes: 1}} // without any, nothing refuses writes
			})
			h.Do("SET", "a", "1")
			done := make(chan error, 1)
			go func() { done <- c.run(h.DB, context.Background()) }()
			<-g.met
			h.Do("CONFIG", "SET", "appendonly", "no")
			for range 3 {
				h.DB.Tick()
			}
			g.open()
			if err := <-done; (err != nil) != c.gives {
				t.Errorf("the job: %v", err)
			}
			h.Settle()
			h.DB.Tick()
			if got := field(t, h, "aof_enabled"); got != "0" {
				t.Errorf("aof_enabled:%s", got)
			}
			if got := h.Do("SET", "b", "2"); got != `"OK"` {
				t.Errorf("a write: %s", got)
			}
			if err := h.DB.Save(context.Background()); err != nil {
				t.Fatal(err)
			}
			h.Crash(memfs.LoseAll)
			if got := h.Do("MGET", "a", "b"); got != `["1" "2"]` {
				t.Errorf("after a power loss: %s", got)
			}
		})
	}
}

// TestRequestsInFlight: every request while a job is in flight gets Redis's
// error, and leaves one line in the log.
func TestRequestsInFlight(t *testing.T) {
	var log journal
	hold := newGate()
	h := coretest.New(t, func(o *core.Options) { o.Stages, o.Logger = []sink.Stage{hold.stage()}, log.logger() })
	fill(h, "a")
	if got := h.Do("BGREWRITEAOF"); !strings.Contains(got, "rewriting started") {
		t.Fatal(got)
	}
	for i, c := range []struct{ cmd, reply string }{
		{"BGREWRITEAOF", "(error) ERR Background append only file rewriting already in progress"},
		{"BGSAVE", "(error) ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in order to schedule a BGSAVE whenever possible."},
	} {
		if got := h.Do(c.cmd); got != c.reply {
			t.Errorf("%s: %s", c.cmd, got)
		}
		if n := log.Count("checkpoint refused: one is in flight"); n != i+1 {
			t.Errorf("%s: %d lines in the log, want %d", c.cmd, n, i+1)
		}
	}
	if got := h.Do("BGSAVE", "SCHEDULE"); !strings.Contains(got, "scheduled") {
		t.Errorf("BGSAVE SCHEDULE: %s", got)
	}
	hold.open()
	h.Settle()
	if field(t, h, "aof_last_bgrewrite_status") != "ok" || field(t, h, "rdb_saves") != "2" {
		t.Errorf("the rewrite, or the save scheduled behind it, is not there:\n%s", persistence(h))
	}
}

// TestTriggerInFlight: an automatic trigger while a job is in flight is skipped
// with one line, however often it is due, and is not queued.
func TestTriggerInFlight(t *testing.T) {
	var log journal
	hold := newGate()
	h := coretest.New(t, func(o *core.Options) {
		o.Stages, o.Logger = []sink.Stage{hold.stage()}, log.logger()
		o.Save = []core.SavePoint{{Seconds: 60, Changes: 1}}
	})
	fill(h, "a")
	h.Do("BGREWRITEAOF")
	h.Clock.Advance(2 * time.Minute)
	for range 5 {
		h.DB.Tick()
	}
	if n := log.Count("automatic checkpoint skipped: one is in flight"); n != 1 {
		t.Errorf("%d lines about the skipped trigger, want 1", n)
	}
	hold.open()
	h.Settle()
	if got := field(t, h, "rdb_saves"); got != "1" {
		t.Errorf("%s checkpoints: the trigger was queued", got)
	}
}

// TestProgress: INFO tells how far a job is while it runs.
func TestProgress(t *testing.T) {
	hold := newGate()
	h := coretest.New(t, func(o *core.Options) { o.Stages = []sink.Stage{hold.stage()} })
	for i := range 10000 { // keys are counted by page: several of these go into the buffer before the stage
		h.Do("SET", fmt.Sprint("key", i), strings.Repeat("v", 90))
	}
	h.Do("BGSAVE")
	<-hold.met
	for _, name := range []string{"current_save_keys_processed", "spillway_job_raw_bytes"} {
		testutil.Eventually(t, name+" is counted while the stage is being fed", func() bool { return field(t, h, name) != "0" })
	}
	h.Clock.Advance(3 * time.Second)
	for name, want := range map[string]string{
		"rdb_bgsave_in_progress": "1", "spillway_job_phase": "encode", "current_save_keys_total": "10000",
		"rdb_current_bgsave_time_sec": "3", "aof_rewrite_in_progress": "0",
	} {
		if got := field(t, h, name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	hold.open()
	h.Settle()
	if got := persistence(h); !strings.Contains(got, "name=hooked,role=stage,bytes_in=10") || strings.Contains(got, "bytes_per_sec=0,errors=0,busy_usec=0\r\nspillway_pipeline3") {
		t.Errorf("the stage's share is not told:\n%s", got)
	}
}

// TestStageProgress: what a stage has handled, and how fast, is told while it is
// at it, and goes on from there.
func TestStageProgress(t *testing.T) {
	const half = 64 << 10
	var h *coretest.Harness
	halfway, hold := make(chan struct{}), make(chan struct{})
	h = coretest.New(t, func(o *core.Options) {
		o.Shards = 1
		o.Stages = []sink.Stage{hooked{func(_ context.Context, dst io.Writer, src io.Reader) error {
			if _, err := io.CopyN(dst, src, half); err != nil {
				return err
			}
			h.Clock.Advance(2 * time.Second) // that is how long it took
			close(halfway)
			<-hold
			_, err := io.Copy(dst, src)
			return err
		}}}
	})
	for i := range 1000 {
		h.Do("SET", fmt.Sprint("key", i), strings.Repeat("v", 1000))
	}
	h.Do("BGSAVE")
	<-halfway
	if want, got := "name=hooked,role=stage,bytes_in=65536,bytes_out=65536,bytes_per_sec=32768,errors=0", persistence(h); !strings.Contains(got, want) {
		t.Errorf("want %s in\n%s", want, got)
	}
	close(hold)
	h.Settle()
	st, err := h.FS.Stat(inSet(t, h.FS, 1, "shard-0000.rdb.hook"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		fmt.Sprintf("name=hooked,role=stage,bytes_in=%d,bytes_out=%[1]d,", st.Size()),
		fmt.Sprintf("name=encoder,role=encoder,bytes_in=0,bytes_out=%d,", st.Size()),
		fmt.Sprintf("name=local,role=local,bytes_in=%d,", st.Size()),
	} {
		if got := persistence(h); !strings.Contains(got, want) {
			t.Errorf("in the end, want %s in\n%s", want, got)
		}
	}
}

// TestGrowthTrigger: the log's growth starts a rewrite; what growth is measured
// against survives a restart; an idle log is not rewritten again.
func TestGrowthTrigger(t *testing.T) {
	h := coretest.New(t, func(o *core.Options) { o.RewritePercentage, o.RewriteMinSize = 100, 64<<10 })
	write := func(kib int) {
		t.Helper()
		for i := range kib {
			h.Do("SET", fmt.Sprint("key", i%16), strings.Repeat("v", 1024))
		}
	}
	saves := func(want string) {
		t.Helper()
		for range 20 {
			h.Settle()
		}
		if got := field(t, h, "rdb_saves"); got != want {
			t.Fatalf("%s checkpoints, want %s:\n%s", got, want, persistence(h))
		}
	}
	write(48)
	saves("0") // below the minimum
	write(32)
	saves("1")
	base := field(t, h, "aof_base_size")
	write(32)
	saves("1") // more than doubled, but below the minimum
	h.Reopen()
	if got := field(t, h, "aof_base_size"); got != base {
		t.Errorf("the baseline is %s after a restart, was %s", got, base)
	}
	saves("0")
	h.Crash(memfs.LoseAll)
	saves("0")
	write(48)
	saves("1")
	saves("1")
	h.Do("CONFIG", "SET", "auto-aof-rewrite-percentage", "0")
	write(200)
	saves("1")
}

// TestDeadWorker: a worker that dies fails its job and nothing else; it is
// reported, and the next job succeeds.
func TestDeadWorker(t *testing.T) {
	var log journal
	var deadly atomic.Value
	h := coretest.New(t, func(o *core.Options) {
		o.Clock, o.Logger = deadlyClock{o.Clock, &deadly}, log.logger()
	})
	fill(h, "a")
	want := state(h)
	deadly.Store("(*Persister).encodeShard")
	err := h.DB.Save(context.Background())
	if err == nil || !strings.Contains(err.Error(), "checkpoint worker of shard") {
		t.Fatalf("the death of a worker was answered with %v", err)
	}
	deadly.Store("")
	if log.Count("checkpoint worker died; its job has failed") == 0 {
		t.Error("the log does not tell")
	}
	if got := field(t, h, "rdb_last_bgsave_status"); got != "err" {
		t.Errorf("rdb_last_bgsave_status is %s", got)
	}
	if got := state(h); got != want {
		t.Errorf("there is %s, want %s", got, want)
	}
	if _, err := h.FS.Stat(inSet(t, h.FS, 1, "")); err == nil {
		t.Error("the staged files are still there")
	}
	if err := h.DB.Save(context.Background()); err != nil {
		t.Errorf("the next job failed: %v", err)
	}
	h.Crash(memfs.LoseAll)
	if got := state(h); got != want {
		t.Errorf("after a crash there is %s, want %s", got, want)
	}
}

// deadlyClock panics under a function of the engine, as a bug there would.
type deadlyClock struct {
	core.Clock
	in *atomic.Value // how the function's name ends; "": nowhere
}

func (c deadlyClock) Now() time.Time {
	if in, _ := c.in.Load().(string); in != "" {
		pcs := make([]uintptr, 32)
		frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
		for {
			f, more := frames.Next()
			if strings.HasSuffix(f.Function, in) {
				panic("a bug in " + in)
			}
			if !more {
				break
			}
		}
	}
	return c.Clock.Now()
}
