package core_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/coretest"
	"github.com/spillwaydb/spillway/core/manifest"
	"github.com/spillwaydb/spillway/core/repair"
	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/fsbackends/faultfs"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
	"github.com/spillwaydb/spillway/internal/testutil"
)

// damage flips a byte of a file, durably.
func damage(t *testing.T, fs vfs.FS, name string, at int64) {
	t.Helper()
	f, err := fs.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	var b [1]byte
	_, err = f.ReadAt(b[:], at)
	b[0] ^= 0x40
	_, err2 := f.WriteAt(b[:], at)
	if err := errors.Join(err, err2, f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// damagedLog is a disk whose log has three segments behind the base, ten items
// each, with one damaged in the middle.
func damagedLog(t *testing.T, bad int) *memfs.FS {
	t.Helper()
	h := coretest.New(t, func(o *core.Options) { o.Shards, o.Keep = 1, 3 })
	push := func(n int) {
		for i := range 10 {
			h.Do("RPUSH", "list", fmt.Sprint(n*10+i))
		}
	}
	h.Do("SET", "a", "1")
	h.Do("SAVE")
	push(0)
	// A snapshot that cannot be published leaves a rotated log behind.
	for n := range 2 {
		cancelled := faultfs.FailKind(syscall.EIO, faultfs.OpSync)
		var armed atomic.Bool // the log may still be switching when SAVE has failed
		armed.Store(true)
		h.Wrap(func(fs vfs.FS) vfs.FS {
			return faultfs.New(fs, func(op faultfs.Op) error {
				if armed.Load() && strings.HasPrefix(op.Path, "checkpoints/") {
					return cancelled(op)
				}
				return nil
			})
		})
		h.Reopen()
		if got := h.Do("SAVE"); !strings.Contains(got, "error") {
			t.Fatalf("SAVE: %s", got)
		}
		armed.Store(false)
		push(n + 1)
	}
	if err := h.DB.Close(); err != nil {
		t.Fatal(err)
	}
	m, err := manifest.Read(h.FS)
	if err != nil || len(m.Segments) != 3 {
		t.Fatalf("%+v, %v", m, err)
	}
	damage(t, h.FS, m.Segments[bad].Path, 54+400)
	return h.FS
}

// open starts an engine on a disk.
func open(fs vfs.FS) (*core.DB, error) {
	return core.Open(core.Options{FS: fs, Shards: 2, Clock: &coretest.Clock{}, ManualTick: true})
}

// items is how long the list is that a start finds.
func items(t *testing.T, fs vfs.FS) int64 {
	t.Helper()
	db, err := open(fs)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	v, err := db.Session().Do("LLEN", "list")
	if err != nil {
		t.Fatal(err)
	}
	return v.Int
}

// TestCutLog damages each segment of a log in turn and cuts it there, also with
// the power lost before any operation of the repair, which is then run again.
func TestCutLog(t *testing.T) {
	for _, bad := range []int{0, 2} {
		t.Run(fmt.Sprint("segment ", bad), func(t *testing.T) {
			disk := damagedLog(t, bad)
			var damaged *repair.DamagedError
			if _, err := open(disk.CrashClone(memfs.KeepAll)); !errors.As(err, &damaged) || !strings.Contains(err.Error(), "offset") {
				t.Fatalf("the start says %v", err)
			}
			x, err := repair.Examine(context.Background(), disk)
			if err != nil || x.Whole() || x.BadSegment() != bad {
				t.Fatalf("%+v, %v", x, err)
			}
			s := x.Segments[bad]
			if s.Blocks == 0 || s.LostBlocks == 0 || s.Blocks+s.LostBlocks < 9 || s.Commands != s.Blocks {
				t.Errorf("of ten blocks %+v", s)
			}
			for _, later := range x.Segments[bad+1:] {
				if later.LostCommands != 10 {
					t.Errorf("behind it %+v", later)
				}
			}
			want := int64(10*bad) + s.Blocks
			tried := everyOperation(t, disk, mend, func(fs vfs.FS) {
				if got := items(t, fs); got != want {
					t.Fatalf("%d items, want %d", got, want)
				}
			})
			t.Logf("%d operations", tried)
		})
	}
}

// mend repairs a log as the command does.
func mend(fs vfs.FS) error {
	for {
		x, err := repair.Examine(context.Background(), fs)
		if err != nil || x.Whole() {
			return err
		}
		if _, err := repair.CutLog(fs, x, time.UnixMilli(7)); err != nil {
			return err
		}
	}
}

// TestHeader damages each byte of a segment's first line: nothing is lost.
func TestHeader(t *testing.T) {
	h := coretest.New(t, func(o *core.Options) { o.Shards = 1 })
	h.Do("RPUSH", "list", "a")
	h.Do("RPUSH", "list", "b")
	if err := h.DB.Close(); err != nil {
		t.Fatal(err)
	}
	for at := range int64(54) {
		disk := h.FS.CrashClone(memfs.KeepAll)
		damage(t, disk, "log/00000001.aof", at)
		if db, err := open(disk.CrashClone(memfs.KeepAll)); err == nil {
			_ = db.Close() // the time in it says nothing
			continue
		}
		if err := mend(disk); err != nil {
			t.Fatalf("byte %d: %v", at, err)
		}
		if got := items(t, disk); got != 2 {
			t.Fatalf("byte %d: %d items", at, got)
		}
	}
}

// TestGoBack goes back from a damaged base, and from a damaged manifest, to the
// checkpoint before, also with the power lost in the middle.
func TestGoBack(t *testing.T) {
	for _, what := range []string{"base", manifest.FileName} {
		t.Run(what, func(t *testing.T) {
			h := coretest.New(t, func(o *core.Options) { o.Shards, o.Keep = 1, 3 })
			h.Do("RPUSH", "list", "a")
			h.Do("SAVE")
			h.Do("RPUSH", "list", "b")
			h.Do("SAVE")
			h.Do("RPUSH", "list", "c")
			if err := h.DB.Close(); err != nil {
				t.Fatal(err)
			}
			file := what
			if what == "base" {
				file = inSet(t, h.FS, 2, "shard-0000.rdb")
			}
			damage(t, h.FS, file, 60)
			if _, err := repair.GoBack(context.Background(), h.FS.CrashClone(memfs.KeepAll), 3, "test", time.UnixMilli(7)); !errors.Is(err, repair.ErrNoSuchSet) {
				t.Errorf("a checkpoint that is not there: %v", err)
			}
			tried := everyOperation(t, h.FS, func(fs vfs.FS) error {
				_, err := repair.GoBack(context.Background(), fs, 1, "test", time.UnixMilli(7))
				return err
			}, func(fs vfs.FS) {
				if got := items(t, fs); got != 1 {
					t.Fatalf("%d items, want 1", got)
				}
				// Nothing that was set aside is gone.
				infos, err := vfs.ReadDir(fs, "torn")
				if err != nil || len(infos) < 3 {
					t.Fatalf("set aside: %v, %v", infos, err)
				}
			})
			t.Logf("%d operations", tried)
		})
	}
}

// everyOperation runs repair on clones of the disk, losing the power before
// each operation of it in turn; what is left is either accepted by check, or
// refused by a start and by then repaired.
func everyOperation(t *testing.T, disk *memfs.FS, repair func(vfs.FS) error, check func(vfs.FS)) int64 {
	t.Helper()
	lost := errors.New("the power is gone")
	step := int64(1)
	if testutil.Race {
		step = 5
	}
	for n := int64(1); ; n += step {
		live := disk.CrashClone(memfs.KeepAll)
		err := repair(faultfs.New(live, faultfs.FailFrom(n, nil, lost)))
		if err == nil {
			check(live)
			if n < 10 {
				t.Fatalf("only %d operations: the test shows nothing", n)
			}
			return n
		}
		if !errors.Is(err, lost) {
			t.Fatalf("operation %d: %v", n, err)
		}
		seed := memfs.LoseAll
		if n%2 == 0 {
			seed = n
		}
		after := live.CrashClone(seed)
		db, err := open(after)
		if err == nil {
			_ = db.Close()
		} else if err := repair(after); err != nil {
			t.Fatalf("power lost at operation %d, seed %d: repaired again: %v", n, seed, err)
		}
		check(after)
	}
}

// TestExamineGivesUp: a disk that cannot be read is no damage.
func TestExamineGivesUp(t *testing.T) {
	disk := damagedLog(t, 1)
	sick := faultfs.New(disk, faultfs.FailKind(syscall.EIO, faultfs.OpRead))
	var damaged *repair.DamagedError
	if _, err := open(sick); err == nil || errors.As(err, &damaged) {
		t.Errorf("a start: %v", err)
	}
	if _, err := repair.Examine(context.Background(), sick); !errors.Is(err, syscall.EIO) {
		t.Errorf("Examine: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := repair.Examine(ctx, disk); !errors.Is(err, context.Canceled) && !errors.Is(err, io.EOF) {
		t.Errorf("Examine that is cancelled: %v", err)
	}
}
