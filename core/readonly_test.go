package core_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/afero"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/apply"
	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/coretest"
	"github.com/spillwaydb/spillway/core/manifest"
	"github.com/spillwaydb/spillway/core/repair"
	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/core/wal"
	"github.com/spillwaydb/spillway/fsbackends/faultfs"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

// look is an engine that looks at a disk with the options of one that writes,
// and that disk's trace.
type look struct {
	*core.DB
	sess *core.Session
	disk *faultfs.FS
	log  bytes.Buffer
	down chan struct{}
}

func lookAt(t *testing.T, inner vfs.FS, change ...func(*core.Options)) (*look, error) {
	t.Helper()
	l := &look{down: make(chan struct{})}
	// Whatever would change the disk fails, and is in the trace.
	l.disk = faultfs.New(inner, func(op faultfs.Op) error {
		if op.Kind.Mutates() || op.Kind == faultfs.OpLock {
			return syscall.EROFS
		}
		return nil
	})
	t.Cleanup(func() {
		for _, op := range l.disk.Trace() {
			if op.Kind.Mutates() || op.Kind == faultfs.OpLock {
				t.Errorf("a look at a directory did: %v", op)
			}
		}
	})
	o := core.DefaultOptions(l.disk)
	o.ReadOnly, o.ManualTick, o.Shards = true, true, 3
	o.Save = []core.SavePoint{{Seconds: 1, Changes: 0}}
	o.Logger = hclog.New(&hclog.LoggerOptions{Output: &l.log})
	o.OnShutdown = func() { close(l.down) }
	never := sink.Target{Name: "never", Sink: untouched{t: t}, Required: true}
	o.Targets, o.Archive.Targets = []sink.Target{never}, []sink.Target{never}
	for _, f := range change {
		f(&o)
	}
	var err error
	if l.DB, err = core.Open(o); err != nil {
		return l, err
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	l.sess = l.Session()
	return l, nil
}

func (l *look) do(t *testing.T, args ...string) string {
	t.Helper()
	v, err := l.sess.Do(args...)
	if err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	return v.String()
}

// untouched is a sink that nobody may use.
type untouched struct {
	sink.Sink
	t *testing.T
}

func (u untouched) Info() sink.Info { u.t.Error("a sink was used"); return sink.Info{Name: "never"} }

// mustLookAt is lookAt that succeeds.
func mustLookAt(t *testing.T, inner vfs.FS, change ...func(*core.Options)) *look {
	t.Helper()
	l, err := lookAt(t, inner, change...)
	if err != nil {
		t.Fatalf("looking into the directory: %v", err)
	}
	return l
}

// contents are all files and what is in them.
func contents(t *testing.T, fs vfs.FS) string {
	t.Helper()
	var b strings.Builder
	err := afero.Walk(fs, ".", func(path string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() {
			fmt.Fprintln(&b, path)
			return err
		}
		data, err := vfs.ReadFile(fs, path)
		fmt.Fprintf(&b, "%s %v %x\n", path, info.ModTime(), sha256.Sum256(data))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestReadOnly: a look answers reads, refuses writes and whatever saves, and in
// all its life does nothing to the disk.
func TestReadOnly(t *testing.T) {
	h := coretest.New(t)
	h.Do("SET", "a", "1")
	h.Do("RPUSH", "l", "x", "y")
	h.Do("SET", "soon", "gone", "PX", "5000")
	if err := h.DB.Save(context.Background()); err != nil {
		t.Fatal(err)
	}
	h.Do("SET", "b", "2")
	h.Do("SET", "late", "stays", "PX", "60000")
	h.Clock.Advance(10 * time.Second)
	l := mustLookAt(t, h.FS, func(o *core.Options) { o.Clock = h.Clock }) // beside the engine that writes
	for _, c := range []struct{ do, want string }{
		{"MGET a b soon late", `["1" "2" (nil) "stays"]`},
		{"LRANGE l 0 -1", `["x" "y"]`},
		{"EXISTS soon", "0"},
		{"SET a 2", "(error) READONLY You can't write against a read only server."},
		{"FLUSHALL", "(error) READONLY You can't write against a read only server."},
		{"GETEX a PERSIST", "(error) READONLY You can't write against a read only server."},
		{"SAVE", "(error) ERR read-only: nothing is written, saved or logged"},
		{"BGSAVE", "(error) ERR read-only: nothing is written, saved or logged"},
		{"BGSAVE SCHEDULE", "(error) ERR read-only: nothing is written, saved or logged"},
		{"BGREWRITEAOF", "(error) ERR read-only: nothing is written, saved or logged"},
		{"DEBUG RELOAD", "(error) ERR read-only: nothing is written, saved or logged"},
		{"CONFIG SET appendonly yes", "(error) ERR CONFIG SET failed (possibly related to argument 'appendonly') - read-only: nothing is written, saved or logged"},
		{"CONFIG SET save 1", "(error) ERR CONFIG SET failed (possibly related to argument 'save') - Invalid save parameters"},
		{"CONFIG GET appendonly", `["appendonly" "no"]`},
		{"CONFIG GET save", `["save" ""]`},
		{"MULTI", `"OK"`},
		{"GET a", `"QUEUED"`},
		{"DEL a", "(error) READONLY You can't write against a read only server."},
		{"EXEC", "(error) EXECABORT Transaction discarded because of previous errors."},
		{"DBSIZE", "4"},
	} {
		l.Tick()
		if got := l.do(t, strings.Fields(c.do)...); got != c.want {
			t.Errorf("%s: %s, want %s", c.do, got, c.want)
		}
	}
	if got := l.do(t, "CONFIG", "SET", "save", "1 1"); !strings.Contains(got, "read-only") {
		t.Errorf("CONFIG SET save: %s", got)
	}
	if info := l.do(t, "INFO", "persistence"); !strings.Contains(info, "spillway_read_only:1") || !strings.Contains(info, "rdb_changes_since_last_save:0") {
		t.Errorf("INFO: %s", info)
	}
	if info := h.Do("INFO", "persistence"); !strings.Contains(info, "spillway_read_only:0") {
		t.Errorf("INFO of an engine that writes: %s", info)
	}
	if err := l.Save(context.Background()); !errors.Is(err, core.ErrReadOnly) {
		t.Errorf("Save: %v", err)
	}
	if _, err := l.Import(context.Background(), strings.NewReader(commands("SET a 3")), "x", apply.ImportOptions{}); !errors.Is(err, core.ErrReadOnly) {
		t.Errorf("Import: %v", err)
	}
	if err := l.Admin().Shutdown(command.ShutdownSave, false); err != nil {
		t.Errorf("SHUTDOWN SAVE: %v", err)
	}
	<-l.down
	h.Do("SET", "c", "3") // whose directory it is does not care
	if err := h.DB.Save(context.Background()); err != nil {
		t.Error(err)
	}
}

// TestReadOnlyTornTail: the log is read up to what is whole, and is not cut; the
// keys come out as one RDB file.
func TestReadOnlyTornTail(t *testing.T) {
	h := coretest.New(t)
	h.Do("SET", "a", "1")
	if err := h.DB.Save(context.Background()); err != nil {
		t.Fatal(err)
	}
	h.Do("RPUSH", "l", "x", "y")
	h.Do("SET", "torn", "perhaps")
	if err := h.DB.Close(); err != nil {
		t.Fatal(err)
	}
	m, err := manifest.Read(h.FS)
	if err != nil {
		t.Fatal(err)
	}
	f, err := h.FS.OpenFile(m.Segments[0].Path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Truncate(st.Size()-40), f.Close()); err != nil {
		t.Fatal(err)
	}
	before := contents(t, h.FS)
	l := mustLookAt(t, h.FS)
	if got := l.do(t, "MGET", "a", "torn") + l.do(t, "LRANGE", "l", "0", "-1"); got != `["1" (nil)]["x" "y"]` {
		t.Error(got)
	}
	if !strings.Contains(l.log.String(), "the log ends in a block that is not whole") {
		t.Errorf("it says nothing of the torn tail:\n%s", l.log.String())
	}
	var out bytes.Buffer
	if n, err := l.WriteRDB(&out); err != nil || n != 2 {
		t.Fatalf("%d keys, %v", n, err)
	}
	into := coretest.New(t, importing)
	if got, err := into.DB.Import(context.Background(), &out, "rdb", apply.ImportOptions{}); err != nil || got.Keys != 2 {
		t.Fatalf("%+v, %v", got, err)
	}
	if after := contents(t, h.FS); after != before {
		t.Errorf("the directory was changed from\n%s to\n%s", before, after)
	}
}

// TestReadOnlyWithoutData: where there is nothing to look at, or not all of it,
// a look says so and makes nothing.
func TestReadOnlyWithoutData(t *testing.T) {
	if _, err := lookAt(t, memfs.New()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an empty directory: %v", err)
	}
	h := coretest.New(t)
	h.Do("SET", "a", "1")
	if err := h.DB.Save(context.Background()); err != nil {
		t.Fatal(err)
	}
	m, err := manifest.Read(h.FS)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.FS.Remove(manifest.SetDir(m.Base.ID) + "/" + m.Base.Parts[0].Part.Name); err != nil {
		t.Fatal(err)
	}
	var damage *repair.DamagedError
	if _, err := lookAt(t, h.FS); !errors.As(err, &damage) {
		t.Errorf("a part is missing: %v", err)
	}
	if err := manifest.Mark(h.FS, manifest.Restoring{Command: "spillway restore", What: "a restore"}); err != nil {
		t.Fatal(err)
	}
	var unfinished *manifest.UnfinishedError
	if _, err := lookAt(t, h.FS); !errors.As(err, &unfinished) {
		t.Errorf("a directory that is half restored: %v", err)
	}
}

// TestReadOnlyBesideCheckpoints: before each of its operations, a look is
// overtaken by the engine whose directory it is, which writes and commits a
// checkpoint that retires what is being read. What the look holds in the end is
// all that had been acknowledged when it began, and a prefix of what came after.
func TestReadOnlyBesideCheckpoints(t *testing.T) {
	for at := int64(1); ; at++ {
		h := coretest.New(t, func(o *core.Options) { o.Keep = 1 })
		for i := range 5 {
			h.Do("RPUSH", "l", fmt.Sprint(i))
			if i == 2 {
				if err := h.DB.Save(context.Background()); err != nil {
					t.Fatal(err)
				}
			}
		}
		var n atomic.Int64
		var overtaken atomic.Bool
		disk := faultfs.New(h.FS, func(faultfs.Op) error {
			if n.Add(1) != at {
				return nil
			}
			overtaken.Store(true)
			h.Do("RPUSH", "l", "5")
			if err := h.DB.Save(context.Background()); err != nil {
				return err
			}
			h.Do("RPUSH", "l", "6")
			return nil
		})
		l := mustLookAt(t, disk, func(o *core.Options) { o.Shards = 1 })
		got := l.do(t, "LRANGE", "l", "0", "-1")
		if want := `["0" "1" "2" "3" "4" "5" "6"]`; !strings.HasPrefix(want, strings.TrimSuffix(got, "]")) || !strings.Contains(got, `"4"`) {
			t.Errorf("overtaken before operation %d it holds %s", at, got)
		}
		if !overtaken.Load() {
			if at < 10 {
				t.Errorf("it took %d operations only", at)
			}
			return
		}
	}
}

// TestReadOnlyBesideSeal: before each of its operations, a look is overtaken by
// an engine that finishes a block and goes on in the next segment. No block is
// shown without the one before it.
func TestReadOnlyBesideSeal(t *testing.T) {
	h := coretest.New(t)
	h.Do("SET", "a", "1")
	if err := h.DB.Close(); err != nil {
		t.Fatal(err)
	}
	m, err := manifest.Read(h.FS)
	if err != nil {
		t.Fatal(err)
	}
	next := manifest.Segment{ID: m.NextSegment, Path: manifest.SegmentPath(m.NextSegment)}
	if next.LogID, err = wal.Create(h.FS, next.Path, h.Clock.Now()); err != nil {
		t.Fatal(err)
	}
	m.Segments, m.NextSegment = append(m.Segments, next), next.ID+1
	if err := manifest.NewStore(h.FS, h.Clock.Now).Commit(m); err != nil {
		t.Fatal(err)
	}
	log, err := wal.Open(wal.Options{FS: h.FS, Shards: 1, Clock: h.Clock}, next.Path, 1)
	if err != nil {
		t.Fatal(err)
	}
	log.Append(0, 0, [][]byte{[]byte("SET"), []byte("b"), []byte("2")})
	if err := errors.Join(log.Sync(), log.Close()); err != nil {
		t.Fatal(err)
	}
	// What is there at first: a block that is half written, and an empty segment.
	whole := make(map[string][]byte)
	at := make(map[string]int64)
	for i, s := range m.Segments {
		if whole[s.Path], err = vfs.ReadFile(h.FS, s.Path); err != nil {
			t.Fatal(err)
		}
		at[s.Path] = int64(bytes.IndexByte(whole[s.Path], '\n') + 1)
		if i == 0 {
			at[s.Path] += 10
		}
	}
	seen := make(map[string]int)
	for k := int64(1); ; k++ {
		inner := h.FS.CrashClone(memfs.KeepAll)
		rewrite := func(path string, data []byte) error {
			f, err := inner.OpenFile(path, os.O_RDWR|os.O_TRUNC, 0)
			if err != nil {
				return err
			}
			_, err = f.Write(data)
			return errors.Join(err, f.Close())
		}
		for path, data := range whole {
			if err := rewrite(path, data[:at[path]]); err != nil {
				t.Fatal(err)
			}
		}
		var n atomic.Int64
		l := mustLookAt(t, faultfs.New(inner, func(faultfs.Op) error {
			if n.Add(1) != k {
				return nil
			}
			return errors.Join(rewrite(m.Segments[0].Path, whole[m.Segments[0].Path]), rewrite(next.Path, whole[next.Path]))
		}))
		got := l.do(t, "MGET", "a", "b")
		if seen[got]++; got == `[(nil) "2"]` {
			t.Errorf("overtaken before operation %d it shows the second block without the first", k)
		}
		if n.Load() < k {
			break
		}
	}
	if seen[`["1" "2"]`] == 0 || seen[`[(nil) (nil)]`] == 0 {
		t.Errorf("it was not overtaken: %v", seen)
	}
}
