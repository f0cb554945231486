// Package coretest runs an engine in memory, on a strict filesystem that can
// lose power and a clock that stands still until it is told otherwise. It is
// for tests of programs that embed Spillway, and for Spillway's own.
//
//	h := coretest.New(t)
//	h.Do("SET", "k", "v")
//	h.Crash(7)             // power loss: what was not synced may be gone
//	h.Do("GET", "k")       // the engine is open again
package coretest

import (
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
	"github.com/spillwaydb/spillway/internal/testutil"
)

// Clock is a manual clock. It is safe for concurrent use.
type Clock struct {
	manual testutil.Clock
}

var _ core.Clock = (*Clock)(nil)

// beginning is what the clocks of tests show first.
var beginning = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func newClock(now time.Time) *Clock {
	c := &Clock{}
	c.manual.Set(now)
	return c
}

// Now implements core.Clock.
func (c *Clock) Now() time.Time { return c.manual.Now() }

// Advance moves the clock forward. What waits on it for so long, a sink that is too
// slow for instance, has waited enough.
func (c *Clock) Advance(d time.Duration) { c.manual.Advance(d) }

// NewTicker implements core.Clock. Ticks come when the clock is moved, and in real
// time too: what waits on a ticker (the log's own goroutine) makes progress when
// nobody moves it.
func (c *Clock) NewTicker(d time.Duration) (<-chan time.Time, func()) {
	return c.manual.NewRealTicker(d)
}

// Harness is an engine under test. Its methods are for one goroutine.
type Harness struct {
	// FS is the disk in use; Crash replaces it.
	FS *memfs.FS
	// Clock is the engine's; it starts at a fixed time.
	Clock *Clock
	// DB is the open engine; Crash and Reopen replace it.
	DB *core.DB

	t      testing.TB
	change []func(*core.Options)
	wrap   func(vfs.FS) vfs.FS
	sess   *core.Session
	ended  chan struct{} // a checkpoint has ended since somebody looked
}

// New opens an engine on an empty disk: two shards, the log on with
// appendfsync always, no automatic checkpoints. Functions may change that; they
// are applied at every start. The engine is closed when the test ends.
func New(t testing.TB, change ...func(*core.Options)) *Harness {
	t.Helper()
	h := &Harness{
		t: t, FS: memfs.New(), Clock: newClock(beginning), change: change,
	}
	h.Open()
	t.Cleanup(func() { _ = h.DB.Close() })
	return h
}

// Wrap puts a filesystem in front of the disk (see fsbackends/faultfs) from the
// next start on.
func (h *Harness) Wrap(wrap func(vfs.FS) vfs.FS) { h.wrap = wrap }

// TryOpen starts an engine on the disk as it is.
func (h *Harness) TryOpen() error {
	var fs vfs.FS = h.FS
	if h.wrap != nil {
		fs = h.wrap(fs)
	}
	o := options(fs, h.Clock, h.change)
	h.ended = make(chan struct{}, 1)
	o.Events.CheckpointCommitted = noting(h.ended, o.Events.CheckpointCommitted)
	o.Events.CheckpointFailed = noting(h.ended, o.Events.CheckpointFailed)
	db, err := core.Open(o)
	if err != nil {
		return err
	}
	h.DB, h.sess = db, db.Session()
	return nil
}

// Open is TryOpen that fails the test.
func (h *Harness) Open() {
	h.t.Helper()
	if err := h.TryOpen(); err != nil {
		h.t.Fatalf("opening the engine: %v", err)
	}
}

// Do runs a command to its end and returns the reply as redis-cli shows it.
func (h *Harness) Do(args ...string) string {
	h.t.Helper()
	v, err := h.sess.Do(args...)
	if err != nil {
		h.t.Fatalf("%v: %v", args, err)
	}
	return v.String()
}

// Value is Do that returns the reply itself.
func (h *Harness) Value(args ...string) resp.Value {
	h.t.Helper()
	v, err := h.sess.Do(args...)
	if err != nil {
		h.t.Fatalf("%v: %v", args, err)
	}
	return v
}

// noting is an event that fills the channel before it is told to f, if that is
// not nil.
func noting(ended chan struct{}, f func(core.CheckpointEvent)) func(core.CheckpointEvent) {
	return func(e core.CheckpointEvent) {
		select {
		case ended <- struct{}{}:
		default:
		}
		if f != nil {
			f(e)
		}
	}
}

// Settle ticks, and returns when no checkpoint is in flight: neither one that was
// asked for nor one that the tick has begun.
func (h *Harness) Settle() {
	h.t.Helper()
	hung := time.After(patience)
	for {
		h.DB.Tick()
		if inFlight, _ := h.DB.Checkpoints(); !inFlight {
			return
		}
		select {
		case <-h.ended:
		case <-hung:
			h.t.Fatal(errHangs)
		}
	}
}

// Crash takes the power away, now, and opens an engine on what the disk has
// left: memfs.LoseAll keeps only what was synced, memfs.KeepAll everything, any
// other seed one of the states between.
func (h *Harness) Crash(seed int64) {
	h.t.Helper()
	after := h.FS.CrashClone(seed)
	_ = h.DB.Close() // the old disk is of no interest any more
	h.FS = after
	h.Open()
}

// Reopen closes the engine and opens it again.
func (h *Harness) Reopen() {
	h.t.Helper()
	if err := h.DB.Close(); err != nil {
		h.t.Fatalf("closing the engine: %v", err)
	}
	h.Open()
}
