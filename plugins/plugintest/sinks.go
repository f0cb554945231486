package plugintest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core/sink"
)

// TestSink checks that the sinks mk makes keep the promises of sink.Sink. mk is
// called once per check and must return an empty sink.
func TestSink(t *testing.T, mk func(t testing.TB) sink.Sink) {
	checks := []struct {
		name string
		f    func(t *testing.T, s sink.Sink)
	}{
		{"info", sinkInfo},
		{"put, open", sinkPutOpen},
		{"visible by publish only", sinkVisible},
		{"put again", sinkPutAgain},
		{"a published set stays", sinkPublishedStays},
		{"one number, two sets", sinkSameNumber},
		{"reader fails", sinkReaderFails},
		{"cancelled", sinkCancelled},
		{"publish without a part", sinkPublishIncomplete},
		{"remove", sinkRemove},
		{"absent", sinkAbsent},
		{"hostile names", sinkHostileNames},
		{"concurrent", sinkConcurrent},
		{"as local sink of a pipeline", sinkInPipeline},
	}
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			s := mk(t)
			NoLeaks(t)
			Within(t, c.name, func() { c.f(t, s) })
			if c, ok := s.(io.Closer); ok {
				if err := c.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			}
		})
	}
}

var ctx = context.Background()

func sinkInfo(t *testing.T, s sink.Sink) {
	if i := s.Info(); i.Name == "" || i.Version == "" || s.Info() != i {
		t.Errorf("Info() = %+v, then %+v: want a name, a version and no change", i, s.Info())
	}
}

// put stores one part and returns its record.
func put(t testing.TB, s sink.Sink, p sink.Part, data []byte) sink.SetPart {
	src := &source{data: data, chunk: 70_000}
	r, err := s.Put(ctx, p, src)
	if err != nil {
		t.Errorf("Put %s: %v", p.Name, err)
	} else if !src.ended {
		t.Errorf("Put %s returned nil before it met io.EOF", p.Name)
	}
	sp := record(p, data, r)
	sp.Keys = 7
	return sp
}

// record is what a set says of a part with data that was put with receipt r.
func record(p sink.Part, data []byte, r sink.Receipt) sink.SetPart {
	sum := sha256.Sum256(data)
	h := hex.EncodeToString(sum[:])
	return sink.SetPart{Part: p, Bytes: int64(len(data)), RawBytes: int64(len(data)), SHA256: h, RawSHA256: h, SinkReceipt: r}
}

// WantPart checks that a part holds data.
func WantPart(t testing.TB, s sink.Sink, sp sink.SetPart, data []byte) {
	rc, err := s.Open(ctx, sp.Part, sp.SinkReceipt)
	if err != nil {
		t.Errorf("Open %s: %v", sp.Part.Name, err)
		return
	}
	got, err := io.ReadAll(rc)
	if cerr := rc.Close(); err != nil || cerr != nil || !bytes.Equal(got, data) {
		t.Errorf("%s: %d bytes (read %v, close %v), want the %d that were put", sp.Part.Name, len(got), err, cerr, len(data))
	}
}

func setOf(id sink.SetID, parts ...sink.SetPart) sink.Set {
	return sink.Set{ID: id, CreatedAt: time.Unix(1_700_000_000, 0).UTC(), Parts: parts, Meta: map[string]string{"a": "<b>"}}
}

func list(t testing.TB, s sink.Sink) []sink.Set {
	sets, err := s.List(ctx)
	if err != nil {
		t.Errorf("List: %v", err)
	}
	return sets
}

func wantSets(t testing.TB, s sink.Sink, want ...sink.Set) {
	t.Helper()
	got := list(t, s)
	g, _ := json.Marshal(got)
	w, _ := json.Marshal(want)
	if len(got) != len(want) || (len(want) > 0 && !bytes.Equal(g, w)) {
		t.Errorf("List:\n%s\nwant\n%s", g, w)
	}
}

func sinkPutOpen(t *testing.T, s sink.Sink) {
	for i, n := range []int{0, 1, 300_000, 3 << 20} {
		data := Payload(n)
		WantPart(t, s, put(t, s, part(1, i), data), data)
	}
}

func sinkVisible(t *testing.T, s sink.Sink) {
	wantSets(t, s)
	var sets []sink.Set
	for _, gen := range []uint64{2, 10, 1} {
		a, b := put(t, s, part(gen, 0), Payload(1000)), put(t, s, part(gen, 1), nil)
		if n := len(list(t, s)); n != len(sets) {
			t.Errorf("generation %d was only put, and %d sets are listed, want %d", gen, n, len(sets))
		}
		set := setOf(a.Part.ID(), a, b)
		for range 2 { // the same again is a success: its outcome may have been unknown
			if err := s.Publish(ctx, set); err != nil {
				t.Errorf("Publish %s: %v", set.ID, err)
			}
		}
		sets = append(sets, set)
		WantPart(t, s, a, Payload(1000))
	}
	wantSets(t, s, sets[2], sets[0], sets[1]) // by generation
	seg := part(1, 0)
	seg.Kind = sink.KindSegment
	sp := put(t, s, seg, Payload(5))
	if err := s.Publish(ctx, setOf(seg.ID(), sp)); err != nil {
		t.Errorf("Publish of segment 1 beside snapshot 1: %v", err)
	}
	if n := len(list(t, s)); n != 4 {
		t.Errorf("%d sets listed, want 4", n)
	}
}

func sinkPutAgain(t *testing.T, s sink.Sink) {
	put(t, s, part(1, 0), Payload(50_000))
	sp := put(t, s, part(1, 0), Payload(1000))
	WantPart(t, s, sp, Payload(1000))
	if err := s.Publish(ctx, setOf(sp.Part.ID(), sp)); err != nil {
		t.Errorf("Publish after a part was put twice: %v", err)
	}
	WantPart(t, s, sp, Payload(1000))
}

// sinkPublishedStays: neither a Put nor another Publish changes what is published.
func sinkPublishedStays(t *testing.T, s sink.Sink) {
	sp := put(t, s, part(1, 0), Payload(50_000))
	set := setOf(sp.Part.ID(), sp)
	if err := s.Publish(ctx, set); err != nil {
		t.Errorf("Publish: %v", err)
	}
	for _, p := range []sink.Part{part(1, 0), part(1, 1)} {
		if _, err := s.Put(ctx, p, &source{data: Payload(10)}); !errors.Is(err, os.ErrExist) {
			t.Errorf("Put of %s into a published set: error %v, want one that wraps os.ErrExist", p.Name, err)
		}
	}
	other := setOf(set.ID, sp)
	other.Meta = map[string]string{"another": "set"}
	if err := s.Publish(ctx, other); !errors.Is(err, os.ErrExist) {
		t.Errorf("Publish of another set of that ID: error %v, want one that wraps os.ErrExist", err)
	}
	wantSets(t, s, set)
	WantPart(t, s, sp, Payload(50_000))
}

// sinkSameNumber: two engines that know nothing of each other draw one number.
// What becomes of the set of the one leaves that of the other alone.
func sinkSameNumber(t *testing.T, s sink.Sink) {
	for _, kind := range []sink.Kind{sink.KindSnapshot, sink.KindSegment} {
		id := func(token string) sink.Part {
			p := part(7, 0)
			p.Kind, p.Token = kind, token
			return p
		}
		a, b, staged, old := id("aaaaaaaa-00000001"), id("bbbbbbbb-00000001"), id("bbbbbbbb-00000002"), id("")
		first := put(t, s, a, Payload(3000))
		if err := s.Publish(ctx, setOf(a.ID(), first)); err != nil {
			t.Errorf("Publish of the first: %v", err)
		}
		second := put(t, s, b, Payload(20))
		if err := s.Publish(ctx, setOf(b.ID(), second)); err != nil {
			t.Errorf("Publish of a second of this number: %v", err)
		}
		put(t, s, staged, Payload(5))
		third := put(t, s, old, Payload(40)) // as an early version names it
		if err := s.Publish(ctx, setOf(old.ID(), third)); err != nil {
			t.Errorf("Publish of one without a token: %v", err)
		}
		for _, p := range []sink.Part{staged, b} {
			if err := s.Remove(ctx, p.ID()); err != nil {
				t.Errorf("Remove of %s: %v", p.ID(), err)
			}
		}
		if sw, ok := s.(sink.Sweeper); ok {
			running := put(t, s, id("aaaaaaaa-00000003"), Payload(5))
			put(t, s, id("bbbbbbbb-00000003"), Payload(5))
			removed, err := sw.Sweep(ctx, func(id sink.SetID) bool { return id.Token[:1] == "a" })
			if err != nil || len(removed) > 1 { // none, where only the wire can sweep
				t.Errorf("Sweep of what is b's removed %v, %v", removed, err)
			}
			WantPart(t, s, running, Payload(5))
		}
		found := 0
		for _, set := range list(t, s) {
			if set.ID.Kind != kind {
				continue
			}
			if found++; set.ID != a.ID() && set.ID != old.ID() {
				t.Errorf("%s is listed", set.ID)
			}
		}
		if found != 2 {
			t.Errorf("%d of the two sets of kind %s are left", found, kind)
		}
		WantPart(t, s, first, Payload(3000))
		WantPart(t, s, third, Payload(40))
	}
}

func sinkReaderFails(t *testing.T, s sink.Sink) {
	for _, n := range []int{0, 1, 2 << 20} {
		if _, err := s.Put(ctx, part(1, 0), &source{data: Payload(n), fail: errInjected}); !errors.Is(err, errInjected) {
			t.Errorf("Put, reader fails after %d bytes: error %v does not wrap the reader's", n, err)
		}
	}
	sp := put(t, s, part(1, 0), Payload(99)) // it can still be put
	WantPart(t, s, sp, Payload(99))
}

func sinkCancelled(t *testing.T, s sink.Sink) {
	cctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if _, err := s.Put(cctx, part(1, 0), &source{data: Payload(300_000), fail: context.Canceled, after: cancel}); err == nil {
		t.Error("Put: nil although it was cancelled")
	}
	sp := put(t, s, part(2, 0), Payload(10))
	if err := s.Publish(cctx, setOf(sp.Part.ID(), sp)); err == nil {
		t.Error("Publish with a cancelled context: nil")
	}
	wantSets(t, s)
}

func sinkPublishIncomplete(t *testing.T, s sink.Sink) {
	a := put(t, s, part(1, 0), Payload(10))
	b := a
	b.Part = part(1, 1)
	if err := s.Publish(ctx, setOf(a.Part.ID(), a, b)); err == nil {
		t.Error("Publish of a set with a part that was never put: nil")
	}
	wantSets(t, s)
}

func sinkRemove(t *testing.T, s sink.Sink) {
	var sets []sink.Set
	for gen := uint64(1); gen <= 3; gen++ {
		sp := put(t, s, part(gen, 0), Payload(10))
		sets = append(sets, setOf(sp.Part.ID(), sp))
		if gen < 3 {
			if err := s.Publish(ctx, sets[gen-1]); err != nil {
				t.Errorf("Publish: %v", err)
			}
		}
	}
	for _, gen := range []int{0, 2} { // published, staged
		for range 2 { // the second time it is not there: a success
			if err := s.Remove(ctx, sets[gen].ID); err != nil {
				t.Errorf("Remove %s: %v", sets[gen].ID, err)
			}
		}
		sp := sets[gen].Parts[0]
		if rc, err := s.Open(ctx, sp.Part, sp.SinkReceipt); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("Open of a removed part: error %v, want one that wraps os.ErrNotExist", err)
			if err == nil {
				rc.Close()
			}
		}
	}
	wantSets(t, s, sets[1])
	sp := put(t, s, part(1, 0), Payload(20)) // the name is free again
	WantPart(t, s, sp, Payload(20))
}

func sinkAbsent(t *testing.T, s sink.Sink) {
	if _, err := s.Open(ctx, part(9, 0), nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Open of a part that never was: error %v, want one that wraps os.ErrNotExist", err)
	}
	if err := s.Remove(ctx, sink.SetID{Generation: 9, Kind: sink.KindSnapshot}); err != nil {
		t.Errorf("Remove of a set that never was: %v, want nil", err)
	}
}

func sinkHostileNames(t *testing.T, s sink.Sink) {
	for _, name := range []string{"", ".", "..", "../x", "a/b", "/x", sink.SetFile, "a\x00b"} {
		p := part(1, 0)
		p.Name = name
		if _, err := s.Put(ctx, p, &source{data: []byte("x")}); err == nil {
			t.Errorf("Put of a part named %q: nil", name)
		}
		if rc, err := s.Open(ctx, p, nil); err == nil {
			rc.Close()
			t.Errorf("Open of a part named %q: nil", name)
		}
	}
}

func sinkConcurrent(t *testing.T, s sink.Sink) {
	parts := make([]sink.SetPart, 4)
	var wg sync.WaitGroup
	for i := range parts {
		wg.Go(func() {
			data := Payload(200_000 + i)
			parts[i] = put(t, s, part(1, i), data)
			WantPart(t, s, parts[i], data)
		})
	}
	wg.Wait()
	set := setOf(parts[0].Part.ID(), parts...)
	if err := s.Publish(ctx, set); err != nil {
		t.Errorf("Publish: %v", err)
	}
	wantSets(t, s, set)
}

func sinkInPipeline(t *testing.T, s sink.Sink) {
	p := sink.NewPipeline("plugintest", []sink.Stage{XOR("xor", 0x55)}, s, nil, sink.PipelineOptions{VerifyDecode: true})
	data := Payload(1 << 20)
	sp, err := p.Write(ctx, p.Part(1, sink.SetID{Generation: 3, Kind: sink.KindRewrite}, 0, 1), func(w io.Writer) (int64, error) {
		_, err := w.Write(data)
		return 1, err
	}, nil)
	if err != nil {
		t.Errorf("Write: %v", err)
		return
	}
	set := setOf(sp.Part.ID(), sp)
	set.Stages = p.StageRecords()
	if err := p.Publish(ctx, set); err != nil {
		t.Errorf("Publish: %v", err)
	}
	sets := list(t, s)
	if len(sets) != 1 || len(sets[0].Parts) != 1 {
		t.Errorf("List: %v, want the one set", sets)
		return
	}
	var back []byte
	err = p.Read(ctx, sets[0].Parts[0], func(r io.Reader) (err error) { back, err = io.ReadAll(r); return })
	if err != nil || !bytes.Equal(back, data) {
		t.Errorf("Read: %d bytes, %v", len(back), err)
	}
	if err := p.Abort(ctx, set.ID); err != nil {
		t.Errorf("Abort: %v", err)
	}
	wantSets(t, s)
}
