package core_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/afero"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/coretest"
	"github.com/spillwaydb/spillway/core/manifest"
	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/fsbackends/faultfs"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
	"github.com/spillwaydb/spillway/internal/testutil"
	"github.com/spillwaydb/spillway/plugins/plugintest"
)

// faults is what goes wrong while it is set: in a stage, in the required sink
// beside the data directory, on its filesystem, in the engine itself.
type faults struct {
	encode  func(ctx context.Context, dst io.Writer, src io.Reader) error
	put     func(src io.Reader) error
	publish func() error
	disk    func(op faultfs.Op) error
	damage  string // paths that begin so have other bytes when they are read again
	panicIn string
}

// second is the directory of the checkpoint that fails: the first one succeeds.
const second = "checkpoints/00000002"

var tokens = regexp.MustCompile(`\b(\d{8})-[0-9a-f]{8}-[0-9a-f]{8}\b`)

// withoutToken is a text with every set named by its number alone.
func withoutToken(text string) string { return tokens.ReplaceAllString(text, "$1") }

// inSet is the path of a file in the data directory's set of that number.
func inSet(t *testing.T, disk vfs.FS, generation uint64, file string) string {
	t.Helper()
	dir := manifest.SetDir(sink.SetID{Generation: generation, Kind: sink.KindSnapshot})
	infos, err := vfs.ReadDir(disk, path.Dir(dir))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for _, fi := range infos {
		if id, ok := sink.ParseDirName(fi.Name()); ok && id.Generation == generation {
			dir = manifest.SetDir(id)
		}
	}
	return path.Join(dir, file)
}

// on fails the operations of a kind on paths that begin so.
func on(kind faultfs.OpKind, path string, err error) func(faultfs.Op) error {
	return func(op faultfs.Op) error {
		if op.Kind == kind && strings.HasPrefix(withoutToken(op.Path), path) {
			return err
		}
		return nil
	}
}

// once fails the first operation that fail does; removing must be possible.
func once(fail func(faultfs.Op) error) func(faultfs.Op) error {
	failed := false
	return func(op faultfs.Op) error {
		if failed {
			return nil
		}
		err := fail(op)
		failed = err != nil
		return err
	}
}

// onCommit fails like on from the second manifest on: the first one rotates the
// log.
func onCommit(kind faultfs.OpKind, path string, err error) func(faultfs.Op) error {
	manifests := 0
	return func(op faultfs.Op) error {
		if op.Kind == faultfs.OpCreate && op.Path == "MANIFEST.tmp" {
			manifests++
		}
		if manifests == 2 && op.Kind == kind && op.Path == path {
			return err
		}
		return nil
	}
}

// failures are the ways in which a checkpoint can fail, from its beginning to
// its end. says is in the error; unknown tells that what is staged must stay,
// since it may have been committed.
var failures = []struct {
	name    string
	faults  func() faults
	says    string
	unknown bool
}{
	{"worker dies", func() faults { return faults{panicIn: "(*Persister).encodeShard"} }, "checkpoint worker of shard", false},
	{"encoder panics", func() faults { return faults{panicIn: "(*Pipeline).runEncoder", encode: idle} }, "encoder: panic: a bug in", false},
	{"stage fails", func() faults {
		return faults{encode: func(context.Context, io.Writer, io.Reader) error { return errors.New("out of ink") }}
	}, "stage hooked: out of ink", false},
	{"stage fails at the end", func() faults {
		return faults{encode: func(_ context.Context, dst io.Writer, src io.Reader) error {
			_, err := io.Copy(dst, src)
			return errors.Join(err, errors.New("out of ink"))
		}}
	}, "stage hooked: out of ink", false},
	{"stage panics", func() faults {
		return faults{encode: func(context.Context, io.Writer, io.Reader) error { panic("out of ink") }}
	}, "stage hooked: panic: out of ink", false},
	{"stage ends its goroutine", func() faults {
		return faults{encode: func(context.Context, io.Writer, io.Reader) error { runtime.Goexit(); return nil }}
	}, "stage hooked: ended its goroutine", false},
	{"stage returns early", func() faults {
		return faults{encode: func(context.Context, io.Writer, io.Reader) error { return nil }}
	}, "stage hooked: returned before the end", false},
	{"part cannot be made", func() faults { return faults{disk: on(faultfs.OpCreate, second, syscall.EACCES)} }, "sink local: create " + second, false},
	{"disk full", func() faults { return faults{disk: on(faultfs.OpWrite, second, syscall.ENOSPC)} }, "free some space", false},
	{"seal: fsync of a part", func() faults { return faults{disk: on(faultfs.OpSync, second, syscall.EIO)} }, "sink local: sync " + second, false},
	{"verify: part is not what was written", func() faults { return faults{damage: second + "/shard-"} }, "verify shard-", false},
	{"verify: part cannot be read", func() faults { return faults{disk: on(faultfs.OpRead, second, syscall.EIO)} }, "verify shard-", false},
	{"required sink fails", func() faults {
		return faults{put: func(io.Reader) error { return errors.New("no such bucket") }}
	}, "sink offsite: no such bucket", false},
	{"required sink panics", func() faults {
		return faults{put: func(src io.Reader) error { _, _ = io.Copy(io.Discard, src); panic("no such bucket") }}
	}, "sink offsite: panic: no such bucket", false},
	{"required sink does not publish", func() faults {
		return faults{publish: func() error { return errors.New("no such bucket") }}
	}, "sink offsite: no such bucket", false},
	{"publish: directory cannot be synced", func() faults { return faults{disk: once(on(faultfs.OpSyncDir, second, syscall.EIO))} }, "publish " + second, false},
	{"publish: set cannot be described", func() faults { return faults{disk: on(faultfs.OpCreate, second+"/SET.json", syscall.ENOSPC)} }, "publish " + second, false},
	{"publish: rename", func() faults { return faults{disk: on(faultfs.OpRename, second+"/SET.json", syscall.EIO)} }, "publish " + second, false},
	{"commit: manifest cannot be made", func() faults { return faults{disk: onCommit(faultfs.OpCreate, "MANIFEST.tmp", syscall.EMFILE)} }, "the previous file is untouched", false},
	{"commit: manifest cannot be written", func() faults { return faults{disk: onCommit(faultfs.OpWrite, "MANIFEST.tmp", syscall.ENOSPC)} }, "the previous file is untouched", false},
	{"commit: manifest cannot be synced", func() faults { return faults{disk: onCommit(faultfs.OpSync, "MANIFEST.tmp", syscall.EIO)} }, "the previous file is untouched", false},
	{"commit: rename", func() faults { return faults{disk: onCommit(faultfs.OpRename, "MANIFEST.tmp", syscall.EIO)} }, "outcome of the rename is unknown", true},
	{"commit: rename that happened, in a directory that cannot be synced", func() faults {
		renamed := false
		rename := onCommit(faultfs.OpRename, "MANIFEST.tmp", &faultfs.After{Err: syscall.EIO})
		return faults{disk: func(op faultfs.Op) error {
			err := rename(op)
			if renamed = renamed || err != nil; renamed && op.Kind == faultfs.OpSyncDir {
				err = syscall.EIO
			}
			return err
		}}
	}, "outcome of the rename is unknown", true},
}

// idle is a stage that takes nothing, so that the encoder comes to wait for it.
func idle(ctx context.Context, _ io.Writer, _ io.Reader) error {
	<-ctx.Done()
	return context.Cause(ctx)
}

// TestFailedJob: whatever fails, the job changes nothing. The previous
// checkpoint and the log are intact, what was staged is gone, here and in the
// other sink, INFO and the log tell, and the next job succeeds.
func TestFailedJob(t *testing.T) {
	kinds := []sink.Kind{sink.KindSnapshot, sink.KindRewrite}
	for i, c := range failures {
		for j, kind := range kinds {
			if testutil.Race && j != i%len(kinds) {
				continue // one of the two each
			}
			t.Run(fmt.Sprintf("%s/%s", c.name, kind), func(t *testing.T) {
				f := newFailing(t)
				f.arm(c.faults())
				err := f.job(kind)
				f.arm(faults{})
				if err == nil || !strings.Contains(err.Error(), c.says) {
					t.Fatalf("the error does not say %q: %v", c.says, err)
				}
				f.untouched(t, c.unknown)
				f.told(t, kind, c.says)
				f.goesOn(t, kind)
			})
		}
	}
}

// failing is an engine with one good checkpoint and writes behind it.
type failing struct {
	*coretest.Harness
	options func(*core.Options)
	log     journal
	deadly  atomic.Value // see deadlyClock
	offsite *memfs.FS

	mu    sync.Mutex
	now   faults
	first map[string]string // the files of the first checkpoint
	want  string
}

func newFailing(t *testing.T) *failing {
	f := &failing{offsite: memfs.New()}
	f.options = func(o *core.Options) {
		o.Clock = deadlyClock{o.Clock, &f.deadly}
		o.Logger = hclog.New(&hclog.LoggerOptions{Output: &f.log, Level: hclog.Debug})
		o.Keep = 2
		o.Stages = []sink.Stage{hooked{func(ctx context.Context, dst io.Writer, src io.Reader) error {
			if encode := f.faults().encode; encode != nil {
				return encode(ctx, dst, src)
			}
			_, err := io.Copy(dst, src)
			return err
		}}}
		inner := sink.NewFSSink("offsite", f.offsite, "backups")
		o.Targets = []sink.Target{{Name: "offsite", Required: true, Sink: &plugintest.FuncSink{
			Inner: inner,
			PutFunc: func(ctx context.Context, p sink.Part, src io.Reader) (sink.Receipt, error) {
				if put := f.faults().put; put != nil {
					return nil, put(src)
				}
				return inner.Put(ctx, p, src)
			},
			PublishFunc: func(ctx context.Context, s sink.Set) error {
				if publish := f.faults().publish; publish != nil {
					return publish()
				}
				return inner.Publish(ctx, s)
			},
		}}}
	}
	f.Harness = coretest.New(t, f.options)
	var inject sync.Mutex // operations run on several goroutines
	f.Wrap(func(disk vfs.FS) vfs.FS {
		return faultfs.New(disk, func(op faultfs.Op) error {
			inject.Lock()
			defer inject.Unlock()
			now := f.faults()
			if now.damage != "" && op.Kind == faultfs.OpOpen && strings.HasPrefix(withoutToken(op.Path), now.damage) {
				data, err := vfs.ReadFile(disk, op.Path)
				if err != nil {
					return err
				}
				data[len(data)/2] ^= 1
				return afero.WriteFile(disk, op.Path, data, 0o600)
			}
			if now.disk != nil {
				return now.disk(op)
			}
			return nil
		})
	})
	f.Reopen()
	fill(f.Harness, "a")
	for i := range 600 { // more than fits between two members of a pipeline
		f.Do("SET", fmt.Sprint("key", i), strings.Repeat("v", 1<<10))
	}
	if err := f.DB.Save(context.Background()); err != nil {
		t.Fatal(err)
	}
	f.Reopen() // what the checkpoint retires is retired
	f.first = contentOf(t, f.FS, "checkpoints")
	fill(f.Harness, "b")
	f.want = state(f.Harness)
	return f
}

func (f *failing) faults() faults {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

func (f *failing) arm(now faults) {
	f.mu.Lock()
	f.now = now
	f.mu.Unlock()
	f.deadly.Store(now.panicIn)
}

func (f *failing) job(kind sink.Kind) error {
	if kind == sink.KindRewrite {
		return f.DB.RewriteAOF(context.Background())
	}
	return f.DB.Save(context.Background())
}

// untouched wants the first checkpoint, the log, and nothing else.
func (f *failing) untouched(t *testing.T, unknown bool) {
	t.Helper()
	if got := state(f.Harness); got != f.want {
		t.Errorf("there is %s, want %s", got, f.want)
	}
	m, err := manifest.Read(f.FS)
	if err != nil {
		t.Fatal(err)
	}
	if !unknown && (m.Base == nil || m.Base.ID.Generation != 1 || len(m.History) != 0) {
		t.Errorf("the manifest names %v", m.Sets())
	}
	have := contentOf(t, f.FS, ".")
	for name, want := range f.first {
		if have[name] != want {
			t.Errorf("%s of the previous checkpoint is not what it was", name)
		}
		delete(have, name)
	}
	for _, s := range m.Segments {
		if _, ok := have[s.Path]; !ok {
			t.Errorf("%s of the log is gone", s.Path)
		}
		delete(have, s.Path)
	}
	delete(have, manifest.FileName)
	if left := slices.Sorted(maps.Keys(have)); len(left) > 0 && !unknown {
		t.Errorf("this was staged and is still there: %v", left)
	}
	for name := range contentOf(t, f.offsite, ".") {
		if !strings.HasPrefix(name, "backups/00000001-") && !unknown {
			t.Errorf("the other sink still has %s", name)
		}
	}
	for _, seed := range []int64{memfs.LoseAll, memfs.KeepAll, 3, 4} {
		// It opens an empty directory first, beside what the sink holds.
		c := coretest.New(t, f.options, func(o *core.Options) { o.Adopt = true })
		_ = c.DB.Close()
		c.FS = f.FS.CrashClone(seed)
		c.Open()
		if got := state(c); got != f.want {
			t.Errorf("after a crash, disk seed %d, there is %s, want %s", seed, got, f.want)
		}
		_ = c.DB.Close()
	}
}

// told wants the failure in INFO and in the log.
func (f *failing) told(t *testing.T, kind sink.Kind, says string) {
	t.Helper()
	mine, other, reason := "rdb_last_bgsave_status", "aof_last_bgrewrite_status", "spillway_last_bgsave_error"
	if kind == sink.KindRewrite {
		mine, other, reason = other, mine, "spillway_last_bgrewrite_error"
	}
	for name, want := range map[string]string{
		mine: "err", other: "ok", "rdb_saves": "0", "aof_last_write_status": "ok",
		"rdb_bgsave_in_progress": "0", "aof_rewrite_in_progress": "0",
	} {
		if got := field(t, f.Harness, name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	if got := field(t, f.Harness, reason); !strings.Contains(got, says) {
		t.Errorf("%s is %s", reason, got)
	}
	if n := f.log.Count("checkpoint failed"); n != 1 {
		t.Errorf("%d lines in the log about the failure", n)
	}
}

// goesOn wants writes and the next job to succeed, and all of it to last.
func (f *failing) goesOn(t *testing.T, kind sink.Kind) {
	t.Helper()
	fill(f.Harness, "c")
	want := state(f.Harness)
	if err := f.job(kind); err != nil {
		t.Fatalf("the next job: %v", err)
	}
	if info := persistence(f.Harness); strings.Contains(info, "status:err") || strings.Contains(info, "_error:") {
		t.Errorf("INFO still tells of it:\n%s", info)
	}
	f.Reopen()
	if files := contentOf(t, f.FS, "."); len(files) != 1+2*3+1 { // MANIFEST, two checkpoints kept, a segment
		t.Errorf("there are %v", slices.Sorted(maps.Keys(files)))
	}
	for name := range contentOf(t, f.offsite, ".") {
		if strings.HasPrefix(name, "backups/00000002-") {
			t.Errorf("the other sink still has %s", name)
		}
	}
	f.Crash(memfs.LoseAll)
	if got := state(f.Harness); got != want {
		t.Errorf("after a crash there is %s, want %s", got, want)
	}
}

// contentOf is every file below dir with its bytes.
func contentOf(t *testing.T, disk vfs.FS, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := afero.Walk(disk, dir, func(path string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() || path == "LOCK" {
			return err
		}
		data, err := vfs.ReadFile(disk, path)
		if errors.Is(err, os.ErrNotExist) {
			return nil // removed meanwhile, by an engine that runs
		}
		all[path] = string(data)
		return err
	})
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return all
}
