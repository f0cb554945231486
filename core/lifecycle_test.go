package core_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/coretest"
	"github.com/spillwaydb/spillway/core/repair"
	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/fsbackends/faultfs"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

// TestSubcommands: containers run their subcommands through a session, in and
// out of MULTI, with the subcommand's own rules.
func TestSubcommands(t *testing.T) {
	h := coretest.New(t)
	h.Do("RPUSH", "list", "a")
	for _, c := range []struct{ cmd, want string }{
		{"CONFIG GET databases", `["databases" "16"]`},
		{"CONFIG SET maxmemory-samples 7", `"OK"`},
		{"CLIENT SETNAME me", `"OK"`},
		{"CLIENT GETNAME", `"me"`},
		{"OBJECT REFCOUNT list", "1"},
		{"OBJECT REFCOUNT none", "(nil)"},
		{"SLOWLOG LEN", "0"},
		{"COMMAND COUNT", fmt.Sprint(len(command.All()))},
		{"CONFIG NOSUCH", "(error) ERR unknown subcommand 'NOSUCH'. Try CONFIG HELP."},
		{"CONFIG GET", "(error) ERR wrong number of arguments for 'config|get' command"},
		{"MULTI", `"OK"`},
		{"CLIENT GETNAME", `"QUEUED"`},
		{"OBJECT REFCOUNT list", `"QUEUED"`},
		{"EXEC", `["me" 1]`},
		{"MULTI", `"OK"`},
		{"DEBUG RELOAD", "(error) ERR Command not allowed inside a transaction"}, // it would wait for itself
		{"EXEC", "(error) EXECABORT Transaction discarded because of previous errors."},
	} {
		if got := h.Do(strings.Fields(c.cmd)...); got != c.want {
			t.Errorf("%s: %s, want %s", c.cmd, got, c.want)
		}
	}
}

// blockedDisk stops reads of checkpoints until it is released.
func blockedDisk(fs vfs.FS) (blocked vfs.FS, reached <-chan struct{}, release func()) {
	gate, at := make(chan struct{}), make(chan struct{})
	var once, open sync.Once
	return faultfs.New(fs, func(op faultfs.Op) error {
		if op.Kind == faultfs.OpRead && strings.HasPrefix(op.Path, "checkpoints/") {
			once.Do(func() { close(at) })
			<-gate
		}
		return nil
	}), at, func() { open.Do(func() { close(gate) }) }
}

// saved is a disk with a checkpoint of two parts and a log behind it.
func saved(t *testing.T) *memfs.FS {
	t.Helper()
	h := coretest.New(t)
	for i := range 200 {
		h.Do("SET", fmt.Sprint("k", i), "v")
	}
	h.Do("SAVE")
	h.Do("SET", "logged", "yes")
	if err := h.DB.Close(); err != nil {
		t.Fatal(err)
	}
	return h.FS
}

// TestTooManyShards: the bound is the engine's, not only the daemon's.
func TestTooManyShards(t *testing.T) {
	disk := memfs.New()
	if _, err := core.Prepare(core.Options{FS: disk, Shards: core.MaxShards + 1, ManualTick: true}); err == nil || !strings.Contains(err.Error(), "at most 4096") {
		t.Errorf("%d shards: %v", core.MaxShards+1, err)
	}
	if infos, err := vfs.ReadDir(disk, "."); err != nil || len(infos) > 0 {
		t.Errorf("the refusal left %d files, %v", len(infos), err)
	}
}

// TestPrepareAndRecover: between the two an engine serves what needs no data.
func TestPrepareAndRecover(t *testing.T) {
	disk, reached, release := blockedDisk(saved(t))
	defer release()
	o := core.Options{FS: disk, Shards: 3, Clock: &coretest.Clock{}, ManualTick: true}
	db, err := core.Prepare(o)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if second, err := core.Prepare(o); err == nil {
		_ = second.Close()
		t.Fatal("a second engine has the directory")
	}
	s := db.Session()
	do := func(line string) string {
		t.Helper()
		v, err := s.Do(strings.Fields(line)...)
		if err != nil {
			t.Fatal(err)
		}
		return v.String()
	}
	const refused = "(error) LOADING Redis is loading the dataset in memory"
	if got := do("GET k1"); got != refused {
		t.Errorf("before Recover: %s", got)
	}
	recovered := make(chan error, 1)
	go func() { recovered <- db.Recover(context.Background()) }()
	<-reached
	for line, want := range map[string]string{
		"GET k1": refused, "SET k1 x": refused, "DBSIZE": refused, "BGSAVE": refused, "DEBUG RELOAD": refused, "PING": refused,
		"SELECT 0": `"OK"`, "CONFIG SET save 60": "(error) ERR CONFIG SET failed (possibly related to argument 'save') - Invalid save parameters",
		"WATCH k1": `"OK"`, "UNWATCH": `"OK"`, "LASTSAVE": fmt.Sprint(db.Admin().LastSave()),
	} {
		if got := do(line); got != want {
			t.Errorf("%s while loading: %s, want %s", line, got, want)
		}
	}
	if info := do("INFO"); !strings.Contains(info, `loading:1\r\n`) || !strings.Contains(info, "loading_total_bytes:") || strings.Contains(info, "loading_total_bytes:0") {
		t.Errorf("INFO while loading: %s", info)
	}
	if err := db.PrepareShutdown(command.ShutdownSave, false); err != nil {
		t.Errorf("a shutdown while loading: %v", err)
	}
	release()
	if err := <-recovered; err != nil {
		t.Fatal(err)
	}
	for _, c := range [][2]string{{"GET k199", `"v"`}, {"GET logged", `"yes"`}, {"DBSIZE", "201"}, {"SET more 1", `"OK"`}} {
		if got := do(c[0]); got != c[1] {
			t.Errorf("%s after it: %s, want %s", c[0], got, c[1])
		}
	}
}

// TestRecoverGivesUp when it is told to, and has changed nothing.
func TestRecoverGivesUp(t *testing.T) {
	fs := saved(t)
	disk, reached, release := blockedDisk(fs)
	db, err := core.Prepare(core.Options{FS: disk, Shards: 2, Clock: &coretest.Clock{}, ManualTick: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	recovered := make(chan error, 1)
	go func() { recovered <- db.Recover(ctx) }()
	<-reached
	cancel()
	release()
	var damaged *repair.DamagedError
	if err := <-recovered; !errors.Is(err, context.Canceled) || errors.As(err, &damaged) {
		t.Errorf("Recover: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	if got := items(t, fs); got != 0 { // a start of it succeeds
		t.Errorf("%d items", got)
	}
}

// TestShutdownHoldsWritesBack: many writers, no log. What was acknowledged is
// in the last snapshot, what was not carried out was not acknowledged, and a
// shutdown that is called off lets everybody go on.
func TestShutdownHoldsWritesBack(t *testing.T) {
	h := coretest.New(t, func(o *core.Options) { o.NoLog, o.Shards, o.ManualTick = true, 3, false })
	var hold atomic.Value // what writing a checkpoint waits for
	hold.Store(func() {})
	h.Wrap(func(fs vfs.FS) vfs.FS {
		return faultfs.New(fs, func(op faultfs.Op) error {
			if op.Kind == faultfs.OpWrite && strings.HasPrefix(op.Path, "checkpoints/") {
				hold.Load().(func())()
			}
			return nil
		})
	})
	h.Reopen()
	const writers = 6
	var acked [writers]atomic.Int64
	var wg sync.WaitGroup
	for i := range writers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			s := h.DB.Session()
			defer s.Close()
			for {
				for _, args := range [][]string{{"MULTI"}, {"INCR", fmt.Sprint("n", i)}, {"MSET", "a", "1", "b", "2", "c", "3"}} {
					if _, err := s.Do(args...); err != nil {
						t.Error(err)
					}
				}
				v, err := s.Do("EXEC")
				if err != nil || v.Err() != nil || len(v.Elems) != 2 {
					return
				}
				acked[i].Add(1)
			}
		}()
	}
	wait := func(than [writers]int64) (now [writers]int64) {
		for i := range acked {
			for now[i] = acked[i].Load(); now[i] <= than[i]; now[i] = acked[i].Load() {
				time.Sleep(time.Millisecond)
			}
		}
		return now
	}
	before := wait([writers]int64{})
	// Called off by ABORT while it saves.
	for range 5 {
		saving, goOn := make(chan struct{}), make(chan struct{})
		var once sync.Once
		hold.Store(func() { once.Do(func() { close(saving) }); <-goOn })
		done := make(chan error, 1)
		go func() { done <- h.DB.PrepareShutdown(command.ShutdownSave, false) }()
		select {
		case <-saving:
		case err := <-done:
			t.Fatalf("the shutdown has ended before it saved: %v", err)
		}
		if err := h.DB.Admin().AbortShutdown(); err != nil {
			t.Fatal(err)
		}
		hold.Store(func() {})
		close(goOn)
		if err := <-done; err == nil {
			t.Fatal("a shutdown that was aborted succeeds")
		}
		before = wait(before)
	}
	if err := h.DB.PrepareShutdown(command.ShutdownSave, false); err != nil {
		t.Fatal(err)
	}
	if err := h.DB.PrepareShutdown(command.ShutdownDefault, false); err != nil {
		t.Errorf("another one behind it: %v", err)
	}
	if err := h.DB.Admin().AbortShutdown(); err == nil {
		t.Error("it could be aborted although it is over")
	}
	wg.Wait()
	if got := h.Do("SET", "late", "1"); !strings.Contains(got, "shut down") {
		t.Errorf("a write behind the shutdown: %s", got)
	}
	if got := h.Do("GET", "a"); got != `"1"` {
		t.Errorf("a read behind the shutdown: %s", got)
	}
	h.Crash(memfs.LoseAll)
	for i := range writers {
		if got, want := h.Do("GET", fmt.Sprint("n", i)), fmt.Sprintf("%q", fmt.Sprint(acked[i].Load())); got != want {
			t.Errorf("writer %d: %s after the restart, %s acknowledged", i, got, want)
		}
	}
}
