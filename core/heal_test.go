package core_test

import (
	"context"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core/coretest"
	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/fsbackends/faultfs"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

// TestFailedHealing: the log has failed, and so does the first checkpoint that
// is to heal it, after it has given the log a new segment. The next one heals
// all the same: a healthy log alone does not mean that there was nothing to do.
func TestFailedHealing(t *testing.T) {
	h := coretest.New(t)
	disk := faultfs.New(h.FS, nil)
	h.Wrap(func(vfs.FS) vfs.FS { return disk })
	h.Reopen()
	fill(h, "a")
	script, err := faultfs.ParseScript("test", `
		on sync   path "log/**"          nth 1  fail EIO
		on write  path "checkpoints/**"  nth 1  fail EIO
	`)
	if err != nil {
		t.Fatal(err)
	}
	disk.SetInject(script.Inject)
	if got := h.Do("SET", "str", "lost"); !strings.Contains(got, "NOTDURABLE") {
		t.Fatalf("a write was acknowledged: %s", got)
	}
	healed := untilHealed(h)
	if fired := script.Fired(); fired[0] != 1 || fired[1] != 1 {
		t.Fatalf("the faults were injected %v times; the last operations:\n%s", fired, disk.Last(50))
	}
	if !healed {
		t.Fatalf("no checkpoint heals the log:\n%s", h.DB.Admin().Info().Render(nil, "persistence"))
	}
	if got := h.Do("SET", "str", "b"); got != `"OK"` {
		t.Fatalf("writes are still refused: %s", got)
	}
	want := state(h)
	h.Wrap(nil)
	h.Crash(memfs.LoseAll)
	if got := state(h); got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
}

// untilHealed ticks until writes are accepted again and tells whether they are.
func untilHealed(h *coretest.Harness) bool {
	for range 3000 {
		h.Clock.Advance(time.Second)
		h.Settle()
		if strings.Contains(h.DB.Admin().Info().Render(nil, "persistence"), "aof_last_write_status:ok") {
			return true
		}
	}
	return false
}

// TestLogOffAfterFailure: who switches a failed log off can write again, once
// everything is in a snapshot.
func TestLogOffAfterFailure(t *testing.T) {
	h := coretest.New(t)
	fill(h, "a")
	h.FS.FailSync(func(name string) error {
		if strings.HasPrefix(name, "log/") {
			return syscall.EIO
		}
		return nil
	})
	if got := h.Do("SET", "str", "lost"); !strings.Contains(got, "NOTDURABLE") {
		t.Fatalf("a write was acknowledged: %s", got)
	}
	if err := h.DB.Admin().Config().Set([2]string{"appendonly", "no"}); err != nil {
		t.Fatal(err)
	}
	if !untilHealed(h) {
		t.Fatalf("writes are refused although there is no log:\n%s", h.DB.Admin().Info().Render(nil, "persistence"))
	}
	if got := h.Do("SET", "str", "b"); got != `"OK"` {
		t.Fatalf("writes are still refused: %s", got)
	}
	if err := h.DB.Save(context.Background()); err != nil {
		t.Fatal(err)
	}
	want := state(h)
	h.Crash(memfs.LoseAll)
	if got := state(h); got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
}
