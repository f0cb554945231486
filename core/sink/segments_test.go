package sink_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
	"github.com/spillwaydb/spillway/plugins/plugintest"
)

// TestWithoutLocal: a pipeline of nothing but a target, as an archive has.
func TestWithoutLocal(t *testing.T) {
	far := plugintest.NewMemSink("far")
	p := sink.NewPipeline("archive", []sink.Stage{plugintest.XOR("x", 7)}, nil, []sink.Target{{Name: "far", Sink: far, Required: true}}, quick())
	sp, err := p.Write(bg, p.Part(0, sink.SetID{Generation: 7, Kind: sink.KindSegment}, 0, 1), payload(100_000), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Publish(bg, setWith(p, sp)); err != nil {
		t.Fatal(err)
	}
	sets, err := p.Segments(bg)
	if err != nil || len(sets) != 1 || sets[0].RawBytes() != sp.RawBytes {
		t.Fatalf("%v, %v", sets, err)
	}
	if err := p.Read(bg, sp, nil); err == nil {
		t.Error("it read from nowhere")
	}
	if all, err := p.Checkpoints(bg); err != nil || len(all) != 0 {
		t.Errorf("%v, %v", all, err)
	}
	for _, s := range p.Stats() {
		if s.Role == sink.RoleLocal {
			t.Errorf("%+v", s)
		}
	}
	if err := p.Abort(bg, sets[0].ID); err != nil {
		t.Error(err)
	}
	if sets, _ = p.Segments(bg); len(sets) != 0 {
		t.Errorf("left: %v", sets)
	}
}

// TestPruneSegments: the segments that checkpoints elsewhere need stay, others
// go; checkpoints, and what the other pipeline is putting there, are left alone.
func TestPruneSegments(t *testing.T) {
	fs := memfs.New()
	s := sink.NewFSSink("far", fs, "checkpoints")
	p := sink.NewPipeline("archive", nil, nil, []sink.Target{{Name: "far", Sink: s, Required: true, Keep: sink.Retention{Last: 2}}}, quick())
	at := func(n uint64) time.Time { return time.Date(2026, 3, 1, 0, int(n), 0, 0, time.UTC) }
	for id := uint64(1); id <= 6; id++ {
		sp, err := p.Write(bg, p.Part(0, sink.SetID{Generation: id, Kind: sink.KindSegment}, 0, 1), payload(5), nil)
		if err != nil {
			t.Fatal(err)
		}
		set := setWith(p, sp)
		set.CreatedAt, set.Meta = at(10*id), map[string]string{sink.MetaLineage: "a"}
		if err := p.Publish(bg, set); err != nil {
			t.Fatal(err)
		}
	}
	mine, other := sink.NewSetID(8, sink.KindSnapshot, "a"), sink.NewSetID(8, sink.KindSegment, "b")
	crashed, running := sink.NewSetID(8, sink.KindSegment, "a"), sink.NewSetID(9, sink.KindSegment, "a")
	for _, staged := range []sink.SetID{mine, other, crashed, running} {
		if _, err := s.Put(bg, p.Part(0, staged, 0, 1), strings.NewReader("x")); err != nil {
			t.Fatal(err)
		}
	}
	var checkpoints []sink.Set
	for gen := uint64(1); gen <= 4; gen++ { // of which the last is not committed
		checkpoints = append(checkpoints, sink.Set{
			ID: sink.SetID{Generation: gen, Kind: sink.KindSnapshot}, CreatedAt: at(20 * gen),
			Meta: map[string]string{sink.MetaLineage: "a", sink.MetaSegment: strconv.FormatUint(2*gen, 10)},
		})
	}
	if err := p.PruneSegments(bg, "a", 9, 3, checkpoints); err != nil {
		t.Fatal(err)
	}
	var left []string
	infos, err := fs.Open("checkpoints")
	if err != nil {
		t.Fatal(err)
	}
	names, err := infos.Readdirnames(-1)
	if err = errors.Join(err, infos.Close()); err != nil {
		t.Fatal(err)
	}
	left = append(left, names...)
	want := map[string]bool{"segment-00000004": true, "segment-00000005": true, "segment-00000006": true, sink.DirName(mine): true, sink.DirName(other): true, sink.DirName(running): true}
	for _, name := range left {
		if !want[name] {
			t.Errorf("%s is still there", name)
		}
		delete(want, name)
	}
	if len(want) > 0 {
		t.Errorf("%s gone", fmt.Sprint(want))
	}
}
