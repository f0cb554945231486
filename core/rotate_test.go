package core_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/coretest"
	"github.com/spillwaydb/spillway/core/sink"
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

// TestFailedRotationPublished loses power at every operation of a snapshot whose
// log could not be rotated: whatever a sink holds of it by then, the directory
// knows that it has drawn that number and starts.
func TestFailedRotationPublished(t *testing.T) {
	type moment struct{ disk, sink *memfs.FS }
	var mu sync.Mutex
	var moments []moment
	there := memfs.New()
	h := coretest.New(t, func(o *core.Options) {
		o.Targets = []sink.Target{{Name: "other", Sink: sink.NewFSSink("other", there, "checkpoints"), Required: true}}
	})
	fill(h, "a")
	want := state(h)
	h.Wrap(func(disk vfs.FS) vfs.FS {
		return faultfs.New(disk, func(op faultfs.Op) error {
			if op.Kind.Mutates() {
				mu.Lock()
				defer mu.Unlock()
				moments = append(moments, moment{h.FS.CrashClone(memfs.LoseAll), there.CrashClone(memfs.KeepAll)})
			}
			if op.Kind == faultfs.OpCreate && strings.Contains(op.Path, "log/") {
				return syscall.ENOSPC
			}
			return nil
		})
	})
	h.Reopen()
	if err := h.DB.Save(context.Background()); err != nil {
		t.Fatalf("the snapshot failed with the rotation: %v", err)
	}
	_ = h.DB.Close() // what it does in the background is over
	h.Wrap(nil)
	published := 0
	for i, m := range moments {
		sets, err := sink.NewFSSink("look", m.sink, "checkpoints").List(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		published += len(sets)
		h.FS, there = m.disk, m.sink
		h.Open()
		if got := state(h); got != want {
			t.Errorf("operation %d: got %s, want %s", i, got, want)
		}
		_ = h.DB.Close()
	}
	if published == 0 {
		t.Error("the power was never lost while the sink held what the directory had not committed")
	}
}
