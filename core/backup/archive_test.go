package backup_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/backup"
	"github.com/spillwaydb/spillway/core/manifest"
	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
	"github.com/spillwaydb/spillway/internal/testutil"
)

// archived is a world whose engine archives its log by itself.
func archived(t *testing.T) *world {
	t.Helper()
	z := compressor(t)
	return newWorld(t, seeded(t), func(w *world, o *core.Options) {
		o.Archive = core.Archive{Stages: []sink.Stage{z}, SealAfter: 20 * time.Second, Targets: []sink.Target{{Name: "offsite", Sink: w.src}}}
	})
}

// settle ticks until everything is where it is to be.
func (w *world) settle() {
	w.t.Helper()
	testutil.Eventually(w.t, "the archive comes to rest", func() bool {
		w.h.DB.Tick()
		s := w.h.DB.Archive()
		if s.Err != nil {
			w.t.Fatalf("the archive: %v", s.Err)
		}
		busy, _ := w.h.DB.Checkpoints()
		return !busy && s.Waiting == 0 && !s.Sealing
	})
}

// TestArchiveAndBack: an engine archives its log, the machine is lost, a restore
// gives any moment back, the restored engine goes on with the same sink, is lost
// as well, and both lives can be had back from there.
func TestArchiveAndBack(t *testing.T) {
	w := archived(t)
	live := func(n int) {
		t.Helper()
		for i := range n {
			w.write()
			w.settle()
			if i%23 == 19 {
				w.h.Clock.Advance(time.Millisecond)
				if err := w.h.DB.Save(context.Background()); err != nil {
					t.Fatal(err)
				}
				w.note()
			}
		}
		w.h.Clock.Advance(time.Minute) // the last write is old enough to be sealed
		w.settle()
	}
	live(60)
	first := mustList(t, w.src)
	if len(first.Segments) < 5 || len(first.Checkpoints) < 2 {
		t.Fatalf("%d segments and %d checkpoints", len(first.Segments), len(first.Checkpoints))
	}
	began := first.Checkpoints[0].CreatedAt
	check := func(n int) {
		t.Helper()
		for range n {
			m := w.moments[w.rng.IntN(len(w.moments))]
			if m.at.Before(began) {
				continue
			}
			fs, _, p, err := w.restore(w.src, backup.At{Time: m.at})
			if err != nil {
				t.Fatalf("at %s: %v", m.at, err)
			}
			if p.End == backup.EndGap {
				t.Fatalf("at %s: a gap: %s", m.at, p.Why)
			}
			w.wantState(fs, false, m, m.at.Format(time.RFC3339Nano))
		}
	}
	check(15)
	// All but the segments before the first checkpoint are of use.
	if windows := first.Windows(); len(windows) != 1 || windows[0].Gap != "" || windows[0].Segments < len(first.Segments)-3 {
		t.Errorf("windows %+v of %d segments", windows, len(first.Segments))
	}

	// Back to a moment in the middle of a segment, and on from there.
	back := w.moments[len(w.moments)-4]
	fs, res, p, err := w.restore(w.src, backup.At{Time: back.at})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("restored %s: %+v", p, res)
	old := len(w.moments)
	w.h.FS = fs
	w.h.Clock.Advance(time.Hour)
	w.h.Reopen()
	w.wantHeld(w.h.DB, moment{w.h.Clock.Now(), back.held}, "restored")
	m, err := manifest.Read(fs)
	if err != nil {
		t.Fatal(err)
	}
	if m.Lineage == first.Checkpoints[0].Meta[sink.MetaLineage] {
		t.Fatal("the restored directory goes on with the old lineage")
	}
	w.settle() // its first checkpoint
	live(30)
	second := mustList(t, w.src)
	if len(second.Checkpoints) <= len(first.Checkpoints) || len(second.Segments) <= len(first.Segments) {
		t.Fatalf("the new life has put nothing: %d and %d sets", len(second.Checkpoints), len(second.Segments))
	}
	for i, s := range first.Segments {
		if second.Segments[i].Parts[0].SHA256 != s.Parts[0].SHA256 {
			t.Errorf("%s was written over", s.ID)
		}
	}
	check(20)
	fs, _, p, err = w.restore(w.src, backup.At{})
	if err != nil || p.Lineage() != m.Lineage || p.End != backup.EndSource {
		t.Fatalf("latest: %s, %v", p, err)
	}
	w.wantState(fs, false, w.at(w.h.Clock.Now()), "latest of the new life") // with what the tick has expired since the last write
	lost := w.moments[old-1]
	fs, _, p, err = w.restore(w.src, backup.At{Time: lost.at})
	if err != nil || p.Lineage() == m.Lineage {
		t.Fatalf("the end of the old life: %s, %v", p, err)
	}
	w.wantState(fs, false, lost, fmt.Sprint("the end of the old life, ", lost.at))
}

// TestUnion: the checkpoints are on one sink and the log on another.
func TestUnion(t *testing.T) {
	log := sink.NewFSSink("log", memfs.New(), "checkpoints")
	w := newWorld(t, seeded(t), func(_ *world, o *core.Options) {
		o.Archive = core.Archive{SealAfter: time.Second, Targets: []sink.Target{{Name: "log", Sink: log}}}
	})
	for i := range 6 {
		w.do("SET", "k", fmt.Sprint(i))
		w.settle() // sees the write
		w.h.Clock.Advance(time.Second)
		w.settle() // seals it
	}
	if _, _, _, err := w.restore(log, backup.At{}); !errors.Is(err, backup.ErrNoCheckpoint) {
		t.Errorf("from the log alone: %v", err)
	}
	both := backup.Union(w.src, log)
	fs, res, p, err := w.restore(both, backup.At{})
	if err != nil || res.Segments == 0 || p.End != backup.EndSource {
		t.Fatalf("%+v, %+v, %v", res, p, err)
	}
	w.wantState(fs, false, w.last(0), "from both")
	segment := mustList(t, log).Segments[0].ID
	if err := both.Remove(context.Background(), segment); err != nil || len(mustList(t, log).Segments) != len(mustList(t, both).Segments) {
		t.Errorf("removing %s: %v", segment, err)
	}
	if _, err := both.Open(context.Background(), sink.Part{Kind: segment.Kind, Generation: segment.Generation, Name: "x"}, nil); err == nil {
		t.Error("a set that is nowhere was opened")
	}
}
