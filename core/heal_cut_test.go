package core_test

import (
	"context"
	"io"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/core/wal"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

// healing is an engine in a bubble whose log has failed, and whose checkpoints
// wait behind their cut until release is called.
type healing struct {
	t    *testing.T
	fs   *memfs.FS
	db   *core.DB
	sess *core.Session
	hold chan struct{}
}

func newHealing(t *testing.T, policy wal.Policy) *healing {
	h := &healing{t: t, fs: memfs.New(), hold: make(chan struct{})}
	h.open(policy)
	return h
}

func (h *healing) open(policy wal.Policy) {
	h.t.Helper()
	db, err := core.Open(core.Options{
		FS: h.fs, Shards: 2, Fsync: policy, ManualTick: true,
		Stages: []sink.Stage{hooked{func(_ context.Context, dst io.Writer, src io.Reader) error {
			<-h.hold
			_, err := io.Copy(dst, src)
			return err
		}}},
	})
	if err != nil {
		h.t.Fatal(err)
	}
	h.db, h.sess = db, db.Session()
}

func (h *healing) do(args ...string) string {
	h.t.Helper()
	v, err := h.sess.Do(args...)
	if err != nil {
		h.t.Fatal(err)
	}
	return v.String()
}

func (h *healing) want(want string, args ...string) {
	h.t.Helper()
	if got := h.do(args...); !strings.Contains(got, want) {
		h.t.Errorf("%q: %s, want %s", args, got, want)
	}
}

// breakLog makes the next fsync of the log fail.
func (h *healing) breakLog() {
	h.fs.FailSync(func(name string) error {
		if strings.Contains(name, ".aof") {
			return syscall.EIO
		}
		return nil
	})
}

// cut starts a checkpoint and returns when it is behind its cut.
func (h *healing) cut() {
	h.t.Helper()
	h.fs.FailSync(nil)
	h.want("started", "BGSAVE")
	synctest.Wait()
}

// release lets the checkpoint go on to its commit.
func (h *healing) release() {
	h.t.Helper()
	close(h.hold)
	for range 100 {
		synctest.Wait()
		h.db.Tick()
		if inFlight, n := h.db.Checkpoints(); !inFlight && n > 0 {
			return
		}
		time.Sleep(time.Millisecond)
	}
	h.t.Fatal("the checkpoint is not committed")
}

// powerLoss goes on with what was synced.
func (h *healing) powerLoss(policy wal.Policy) {
	h.t.Helper()
	left := h.fs.CrashClone(memfs.LoseAll)
	_ = h.db.Close()
	h.fs = left
	h.open(policy)
}

// TestNothingAcknowledgedWhileHealing: behind the cut of a checkpoint that
// re-establishes a failed log, writes go to a log that is worth nothing before
// the commit. None of them is acknowledged, whether anybody has met the failure
// before the cut or not.
func TestNothingAcknowledgedWhileHealing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHealing(t, wal.EverySec)
		h.want("OK", "SET", "a", "1")
		time.Sleep(2500 * time.Millisecond) // between two beats: at one, this and the write could be in its fsync or behind it
		h.breakLog()
		h.want("OK", "SET", "b", "2")
		time.Sleep(2 * time.Second) // the log's own fsync fails, and nobody knows
		h.cut()
		h.want("MISCONF", "SET", "c", "3")
		h.want(`"1"`, "GET", "a")
		h.release()
		h.want("OK", "SET", "d", "4")
		time.Sleep(2 * time.Second)
		h.powerLoss(wal.EverySec)
		h.want(`["1" "2" "4"]`, "MGET", "a", "b", "d")
		_ = h.db.Close()
	})
}

// TestExpiryWhileHealing: a key that is found expired behind such a cut is in
// the snapshot and not in memory. Its removal must be in the log, or what is
// logged afterwards means another thing when it is replayed.
func TestExpiryWhileHealing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHealing(t, wal.Always)
		h.want("OK", "SET", "k", "old", "PX", "500")
		h.breakLog()
		h.want("NOTDURABLE", "SET", "a", "1")
		h.cut()
		time.Sleep(time.Second)
		h.want("(nil)", "GET", "k")
		h.release()
		h.want("1", "SETNX", "k", "new")
		h.powerLoss(wal.Always)
		h.want(`"new"`, "GET", "k")
		_ = h.db.Close()
	})
}

// TestFailedHealingThenPowerLoss: when the checkpoint that is to heal fails as
// well, the segment behind its cut is no part of the log, whatever went to it.
func TestFailedHealingThenPowerLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHealing(t, wal.Always)
		h.want("OK", "SET", "a", "1")
		h.want("OK", "SET", "gone", "1", "PX", "500")
		h.breakLog()
		h.want("NOTDURABLE", "SET", "b", strings.Repeat("b", 2000))
		h.cut()
		time.Sleep(time.Second)
		h.want("(nil)", "GET", "gone") // goes to the segment behind the cut
		left := h.fs.CrashClone(memfs.LoseAll)
		if err := h.db.Close(); err == nil { // cancels the checkpoint
			t.Error("closing an engine whose log has failed says nothing")
		}
		for _, fs := range []*memfs.FS{h.fs, left} {
			h.fs = fs
			h.open(wal.Always)
			h.want(`"1"`, "GET", "a")
			h.want("OK", "SET", "c", "1")
			_ = h.db.Close()
		}
		close(h.hold)
	})
}
