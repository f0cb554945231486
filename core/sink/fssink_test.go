package sink_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/fsbackends/faultfs"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
	"github.com/spillwaydb/spillway/fsbackends/osfs"
	"github.com/spillwaydb/spillway/plugins/plugintest"
)

func TestFSSinkConformance(t *testing.T) {
	t.Run("memfs", func(t *testing.T) {
		plugintest.TestSink(t, func(testing.TB) sink.Sink { return sink.NewFSSink("mem", memfs.New(), "checkpoints") })
	})
	t.Run("osfs", func(t *testing.T) {
		plugintest.TestSink(t, func(t testing.TB) sink.Sink {
			fs, err := osfs.New(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			return sink.NewFSSink("os", fs, "/a/b")
		})
	})
	t.Run("root", func(t *testing.T) {
		plugintest.TestSink(t, func(testing.TB) sink.Sink { return sink.NewFSSink("mem", memfs.New(), "") })
	})
}

func fsPipeline(fs vfs.FS) (*sink.Pipeline, *sink.FSSink) {
	s := sink.NewFSSink("local", fs, "checkpoints")
	return sink.NewPipeline("test", []sink.Stage{plugintest.XOR("x", 5)}, s, nil, quick()), s
}

// writeSet brings one set of two parts as far as Publish.
func writeSet(p *sink.Pipeline, gen uint64) (sink.Set, error) {
	set := sink.Set{ID: sink.SetID{Generation: gen, Kind: sink.KindSnapshot}, CreatedAt: time.Unix(int64(gen), 0).UTC(), Stages: p.StageRecords()}
	for i := range 2 {
		sp, err := p.Write(bg, p.Part(1, sink.SetID{Generation: gen, Kind: sink.KindSnapshot}, i, 2), payload(3000), nil)
		if err != nil {
			return set, err
		}
		set.Parts = append(set.Parts, sp)
	}
	return set, p.Publish(bg, set)
}

func TestFSSinkLayout(t *testing.T) {
	fs := memfs.New()
	p, s := fsPipeline(fs)
	if _, err := writeSet(p, 42); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"checkpoints/00000042/shard-0000.rdb.x", "checkpoints/00000042/shard-0001.rdb.x", "checkpoints/00000042/SET.json"} {
		if ok, err := vfs.Exists(fs, name); !ok || err != nil {
			t.Errorf("%s: %v, %v", name, ok, err)
		}
	}
	if d := s.Dir(sink.SetID{Generation: 7, Kind: sink.KindSegment}); d != "checkpoints/segment-00000007" {
		t.Errorf("a segment's directory is %s", d)
	}
	if _, err := s.Put(bg, p.Part(1, sink.SetID{Generation: 42, Kind: sink.KindSnapshot}, 0, 2), strings.NewReader("x")); !errors.Is(err, os.ErrExist) || !sink.IsPermanent(err) {
		t.Errorf("put into a published set: %v", err)
	}
	if err := s.Remove(bg, sink.SetID{Generation: 42, Kind: sink.KindRewrite}); err == nil {
		t.Error("a snapshot is removed as a rewrite")
	}
	if err := s.Publish(bg, sink.Set{ID: sink.SetID{Generation: 42, Kind: sink.KindSnapshot}}); !errors.Is(err, os.ErrExist) {
		t.Errorf("another set of the same name: %v", err)
	}
}

// Whichever operation fails, and wherever the power goes, what is listed is a
// whole set, and a set whose Publish said nil is listed.
func TestFSSinkFaultsAndCrashes(t *testing.T) {
	probe := faultfs.New(memfs.New(), nil)
	p, _ := fsPipeline(probe)
	if _, err := writeSet(p, 1); err != nil {
		t.Fatal(err)
	}
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewSource(seed))
	for i := int64(1); i <= probe.Count()+1; i++ {
		mem := memfs.New()
		var crashed []*memfs.FS
		faulty := faultfs.New(mem, func(op faultfs.Op) error {
			if op.Index == i {
				for range 3 {
					crashed = append(crashed, mem.CrashClone(rng.Int63()))
				}
				return syscall.EIO
			}
			return nil
		})
		p, _ := fsPipeline(faulty)
		_, err := writeSet(p, 1)
		if err == nil {
			crashed = append(crashed, mem.CrashClone(rng.Int63()))
		} else if !errors.Is(err, syscall.EIO) && !errors.Is(err, sink.ErrCorrupt) {
			t.Errorf("operation %d fails: %v", i, err)
		}
		for n, fs := range append(crashed, mem) {
			p, s := fsPipeline(fs)
			sets, lerr := s.List(bg)
			if lerr != nil {
				t.Errorf("operation %d, crash %d: List: %v", i, n, lerr)
			}
			if err == nil && n == 0 && len(crashed) == 1 && len(sets) != 1 {
				t.Errorf("a published set is lost by a crash")
			}
			for _, got := range sets {
				for _, sp := range got.Parts {
					if err := p.Read(bg, sp, func(io.Reader) error { return nil }); err != nil {
						t.Errorf("operation %d, crash %d: a listed set does not read: %v", i, n, err)
					}
				}
			}
			// After Abort nothing is left, whatever was there.
			if err := p.Abort(bg, sink.SetID{Generation: 1, Kind: sink.KindSnapshot}); err != nil {
				t.Errorf("Abort: %v", err)
			}
			if infos, err := vfs.ReadDir(fs, "checkpoints"); err != nil || len(infos) != 0 {
				t.Errorf("operation %d, crash %d: after Abort %d entries, %v", i, n, len(infos), err)
			}
		}
	}
}

// The harness above must find a Publish that does not sync its directory.
func TestFSSinkHarnessFindsAMissingSync(t *testing.T) {
	for seed := range int64(200) {
		mem := memfs.New()
		// Every directory sync does nothing.
		p, _ := fsPipeline(lying{mem})
		if _, err := writeSet(p, 1); err != nil {
			t.Fatal(err)
		}
		p, s := fsPipeline(mem.CrashClone(seed))
		sets, err := s.List(bg)
		if err != nil || len(sets) == 0 {
			return
		}
		for _, sp := range sets[0].Parts {
			if p.Read(bg, sp, func(io.Reader) error { return nil }) != nil {
				return
			}
		}
	}
	t.Error("a filesystem that never syncs its directories passes for sound")
}

type lying struct{ *memfs.FS }

func (lying) SyncDir(string) error { return nil }

// TestFSSinkSteady: the disk never gets more than a few megabytes of a part at
// once, for the log's fsync waits behind them. Every one of these fsyncs counts.
func TestFSSinkSteady(t *testing.T) {
	const size, most = 20 << 20, 5 << 20
	var unsynced, peak, syncs int64
	failing := int64(-1)
	fs := faultfs.New(memfs.New(), func(op faultfs.Op) error {
		if !strings.Contains(op.Path, "shard-") {
			return nil
		}
		switch op.Kind {
		case faultfs.OpWrite:
			unsynced += op.N
			peak = max(peak, unsynced)
		case faultfs.OpSync:
			unsynced = 0
			if syncs++; syncs == failing {
				return syscall.EIO
			}
		}
		return nil
	})
	s := sink.NewFSSink("local", fs, "checkpoints")
	put := func(gen uint64) error {
		_, err := s.Put(bg, sink.Part{Kind: sink.KindSnapshot, Generation: gen, Shards: 1, Name: "shard-0000.rdb"}, io.LimitReader(rand.New(rand.NewSource(1)), size))
		return err
	}
	if err := put(1); err != nil {
		t.Fatal(err)
	}
	if peak > most || unsynced != 0 || syncs < size/most {
		t.Errorf("%d syncs; up to %d bytes were not synced, %d at the end", syncs, peak, unsynced)
	}
	for n := range syncs {
		syncs, failing = 0, n+1
		if err := put(2 + uint64(n)); !errors.Is(err, syscall.EIO) {
			t.Errorf("sync %d fails: %v", n+1, err)
		}
	}
}

func TestFSSinkDiskFull(t *testing.T) {
	mem := memfs.New()
	mem.SetQuota(4000)
	p, _ := fsPipeline(mem)
	_, err := writeSet(p, 1)
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "free some space") || !strings.Contains(err.Error(), "shard-0001") {
		t.Errorf("error %v", err)
	}
	if err := p.Abort(bg, sink.SetID{Generation: 1, Kind: sink.KindSnapshot}); err != nil {
		t.Error(err)
	}
	if mem.Used() != 0 {
		t.Errorf("%d bytes stay", mem.Used())
	}
}

func TestFSSinkSweep(t *testing.T) {
	fs := memfs.New()
	p, s := fsPipeline(fs)
	if _, err := writeSet(p, 2); err != nil {
		t.Fatal(err)
	}
	for _, id := range []sink.SetID{{Generation: 1, Kind: sink.KindSnapshot}, {Generation: 3, Kind: sink.KindRewrite}, {Generation: 1, Kind: sink.KindSegment}} {
		if _, err := s.Put(bg, p.Part(1, sink.SetID{Generation: id.Generation, Kind: id.Kind}, 0, 1), strings.NewReader("x")); err != nil {
			t.Fatal(err)
		}
	}
	if err := fs.MkdirAll("checkpoints/keep-me", 0o700); err != nil {
		t.Fatal(err)
	}
	removed, err := s.Sweep(bg, func(id sink.SetID) bool { return id.Generation == 3 })
	if want := "[checkpoints/00000001 checkpoints/segment-00000001]"; err != nil || fmt.Sprint(removed) != want {
		t.Errorf("%v, %v; want %s", removed, err, want)
	}

	// Prune leaves what is being written, and what a target is owed.
	target := sink.NewFSSink("far", fs, "far")
	tp := sink.NewPipeline("test", nil, plugintest.NewMemSink("l"), []sink.Target{{Name: "far", Sink: target, Keep: sink.Retention{Last: 1}}}, quick())
	crashed, others, running := sink.NewSetID(5, sink.KindSnapshot, lifeA), sink.NewSetID(5, sink.KindSnapshot, lifeB), sink.NewSetID(6, sink.KindRewrite, lifeA)
	for _, id := range []sink.SetID{crashed, others} {
		if _, err := target.Put(bg, tp.Part(1, id, 0, 1), strings.NewReader("x")); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := tp.Write(bg, tp.Part(1, running, 0, 1), payload(10), nil); err != nil {
		t.Fatal(err)
	}
	if err := tp.Prune(bg, lifeA, 6, math.MaxUint64); err != nil {
		t.Error(err)
	}
	left, _ := vfs.ReadDir(fs, "far")
	if len(left) != 2 || left[0].Name() != sink.DirName(others) || left[1].Name() != sink.DirName(running) {
		t.Errorf("%v left", left)
	}
}

func TestListBesideDamage(t *testing.T) {
	fs := memfs.New()
	p, s := fsPipeline(fs)
	for gen := uint64(1); gen <= 3; gen++ {
		if _, err := writeSet(p, gen); err != nil {
			t.Fatal(err)
		}
	}
	name := "checkpoints/00000002/SET.json"
	b, err := vfs.ReadFile(fs, name)
	if err != nil {
		t.Fatal(err)
	}
	if err := vfs.WriteFileAtomic(fs, name, bytes.Replace(b, []byte(`"keys": 3000`), []byte(`"keys": 3001`), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	sets, err := s.List(bg)
	if len(sets) != 2 || !errors.Is(err, sink.ErrCorrupt) || !strings.Contains(err.Error(), name) {
		t.Errorf("%d sets, %v", len(sets), err)
	}
}
