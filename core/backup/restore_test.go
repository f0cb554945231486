package backup_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/backup"
	"github.com/spillwaydb/spillway/core/manifest"
	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/fsbackends/faultfs"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

// TestPointInTime restores many moments of a random life, out of the archive and
// out of the data directory itself, and compares with what the engine held then.
func TestPointInTime(t *testing.T) {
	rng := seeded(t)
	w := newWorld(t, rng)
	for range 5 {
		w.write()
	}
	w.save()
	first := w.moments[len(w.moments)-1].at
	for i := range 120 {
		w.write()
		switch {
		case i%29 == 17:
			w.save()
		case i%7 == 3:
			w.rotate()
		}
	}
	base := w.h.Clock.Now()
	if m, err := manifest.Read(w.h.FS); err != nil {
		t.Fatal(err)
	} else {
		base = m.Base.CreatedAt
	}
	w.seal(true)
	end := w.moments[len(w.moments)-1].at
	check := func(src sink.Sink, from time.Time, n int) {
		t.Helper()
		for i := range n {
			m := w.moments[rng.IntN(len(w.moments))]
			at := m.at.Add(time.Duration(rng.IntN(3)) * time.Second / 2)
			if i == 0 {
				at = end.Add(time.Hour) // beyond what there is
			}
			plain := i%2 == 1
			fs, res, p, err := w.restore(src, backup.At{Time: at}, func(o *backup.Options) { o.Plain = plain })
			what := fmt.Sprintf("%s at %s", src.Info().Name, at.Format(time.RFC3339Nano))
			if at.Before(from) {
				if !errors.Is(err, backup.ErrNoCheckpoint) {
					t.Fatalf("%s, before the first checkpoint: %v", what, err)
				}
				continue
			}
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			if res.LastWrite.After(at) || p.Reach.After(at) {
				t.Fatalf("%s: the last write is of %s, reach %s", what, res.LastWrite, p.Reach)
			}
			w.wantState(fs, plain, w.at(at), what)
		}
	}
	check(w.src, first, 25)
	check(backup.DataDir("data", w.h.FS), base, 12)

	fs, res, p, err := w.restore(w.src, backup.At{})
	if err != nil || p.End != backup.EndSource || !res.LastWrite.Equal(p.Reach) {
		t.Fatalf("latest: %+v, %+v, %v", res, p, err)
	}
	w.wantState(fs, false, w.at(end), "latest")
}

// TestGeneration restores exactly the cut of every checkpoint.
func TestGeneration(t *testing.T) {
	w := newWorld(t, seeded(t))
	cuts := map[uint64]moment{}
	for gen := uint64(1); gen <= 3; gen++ {
		for range 10 {
			w.write()
		}
		w.save()
		cuts[gen] = w.last(0)
	}
	w.write()
	w.seal(true)
	for gen, want := range cuts {
		fs, res, p, err := w.restore(w.src, backup.At{Generation: gen})
		if err != nil {
			t.Fatal(err)
		}
		if p.End != backup.EndCut || res.Segments != 0 || res.Keys == 0 {
			t.Fatalf("generation %d: %+v, %+v", gen, res, p)
		}
		m, err := manifest.Read(fs)
		if err != nil {
			t.Fatal(err)
		}
		if m.NextGeneration != 4 || m.NextSegment <= 4 {
			t.Fatalf("generation %d: the next numbers are %d and %d", gen, m.NextGeneration, m.NextSegment)
		}
		w.wantState(fs, false, want, fmt.Sprint("generation ", gen))
	}
	if _, _, _, err := w.restore(w.src, backup.At{Generation: 9}); !errors.Is(err, backup.ErrNoCheckpoint) || !strings.Contains(err.Error(), "there are 1, 2, 3") {
		t.Fatalf("generation 9: %v", err)
	}
	if _, err := backup.Plan(context.Background(), sink.NewFSSink("nothing", memfs.New(), "checkpoints"), backup.At{}); !errors.Is(err, backup.ErrNoCheckpoint) {
		t.Fatalf("an empty source: %v", err)
	}
}

// TestGap: a segment that is missing ends the chain, and says so.
func TestGap(t *testing.T) {
	w := newWorld(t, seeded(t))
	w.write()
	w.save()
	var before moment
	var missing uint64
	for i := range 4 {
		w.write()
		if i == 2 {
			before = w.last(1)
		}
		w.rotate()
	}
	c, err := backup.List(context.Background(), w.src)
	if err != nil {
		t.Fatal(err)
	}
	missing = c.Segments[len(c.Segments)-2].ID.Generation
	if err := w.src.Remove(context.Background(), c.Segments[len(c.Segments)-2].ID); err != nil {
		t.Fatal(err)
	}
	fs, _, p, err := w.restore(w.src, backup.At{})
	if err != nil {
		t.Fatal(err)
	}
	if p.End != backup.EndGap || !strings.Contains(p.Why, fmt.Sprintf("segment %d is not in the source", missing)) {
		t.Fatalf("the point ends at %s: %s", p.End, p.Why)
	}
	w.wantState(fs, false, before, "up to the gap")

	at := backup.At{Time: w.moments[len(w.moments)-1].at}
	if _, _, p, err = w.restore(w.src, at); err != nil || p.End != backup.EndGap {
		t.Fatalf("a moment behind the gap: %+v, %v", p, err)
	}
	windows := mustList(t, w.src).Windows()
	if len(windows) != 1 || windows[0].Gap != p.Why || !windows[0].To.Equal(p.Reach) {
		t.Fatalf("windows %+v", windows)
	}
}

func mustList(t *testing.T, src sink.Sink) *backup.Catalog {
	t.Helper()
	c, err := backup.List(context.Background(), src)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestFork: two lives of a data directory write to one source. What one wrote is
// not mistaken for what follows on the other.
func TestFork(t *testing.T) {
	w := newWorld(t, seeded(t))
	w.write()
	w.save()
	w.write()
	w.rotate()
	old := w.moments[len(w.moments)-1]
	before := mustList(t, w.src)

	// The life ends; another begins where it was at its first checkpoint.
	fs, _, p, err := w.restore(w.src, backup.At{Generation: 1})
	if err != nil {
		t.Fatal(err)
	}
	w.h.FS, w.prev, w.sealed = fs, "", map[uint64]bool{}
	w.h.Clock.Advance(time.Hour)
	w.h.Reopen() // its first checkpoint begins by itself
	w.h.Settle()
	if _, saves := w.h.DB.Checkpoints(); saves != 1 {
		t.Fatalf("%d checkpoints were taken at the first start", saves)
	}
	for range 3 {
		w.write()
	}
	w.rotate()
	after := mustList(t, w.src)
	for _, s := range after.Checkpoints[len(before.Checkpoints):] {
		if s.ID.Generation < p.NextGeneration {
			t.Fatalf("%s of the new life takes a number of the old one", s.ID)
		}
	}
	first := before.Checkpoints[0].Meta[sink.MetaLineage]
	fs, _, p, err = w.restore(w.src, backup.At{})
	if err != nil || p.Lineage() == first || first == "" {
		t.Fatalf("latest: %s, %v", p, err)
	}
	w.wantState(fs, false, w.last(0), "the new life")
	fs, _, p, err = w.restore(w.src, backup.At{Time: old.at})
	if err != nil || p.Lineage() != first {
		t.Fatalf("the old life: %s, %v", p, err)
	}
	w.wantState(fs, false, old, "the old life")
}

// small is a source with a checkpoint and two segments.
func small(t *testing.T) (w *world, p *backup.Point) {
	t.Helper()
	w = newWorld(t, seeded(t))
	for range 8 {
		w.write()
	}
	w.save()
	w.do("SET", "first", "x")
	w.rotate()
	for i := range 3 {
		w.do("SET", "last", fmt.Sprint(i))
	}
	w.seal(true)
	// In the middle of the last segment, so that it is cut.
	p, err := backup.Plan(context.Background(), w.src, backup.At{Time: w.moments[len(w.moments)-2].at})
	if err != nil {
		t.Fatal(err)
	}
	if p.End != backup.EndTime || len(p.Segments) != 2 {
		t.Fatalf("the point is %s, ends at %s", p, p.End)
	}
	return w, p
}

// TestRestoreUnderFaults fails each operation on the data directory, takes the
// power away as well, and runs the restore again. No engine starts in between on
// what is not whole.
func TestRestoreUnderFaults(t *testing.T) {
	w, p := small(t)
	want := w.last(1)
	resumed, reused := 0, int64(0)
	for n := int64(1); ; n++ {
		reached := false
		for i, fault := range []error{syscall.EIO, &faultfs.After{Err: syscall.EIO}, &faultfs.Short{N: 100, Err: syscall.ENOSPC}} {
			mem := memfs.New()
			o := w.options()
			o.Parallel = 1
			faulty := faultfs.New(mem, faultfs.FailNth(n, nil, fault))
			_, err := backup.Restore(context.Background(), faulty, w.src, p, o)
			reached = reached || faulty.Count() >= n
			fs := mem
			if n%2 == 0 {
				fs = mem.CrashClone(int64(i) + n)
			}
			what := fmt.Sprintf("operation %d failed with %v, error %v", n, fault, err)
			wantWholeOrRefused(t, w, fs, what)
			if err == nil {
				fs = fs.CrashClone(memfs.LoseAll)
			} else {
				res, again := backup.Restore(context.Background(), fs, w.src, p, w.options())
				switch {
				case errors.Is(again, backup.ErrNotEmpty): // it was complete but for the report
				case again != nil:
					t.Fatalf("%s: the second run: %v", what, again)
				case res.Resumed:
					resumed++
					reused += res.Reused
				}
			}
			w.wantState(fs, false, want, what)
		}
		if !reached {
			if n < 40 || resumed < 40 || reused == 0 {
				t.Fatalf("%d operations were seen, %d runs resumed, %d bytes reused", n-1, resumed, reused)
			}
			return
		}
	}
}

// wantWholeOrRefused starts an engine on a copy: it must not take half a
// directory for a whole one.
func wantWholeOrRefused(t *testing.T, w *world, fs *memfs.FS, what string) {
	t.Helper()
	copied := fs.CrashClone(memfs.KeepAll)
	names, err := backup.Strangers(copied)
	if err != nil {
		t.Fatal(err)
	}
	db, err := start(w, copied, false)
	now := w.h.Clock.Now().UnixMilli()
	var unfinished *manifest.UnfinishedError
	switch {
	case err == nil:
		got := held(t, db)
		_ = db.Close()
		if len(names) > 0 && got.Text(now) != w.last(1).held.Text(now) {
			t.Fatalf("%s: an engine starts on half of it, with\n%s", what, got.Text(now))
		}
	case !errors.As(err, &unfinished):
		t.Fatalf("%s: an engine says: %v", what, err)
	case !strings.Contains(err.Error(), "the test again"):
		t.Fatalf("%s: %v does not name the command", what, err)
	}
}

// TestNotEmpty: a restore never writes where something is.
func TestNotEmpty(t *testing.T) {
	w, p := small(t)
	other := memfs.New()
	if err := vfs.WriteFileAtomic(other, "precious", []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := backup.Restore(context.Background(), other, w.src, p, w.options()); !errors.Is(err, backup.ErrNotEmpty) || !strings.Contains(err.Error(), "precious") {
		t.Fatalf("a directory with a file: %v", err)
	}
	if names, _ := backup.Strangers(other); len(names) != 1 {
		t.Fatalf("it was written to: %v", names)
	}
	if _, err := backup.Restore(context.Background(), w.h.FS, w.src, p, w.options()); err == nil {
		t.Fatal("the directory of a running engine was taken")
	}

	// What CONFIG REWRITE has written beside the data is no data.
	kept := memfs.New()
	if err := vfs.WriteFileAtomic(kept, "spillway.auto.hcl", []byte("max_memory = \"1gb\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := backup.Restore(context.Background(), kept, w.src, p, w.options()); err != nil {
		t.Fatalf("beside a configuration: %v", err)
	}
	if text, err := vfs.ReadFile(kept, "spillway.auto.hcl"); err != nil || !strings.Contains(string(text), "1gb") {
		t.Fatalf("the configuration is %q now: %v", text, err)
	}

	// One that another restore was begun in goes on only with that, or anew.
	fs := memfs.New()
	fs.SetQuota(2000)
	if _, err := backup.Restore(context.Background(), fs, w.src, p, w.options()); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("a full disk: %v", err)
	}
	fs.SetQuota(0)
	later, err := backup.Plan(context.Background(), w.src, backup.At{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := backup.Restore(context.Background(), fs, w.src, later, w.options()); !errors.Is(err, backup.ErrNotEmpty) || !strings.Contains(err.Error(), "the test again") {
		t.Fatalf("another point: %v", err)
	}
	o := w.options()
	o.Restart = true
	if _, err := backup.Restore(context.Background(), fs, w.src, later, o); err != nil {
		t.Fatal(err)
	}
	w.wantState(fs, false, w.last(0), "restarted")
}

// flaky is a source that breaks off every part once.
type flaky struct {
	sink.Sink
	broken map[string]bool
}

func (f *flaky) Open(ctx context.Context, p sink.Part, r sink.Receipt) (rc readCloser, err error) {
	src, err := f.Sink.Open(ctx, p, r)
	if err != nil {
		return nil, err
	}
	if key := p.ID().String() + p.Name; !f.broken[key] {
		f.broken[key] = true
		return &breaking{src, 10}, nil
	}
	return src, nil
}

// TestDamagedSource: every stored byte counts, and nothing of it becomes a data
// directory.
func TestDamagedSource(t *testing.T) {
	w, p := small(t)
	for _, set := range p.Sets() {
		for _, part := range set.Parts {
			name := w.partOf(set.ID, part.Part.Name)
			for what, change := range map[string]func([]byte) []byte{
				"flipped": func(b []byte) []byte { b = append([]byte(nil), b...); b[len(b)/2] ^= 1; return b },
				"short":   func(b []byte) []byte { return b[:len(b)-1] },
				"long":    func(b []byte) []byte { return append(append([]byte(nil), b...), 'x') },
			} {
				whole, err := vfs.ReadFile(w.disk, name)
				if err != nil {
					t.Fatal(err)
				}
				edit(t, w.disk, name, change)
				fs, _, _, err := w.restore(w.src, p.At)
				if !errors.Is(err, sink.ErrCorrupt) || !strings.Contains(err.Error(), part.Part.Name) && !strings.Contains(err.Error(), "aof") {
					t.Errorf("%s %s: %v", what, name, err)
				}
				if there, _ := vfs.Exists(fs, manifest.FileName); there {
					t.Errorf("%s %s became a data directory", what, name)
				}
				states, verr := backup.Verify(context.Background(), w.src, p.Sets(), backup.VerifyOptions{Stages: w.options().Stages})
				wantDamage(t, states, verr, part.Part)
				states, verr = backup.Verify(context.Background(), w.src, p.Sets(), backup.VerifyOptions{Stored: true})
				wantDamage(t, states, verr, part.Part)
				edit(t, w.disk, name, func([]byte) []byte { return whole })
			}
		}
	}
	states, err := backup.Verify(context.Background(), w.src, p.Sets(), backup.VerifyOptions{Stages: w.options().Stages})
	if err != nil {
		t.Fatal(err)
	}
	var keys, commands int64
	for _, s := range states {
		if s.Damage != "" {
			t.Errorf("%s %s: %s", s.Set, s.Part, s.Damage)
		}
		for _, n := range s.Keys {
			keys += n
		}
		commands += s.Commands
	}
	if keys != p.Set.Keys() || commands < 2 {
		t.Errorf("%d keys of %d and %d commands were found", keys, p.Set.Keys(), commands)
	}
}

// wantDamage checks that exactly one part is called damaged, with an offset.
func wantDamage(t *testing.T, states []backup.PartState, err error, part sink.Part) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range states {
		bad := s.Set == part.ID() && s.Part == part.Name
		if bad != (s.Damage != "") || bad && s.Offset < 0 {
			t.Errorf("%s of %s: damage %q at %d", s.Part, s.Set, s.Damage, s.Offset)
		}
	}
}

// TestRestoreRetries: a source that breaks off is asked again.
func TestRestoreRetries(t *testing.T) {
	w, p := small(t)
	fs := memfs.New()
	o := w.options()
	o.Attempts, o.Backoff, o.Parallel, o.Progress = 2, time.Millisecond, 1, new(backup.Progress)
	src := &flaky{w.src, map[string]bool{}}
	res, err := backup.Restore(context.Background(), fs, src, p, o)
	if err != nil {
		t.Fatal(err)
	}
	if done, total := o.Progress.Done.Load(), o.Progress.Total.Load(); done != total || res.Bytes != total {
		t.Errorf("%d of %d bytes done, %d fetched", done, total, res.Bytes)
	}
	w.wantState(fs, false, w.last(1), "after retries")
}

// TestLogAlone: a data directory without a checkpoint is a source too.
func TestLogAlone(t *testing.T) {
	w := newWorld(t, seeded(t))
	for i := range 5 {
		w.do("SET", "k", fmt.Sprint(i))
	}
	src := backup.DataDir("data", w.h.FS)
	for i, m := range w.moments {
		fs, res, p, err := w.restore(src, backup.At{Time: m.at})
		if err != nil || res.Commands != int64(i+1) || !strings.HasPrefix(p.String(), "nothing") {
			t.Fatalf("%s: %+v, %v", p, res, err)
		}
		w.wantState(fs, true, m, m.at.String())
	}
	fs, res, _, err := w.restore(src, backup.At{})
	if err != nil || res.Parts != 0 {
		t.Fatalf("%+v, %v", res, err)
	}
	w.wantState(fs, true, w.moments[4], "latest")
}

// TestDataDirDamaged: what stands before the damage can be had back, and a
// source says what is wrong.
func TestDataDirDamaged(t *testing.T) {
	w := newWorld(t, seeded(t))
	w.do("SET", "k", "0")
	w.save()
	w.do("SET", "k", "1")
	w.rotate()
	want := w.last(0)
	w.do("SET", "k", "2")
	w.rotate()
	w.do("SET", "k", "3")
	m, err := manifest.Read(w.h.FS)
	if err != nil {
		t.Fatal(err)
	}
	bad := m.Segments[1].Path
	edit(t, w.h.FS, bad, func(b []byte) []byte { b[len(b)-5] ^= 1; return b })
	src := backup.DataDir("data", w.h.FS)
	c, err := backup.List(context.Background(), src)
	if err != nil || c.Unreadable == nil || !strings.Contains(c.Unreadable.Error(), bad+" is corrupt at offset") {
		t.Fatalf("%v; unreadable: %v", err, c.Unreadable)
	}
	fs, _, _, err := w.restore(src, backup.At{})
	if err != nil {
		t.Fatal(err)
	}
	w.wantState(fs, false, want, "before the damage")
	if err := src.Remove(context.Background(), c.Checkpoints[0].ID); err == nil {
		t.Error("a checkpoint of a data directory was removed")
	}
}

// TestRetiredLog: the log between two checkpoints of a data directory is
// retired. That leaves two windows, and no gap.
func TestRetiredLog(t *testing.T) {
	w := newWorld(t, seeded(t), func(_ *world, o *core.Options) { o.Keep = 2 })
	for range 2 {
		w.do("SET", "k", "v")
		w.save()
	}
	w.do("SET", "k", "last")
	windows := mustList(t, backup.DataDir("data", w.h.FS)).Windows()
	if len(windows) != 2 || windows[0].Gap != "" || windows[1].Gap != "" || windows[1].Segments != 1 {
		t.Errorf("windows %+v", windows)
	}
}
