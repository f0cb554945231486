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
	"github.com/spillwaydb/spillway/core/coretest/model"
	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

// fill writes one key of every type; check says what is wrong with them.
func fill(h *coretest.Harness, tag string) {
	h.Do("SET", "str", tag)
	h.Do("RPUSH", "list", tag)
	h.Do("HSET", "hash", tag, "1")
	h.Do("SADD", "set", tag)
	h.Do("ZADD", "zset", "1.5", tag)
	h.Do("INCR", "n")
}

func state(h *coretest.Harness) string {
	return fmt.Sprint(h.Do("GET", "str"), h.Do("LRANGE", "list", "0", "-1"), h.Do("HLEN", "hash"), h.Do("SCARD", "set"),
		h.Do("ZRANGE", "zset", "0", "-1", "WITHSCORES"), h.Do("GET", "n"), h.Do("DBSIZE"))
}

// everything uses every type, transactions, scripts, functions, expiry and all three
// ways to take a checkpoint.
func everything(r *coretest.Run) {
	r.MustDo("SET", "str", "a")
	r.MustDo("RPUSH", "list", "a", "b", "c")
	r.MustDo("HSET", "hash", "f", "1", "g", "2")
	r.BGSave()
	r.MustDo("SADD", "set", "a", "b", "c")
	r.MustDo("ZADD", "zset", "1.5", "a", "2", "b")
	r.MustDo("SPOP", "set")
	r.MustDo("FUNCTION", "LOAD", model.Library("counting"))
	r.Do("EVAL", model.Script("move"), "3", "list", "set", "hash")
	r.Do("MULTI")
	r.Do("INCR", "n")
	r.Do("LMOVE", "list", "other", "LEFT", "RIGHT")
	r.Do("RENAME", "str", "string")
	r.Do("EXEC")
	r.MustDo("PEXPIRE", "hash", "1500")
	r.MustDo("SET", "gone", "soon", "EX", "1")
	r.RewriteAOF()
	r.MustDo("COPY", "list", "copy")
	r.Advance(1200 * time.Millisecond)
	r.MustDo("INCRBYFLOAT", "n", "0.5")
	r.Restart(func(o *core.Options) { o.Shards = 3 })
	r.MustDo("FLUSHDB")
	r.Do("FCALL", "bump", "2", "hash", "n", "f")
	r.MustDo("RPUSH", "list", "x")
	r.Save()
	r.MustDo("LPUSH", "list", "y")
}

// TestCrashAtEveryOperation loses power before every filesystem operation: what
// was acknowledged is there, once.
func TestCrashAtEveryOperation(t *testing.T) {
	if n := coretest.EveryCrashPoint(t, everything); n.Struck+n.LeftOut < 100 || n.Recoveries < 4*n.Struck {
		t.Errorf("only %+v", n)
	}
}

// TestFaultAtEveryOperation fails every operation, with each error that it can
// have: what was acknowledged stays true, and the engine heals.
func TestFaultAtEveryOperation(t *testing.T) {
	n := coretest.EveryFault(t, everything, func(o *core.Options) { o.ContinueOnSaveError = true })
	if n.Struck+n.LeftOut < 500 {
		t.Errorf("only %+v", n)
	}
}

// hooked is a stage that does what the test says.
type hooked struct {
	encode func(ctx context.Context, dst io.Writer, src io.Reader) error
}

func (hooked) Info() sink.Info { return sink.Info{Name: "hooked", Version: "1", Suffix: ".hook"} }

func (s hooked) Encode(ctx context.Context, _ sink.Part, dst io.Writer, src io.Reader) (sink.Receipt, error) {
	return nil, s.encode(ctx, dst, src)
}

func (hooked) Decode(_ context.Context, _ sink.Part, _ sink.Receipt, dst io.Writer, src io.Reader) error {
	_, err := io.Copy(dst, src)
	return err
}

// TestFailedStage: a stage that fails, panics or stops early fails the job and
// nothing else, and what it staged is gone.
func TestFailedStage(t *testing.T) {
	for name, encode := range map[string]func(context.Context, io.Writer, io.Reader) error{
		"error": func(context.Context, io.Writer, io.Reader) error { return errors.New("out of ink") },
		"panic": func(context.Context, io.Writer, io.Reader) error { panic("out of ink") },
		"early": func(context.Context, io.Writer, io.Reader) error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			h := coretest.New(t, func(o *core.Options) { o.Stages = []sink.Stage{hooked{encode}} })
			fill(h, "a")
			want := state(h)
			err := h.DB.Save(context.Background())
			if err == nil || !strings.Contains(err.Error(), "hooked") {
				t.Fatalf("error %v does not name the stage", err)
			}
			info := h.DB.Admin().Info().Render(nil, "persistence")
			if !strings.Contains(info, "rdb_last_bgsave_status:err") {
				t.Errorf("INFO does not tell:\n%s", info)
			}
			if _, err := h.FS.Stat(inSet(t, h.FS, 1, "")); err == nil {
				t.Error("the staged files are still there")
			}
			h.Crash(memfs.LoseAll)
			if got := state(h); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

// TestInFlight: a request while a job is in flight gets Redis's error, a
// trigger is skipped, and the job goes on.
func TestInFlight(t *testing.T) {
	hold := make(chan struct{})
	h := coretest.New(t, func(o *core.Options) {
		o.Save = []core.SavePoint{{Seconds: 60, Changes: 1}}
		o.Stages = []sink.Stage{hooked{func(_ context.Context, dst io.Writer, src io.Reader) error {
			<-hold
			_, err := io.Copy(dst, src)
			return err
		}}}
	})
	fill(h, "a")
	if got := h.Do("BGSAVE"); !strings.Contains(got, "Background saving started") {
		t.Fatal(got)
	}
	for cmd, want := range map[string]string{"BGSAVE": "Background save already in progress", "SAVE": "Background save already in progress"} {
		if got := h.Do(cmd); !strings.Contains(got, want) {
			t.Errorf("%s: %s", cmd, got)
		}
	}
	h.Clock.Advance(2 * time.Minute)
	h.DB.Tick()
	if got := h.DB.Admin().Info().Render(nil, "persistence"); !strings.Contains(got, "rdb_bgsave_in_progress:1") {
		t.Error(got)
	}
	close(hold)
	h.Settle()
	if got := h.DB.Admin().Info().Render(nil, "persistence"); !strings.Contains(got, "rdb_last_bgsave_status:ok") || !strings.Contains(got, "rdb_saves:1") {
		t.Error(got)
	}
}

// TestSavePoint: enough changes and enough time start a snapshot by themselves.
func TestSavePoint(t *testing.T) {
	h := coretest.New(t, func(o *core.Options) { o.Save = []core.SavePoint{{Seconds: 60, Changes: 3}} })
	fill(h, "a")
	h.DB.Tick()
	if strings.Contains(h.DB.Admin().Info().Render(nil, "persistence"), "rdb_bgsave_in_progress:1") {
		t.Fatal("saved too early")
	}
	h.Clock.Advance(time.Minute)
	h.Settle()
	if got := h.DB.Admin().Info().Render(nil, "persistence"); !strings.Contains(got, "rdb_saves:1") {
		t.Fatal("no snapshot")
	}
}

// TestFailedSync: when the log cannot be synced nothing is acknowledged, writes
// are refused, reads go on, and a checkpoint heals it.
func TestFailedSync(t *testing.T) {
	h := coretest.New(t)
	fill(h, "a")
	var bad atomic.Bool
	bad.Store(true)
	h.FS.FailSync(func(name string) error {
		if bad.Load() && strings.HasPrefix(strings.TrimPrefix(name, "/"), "log/") {
			return syscall.EIO
		}
		return nil
	})
	for _, want := range []string{"NOTDURABLE", "MISCONF"} { // the second is not executed any more
		if got := h.Do("SET", "str", "lost"); !strings.Contains(got, want) {
			t.Fatalf("a write on a log that fails: %s, want %s", got, want)
		}
	}
	if got := h.Do("GET", "n"); got != `"1"` {
		t.Fatalf("reads do not go on: %s", got)
	}
	bad.Store(false)
	if err := h.DB.Save(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := h.Do("SET", "str", "b"); got != `"OK"` {
		t.Fatalf("writes are still refused: %s", got)
	}
	want := state(h)
	h.Crash(memfs.LoseAll)
	if got := state(h); got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
}

// TestRewriteWithoutLog is a no-op that says so.
func TestRewriteWithoutLog(t *testing.T) {
	h := coretest.New(t, func(o *core.Options) { o.NoLog = true })
	if got := h.Do("BGREWRITEAOF"); !strings.Contains(got, "disabled") {
		t.Fatal(got)
	}
}
