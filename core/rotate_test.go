package core_test

import (
	"context"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/spillwaydb/spillway/core/coretest"
	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/fsbackends/faultfs"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

// TestFailedRotation: when the next segment cannot be made, a snapshot is
// written all the same and the log kept whole; a rewrite gives up.
func TestFailedRotation(t *testing.T) {
	h := coretest.New(t)
	var bad atomic.Bool
	h.Wrap(func(fs vfs.FS) vfs.FS {
		return faultfs.New(fs, func(op faultfs.Op) error {
			if bad.Load() && op.Kind == faultfs.OpCreate && strings.Contains(op.Path, "log/") {
				return syscall.EIO
			}
			return nil
		})
	})
	h.Reopen()
	fill(h, "a")
	bad.Store(true)
	if err := h.DB.Save(context.Background()); err != nil {
		t.Fatalf("the snapshot failed with the rotation: %v", err)
	}
	if _, err := h.FS.Stat(inSet(t, h.FS, 1, "SET.json")); err != nil {
		t.Errorf("the snapshot is not there: %v", err)
	}
	h.Reopen() // whatever was still being removed is gone now
	if _, err := h.FS.Stat(inSet(t, h.FS, 1, "SET.json")); err != nil {
		t.Errorf("the snapshot is gone after a restart: %v", err)
	}
	if err := h.DB.RewriteAOF(context.Background()); err == nil {
		t.Error("a rewrite without a rotation succeeded")
	}
	fill(h, "b")
	want := state(h)
	for _, seed := range []int64{memfs.LoseAll, memfs.KeepAll, 3} {
		h.Crash(seed)
		if got := state(h); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	}
	bad.Store(false)
	if err := h.DB.Save(context.Background()); err != nil {
		t.Fatal(err)
	}
	h.Crash(memfs.LoseAll)
	if got := state(h); got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
}
