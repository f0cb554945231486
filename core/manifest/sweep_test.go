package manifest_test

import (
	"errors"
	"path"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/spillwaydb/spillway/core/manifest"
	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/fsbackends/faultfs"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

// kept and doomed are what a directory holds beside the manifest sample(5), whose
// base is 5, history 4 and segments 5 and 6.
var (
	kept = []string{
		"LOCK", "notes.txt",
		"log/00000005.aof", "log/00000006.aof", "log/00000003.aof.torn", "log/notes", "log/7.aof",
		"checkpoints/00000004/SET.json", "checkpoints/00000004/shard-0000.aof",
		"checkpoints/00000005/SET.json", "checkpoints/00000005/shard-0000.rdb.zst",
		"checkpoints/mine/file",
	}
	doomed = []string{
		"MANIFEST.tmp", "other.tmp",
		"log/00000004.aof", "log/00000007.aof", "log/123456789.aof", "log/00000005.aof.tmp",
		"checkpoints/00000003/SET.json", "checkpoints/00000003/shard-0000.rdb",
		"checkpoints/00000005/SET.json.tmp", "checkpoints/00000006/shard-0000.rdb.tmp",
	}
)

// fill makes the directory and commits sample(5).
func fill(t *testing.T, fs vfs.FS) (*manifest.Store, *manifest.Manifest) {
	t.Helper()
	for _, p := range append(slices.Clone(kept), doomed...) {
		if err := vfs.MkdirAllSync(fs, path.Dir(p), 0o700); err != nil {
			t.Fatal(err)
		}
		f, err := fs.Create(p)
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		if err := fs.SyncDir(path.Dir(p)); err != nil {
			t.Fatal(err)
		}
	}
	s := manifest.NewStore(fs, now)
	m := sample(5)
	commit(t, s, m)
	// Commit consumed its own temporary file; a crash leaves one again.
	f, err := fs.Create("MANIFEST.tmp")
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	return s, m
}

// files lists all files.
func files(t *testing.T, fs vfs.FS) []string {
	t.Helper()
	var out []string
	var walk func(dir string)
	walk = func(dir string) {
		infos, err := vfs.ReadDir(fs, dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, st := range infos {
			if p := path.Join(dir, st.Name()); st.IsDir() {
				walk(p)
			} else {
				out = append(out, p)
			}
		}
	}
	walk(".")
	slices.Sort(out)
	return out
}

func wantFiles(t *testing.T, fs vfs.FS, want ...string) {
	t.Helper()
	want = append(slices.Clone(want), manifest.FileName)
	slices.Sort(want)
	if got := files(t, fs); !slices.Equal(got, want) {
		t.Fatalf("the directory holds\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestSweep(t *testing.T) {
	mem := memfs.New()
	s, m := fill(t, mem)
	removed, err := s.Sweep(m, nil)
	if err != nil {
		t.Fatal(err)
	}
	wantFiles(t, mem, kept...)
	want := append(slices.Clone(doomed), "checkpoints/00000003", "checkpoints/00000006")
	slices.Sort(want)
	slices.Sort(removed)
	if !slices.Equal(removed, want) {
		t.Fatalf("removed %v, want %v", removed, want)
	}
	// The removals are durable, and a second sweep has nothing to do.
	wantFiles(t, mem.CrashClone(memfs.LoseAll), kept...)
	if removed, err := s.Sweep(m, nil); len(removed) != 0 || err != nil {
		t.Fatalf("again: %v, %v", removed, err)
	}
}

func TestSweepSparesWhatIsPinned(t *testing.T) {
	mem := memfs.New()
	s, m := fill(t, mem)
	pins := []string{"checkpoints/00000006", "log/00000007.aof", "checkpoints/00000003/shard-0000.rdb", "other.tmp"}
	if _, err := s.Sweep(m, func(p string) bool { return slices.Contains(pins, p) }); err != nil {
		t.Fatal(err)
	}
	wantFiles(t, mem, append(slices.Clone(kept), "checkpoints/00000006/shard-0000.rdb.tmp",
		"log/00000007.aof", "checkpoints/00000003/shard-0000.rdb", "other.tmp")...)
}

// TestSweepRefusesAnotherManifest: going by a stale one would remove live files.
func TestSweepRefusesAnotherManifest(t *testing.T) {
	mem := memfs.New()
	s, m := fill(t, mem)
	before := files(t, mem)
	stale := m.Clone()
	next := sample(6)
	commit(t, s, next)
	for name, other := range map[string]*manifest.Manifest{"stale": stale, "uncommitted": sample(6), "empty": {}} {
		if removed, err := s.Sweep(other, nil); !errors.Is(err, manifest.ErrNotCurrent) || len(removed) != 0 {
			t.Errorf("%s: removed %v, %v", name, removed, err)
		}
	}
	before = slices.DeleteFunc(before, func(p string) bool { return p == "MANIFEST.tmp" })
	if after := files(t, mem); !slices.Equal(before, after) {
		t.Fatalf("files went: %v, before %v", after, before)
	}
}

func TestSweepBeforeTheFirstCommit(t *testing.T) {
	mem := memfs.New()
	s := manifest.NewStore(mem, now)
	if err := vfs.MkdirAllSync(mem, "log", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := vfs.WriteFileAtomic(mem, manifest.SegmentPath(1), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Sweep(sample(1), nil); !errors.Is(err, manifest.ErrNotCurrent) {
		t.Fatalf("a manifest that was never committed: %v", err)
	}
	removed, err := s.Sweep(&manifest.Manifest{NextSegment: 1, NextGeneration: 1}, nil)
	if err != nil || !slices.Equal(removed, []string{"log/00000001.aof"}) {
		t.Fatalf("removed %v, %v", removed, err)
	}
}

// TestSweepUnderFaults fails each operation of Sweep, then crashes: what the
// manifest names is there, and a later sweep finishes the job.
func TestSweepUnderFaults(t *testing.T) {
	for n := int64(1); ; n++ {
		mem := memfs.New()
		ffs := faultfs.New(mem, nil)
		s, m := fill(t, ffs)
		ffs.SetInject(faultfs.FailNth(n, func(op faultfs.Op) bool { return op.Kind != faultfs.OpClose }, syscall.EIO))
		_, err := s.Sweep(m, nil)
		for seed := range int64(10) {
			after := mem.CrashClone(seed)
			have := files(t, after)
			for _, p := range kept {
				if !slices.Contains(have, p) {
					t.Fatalf("op %d, seed %d: %s is gone (%v)", n, seed, p, err)
				}
			}
			s := manifest.NewStore(after, now)
			on, lerr := s.Load()
			if lerr != nil {
				t.Fatal(lerr)
			}
			if _, serr := s.Sweep(on, nil); serr != nil {
				t.Fatal(serr)
			}
			wantFiles(t, after, kept...)
		}
		if err == nil {
			if n < 20 {
				t.Fatalf("only %d operations were seen", n-1)
			}
			return
		}
		if !errors.Is(err, syscall.EIO) {
			t.Fatalf("op %d: %v hides its cause", n, err)
		}
	}
}

// TestSweepAfterUnknownOutcome: a commit whose directory sync failed may be taken
// back by a crash, so the old segments must outlive a sweep that could not make
// the new manifest durable.
func TestSweepAfterUnknownOutcome(t *testing.T) {
	mem := memfs.New()
	ffs := faultfs.New(mem, nil)
	s, _ := fill(t, ffs)
	m := sample(6) // drops segment 5 and set 4
	m.Segments, m.History = m.Segments[:1], []sink.SetID{{Generation: 5, Kind: sink.KindRewrite}}
	ffs.SetInject(faultfs.FailKind(syscall.EIO, faultfs.OpSyncDir))
	if err := s.Commit(m); !errors.Is(err, manifest.ErrUnknownOutcome) {
		t.Fatalf("Commit: %v", err)
	}
	if removed, err := s.Sweep(m, nil); !errors.Is(err, syscall.EIO) || len(removed) != 0 {
		t.Fatalf("Sweep removed %v, %v", removed, err)
	}
	for seed := range int64(30) {
		after := mem.CrashClone(seed)
		on, err := manifest.NewStore(after, now).Load()
		if err != nil {
			t.Fatal(err)
		}
		for _, seg := range on.Segments {
			if there, err := vfs.Exists(after, seg.Path); err != nil || on.Base.ID.Generation == 5 && !there {
				t.Fatalf("seed %d: %s is named and gone: %v", seed, seg.Path, err)
			}
		}
	}
}
