package core_test

import (
	"context"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/spillwaydb/spillway/core/coretest"
	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/fsbackends/faultfs"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

// TestUnknownOutcome: the rename of a commit is done, but its directory cannot
// be synced, then or later. Nobody knows which manifest a power loss leaves, so
// what either names must stay.
func TestUnknownOutcome(t *testing.T) {
	for _, seed := range []int64{memfs.LoseAll, memfs.KeepAll, 5, 6, 7} {
		h := coretest.New(t)
		var commits atomic.Int32
		h.Wrap(func(fs vfs.FS) vfs.FS {
			return faultfs.New(fs, func(op faultfs.Op) error {
				switch {
				case op.Kind == faultfs.OpRename && op.To == "MANIFEST":
					commits.Add(1)
				case op.Kind == faultfs.OpSyncDir && op.Path == "." && commits.Load() >= 2: // the rotation's was the first
					return syscall.EIO
				}
				return nil
			})
		})
		h.Reopen()
		commits.Store(0)
		fill(h, "a")
		want := state(h)
		if err := h.DB.Save(context.Background()); err == nil {
			t.Fatal("SAVE did not notice that its commit cannot be synced")
		}
		if commits.Load() < 2 {
			t.Fatalf("%d commits: the test shows nothing", commits.Load())
		}
		h.Wrap(nil)
		h.Crash(seed)
		if got := state(h); got != want {
			t.Fatalf("seed %d: got %s, want %s", seed, got, want)
		}
		if err := h.DB.Save(context.Background()); err != nil {
			t.Fatal(err)
		}
		h.Crash(memfs.LoseAll)
		if got := state(h); got != want {
			t.Fatalf("seed %d, after another: got %s, want %s", seed, got, want)
		}
	}
}
