package backup_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path"
	"strconv"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/backup"
	"github.com/spillwaydb/spillway/core/coretest"
	"github.com/spillwaydb/spillway/core/coretest/model"
	"github.com/spillwaydb/spillway/core/manifest"
	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/core/wal"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
	"github.com/spillwaydb/spillway/plugins/zstd"
)

var seedFlag = flag.Uint64("backup.seed", 0, "seed of the randomised tests; 0 draws one")

func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("replay with: go test ./core/backup -run '^%s$' -backup.seed=%d", t.Name(), seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// world is an engine whose checkpoints and sealed segments go to a source, and
// what the engine held at every moment.
type world struct {
	t       *testing.T
	h       *coretest.Harness
	rng     *rand.Rand
	disk    *memfs.FS // of the source
	src     *sink.FSSink
	archive *sink.Pipeline
	target  *refuser
	sealed  map[uint64]bool
	prev    string // log id of the segment sealed last
	moments []moment
}

// moment is what an engine held, and since when.
type moment struct {
	at   time.Time
	held *model.State
}

func compressor(t testing.TB) sink.Stage {
	t.Helper()
	z, err := zstd.New(zstd.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func newWorld(t *testing.T, rng *rand.Rand, change ...func(w *world, o *core.Options)) *world {
	t.Helper()
	w := &world{t: t, rng: rng, disk: memfs.New(), sealed: make(map[uint64]bool)}
	w.src = sink.NewFSSink("offsite", w.disk, "checkpoints")
	w.target = &refuser{Sink: w.src}
	z := compressor(t)
	w.archive = sink.NewPipeline("archive", []sink.Stage{z}, w.src, nil, sink.PipelineOptions{})
	w.h = coretest.New(t, func(o *core.Options) {
		o.Stages = []sink.Stage{z}
		o.ManualTick = true
		o.Targets = []sink.Target{{Name: "offsite", Sink: w.target, Required: true}}
		for _, f := range change {
			f(w, o)
		}
	})
	return w
}

// refuser is the engine's target, which refuses checkpoints where a job is to
// fail after its cut.
type refuser struct {
	sink.Sink
	refuse bool
}

func (r *refuser) Publish(ctx context.Context, set sink.Set) error {
	if r.refuse {
		return sink.Permanent(errors.New("refused by the test"))
	}
	return r.Sink.Publish(ctx, set)
}

// do runs a command a moment later and notes what came of it.
func (w *world) do(args ...string) {
	w.h.Clock.Advance(time.Duration(1+w.rng.IntN(5000)) * time.Millisecond)
	w.h.Do(args...)
	w.note()
}

func (w *world) note() {
	w.moments = append(w.moments, moment{w.h.Clock.Now(), held(w.t, w.h.DB)})
}

// last is the moment of now, or one that many before it.
func (w *world) last(before int) moment { return w.moments[len(w.moments)-1-before] }

// held is all that an engine holds. A field whose deadline has passed counts for HLEN
// until somebody has met it: HRANDFIELD does.
func held(t *testing.T, db *core.DB) *model.State {
	t.Helper()
	client := db.Session()
	s, err := model.Read(func(args ...string) (resp.Value, error) {
		if args[0] == "KEYS" {
			keys, err := client.Do(args...)
			for _, k := range keys.Elems {
				if err == nil {
					_, err = client.Do("HRANDFIELD", string(k.Str))
				}
			}
			if err != nil {
				return resp.Value{}, err
			}
		}
		return client.Do(args...)
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// write does something at random, to values of every type, with deadlines that pass
// while the world lives.
func (w *world) write() {
	k := fmt.Sprint("k", w.rng.IntN(30))
	soon := fmt.Sprint(1 + w.rng.IntN(60_000))
	switch w.rng.IntN(16) {
	case 0:
		w.do("RPUSH", "l"+k, k, "x")
	case 1:
		w.do("HSET", "h"+k, k, fmt.Sprint(w.rng.Uint32()))
	case 2:
		w.do("ZADD", "z"+k, fmt.Sprint(w.rng.IntN(100)), fmt.Sprint("m", w.rng.IntN(5)))
	case 3:
		w.do("DEL", k, "l"+k)
	case 4:
		w.do("INCR", "n"+k)
	case 5: // a transaction is one block
		w.h.Clock.Advance(time.Millisecond)
		w.h.Do("MULTI")
		w.h.Do("INCR", "a")
		w.h.Do("SELECT", "1")
		w.h.Do("INCR", "a")
		w.h.Do("SELECT", "0")
		w.h.Do(w.random()...)
		w.h.Do("EXEC")
		w.note()
	case 6:
		w.do("SET", k, "goes", "PX", soon)
	case 7:
		w.do("HSETEX", "dated", "PX", soon, "FIELDS", "1", "f"+k, soon)
	case 8:
		w.do("HSETEX", "all"+k, "PX", soon, "FIELDS", "2", "f", "v", "g", "v") // the hash goes with them
	case 9:
		w.do("HPEXPIRE", "dated", soon, "FIELDS", "2", "f"+k, "fk1")
	case 10, 11, 12, 13:
		w.do(w.random()...)
	default:
		w.do("SET", k, fmt.Sprint(w.rng.Uint64()))
	}
}

// random is a command of those that the model draws, none of which leaves the
// connection in another state.
func (w *world) random() []string {
	for {
		switch args := model.Random(w.rng); args[0] {
		case "MULTI", "EXEC", "DISCARD", "SELECT":
		default:
			return args
		}
	}
}

// save takes a checkpoint; what it retires is archived before.
func (w *world) save() {
	w.t.Helper()
	w.seal(true)
	w.h.Clock.Advance(time.Millisecond)
	if err := w.h.DB.Save(context.Background()); err != nil {
		w.t.Fatal(err)
	}
	w.note()
}

// rotate goes on in a new segment without a checkpoint: a job fails after its cut.
func (w *world) rotate() {
	w.t.Helper()
	w.h.Clock.Advance(time.Millisecond)
	w.target.refuse = true
	if err := w.h.DB.Save(context.Background()); err == nil {
		w.t.Fatal("the job did not fail")
	}
	w.target.refuse = false
	w.seal(false)
}

// seal archives the segments that are not there yet; all: the active one too.
func (w *world) seal(all bool) {
	w.t.Helper()
	m, err := manifest.Read(w.h.FS)
	if err != nil {
		w.t.Fatal(err)
	}
	segments := m.Segments
	if !all {
		segments = segments[:len(segments)-1]
	}
	for _, s := range segments {
		if !w.sealed[s.ID] {
			w.put(s, m.Lineage)
		}
	}
}

// put archives one segment.
func (w *world) put(s manifest.Segment, lineage string) {
	w.t.Helper()
	ctx := context.Background()
	meta := map[string]string{"log_id": s.LogID, "prev_log_id": w.prev, "lineage": lineage}
	var last time.Time
	res, err := wal.Replay(w.h.FS, s.Path, wal.ReplayOptions{Last: true, ID: s.LogID}, func(b wal.Block) error {
		last = time.UnixMilli(b.TimeMS).UTC()
		if meta["first_time"] == "" {
			meta["first_time"] = last.Format(time.RFC3339Nano)
		}
		meta["last_time"] = last.Format(time.RFC3339Nano)
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	meta["first_seq"], meta["last_seq"] = strconv.FormatUint(res.FirstSeq, 10), strconv.FormatUint(res.LastSeq, 10)
	raw, err := vfs.ReadFile(w.h.FS, s.Path)
	if err != nil {
		w.t.Fatal(err)
	}
	sp, err := w.archive.Write(ctx, w.archive.Part(0, sink.SetID{Generation: s.ID, Kind: sink.KindSegment}, 0, 1), func(out io.Writer) (int64, error) {
		_, err := out.Write(raw)
		return 0, err
	}, new(sink.Progress))
	if err != nil {
		w.t.Fatal(err)
	}
	set := sink.Set{ID: sp.Part.ID(), CreatedAt: w.h.Clock.Now(), Stages: sp.Stages, Parts: []sink.SetPart{sp}, Meta: meta}
	if err := w.archive.Publish(ctx, set); err != nil {
		w.t.Fatal(err)
	}
	w.sealed[s.ID], w.prev = true, s.LogID
}

// at is what there was at a time.
func (w *world) at(t time.Time) moment {
	state := new(model.State)
	for _, m := range w.moments {
		if m.at.After(t) {
			break
		}
		state = m.held
	}
	return moment{t, state}
}

// then does something while it is the time of a moment, so that what has a deadline
// is there or gone as it was.
func (w *world) then(m moment, do func()) {
	now := w.h.Clock.Now()
	w.h.Clock.Advance(m.at.Sub(now))
	defer w.h.Clock.Advance(now.Sub(m.at))
	do()
}

func (w *world) options() backup.Options {
	return backup.Options{Stages: sink.NewRegistry(compressor(w.t)), Now: w.h.Clock.Now, Attempts: 1, Command: "the test again", CreatedBy: "a test"}
}

// start opens an engine on a directory, with other shards than before and, if
// plain, no stage.
func start(w *world, fs vfs.FS, plain bool) (*core.DB, error) {
	o := core.Options{FS: fs, Shards: 3, Clock: w.h.Clock, ManualTick: true}
	if !plain {
		o.DecodeStages = []sink.Stage{compressor(w.t)}
	}
	return core.Open(o)
}

// wantState opens an engine on a directory, compares what it holds with a moment, and
// lets it go on: a write, a checkpoint, a power loss, another start.
func (w *world) wantState(fs *memfs.FS, plain bool, want moment, what string) {
	w.t.Helper()
	w.then(want, func() { w.wantStateNow(fs, plain, want, what) })
}

func (w *world) wantStateNow(fs *memfs.FS, plain bool, want moment, what string) {
	w.t.Helper()
	db, err := start(w, fs, plain)
	if err != nil {
		w.t.Fatalf("%s: opening an engine: %v", what, err)
	}
	w.wantHeld(db, want, what)
	s := db.Session()
	if v, err := s.Do("SET", "after", what); err != nil || v.String() != `"OK"` {
		w.t.Fatalf("%s: a write: %v, %v", what, v, err)
	}
	fs = fs.CrashClone(memfs.LoseAll)
	_ = db.Close()
	if db, err = start(w, fs, plain); err != nil {
		w.t.Fatalf("%s: opening an engine again: %v", what, err)
	}
	defer db.Close()
	if err := db.Save(context.Background()); err != nil {
		w.t.Fatalf("%s: a checkpoint: %v", what, err)
	}
	s = db.Session()
	if v, err := s.Do("GETDEL", "after"); err != nil || v.String() != strconv.Quote(what) {
		w.t.Fatalf("%s: the write after the restore reads %v, %v", what, v, err)
	}
	w.wantHeld(db, want, what+", after another start")
}

// wantHeld compares what an engine holds with a moment, of which it is the time.
func (w *world) wantHeld(db *core.DB, want moment, what string) {
	w.t.Helper()
	if diff := model.Diff(held(w.t, db), want.held, want.at.UnixMilli()); diff != "" {
		w.t.Fatalf("%s: + it holds, - it should:\n%s", what, diff)
	}
}

// restore restores into memory.
func (w *world) restore(src sink.Sink, at backup.At, change ...func(*backup.Options)) (*memfs.FS, *backup.Result, *backup.Point, error) {
	p, err := backup.Plan(context.Background(), src, at)
	if err != nil {
		return nil, nil, nil, err
	}
	fs := memfs.New()
	o := w.options()
	for _, f := range change {
		f(&o)
	}
	res, err := backup.Restore(context.Background(), fs, src, p, o)
	return fs, res, p, err
}

// edit changes a file of the source.
func edit(t *testing.T, fs vfs.FS, name string, change func([]byte) []byte) {
	t.Helper()
	b, err := vfs.ReadFile(fs, name)
	if err != nil {
		t.Fatal(err)
	}
	f, err := fs.OpenFile(name, os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Write(change(b))
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

// partOf is the path of a part in the source.
func (w *world) partOf(id sink.SetID, name string) string { return path.Join(w.src.Dir(id), name) }
