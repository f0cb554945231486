package core_test

import (
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/coretest"
	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/core/wal"
	"github.com/spillwaydb/spillway/fsbackends/faultfs"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
	"github.com/spillwaydb/spillway/internal/testutil"
)

// breakable is a harness without a log whose disk fails as told.
func breakable(t *testing.T, change ...func(*core.Options)) (*coretest.Harness, *faultfs.FS) {
	h := coretest.New(t, append([]func(*core.Options){func(o *core.Options) { o.NoLog = true }}, change...)...)
	disk := faultfs.New(h.FS, nil)
	h.Wrap(func(vfs.FS) vfs.FS { return disk })
	h.Reopen()
	h.Wrap(nil)
	return h, disk
}

// logIs checks what is said of the log wherever it is said.
func logIs(t *testing.T, h *coretest.Harness, state string) {
	t.Helper()
	config, enabled := "no", "0"
	if state == "on" {
		config, enabled = "yes", "1"
	}
	if got := h.Do("CONFIG", "GET", "appendonly"); !strings.Contains(got, `"`+config+`"`) {
		t.Errorf("CONFIG GET says %s, want %s", got, config)
	}
	if got := field(t, h, "aof_enabled"); got != enabled {
		t.Errorf("aof_enabled:%s, want %s", got, enabled)
	}
	if got := field(t, h, "aof_state"); got != state {
		t.Errorf("aof_state:%s, want %s", got, state)
	}
}

// TestLogCannotBegin: CONFIG SET appendonly yes whose base cannot be written,
// wherever that fails, is an error; nothing is said to be on, no other parameter
// has changed, and writes go on as before. When the disk is back it succeeds, and
// what is acknowledged from then on survives.
func TestLogCannotBegin(t *testing.T) {
	for name, fail := range map[string]func(faultfs.Op) error{
		"the segment":                  on(faultfs.OpCreate, "log/", syscall.ENOSPC),
		"the rotation":                 on(faultfs.OpCreate, "MANIFEST.tmp", syscall.EROFS),
		"a part":                       on(faultfs.OpWrite, "checkpoints/", syscall.ENOSPC),
		"the set":                      on(faultfs.OpRename, "checkpoints/", syscall.EIO),
		"the commit":                   onCommit(faultfs.OpRename, "MANIFEST.tmp", syscall.EIO),
		"the commit's directory":       onCommit(faultfs.OpSyncDir, ".", syscall.EIO),
		"the commit's directory, once": once(onCommit(faultfs.OpSyncDir, ".", syscall.EIO)),
		"the log's fsync":              on(faultfs.OpSync, "log/", syscall.EIO),
	} {
		t.Run(name, func(t *testing.T) {
			h, disk := breakable(t, func(o *core.Options) { o.Save = []core.SavePoint{{Seconds: 100_000, Changes: 1}} })
			h.Do("SET", "a", "1")
			var mu sync.Mutex // several workers come at once
			disk.SetInject(func(op faultfs.Op) error {
				mu.Lock()
				defer mu.Unlock()
				return fail(op)
			})
			got := h.Do("CONFIG", "SET", "appendfsync", "no", "appendonly", "yes")
			if !strings.HasPrefix(got, "(error) ERR CONFIG SET failed (possibly related to argument 'appendonly') - Unable to turn on AOF. Check server logs.") {
				t.Fatal(got)
			}
			logIs(t, h, "off")
			if got := h.Do("CONFIG", "GET", "appendfsync"); !strings.Contains(got, "always") {
				t.Errorf("the other parameter of the failed command: %s", got)
			}
			if got := field(t, h, "aof_last_bgrewrite_status"); got != "err" {
				t.Errorf("aof_last_bgrewrite_status:%s", got)
			}
			for range 3 {
				h.DB.Tick()
			}
			if got := h.Do("SET", "b", "2"); got != `"OK"` {
				t.Errorf("a write: %s", got)
			}
			if err := h.DB.Healthy(); err != nil {
				t.Errorf("nothing is promised that is not kept, and yet: %v", err)
			}
			disk.SetInject(nil)
			if got := h.Do("CONFIG", "SET", "appendonly", "yes"); got != `"OK"` {
				t.Fatal(got)
			}
			logIs(t, h, "on")
			if got := h.Do("SET", "c", "3"); got != `"OK"` {
				t.Errorf("a write: %s", got)
			}
			h.Crash(memfs.LoseAll)
			if got := h.Do("MGET", "a", "b", "c"); got != `["1" "2" "3"]` {
				t.Errorf("after a power loss: %s", got)
			}
		})
	}
}

// TestLogBegins: while the base is written the log is not on, and nobody waits but
// who has asked for it. Everything that was written meanwhile is in it.
func TestLogBegins(t *testing.T) {
	for _, also := range []string{"", "a save is in flight", "another client asks too"} {
		t.Run(also, func(t *testing.T) {
			g := newGate()
			h := coretest.New(t, func(o *core.Options) { o.NoLog, o.Stages = true, []sink.Stage{g.stage()} })
			h.Do("SET", "a", "1")
			if also == "a save is in flight" {
				h.Do("BGSAVE")
			}
			const askers = 2
			replies := make(chan string, askers)
			ask := func() {
				v, err := h.DB.Session().Do("CONFIG", "SET", "appendonly", "yes")
				if err != nil {
					t.Error(err)
				}
				replies <- v.String()
			}
			asked := 1
			go ask()
			if also == "another client asks too" {
				asked = askers
				go ask()
			}
			<-g.met
			testutil.Eventually(t, "the log is wanted", func() bool { return field(t, h, "aof_state") != "off" })
			logIs(t, h, "starting")
			if got := h.Do("INCR", "n"); got != "1" {
				t.Errorf("a write meanwhile: %s", got)
			}
			select {
			case got := <-replies:
				t.Errorf("CONFIG SET has answered %s, and no base is there", got)
			default:
			}
			g.open()
			for range asked {
				if got := <-replies; got != `"OK"` {
					t.Fatal(got)
				}
			}
			logIs(t, h, "on")
			h.Do("INCR", "n")
			h.Crash(memfs.LoseAll)
			if got := h.Do("MGET", "a", "n"); got != `["1" "2"]` {
				t.Errorf("after a power loss: %s", got)
			}
		})
	}
}

// TestLogFailsWhileBeginning: nothing has been promised of a log that fails before
// its base is committed, so no write is told that it is not durable, and none is
// refused.
func TestLogFailsWhileBeginning(t *testing.T) {
	g := newGate()
	h, disk := breakable(t, func(o *core.Options) { o.Stages = []sink.Stage{g.stage()} })
	h.Do("SET", "a", "1")
	reply := make(chan string, 1)
	go func() {
		v, err := h.DB.Session().Do("CONFIG", "SET", "appendonly", "yes")
		if err != nil {
			t.Error(err)
		}
		reply <- v.String()
	}()
	<-g.met
	disk.SetInject(on(faultfs.OpSync, "log/", syscall.EIO))
	for i := range 3 {
		if got := h.Do("SET", "b", "2"); got != `"OK"` {
			t.Errorf("write %d: %s", i, got)
		}
		h.DB.Tick()
	}
	g.open()
	if got := <-reply; !strings.Contains(got, "Unable to turn on AOF") {
		t.Errorf("CONFIG SET: %s", got)
	}
	logIs(t, h, "off")
	if got := h.Do("SET", "b", "3"); got != `"OK"` {
		t.Errorf("a write afterwards: %s", got)
	}
}

// TestLogSetByProgram: an embedding program that sets the parameter waits for
// nothing, and the engine tries until it succeeds: within seconds of the disk's
// return, however long that has taken, and without a line per attempt.
func TestLogSetByProgram(t *testing.T) {
	var log journal
	h, disk := breakable(t, func(o *core.Options) { o.Logger = log.logger() })
	h.Do("SET", "a", "1")
	disk.SetInject(on(faultfs.OpCreate, "checkpoints/", syscall.ENOSPC))
	if err := h.DB.Admin().Config().Set([2]string{"appendonly", "yes"}); err != nil {
		t.Fatal(err)
	}
	for range 600 { // ten minutes
		h.Clock.Advance(time.Second)
		h.Settle()
	}
	logIs(t, h, "starting")
	if err := h.DB.Healthy(); err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("Healthy: %v", err)
	}
	if got := field(t, h, "spillway_log_start_error"); !strings.Contains(got, "no space left") {
		t.Errorf("spillway_log_start_error:%s", got)
	}
	tries := log.Count("checkpoint started")
	if tries < 600/6 || tries > 600/5+10 {
		t.Errorf("%d attempts in ten minutes", tries)
	}
	if n := log.Count("checkpoint failed"); n != tries {
		t.Errorf("%d of %d failures are logged at all", n, tries)
	}
	if n := log.Count("[ERROR] checkpoint: checkpoint failed") + log.Count("[WARN]"); n != 1 {
		t.Errorf("%d lines say the same:\n%.3000s", n, log.String())
	}
	disk.SetInject(nil)
	for range 6 {
		h.Clock.Advance(time.Second)
		h.Settle()
	}
	logIs(t, h, "on")
	if err := h.DB.Healthy(); err != nil {
		t.Errorf("Healthy: %v", err)
	}
	h.Do("SET", "b", "2")
	h.Crash(memfs.LoseAll)
	if got := h.Do("MGET", "a", "b"); got != `["1" "2"]` {
		t.Errorf("after a power loss: %s", got)
	}
}

// TestLogOnInTransaction: EXEC holds locks that the base needs.
func TestLogOnInTransaction(t *testing.T) {
	h := coretest.New(t, func(o *core.Options) { o.NoLog, o.Fsync = true, wal.Always })
	h.Do("MULTI")
	if got := h.Do("CONFIG", "SET", "appendonly", "YES"); !strings.Contains(got, "not allowed inside a transaction") {
		t.Error(got)
	}
	if got := h.Do("EXEC"); !strings.Contains(got, "EXECABORT") {
		t.Error(got)
	}
	logIs(t, h, "off")
}
