package core_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/coretest"
	"github.com/spillwaydb/spillway/core/manifest"
	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/fsbackends/faultfs"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
	"github.com/spillwaydb/spillway/plugins/plugintest"
)

// offsite is a place elsewhere, with the checkpoints and the log of an engine.
type offsite struct {
	fs     *memfs.FS
	down   atomic.Bool // no segment can be put there
	broken atomic.Bool // nothing can be written to the log
	hold   atomic.Bool // checkpoints do not come to their end
}

// held is a stage that passes bytes on, but not while hold is set.
func (o *offsite) held() sink.Stage {
	return hooked{func(ctx context.Context, dst io.Writer, src io.Reader) error {
		for o.hold.Load() {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			time.Sleep(time.Millisecond)
		}
		_, err := io.Copy(dst, src)
		return err
	}}
}

var errDown = errors.New("no route to host")

// sink is one of the two ways there. One is for checkpoints, the other for segments.
func (o *offsite) sink(name string) sink.Sink {
	inner := sink.NewFSSink(name, o.fs, "checkpoints")
	return &plugintest.FuncSink{
		Inner: inner,
		PutFunc: func(ctx context.Context, p sink.Part, src io.Reader) (sink.Receipt, error) {
			if p.Kind == sink.KindSegment && o.down.Load() {
				return nil, errDown
			}
			return inner.Put(ctx, p, src)
		},
	}
}

func (o *offsite) options(opts *core.Options) {
	opts.Targets = []sink.Target{{Name: "mirror", Sink: o.sink("mirror"), Required: true}}
	opts.Archive = core.Archive{Targets: []sink.Target{{Name: "vault", Sink: o.sink("vault")}}}
}

func newOffsite() *offsite { return &offsite{fs: memfs.New()} }

// segments are the archived ones, by ID.
func (o *offsite) segments(t testing.TB) map[uint64]sink.Set {
	t.Helper()
	sets, err := sink.NewFSSink("look", o.fs, "checkpoints").List(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	out := map[uint64]sink.Set{}
	for _, s := range sets {
		if s.ID.Kind == sink.KindSegment {
			out[s.ID.Generation] = s
		}
	}
	return out
}

// rebuild makes a data directory of the newest checkpoint and the archived
// segments that continue it: what a restore does, in its simplest form. It
// returns how many segments that are. What the engine removes while it is being
// read was not worth reading: then it looks again.
func (o *offsite) rebuild() (data *memfs.FS, segments int, err error) {
	for range 100 {
		if data, segments, err = o.build(); !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return data, segments, err
}

func (o *offsite) build() (*memfs.FS, int, error) {
	ctx := context.Background()
	far := sink.NewFSSink("far", o.fs, "checkpoints")
	sets, err := far.List(ctx)
	if err != nil {
		return nil, 0, err
	}
	data := memfs.New()
	m := &manifest.Manifest{}
	segments := map[uint64]sink.Set{}
	for _, s := range sets {
		switch {
		case s.ID.Kind == sink.KindSegment:
			segments[s.ID.Generation] = s
		case m.Base == nil || s.CreatedAt.After(m.Base.CreatedAt) || s.ID.Generation > m.Base.ID.Generation:
			m.Base = s.Clone()
		}
	}
	if m.Base == nil {
		return nil, 0, errors.New("there is no checkpoint")
	}
	read := func(p sink.SetPart) ([]byte, error) {
		f, err := far.Open(ctx, p.Part, p.SinkReceipt)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		b, err := io.ReadAll(f)
		if sum := sha256.Sum256(b); err == nil && hex.EncodeToString(sum[:]) != p.SHA256 {
			return nil, fmt.Errorf("%s was replaced while it was read: %w", p.Part.Name, fs.ErrNotExist)
		}
		return b, err
	}
	for _, p := range m.Base.Parts {
		b, err := read(p)
		if err != nil {
			return nil, 0, err
		}
		if _, err := sink.NewFSSink("local", data, "checkpoints").Put(ctx, p.Part, strings.NewReader(string(b))); err != nil {
			return nil, 0, err
		}
	}
	if err := sink.NewFSSink("local", data, "checkpoints").Publish(ctx, *m.Base); err != nil {
		return nil, 0, err
	}
	first, err := strconv.ParseUint(m.Base.Meta[sink.MetaSegment], 10, 64)
	if err != nil {
		return nil, 0, fmt.Errorf("the checkpoint does not say where the log goes on: %w", err)
	}
	last, seq := "", 0
	for id := first; ; id++ {
		s, ok := segments[id]
		if !ok || s.Meta[sink.MetaLineage] != m.Base.Meta[sink.MetaLineage] || id > first && s.Meta[sink.MetaPrevLogID] != last {
			break
		}
		begin, _ := strconv.Atoi(s.Meta[sink.MetaFirstSeq]) // 0: it has no block
		if seq > 0 && begin > 0 && begin != seq+1 {
			break // of a life that a repair has ended
		}
		if end, _ := strconv.Atoi(s.Meta[sink.MetaLastSeq]); end > 0 {
			seq = end
		}
		if id == first && s.Meta[sink.MetaLogID] != m.Base.Meta[sink.MetaLogID] {
			return nil, 0, fmt.Errorf("segment %d is %s, the checkpoint wants %s", id, s.Meta[sink.MetaLogID], m.Base.Meta[sink.MetaLogID])
		}
		b, err := read(s.Parts[0])
		if err != nil {
			return nil, 0, err
		}
		if err := data.MkdirAll("log", 0o700); err != nil {
			return nil, 0, err
		}
		if err := vfs.WriteFileAtomic(data, manifest.SegmentPath(id), b, 0o600); err != nil {
			return nil, 0, err
		}
		last = s.Meta[sink.MetaLogID]
		m.Segments = append(m.Segments, manifest.Segment{ID: id, Path: manifest.SegmentPath(id), LogID: last})
	}
	m.NextGeneration, m.NextSegment = m.Base.ID.Generation+1, first+uint64(len(m.Segments))+1
	return data, len(m.Segments), manifest.NewStore(data, time.Now).Commit(m)
}

// restored is what an engine makes of it.
func (o *offsite) restored(t *testing.T) string {
	t.Helper()
	data, _, err := o.rebuild()
	if err != nil {
		t.Fatal(err)
	}
	h := coretest.New(t, func(opts *core.Options) { opts.Stages = []sink.Stage{o.held()} })
	_ = h.DB.Close()
	h.FS = data
	h.Open()
	defer h.DB.Close()
	return state(h)
}

// until ticks until the archive is as wanted.
func until(t *testing.T, h *coretest.Harness, what string, ok func(core.ArchiveStats) bool) {
	t.Helper()
	for range 60_000 {
		h.DB.Tick()
		if s := h.DB.Archive(); ok(s) && !s.Sealing {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("%s does not come: %+v\n%s", what, h.DB.Archive(), persistence(h))
}

// archived lets time pass until everything is archived. It has to go on passing:
// an attempt that fails waits for the next.
func archived(t *testing.T, h *coretest.Harness) {
	t.Helper()
	h.Settle()
	h.DB.Tick() // sees the data
	ticks := 0
	h.Clock.Advance(time.Minute)
	until(t, h, "an empty queue", func(s core.ArchiveStats) bool {
		if ticks++; ticks%100 == 0 {
			h.Clock.Advance(time.Minute)
		}
		return s.Waiting == 0 && s.Lag == 0
	})
	h.Settle()
}

func TestArchive(t *testing.T) {
	o := newOffsite()
	h := coretest.New(t, o.options)
	archived(t, h) // the checkpoint to begin with
	if got := field(t, h, "rdb_saves"); got != "1" {
		t.Fatalf("%s checkpoints to begin with", got)
	}
	if n := len(o.segments(t)); n != 1 { // the empty one before it
		t.Errorf("%d segments of an engine without data", n)
	}
	for i := range 3 {
		fill(h, fmt.Sprint("tag", i))
		h.DB.Tick()
		h.Clock.Advance(9 * time.Second)
		h.DB.Tick()
		if got := h.DB.Archive(); got.Waiting != 0 || got.Sealing || got.Lag != 9*time.Second {
			t.Fatalf("before its time: %+v", got)
		}
		h.Clock.Advance(time.Second)
		until(t, h, "the segment", func(s core.ArchiveStats) bool { return s.LastSegment == uint64(i+2) && s.Waiting == 0 && s.Lag == 0 })
		if got, want := o.restored(t), state(h); got != want {
			t.Fatalf("restored %s, want %s", got, want)
		}
	}
	// Nothing happens without data.
	before := contentOf(t, h.FS, "log")
	for range 10 {
		h.Clock.Advance(time.Hour)
		h.DB.Tick()
	}
	time.Sleep(10 * time.Millisecond)
	if after := contentOf(t, h.FS, "log"); len(after) != len(before) {
		t.Errorf("an idle engine made segments: %d, now %d", len(before), len(after))
	}
	segments := o.segments(t)
	if len(segments) != 4 {
		t.Fatalf("%d segments", len(segments))
	}
	m, err := manifest.Read(h.FS)
	if err != nil {
		t.Fatal(err)
	}
	for id := uint64(2); id <= 4; id++ {
		meta := segments[id].Meta
		if meta[sink.MetaLineage] != m.Lineage || meta[sink.MetaPrevLogID] != segments[id-1].Meta[sink.MetaLogID] {
			t.Errorf("segment %d: %v", id, meta)
		}
		first, _ := strconv.Atoi(meta[sink.MetaFirstSeq])
		before, _ := strconv.Atoi(segments[id-1].Meta[sink.MetaLastSeq])
		from, err1 := time.Parse(time.RFC3339Nano, meta[sink.MetaFirstTime])
		to, err2 := time.Parse(time.RFC3339Nano, meta[sink.MetaLastTime])
		if first != before+1 || err1 != nil || err2 != nil || to.Before(from) || segments[id].CreatedAt.Before(to) {
			t.Errorf("segment %d: %v, sealed %v", id, meta, segments[id].CreatedAt)
		}
	}
	if m.Base.Meta[sink.MetaSegment] != "2" || m.Base.Meta[sink.MetaLogID] != segments[2].Meta[sink.MetaLogID] || m.Base.Meta[sink.MetaLineage] != m.Lineage {
		t.Errorf("the base says %v", m.Base.Meta)
	}
	if _, ok := segments[1].Meta[sink.MetaFirstSeq]; ok || segments[1].Meta[sink.MetaPrevLogID] != "" {
		t.Errorf("the first segment, which is empty: %v", segments[1].Meta)
	}
}

// TestArchiveBySize: a segment that is large is not waited for.
func TestArchiveBySize(t *testing.T) {
	o := newOffsite()
	h := coretest.New(t, o.options, func(opts *core.Options) { opts.Archive.SealSize = 4 << 10 })
	archived(t, h)
	for i := range 6 {
		h.Do("SET", fmt.Sprint("key", i), strings.Repeat("v", 1<<10))
	}
	until(t, h, "the segment", func(s core.ArchiveStats) bool { return s.LastSegment == 2 })
	h.DB.Tick()
	if got, want := o.restored(t), state(h); got != want {
		t.Errorf("restored %s, want %s", got, want)
	}
}

// TestShutdownAwaitsTheSeal: a segment that is being sealed when the engine is shut down,
// in which the log does not go on any more and of which the archive does not know yet, is
// archived before the end.
func TestShutdownAwaitsTheSeal(t *testing.T) {
	o := newOffsite()
	h := coretest.New(t, o.options, func(opts *core.Options) { opts.Archive.SealSize = 4 << 10 })
	var active atomic.Value // the path of the segment that is going to be sealed
	active.Store("")
	sealing, goOn := make(chan struct{}), make(chan struct{})
	h.Wrap(func(disk vfs.FS) vfs.FS {
		return faultfs.New(disk, func(op faultfs.Op) error {
			if op.Kind == faultfs.OpStat && active.CompareAndSwap(op.Path, "") {
				close(sealing) // it is asked how large the segment is that is to be queued
				<-goOn
			}
			return nil
		})
	})
	h.Reopen()
	archived(t, h)
	active.Store(slices.Max(slices.Collect(maps.Keys(contentOf(t, h.FS, "log")))))
	h.Do("SET", "large", strings.Repeat("v", 8<<10))
	want := state(h)
	for begun := false; !begun; {
		h.DB.Tick()
		select {
		case <-sealing:
			begun = true
		default:
			runtime.Gosched()
		}
	}
	done := make(chan error, 1)
	go func() { done <- h.DB.PrepareShutdown(command.ShutdownDefault, false) }()
	for looks := 0; ; looks++ {
		select {
		case err := <-done:
			if looks <= 20 {
				close(goOn)
				t.Fatalf("it ends beside a seal: %v", err)
			}
			if err != nil {
				t.Error(err)
			}
			if got := o.restored(t); got != want {
				t.Errorf("restored %s, want %s", got, want)
			}
			return
		default:
		}
		if looks == 20 {
			close(goOn)
		}
		h.Clock.Advance(time.Millisecond) // of ShutdownWait it is little
		time.Sleep(time.Millisecond)
	}
}

// archiveJob is one of archiveJobs.
type archiveJob struct {
	name string
	play func(t *testing.T, h *coretest.Harness, o *offsite)
}

// archiveJobs are what may come to pass while the archive works. In the end
// everything is archived, and what is restored is what there is.
var archiveJobs = []archiveJob{
	{"the target is down", func(t *testing.T, h *coretest.Harness, o *offsite) {
		o.down.Store(true)
		for i := range 3 {
			fill(h, fmt.Sprint(i))
			h.DB.Tick()
			h.Clock.Advance(40 * time.Second)
			until(t, h, "a failure", func(s core.ArchiveStats) bool { return s.Waiting == i+1 && s.Err != nil })
		}
		s := h.DB.Archive()
		if s.WaitingBytes == 0 || s.Lag < 80*time.Second || !errors.Is(s.Err, errDown) {
			t.Errorf("%+v", s)
		}
		for name, want := range map[string]string{"archive_waiting": "3", "archive_lag_sec": "120", "aof_last_write_status": "ok"} {
			if got := field(t, h, name); got != want {
				t.Errorf("%s is %s, want %s", name, got, want)
			}
		}
		if got := field(t, h, "archive_sink_vault"); !regexp.MustCompile(`^pending=3,lag_sec=120,bytes=\d+,errors=[1-9]\d*$`).MatchString(got) {
			t.Errorf("archive_sink_vault is %s", got)
		}
		if got := field(t, h, "archive_last_error"); !strings.Contains(got, errDown.Error()) || !strings.Contains(got, "vault") {
			t.Errorf("archive_last_error is %s", got)
		}
		o.down.Store(false)
	}},
	{"BGSAVE while it is behind", func(t *testing.T, h *coretest.Harness, o *offsite) {
		o.down.Store(true)
		fill(h, "a")
		h.DB.Tick()
		h.Clock.Advance(time.Minute)
		until(t, h, "a failure", func(s core.ArchiveStats) bool { return s.Waiting == 1 && s.Err != nil })
		for range 2 {
			fill(h, "b")
			if err := h.DB.Save(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		m, err := manifest.Read(h.FS)
		if err != nil || len(m.Owed) != 3 || len(m.Segments) != 1 {
			t.Fatalf("owed %v behind %v, %v", m.Owed, m.Segments, err)
		}
		for _, crash := range []func(){func() { h.Reopen() }, func() { h.Crash(memfs.LoseAll) }, func() { h.Crash(memfs.KeepAll) }} {
			crash()
			if got := h.DB.Archive(); got.Waiting != 3 {
				t.Fatalf("after a restart: %+v", got)
			}
		}
		o.down.Store(false)
	}},
	{"seals while BGSAVE is in flight", func(t *testing.T, h *coretest.Harness, o *offsite) {
		before := len(o.segments(t))
		fill(h, "a")
		h.DB.Tick()
		o.hold.Store(true)
		h.Do("BGSAVE")
		until(t, h, "what the cut has sealed", func(s core.ArchiveStats) bool { return s.LastSegment > 0 })
		for range 3 {
			fill(h, "b")
			last := h.DB.Archive().LastSegment
			h.DB.Tick()
			h.Clock.Advance(10 * time.Second)
			until(t, h, "a seal", func(s core.ArchiveStats) bool { return s.LastSegment > last && s.Waiting == 0 && s.Lag == 0 })
		}
		if field(t, h, "rdb_bgsave_in_progress") != "1" {
			t.Error("the save has ended: the test shows nothing")
		}
		if n := len(o.segments(t)); n != before+4 {
			t.Errorf("%d segments, %d before", n, before)
		}
		o.hold.Store(false)
	}},
	{"the log fails", func(t *testing.T, h *coretest.Harness, o *offsite) {
		fill(h, "a")
		archived(t, h)
		h.DB.Tick()
		fill(h, "b")
		o.broken.Store(true)
		if got := h.Do("SET", "str", "lost"); !strings.Contains(got, "NOTDURABLE") {
			t.Fatalf("a write on a dead disk: %s", got)
		}
		h.DB.Tick()
		h.Clock.Advance(time.Minute)
		h.DB.Tick()
		h.Settle()
		o.broken.Store(false)
		for range 5 {
			h.Clock.Advance(10 * time.Second)
			h.Settle()
		}
		if got := h.Do("SET", "str", "back"); got != `"OK"` {
			t.Fatalf("after healing: %s", got)
		}
	}},
	{"the log is switched off and on", func(t *testing.T, h *coretest.Harness, _ *offsite) {
		fill(h, "a")
		h.Do("CONFIG", "SET", "appendonly", "no")
		h.DB.Tick()
		fill(h, "b")
		if err := h.DB.Save(context.Background()); err != nil {
			t.Fatal(err)
		}
		fill(h, "c")
		h.Do("CONFIG", "SET", "appendonly", "yes")
		h.Settle()
	}},
	{"a restart with a seal in the middle", func(t *testing.T, h *coretest.Harness, _ *offsite) {
		fill(h, "a")
		h.DB.Tick()
		h.Clock.Advance(time.Minute)
		h.DB.Tick()
		h.Reopen()
		fill(h, "b")
		h.Crash(memfs.LoseAll)
	}},
	{"SHUTDOWN", func(t *testing.T, h *coretest.Harness, o *offsite) {
		fill(h, "a")
		want := state(h)
		if err := h.DB.PrepareShutdown(command.ShutdownDefault, false); err != nil {
			t.Fatal(err)
		}
		if s := h.DB.Archive(); s.Waiting != 0 {
			t.Errorf("after the shutdown: %+v", s)
		}
		if got := o.restored(t); got != want {
			t.Errorf("restored %s, want %s", got, want)
		}
		h.Reopen()
	}},
	{"SHUTDOWN while the target is down", func(t *testing.T, h *coretest.Harness, o *offsite) {
		o.down.Store(true)
		fill(h, "a")
		if err := h.DB.PrepareShutdown(command.ShutdownDefault, false); err != nil {
			t.Fatal(err)
		}
		h.Reopen()
		if s := h.DB.Archive(); s.Waiting == 0 {
			t.Errorf("nothing waits after it: %+v", s)
		}
		o.down.Store(false)
	}},
	{"a segment is damaged", func(t *testing.T, h *coretest.Harness, o *offsite) {
		o.down.Store(true)
		fill(h, "a")
		h.DB.Tick()
		h.Clock.Advance(time.Minute)
		until(t, h, "a failure", func(s core.ArchiveStats) bool { return s.Waiting == 1 && s.Err != nil })
		m, err := manifest.Read(h.FS)
		if err != nil {
			t.Fatal(err)
		}
		bad := m.Segments[0]
		data, err := vfs.ReadFile(h.FS, bad.Path)
		if err != nil {
			t.Fatal(err)
		}
		data[len(data)/2] ^= 1
		if err := vfs.WriteFileAtomic(h.FS, bad.Path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		fill(h, "b")
		o.down.Store(false)
		archived(t, h) // and takes a checkpoint, so that it can be restored
		if got := h.DB.Archive(); got.Gap != bad.ID {
			t.Errorf("the gap is not told: %+v", got)
		}
	}},
	{"too much waits", func(t *testing.T, h *coretest.Harness, o *offsite) {
		h.Reopen()
		o.down.Store(true)
		for i := range 4 {
			h.Do("SET", "str", strings.Repeat(fmt.Sprint(i), 600<<10))
			if err := h.DB.Save(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		m, err := manifest.Read(h.FS)
		if err != nil || len(m.Owed) != 1 || m.ArchiveGap != m.Owed[0].ID-1 || m.ArchiveGap == 0 {
			t.Fatalf("owed %+v, gap %d, %v", m.Owed, m.ArchiveGap, err)
		}
		h.DB.Tick()
		h.Reopen()
		for name := range contentOf(t, h.FS, "log") {
			if name < m.Owed[0].Path {
				t.Errorf("%s was given up and is still there", name)
			}
		}
		if got := field(t, h, "archive_gap"); got != fmt.Sprint(m.ArchiveGap) {
			t.Errorf("archive_gap is %s", got)
		}
		o.down.Store(false)
	}},
}

func TestArchiveJobs(t *testing.T) { playArchiveJobs(t, archiveJobs) }

func playArchiveJobs(t *testing.T, jobs []archiveJob) {
	for _, c := range jobs {
		t.Run(c.name, func(t *testing.T) {
			var log journal
			o := newOffsite()
			h := coretest.New(t, o.options, func(opts *core.Options) {
				opts.Logger = log.logger()
				opts.Archive.MaxWaiting = 1 << 20
				opts.Archive.ShutdownWait = time.Second
				opts.Stages = []sink.Stage{o.held()}
			})
			h.Wrap(func(disk vfs.FS) vfs.FS {
				return faultfs.New(disk, func(op faultfs.Op) error {
					if o.broken.Load() && strings.HasPrefix(op.Path, "log/") && op.Kind.Mutates() {
						return syscall.EIO
					}
					return nil
				})
			})
			archived(t, h)
			h.Reopen()
			c.play(t, h, o)
			fill(h, "the end")
			archived(t, h)
			want := state(h)
			if got := o.restored(t); got != want {
				t.Errorf("restored %s, want %s", got, want)
			}
			until(t, h, "a manifest that owes nothing", func(core.ArchiveStats) bool {
				m, err := manifest.Read(h.FS)
				return err == nil && len(m.Owed) == 0
			})
			h.Crash(memfs.LoseAll)
			if got := state(h); got != want {
				t.Errorf("after a crash there is %s, want %s", got, want)
			}
			var left []string
			m, err := manifest.Read(h.FS)
			if err != nil {
				t.Fatal(err)
			}
			for name := range contentOf(t, h.FS, "log") {
				if !slices.ContainsFunc(m.Segments, func(s manifest.Segment) bool { return s.Path == name }) {
					left = append(left, name)
				}
			}
			if len(left) > 0 {
				t.Errorf("nobody needs %v", left)
			}
		})
	}
}
