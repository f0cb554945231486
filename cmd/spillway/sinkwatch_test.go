package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
	"github.com/spillwaydb/spillway/plugins/plugintest"
)

// TestWatchedSinkConformance: being watched changes nothing of a sink.
func TestWatchedSinkConformance(t *testing.T) {
	t.Parallel()
	plugintest.TestSink(t, func(t testing.TB) sink.Sink {
		return newSinkWatch().around("checkpoint", "s", sink.NewFSSink("s", memfs.New(), "sets"))
	})
}

// scripted is a sink whose List waits until it is told what to say.
type scripted struct {
	sink.Sink
	began chan struct{}
	say   chan []sink.Set
	err   error
}

func (s *scripted) List(context.Context) ([]sink.Set, error) {
	close(s.began)
	return <-s.say, nil
}
func (s *scripted) Publish(context.Context, sink.Set) error  { return s.err }
func (s *scripted) Remove(context.Context, sink.SetID) error { return s.err }

// checkpointAt is a checkpoint of the lineage.
func checkpointAt(generation uint64, lineage string, at time.Time) sink.Set {
	return sink.Set{
		ID: sink.SetID{Generation: generation, Kind: sink.KindSnapshot, Token: "t"}, CreatedAt: at,
		Meta: map[string]string{sink.MetaLineage: lineage},
	}
}

// TestSinkWatchSees: what is published and removed while a listing is under way counts,
// whatever the listing has seen of it; what failed to be published does not.
func TestSinkWatchSees(t *testing.T) {
	w, ctx, begin := newSinkWatch(), t.Context(), time.Unix(1_700_000_000, 0)
	inner := &scripted{began: make(chan struct{}), say: make(chan []sink.Set)}
	s := w.around("checkpoint", "s", inner)
	old, gone, fresh := checkpointAt(1, "own", begin), checkpointAt(2, "own", begin.Add(time.Hour)), checkpointAt(3, "own", begin.Add(2*time.Hour))
	listed := make(chan error)
	go func() {
		_, err := s.List(ctx)
		listed <- err
	}()
	<-inner.began
	if err := errors.Join(s.Publish(ctx, fresh), s.Remove(ctx, gone.ID)); err != nil {
		t.Fatal(err)
	}
	inner.say <- []sink.Set{old, gone, checkpointAt(9, "other", begin)}
	if err := <-listed; err != nil {
		t.Fatal(err)
	}
	inner.err = errors.New("no")
	if s.Publish(ctx, checkpointAt(4, "own", begin.Add(3*time.Hour))) == nil {
		t.Fatal("an error is swallowed")
	}
	windows := w.restorable("own")
	if len(windows) != 2 || !windows[0].From.Equal(old.CreatedAt) || !windows[1].To.Equal(fresh.CreatedAt) {
		t.Errorf("%+v", windows)
	}
	inner.err = sink.Permanent(errors.New("never"))
	_ = s.Remove(ctx, old.ID)
	if windows = w.restorable("own"); len(windows) != 1 {
		t.Errorf("what may be gone is promised: %+v", windows)
	}
	var seen []string
	for _, st := range w.stores() {
		seen = append(seen, st.Operation+" "+st.Result)
	}
	if got, want := strings.Join(seen, ", "), "list ok, publish ok, publish transient, remove ok, remove permanent"; got != want {
		t.Errorf("counted were %s, want %s", got, want)
	}
}
