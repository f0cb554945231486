package core_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/coretest"
	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/fsbackends/faultfs"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

// away is a sink that can be taken away.
type away struct {
	sink.Sink
	gone atomic.Bool
}

func (a *away) Put(ctx context.Context, p sink.Part, src io.Reader) (sink.Receipt, error) {
	if a.gone.Load() {
		return nil, errors.New("connection refused")
	}
	return a.Sink.Put(ctx, p, src)
}

// TestFailedSaveIsRetried: writes that a failed save holds back go on within half
// a minute of a required sink's return, though no save point is due for hours. It
// is not tried all the time, and the log has a line when it begins and one when it
// ends. Where writes go on nothing is tried.
func TestFailedSaveIsRetried(t *testing.T) {
	for name, stop := range map[string]bool{"stop-writes-on-bgsave-error yes": true, "no": false} {
		t.Run(name, func(t *testing.T) {
			var log journal
			other := &away{Sink: sink.NewFSSink("other", memfs.New(), "backups")}
			h := coretest.New(t, func(o *core.Options) {
				o.Logger = log.logger()
				o.Targets = []sink.Target{{Name: "other", Sink: other, Required: true}}
				o.Save = []core.SavePoint{{Seconds: 100_000, Changes: 1}}
				o.ContinueOnSaveError = !stop
			})
			h.Do("SET", "a", "1")
			other.gone.Store(true)
			if err := h.DB.Save(context.Background()); err == nil {
				t.Fatal("SAVE does not need its required sink")
			}
			wantWrite := func(refused bool) {
				t.Helper()
				if got := h.Do("SET", "b", "2"); strings.Contains(got, "MISCONF") != refused {
					t.Errorf("a write: %s", got)
				}
				err := h.DB.Healthy()
				if (err != nil) != refused || refused && !strings.Contains(err.Error(), "connection refused") {
					t.Errorf("Healthy: %v", err)
				}
			}
			wantWrite(stop)
			before := log.Count("checkpoint started")
			for range 600 { // ten minutes
				h.Clock.Advance(time.Second)
				h.Settle()
			}
			tries := log.Count("checkpoint started") - before
			if stop && (tries < 600/30 || tries > 600/30+6) || !stop && tries != 0 {
				t.Errorf("%d attempts in ten minutes", tries)
			}
			if n := log.Count("[ERROR] checkpoint: checkpoint failed"); n != 1 {
				t.Errorf("%d lines for one failure", n)
			}
			wantWrite(stop)
			other.gone.Store(false)
			for range 31 {
				h.Clock.Advance(time.Second)
				h.Settle()
			}
			wantWrite(false)
			held, over := log.Count("[WARN]  writes are refused until a save succeeds"), log.Count("[INFO]  a save has succeeded: writes are accepted again")
			if stop && (held != 1 || over != 1) || !stop && held+over != 0 {
				t.Errorf("%d lines say that writes are held, %d that it is over", held, over)
			}
		})
	}
}

// TestHealthy: the engine says why it does not do its work, and that it does when
// it does again.
func TestHealthy(t *testing.T) {
	disk := faultfs.New(memfs.New(), nil)
	db, err := core.Prepare(core.Options{FS: disk, Shards: 2, ManualTick: true, OnShutdown: func() {}})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	want := func(says string) {
		t.Helper()
		if err := db.Healthy(); (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("Healthy: %v, want %q", err, says)
		}
	}
	want("loading")
	if err := db.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	want("")
	disk.SetInject(on(faultfs.OpSync, "log/", syscall.EIO))
	if _, err := db.Session().Do("SET", "a", "1"); err != nil {
		t.Fatal(err)
	}
	want("fsync failed")
	disk.SetInject(nil)
	if err := db.Save(context.Background()); err != nil {
		t.Fatal(err)
	}
	want("")
	if err := db.PrepareShutdown(command.ShutdownDefault, false); err != nil {
		t.Fatal(err)
	}
	want("shutting down")
}

// slow is a sink that, when it is told to, ends what it does only when it has to.
type slow struct {
	sink.Sink
	feeding    bool // or else pruning is slow
	gone, slow atomic.Bool
	busy       chan struct{}
}

func (s *slow) wait(ctx context.Context) error {
	if !s.slow.Load() {
		return nil
	}
	select {
	case s.busy <- struct{}{}:
	default:
	}
	<-ctx.Done()
	return ctx.Err()
}

func (s *slow) Put(ctx context.Context, p sink.Part, src io.Reader) (sink.Receipt, error) {
	if s.gone.Load() {
		return nil, errors.New("connection refused")
	}
	if s.feeding {
		if err := s.wait(ctx); err != nil {
			return nil, err
		}
	}
	return s.Sink.Put(ctx, p, src)
}

// Remove is what pruning does.
func (s *slow) Remove(ctx context.Context, id sink.SetID) error {
	if err := s.wait(ctx); err != nil {
		return err
	}
	return s.Sink.Remove(ctx, id)
}

// TestEndIsQuiet: what is done in the background for further sinks, pruning or
// feeding them, ends with the engine, and that is nothing to warn of.
func TestEndIsQuiet(t *testing.T) {
	for name, required := range map[string]bool{"pruning": true, "feeding": false} {
		t.Run(name, func(t *testing.T) {
			var log journal
			other := &slow{Sink: sink.NewFSSink("other", memfs.New(), "backups"), feeding: !required, busy: make(chan struct{}, 1)}
			h := coretest.New(t, func(o *core.Options) {
				o.Logger = log.logger()
				o.Targets = []sink.Target{{Name: "other", Sink: other, Required: required, Keep: sink.Retention{Last: 1}}}
			})
			save := func() {
				h.Do("SET", "a", "1")
				if err := h.DB.Save(context.Background()); err != nil {
					t.Fatal(err)
				}
			}
			save()
			if name == "pruning" {
				other.slow.Store(true)
				save()
			} else {
				other.gone.Store(true)
				save()
				if err := h.DB.Close(); err != nil {
					t.Fatal(err)
				}
				other.slow.Store(true)
				other.gone.Store(false)
				h.Open()
			}
			<-other.busy
			before := log.Count("[WARN]") + log.Count("[ERROR]")
			if err := h.DB.Close(); err != nil {
				t.Fatal(err)
			}
			if n := log.Count("[WARN]") + log.Count("[ERROR]"); n != before {
				t.Errorf("%d warnings:\n%s", n-before, log.String())
			}
		})
	}
}
