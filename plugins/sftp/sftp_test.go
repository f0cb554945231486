package sftp_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spillwaydb/spillway/core/coretest/lives"
	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/plugins/plugintest"
	"github.com/spillwaydb/spillway/plugins/plugintest/servers"
	"github.com/spillwaydb/spillway/plugins/sftp"
)

// options reach srv.
func options(srv *servers.SSH, dir string) sftp.Options {
	return sftp.Options{URL: srv.URL(dir), KnownHosts: srv.KnownHosts, KeyFile: srv.KeyFile}
}

func TestConformance(t *testing.T) {
	srv := servers.StartSSH(t)
	plugintest.TestSink(t, func(t testing.TB) sink.Sink { return mk(t, options(srv, t.TempDir()+"/sets")) })
	t.Run("read again", func(t *testing.T) {
		plugintest.TestSink(t, func(t testing.TB) sink.Sink {
			o := options(srv, t.TempDir())
			o.Verify, o.Concurrency = true, 1
			return mk(t, o)
		})
	})
}

// TestConformanceOverWire runs the sink in a process of its own.
func TestConformanceOverWire(t *testing.T) {
	srv := servers.StartSSH(t)
	w := plugintest.Loopback(t)
	plugintest.TestSink(t, func(t testing.TB) sink.Sink { return w.Sink(t, sftp.Name, options(srv, t.TempDir())) })
}

// TestLives: several lives and daemons in one directory of the server.
func TestLives(t *testing.T) {
	srv := servers.StartSSH(t)
	lives.TestBrief(t, func(t testing.TB) lives.Store {
		dir := t.TempDir()
		return lives.Store{Open: func() sink.Sink { return mk(t, options(srv, dir)) }, Files: os.DirFS(dir)}
	})
}

// files are the files below dir, without it.
func files(t testing.TB, dir string) string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, strings.TrimPrefix(p, dir))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(names, " ")
}

func TestLayout(t *testing.T) {
	srv, dir := servers.StartSSH(t), t.TempDir()
	s := mk(t, options(srv, dir))
	data := plugintest.Payload(3 << 20)
	plugintest.Publish(t, s, plugintest.PutOne(t, s, 7, data))
	if got := files(t, dir); got != "/checkpoints/00000007/SET.json /checkpoints/00000007/shard-0000.rdb" {
		t.Errorf("files %s", got)
	}
	name := filepath.Join(dir, "checkpoints/00000007/shard-0000.rdb")
	if back, err := os.ReadFile(name); err != nil || !bytes.Equal(back, data) {
		t.Errorf("%d bytes, %v", len(back), err)
	}
	if fi, err := os.Stat(name); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", fi.Mode(), err)
	}
	if _, err := s.Put(bg, plugintest.OnePart(7), strings.NewReader("x")); !errors.Is(err, os.ErrExist) || !sink.IsPermanent(err) {
		t.Errorf("Put into a published set: %v", err)
	}
	set := plugintest.OneSet(7, data, nil)
	set.Parts = nil
	if err := s.Publish(bg, set); !errors.Is(err, os.ErrExist) || !sink.IsPermanent(err) {
		t.Errorf("another set of the same name: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "checkpoints/00000007/SET.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	plugintest.Publish(t, s, plugintest.PutOne(t, s, 8, data))
	sets, err := s.List(bg)
	if len(sets) != 1 || !errors.Is(err, sink.ErrCorrupt) {
		t.Errorf("List beside a damaged set: %v, %v", sets, err)
	}
}

// TestFailedUpload: nothing is left of an upload that fails, and Sweep takes
// what a dead process has left.
func TestFailedUpload(t *testing.T) {
	srv, dir := servers.StartSSH(t), t.TempDir()
	s := mk(t, options(srv, dir))
	broken := errors.New("the encoder broke")
	for _, n := range []int64{0, 1 << 20, 12 << 20} {
		if _, err := s.Put(bg, plugintest.OnePart(1), &plugintest.Stream{N: n, Err: broken}); !errors.Is(err, broken) {
			t.Errorf("%d bytes: %v", n, err)
		}
		ctx, cancel := context.WithCancel(bg)
		if _, err := s.Put(ctx, plugintest.OnePart(1), &plugintest.Stream{N: n, After: n, At: cancel}); !errors.Is(err, context.Canceled) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	if got := files(t, dir); got != "" {
		t.Errorf("left: %s", got)
	}

	plugintest.Publish(t, s, plugintest.PutOne(t, s, 2, []byte("x")))
	plugintest.PutOne(t, s, 3, []byte("x"))
	plugintest.PutOne(t, s, 4, []byte("x"))
	for _, gen := range []string{"00000002", "00000003", "00000004"} {
		if err := os.WriteFile(filepath.Join(dir, "checkpoints", gen, ".shard-0000.rdb.X.tmp"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	removed, err := s.(sink.Sweeper).Sweep(bg, func(id sink.SetID) bool { return id.Generation == 4 })
	if err != nil || strings.Join(removed, " ") != "checkpoints/00000001 checkpoints/00000003" {
		t.Errorf("removed %v, %v", removed, err)
	}
	want := "/checkpoints/00000002/SET.json /checkpoints/00000002/shard-0000.rdb /checkpoints/00000004/.shard-0000.rdb.X.tmp /checkpoints/00000004/shard-0000.rdb"
	if got := files(t, dir); got != want {
		t.Errorf("left: %s", got)
	}
}

// TestKilled kills the server in the middle of an upload.
func TestKilled(t *testing.T) {
	srv, dir := servers.StartSSH(t), t.TempDir()
	s := mk(t, options(srv, dir))
	plugintest.TestKilled(t, srv, s)
	if got := files(t, dir); strings.Contains(got, ".tmp") {
		t.Errorf("left: %s", got)
	}
	// The connections of before a restart are no reason to fail.
	srv.Kill()
	srv.Start()
	plugintest.Publish(t, s, plugintest.PutOne(t, s, 3, (&plugintest.Stream{N: 20 << 20}).All(t)))
	if err := s.(interface{ Close() error }).Close(); err != nil {
		t.Error(err)
	}
}

// TestHangs: a server that does not answer holds a call up for as long as its
// deadline says, or for as long as a stream may stand still.
func TestHangs(t *testing.T) {
	srv := servers.StartSSH(t)
	s := mk(t, options(srv, t.TempDir()))
	o := options(srv, t.TempDir())
	o.Timeout, o.Attempts = 1e9, 2
	impatient := mk(t, o)
	o = options(srv, t.TempDir())
	o.StallTimeout = 2e9
	plugintest.TestHangs(t, srv, s, impatient, mk(t, o))
}

// TestMemory: an upload holds some pieces, not the part.
func TestMemory(t *testing.T) {
	srv := servers.StartSSH(t)
	plugintest.TestMemory(t, mk(t, options(srv, t.TempDir())), 48<<20)
}

// TestReadsInPart: a reader that is closed early leaves nothing behind.
func TestReadsInPart(t *testing.T) {
	srv := servers.StartSSH(t)
	s := mk(t, options(srv, t.TempDir()))
	set := plugintest.PutOne(t, s, 1, plugintest.Payload(8<<20))
	plugintest.NoLeaks(t)
	for range 3 {
		rc, err := s.Open(bg, set.Parts[0].Part, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := rc.Read(make([]byte, 10)); err != nil {
			t.Error(err)
		}
		if err := rc.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := s.(interface{ Close() error }).Close(); err != nil {
		t.Error(err)
	}
	if _, err := s.List(bg); err == nil || !sink.IsPermanent(err) {
		t.Errorf("List of a closed sink: %v", err)
	}
}
