package core_test

import (
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/spillwaydb/spillway/core/coretest"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

// TestRestartAfterFailedSync: a failed fsync leaves bytes in memory that the
// disk never gets, however often it is synced afterwards. A start that replays
// them must bring them to the disk, or a hole opens under all that follows.
func TestRestartAfterFailedSync(t *testing.T) {
	for _, seed := range []int64{memfs.LoseAll, memfs.KeepAll, 5} {
		h := coretest.New(t)
		h.Do("SET", "a", "1")
		var bad atomic.Bool
		bad.Store(true)
		h.FS.FailSync(func(name string) error {
			if bad.Load() && strings.Contains(name, ".aof") {
				return syscall.EIO
			}
			return nil
		})
		if got := h.Do("SET", "b", strings.Repeat("b", 5000)); !strings.Contains(got, "NOTDURABLE") {
			t.Fatal(got)
		}
		_ = h.DB.Close() // says so as well
		bad.Store(false)
		h.Open()
		shown := h.Do("STRLEN", "b")
		if got := h.Do("SET", "c", "3"); got != `"OK"` {
			t.Fatal(got)
		}
		h.Crash(seed)
		if got := h.Do("MGET", "a", "c"); got != `["1" "3"]` {
			t.Errorf("disk seed %d: acknowledged: %s", seed, got)
		}
		if got := h.Do("STRLEN", "b"); got != shown {
			t.Errorf("disk seed %d: the start showed %s bytes, and then %s are left", seed, shown, got)
		}
	}
}
