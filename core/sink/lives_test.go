package sink_test

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
	"github.com/spillwaydb/spillway/plugins/plugintest"
)

// Two lives of data directories that know nothing of each other.
const (
	lifeA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	lifeB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

// publish makes a set of one part in the name of a lineage.
func publish(t *testing.T, p *sink.Pipeline, lineage string, gen uint64, kind sink.Kind) sink.Set {
	t.Helper()
	sp, err := p.Write(bg, p.Part(1, sink.NewSetID(gen, kind, lineage), 0, 1), payload(3000), nil)
	if err != nil {
		t.Fatal(err)
	}
	set := setWith(p, sp)
	if lineage != "" {
		set.Meta = map[string]string{sink.MetaLineage: lineage}
	}
	if err := p.Publish(bg, set); err != nil {
		t.Fatal(err)
	}
	return set
}

// TestSameNumber: two engines draw the same number for one place. Both sets are
// there, and what one of them aborts, whether it was staged or published, is its
// own.
func TestSameNumber(t *testing.T) {
	for name, far := range map[string]sink.Sink{"memory": plugintest.NewMemSink("far"), "filesystem": sink.NewFSSink("far", memfs.New(), "checkpoints")} {
		t.Run(name, func(t *testing.T) {
			mk := func() *sink.Pipeline {
				return sink.NewPipeline("test", nil, plugintest.NewMemSink("l"), []sink.Target{{Name: "far", Sink: far, Required: true}}, quick())
			}
			a, b := mk(), mk()
			first := publish(t, a, lifeA, 1, sink.KindSnapshot)
			second := publish(t, b, lifeB, 1, sink.KindSnapshot)
			if first.ID == second.ID {
				t.Fatal("both have one name")
			}
			staged := sink.NewSetID(1, sink.KindSnapshot, lifeB)
			if _, err := b.Write(bg, b.Part(1, staged, 0, 1), payload(10), nil); err != nil {
				t.Fatal(err)
			}
			for _, id := range []sink.SetID{staged, second.ID} {
				if err := b.Abort(bg, id); err != nil {
					t.Error(err)
				}
			}
			sets, err := far.List(bg)
			if err != nil || len(sets) != 1 || sets[0].ID != first.ID {
				t.Fatalf("left: %v, %v", sets, err)
			}
			if err := a.ReadFrom(bg, far, sets[0].Parts[0], func(io.Reader) error { return nil }); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestSetIDNames: a directory's name and a set's ID are one to one, and nothing
// but digits gets into a path.
func TestSetIDNames(t *testing.T) {
	for _, kind := range []sink.Kind{sink.KindSnapshot, sink.KindSegment} {
		for _, id := range []sink.SetID{{Generation: 7, Kind: kind}, sink.NewSetID(7, kind, lifeA), sink.NewSetID(123456789, kind, "")} {
			if got, ok := sink.ParseDirName(sink.DirName(id)); !ok || got != id {
				t.Errorf("%v is %s is %v, %v", id, sink.DirName(id), got, ok)
			}
		}
	}
	if id := sink.NewSetID(7, sink.KindSnapshot, lifeA); !id.Of(lifeA) || id.Of(lifeB) || id.Of("") || (sink.SetID{Generation: 7}).Of("") {
		t.Errorf("whose is %v?", id)
	}
	for _, name := range []string{"", "7", "0000007", "00000007-", "00000007-aaaaaaaa", "00000007-aaaaaaaa-bbbbbbbg", "00000007-aaaaaaaa-bbbbbbbb-", "00000007-AAAAAAAA-bbbbbbbb", "segment-", "segment-00000007-x", "00000007.tmp", "+0000007"} {
		if id, ok := sink.ParseDirName(name); ok {
			t.Errorf("%q is %v", name, id)
		}
	}
	s := sink.NewFSSink("s", memfs.New(), "checkpoints")
	for _, token := range []string{"../../../x", "aaaaaaaa-bbbbbbb/", "x"} {
		p := sink.Part{Kind: sink.KindSnapshot, Generation: 1, Token: token, Shards: 1, Name: "shard-0000.rdb"}
		if _, err := s.Put(bg, p, strings.NewReader("x")); !sink.IsPermanent(err) {
			t.Errorf("put with token %q: %v", token, err)
		}
		if _, err := s.Open(bg, p, nil); err == nil || errors.Is(err, os.ErrNotExist) {
			t.Errorf("open with token %q: %v", token, err)
		}
		if err := s.Remove(bg, p.ID()); !sink.IsPermanent(err) {
			t.Errorf("remove with token %q: %v", token, err)
		}
		doc, err := sink.EncodeSet(sink.Set{ID: p.ID()})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := sink.DecodeSet(doc); !errors.Is(err, sink.ErrCorrupt) {
			t.Errorf("a document with token %q: %v", token, err)
		}
	}
	if s := fmt.Sprint(sink.SetID{Generation: 42, Kind: sink.KindSnapshot, Token: "3f9a1c2e-77b0d415"}); s != "snapshot 00000042-3f9a1c2e-77b0d415" {
		t.Error(s)
	}
}

// TestPruneShared: while a copy of the data directory goes on under our lineage
// what is newest on the sink is not for us to say, and nothing is removed there.
func TestPruneShared(t *testing.T) {
	far := plugintest.NewMemSink("far")
	var ours map[sink.SetID]bool
	opts := quick()
	opts.Known = func(s *sink.Set) bool { return ours[s.ID] }
	p := sink.NewPipeline("test", nil, plugintest.NewMemSink("l"), []sink.Target{{Name: "far", Sink: far, Required: true, Keep: sink.Retention{Last: 1}}}, opts)
	first, second := publish(t, p, lifeA, 1, sink.KindSnapshot), publish(t, p, lifeA, 2, sink.KindSnapshot)
	ours = map[sink.SetID]bool{first.ID: true, second.ID: true}
	theirs := publish(t, p, lifeA, 2, sink.KindSnapshot)
	if err := p.Prune(bg, lifeA, 1, math.MaxUint64); err == nil || !strings.Contains(err.Error(), theirs.ID.String()) {
		t.Errorf("pruning beside a copy of the directory says %v", err)
	}
	if sets, err := far.List(bg); err != nil || len(sets) != 3 {
		t.Errorf("left: %v, %v", sets, err)
	}
	ours[theirs.ID] = true // of a lineage that is not shared
	if err := p.Prune(bg, lifeA, 1, math.MaxUint64); err != nil {
		t.Error(err)
	}
	if sets, err := far.List(bg); err != nil || len(sets) != 1 {
		t.Errorf("left: %v, %v", sets, err)
	}
}
