package manifest_test

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/spillwaydb/spillway/core/manifest"
	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/fsbackends/faultfs"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

func now() time.Time { return time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC) }

// sample is a manifest with a base of generation gen and two segments.
func sample(gen uint64) *manifest.Manifest {
	id := sink.SetID{Generation: gen, Kind: sink.KindSnapshot}
	part := sink.SetPart{
		Part:  sink.Part{Kind: id.Kind, Generation: gen, Shards: 1, Name: "shard-0000.rdb.zst"},
		Bytes: 10, RawBytes: 20, Keys: 3, SHA256: "aa", RawSHA256: "bb",
		Stages: []sink.StageRecord{{Name: "zstd", Version: "1"}}, StageReceipts: []sink.Receipt{sink.Receipt("r")},
	}
	return &manifest.Manifest{
		Base: &sink.Set{ID: id, CreatedAt: now(), Parts: []sink.SetPart{part}},
		Segments: []manifest.Segment{
			{ID: gen, Path: manifest.SegmentPath(gen), FirstSeq: 100},
			{ID: gen + 1, Path: manifest.SegmentPath(gen + 1)},
		},
		History:    []sink.SetID{{Generation: gen - 1, Kind: sink.KindRewrite}},
		GrowthBase: 1234, LastSave: now().Unix(), NextSegment: gen + 2, NextGeneration: gen + 1,
		CreatedBy: "a <test> & more",
	}
}

func commit(t *testing.T, s *manifest.Store, m *manifest.Manifest) {
	t.Helper()
	if err := s.Commit(m); err != nil {
		t.Fatal(err)
	}
}

func TestCommitAndLoad(t *testing.T) {
	mem := memfs.New()
	s := manifest.NewStore(mem, now)
	if _, err := s.Load(); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("Load of nothing: %v", err)
	}
	for gen := uint64(1); gen < 4; gen++ {
		m := sample(gen)
		commit(t, s, m)
		if m.Generation != gen || m.Version != manifest.Version || !m.CreatedAt.Equal(now()) {
			t.Fatalf("Commit set generation %d, version %d, created %v", m.Generation, m.Version, m.CreatedAt)
		}
		// What Commit returned from survives the worst crash.
		got, err := manifest.NewStore(mem.CrashClone(memfs.LoseAll), now).Load()
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, m) {
			t.Fatalf("loaded %+v, want %+v", got, m)
		}
		// A store that has not loaded goes on counting.
		s = manifest.NewStore(mem, now)
	}
	data, err := vfs.ReadFile(mem, manifest.FileName)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(data), "spillway-manifest v3 crc32c=") || !strings.Contains(string(data), "a <test> & more") {
		t.Fatalf("not for people:\n%s", data)
	}
}

// TestLineage: drawn at the first commit, kept for good, another for another
// directory. A manifest of version 1 gets one when it is replaced.
func TestLineage(t *testing.T) {
	seen := map[string]bool{}
	for _, start := range []string{"", string(golden(t, "v1-engine.manifest"))} {
		mem := memfs.New()
		if start != "" {
			if err := vfs.WriteFileAtomic(mem, manifest.FileName, []byte(start), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		s := manifest.NewStore(mem, now)
		m, err := s.Load()
		if err != nil {
			m = new(manifest.Manifest)
		}
		commit(t, s, m)
		first := m.Lineage
		if len(first) != 32 || seen[first] {
			t.Fatalf("lineage %q, there were %v", first, seen)
		}
		seen[first] = true
		again, err := manifest.NewStore(mem.CrashClone(memfs.LoseAll), now).Load()
		if err != nil || again.Lineage != first || again.Version != 3 {
			t.Fatalf("loaded %+v, %v", again, err)
		}
		commit(t, s, again.Clone())
		if again, err = s.Load(); err != nil || again.Lineage != first {
			t.Fatalf("the lineage has changed: %+v, %v", again, err)
		}
	}
}

func TestClone(t *testing.T) {
	m := sample(5)
	m.Owed = []manifest.Segment{{ID: 4, Path: manifest.SegmentPath(4)}}
	c := m.Clone()
	if !reflect.DeepEqual(m, c) {
		t.Fatalf("the clone differs: %+v", c)
	}
	c.Base.Parts[0].Keys++
	c.Segments[0].ID++
	c.History[0].Generation++
	c.Owed[0].ID++
	want := sample(5)
	want.Owed = []manifest.Segment{{ID: 4, Path: manifest.SegmentPath(4)}}
	if !reflect.DeepEqual(m, want) {
		t.Fatal("the clone shares memory")
	}
	if e := new(manifest.Manifest).Clone(); e.Base != nil {
		t.Fatal("an empty base was made up")
	}
}

// TestGolden reads the file that v1 wrote on its first day. It is never regenerated.
func TestGolden(t *testing.T) {
	data := golden(t, "v1.manifest")
	m, err := manifest.Decode("v1.manifest", data)
	if err != nil {
		t.Fatal(err)
	}
	want := sample(7)
	want.Version, want.Generation, want.CreatedAt = 1, 1, now()
	if !reflect.DeepEqual(m, want) {
		t.Fatalf("decoded %+v, want %+v", m, want)
	}
	again, err := manifest.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	if string(again) != string(data) {
		t.Fatalf("encoded again:\n%s\nwant:\n%s", again, data)
	}
}

// TestGoldenOfAnEngine reads the manifest of an engine that took a rewrite and a
// snapshot, with the log's names in it and a stage behind the base.
func TestGoldenOfAnEngine(t *testing.T) {
	data := golden(t, "v1-engine.manifest")
	m, err := manifest.Decode("v1-engine.manifest", data)
	if err != nil {
		t.Fatal(err)
	}
	base, parts := m.Base.ID, m.Base.Parts
	if base != (sink.SetID{Generation: 2, Kind: sink.KindSnapshot}) || len(parts) != 2 || parts[0].Keys != 4 || parts[1].Part.Name != "shard-0001.rdb.zst" {
		t.Errorf("the base is %+v", m.Base)
	}
	if want := (manifest.Segment{ID: 3, Path: "log/00000003.aof", LogID: "91ff38cf878ccb96"}); len(m.Segments) != 1 || m.Segments[0] != want {
		t.Errorf("the segments are %+v", m.Segments)
	}
	if m.Generation != 5 || m.GrowthBase != 329 || m.NextSegment != 4 || m.NextGeneration != 3 || len(m.History) != 1 {
		t.Errorf("decoded %+v", m)
	}
	again, err := manifest.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	if string(again) != string(data) {
		t.Fatalf("encoded again:\n%s\nwant:\n%s", again, data)
	}
}

// TestGoldenV2 reads the manifest of an engine whose archive was away: it owes a
// segment, and has given up those before. It is never regenerated.
func TestGoldenV2(t *testing.T) {
	data := golden(t, "v2-engine.manifest")
	m, err := manifest.Decode("v2-engine.manifest", data)
	if err != nil {
		t.Fatal(err)
	}
	want := manifest.Segment{ID: 5, Path: "log/00000005.aof", LogID: "08af44e68800b000", PrevLogID: "f922762ce7bceabb"}
	if len(m.Owed) != 1 || m.Owed[0] != want || m.ArchiveGap != 4 || m.Lineage != "c45ec93e8415c5c8f5559c5ed5d4cf06" {
		t.Errorf("decoded %+v", m)
	}
	if len(m.Segments) != 1 || m.Segments[0].PrevLogID != want.LogID || m.Base.Meta[sink.MetaSegment] != "6" {
		t.Errorf("the log is %+v, the base %+v", m.Segments, m.Base)
	}
	again, err := manifest.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	if string(again) != string(data) {
		t.Fatalf("encoded again:\n%s\nwant:\n%s", again, data)
	}
}

func golden(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/golden/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestLoad runs the damaged files in testdata/load:
//
//	load [raw] [v2] [cut=n] [flip=n] [extra=text]   the body below, sealed with a
//	                                           correct first line unless raw
func TestLoad(t *testing.T) {
	datadriven.RunTest(t, "testdata/load", func(t *testing.T, d *datadriven.TestData) string {
		data := d.Input + "\n"
		if !d.HasArg("raw") {
			version := 1
			if d.HasArg("v2") {
				version = 2
			}
			data = fmt.Sprintf("spillway-manifest v%d crc32c=%08x len=%d\n", version,
				crc32.Checksum([]byte(data), crc32.MakeTable(crc32.Castagnoli)), len(data)) + data
		}
		var n int
		var extra string
		if d.MaybeScanArgs(t, "cut", &n) {
			data = data[:len(data)-n]
		}
		if d.MaybeScanArgs(t, "flip", &n) {
			b := []byte(data)
			b[n] ^= 1
			data = string(b)
		}
		if d.MaybeScanArgs(t, "extra", &extra) {
			data += extra
		}
		mem := memfs.New()
		if err := vfs.WriteFileAtomic(mem, manifest.FileName, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
		s := manifest.NewStore(mem, now)
		m, err := s.Load()
		if err != nil {
			var c *manifest.CorruptError
			if !errors.As(err, &c) && !errors.Is(err, manifest.ErrNewerFormat) {
				t.Errorf("%s: neither corrupt nor newer: %v", d.Pos, err)
			}
			if cerr := s.Commit(new(manifest.Manifest)); cerr == nil {
				t.Errorf("%s: Commit replaced a file that Load refuses", d.Pos)
			}
			if _, serr := s.Sweep(new(manifest.Manifest), nil); serr == nil {
				t.Errorf("%s: Sweep went by a file that Load refuses", d.Pos)
			}
			if c != nil {
				return fmt.Sprintf("damaged at %d: %s\n", c.Offset, c.Reason)
			}
			return err.Error() + "\n"
		}
		return fmt.Sprintf("ok: generation %d, %d segments, %d owed, %d sets\n", m.Generation, len(m.Segments), len(m.Owed), len(m.Sets()))
	})
}

// TestEveryBitCounts flips each bit of a manifest and cuts it at each length.
func TestEveryBitCounts(t *testing.T) {
	m := sample(3)
	m.Version = 1
	data, err := manifest.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	for i := range data {
		if _, err := manifest.Decode("m", data[:i]); err == nil {
			t.Fatalf("cut at %d is accepted", i)
		}
		for bit := range 8 {
			b := append([]byte(nil), data...)
			b[i] ^= 1 << bit
			if _, err := manifest.Decode("m", b); err == nil {
				t.Fatalf("flipping bit %d of byte %d is accepted", bit, i)
			}
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, name := range []string{"v1.manifest", "v1-engine.manifest"} {
		_, body, _ := strings.Cut(string(golden(f, name)), "\n")
		f.Add([]byte(body))
	}
	f.Add([]byte(`{"version":1,"segments":[{"id":18446744073709551615,"path":"log/../x"}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		manifest.Decode("raw", body)
		sealed := fmt.Sprintf("spillway-manifest v1 crc32c=%08x len=%d\n%s",
			crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)), len(body), body)
		m, err := manifest.Decode("sealed", []byte(sealed))
		if err != nil {
			return
		}
		again, err := manifest.Encode(m)
		if err != nil {
			t.Fatalf("what Decode accepts Encode refuses: %v", err)
		}
		if _, err := manifest.Decode("again", again); err != nil {
			t.Fatalf("what Encode wrote Decode refuses: %v", err)
		}
	})
}

func TestCommitRefusesNonsense(t *testing.T) {
	for name, spoil := range map[string]func(m *manifest.Manifest){
		"segment order":   func(m *manifest.Manifest) { m.Segments[1].ID = m.Segments[0].ID },
		"next segment":    func(m *manifest.Manifest) { m.NextSegment-- },
		"next generation": func(m *manifest.Manifest) { m.NextGeneration-- },
		"escape":          func(m *manifest.Manifest) { m.Segments[0].Path = "log/../../etc/passwd" },
		"elsewhere":       func(m *manifest.Manifest) { m.Segments[0].Path = "MANIFEST" },
		"temporary":       func(m *manifest.Manifest) { m.Segments[0].Path = "log/x.tmp" },
		"same path":       func(m *manifest.Manifest) { m.Segments[1].Path = m.Segments[0].Path },
		"same set":        func(m *manifest.Manifest) { m.History = append(m.History, m.Base.ID) },
		"part of another": func(m *manifest.Manifest) { m.Base.Parts[0].Part.Generation++ },
		"part name":       func(m *manifest.Manifest) { m.Base.Parts[0].Part.Name = "../x" },
		"kind":            func(m *manifest.Manifest) { m.History[0].Kind = "other" },
	} {
		mem := memfs.New()
		s := manifest.NewStore(mem, now)
		commit(t, s, sample(1))
		m := sample(2)
		spoil(m)
		err := s.Commit(m)
		if err == nil || errors.Is(err, manifest.ErrUnknownOutcome) {
			t.Errorf("%s: Commit says %v", name, err)
		}
		if on, err := s.Load(); err != nil || on.Generation != 1 {
			t.Errorf("%s: the previous manifest is gone: %v", name, err)
		}
	}
}

// TestCommitUnderFaults fails each operation of Commit in each way, crashes with
// many seeds, and loads: the old manifest or the new, and as the error said.
func TestCommitUnderFaults(t *testing.T) {
	faults := []error{syscall.EIO, &faultfs.After{Err: syscall.EIO}, &faultfs.Short{N: 700, Err: syscall.ENOSPC}}
	for n := int64(1); ; n++ {
		failed := false
		for _, fault := range faults {
			mem := memfs.New()
			ffs := faultfs.New(mem, nil)
			s := manifest.NewStore(ffs, now)
			commit(t, s, sample(1))
			ffs.SetInject(faultfs.FailNth(n, nil, fault))
			err := s.Commit(sample(2))
			ffs.SetInject(nil)
			failed = failed || err != nil
			unknown := errors.Is(err, manifest.ErrUnknownOutcome)
			at := fmt.Sprintf("op %d, fault %v, error %v", n, fault, err)
			for seed := range int64(50) {
				gen := loadCrashed(t, mem, seed, at)
				if err == nil && gen != 2 || err != nil && !unknown && gen != 1 {
					t.Fatalf("%s: seed %d brings back %d", at, seed, gen)
				}
			}
			// After Load has told, no crash says otherwise.
			on, lerr := s.Load()
			if lerr != nil {
				t.Fatalf("%s: Load: %v", at, lerr)
			}
			for seed := range int64(50) {
				if gen := loadCrashed(t, mem, seed, at); gen != on.Generation {
					t.Fatalf("%s: Load said %d, seed %d brings back %d", at, on.Generation, seed, gen)
				}
			}
			// And the next commit works, above both.
			next := sample(3)
			commit(t, s, next)
			if next.Generation != on.Generation+1 {
				t.Fatalf("%s: the next commit is %d after %d", at, next.Generation, on.Generation)
			}
		}
		if !failed {
			if n < 6 {
				t.Fatalf("only %d operations were seen", n-1)
			}
			return
		}
	}
}

// TestCrashAtEveryOperation crashes before each operation of Commit instead.
func TestCrashAtEveryOperation(t *testing.T) {
	mem := memfs.New()
	renamed := false
	ffs := faultfs.New(mem, nil)
	s := manifest.NewStore(ffs, now)
	commit(t, s, sample(1))
	ffs.SetInject(func(op faultfs.Op) error {
		for seed := range int64(50) {
			if gen := loadCrashed(t, mem, seed, op.String()); gen != 1 && (gen != 2 || !renamed) {
				t.Errorf("before %v, seed %d brings back %d", op, seed, gen)
			}
		}
		renamed = renamed || op.Kind == faultfs.OpRename
		return nil
	})
	commit(t, s, sample(2))
	if !renamed {
		t.Fatal("no rename was seen")
	}
}

func loadCrashed(t *testing.T, mem *memfs.FS, seed int64, at string) uint64 {
	t.Helper()
	m, err := manifest.NewStore(mem.CrashClone(seed), now).Load()
	if err != nil {
		t.Fatalf("%s: seed %d: %v", at, seed, err)
	}
	return m.Generation
}

// TestGoldenV3 reads the manifest of an engine that began anew beside the sets of
// another lineage. It is never regenerated.
func TestGoldenV3(t *testing.T) {
	data := golden(t, "v3-engine.manifest")
	m, err := manifest.Decode("v3-engine.manifest", data)
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Follows) != 1 || m.Follows[0].Generation != 5 || !m.Base.ID.Of(m.Lineage) || m.Base.Parts[0].Part.ID() != m.Base.ID || len(m.Base.Follows()) != 1 {
		t.Errorf("decoded %+v", m)
	}
	again, err := manifest.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	if string(again) != string(data) {
		t.Fatalf("encoded again:\n%s\nwant:\n%s", again, data)
	}
}
