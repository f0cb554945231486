package sftpfs_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/fsbackends/fstest"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
	"github.com/spillwaydb/spillway/fsbackends/sftpfs"
	"github.com/spillwaydb/spillway/plugins/plugintest"
	"github.com/spillwaydb/spillway/plugins/plugintest/servers"
)

func options(srv *servers.SSH, dir string) sftpfs.Options {
	return sftpfs.Options{URL: srv.URL(dir), KnownHosts: srv.KnownHosts, KeyFile: srv.KeyFile, Logger: hclog.NewNullLogger()}
}

func mk(t testing.TB, srv *servers.SSH, dir string) *sftpfs.FS {
	t.Helper()
	fs, err := sftpfs.New(options(srv, dir))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { fs.Close() })
	return fs
}

func TestConformance(t *testing.T) {
	srv := servers.StartSSH(t)
	fstest.Run(t, func(t *testing.T) vfs.FS { return mk(t, srv, filepath.Join(t.TempDir(), "made", "at first")) })
}

// TestAgrees: what a server's files do, those in memory do.
func TestAgrees(t *testing.T) {
	srv := servers.StartSSH(t)
	for seed := range uint64(30) {
		fstest.Agree(t, func(t *testing.T) vfs.FS { return mk(t, srv, t.TempDir()) },
			func(*testing.T) vfs.FS { return memfs.New() }, seed, 100)
	}
}

// TestSink: the sink over any filesystem works over this one.
func TestSink(t *testing.T) {
	srv := servers.StartSSH(t)
	plugintest.TestSink(t, func(t testing.TB) sink.Sink {
		fs := mk(t, srv, t.TempDir())
		return closing{sink.NewFSSink("far", fs, "checkpoints"), fs}
	})
}

// closing closes the filesystem with the sink.
type closing struct {
	*sink.FSSink
	io.Closer
}

// TestModes: what is written is for its owner only, whatever the server's umask.
func TestModes(t *testing.T) {
	srv := servers.StartSSH(t)
	dir := t.TempDir()
	fs := mk(t, srv, dir)
	if err := errors.Join(vfs.MkdirAllSync(fs, "a/b", 0o755), vfs.WriteFileAtomic(fs, "a/b/f", []byte("x"), 0o644)); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]os.FileMode{"a": 0o700, "a/b": 0o700, "a/b/f": 0o600} {
		st, err := os.Stat(filepath.Join(dir, name))
		if err != nil || st.Mode().Perm() != want {
			t.Errorf("%s: %v, %v; want %v", name, st.Mode(), err, want)
		}
	}
}

// TestAppendOrder: an append of many packets stays in order beside others.
func TestAppendOrder(t *testing.T) {
	srv := servers.StartSSH(t)
	fs := mk(t, srv, t.TempDir())
	f, err := fs.OpenFile("log", os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	const writers, record = 4, 300_000
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			if n, err := f.Write(bytes.Repeat([]byte{byte('a' + i)}, record)); n != record || err != nil {
				t.Errorf("append: %d, %v", n, err)
			}
		})
	}
	wg.Wait()
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
	data, err := vfs.ReadFile(fs, "log")
	if err != nil || len(data) != writers*record {
		t.Fatalf("%d bytes, %v", len(data), err)
	}
	for i := 0; i < len(data); i += record {
		if r := data[i : i+record]; !bytes.Equal(r, bytes.Repeat(r[:1], record)) {
			t.Fatalf("the record at %d is torn", i)
		}
	}
}

// TestKilled: a server that dies is an error, and the next call connects again.
func TestKilled(t *testing.T) {
	srv := servers.StartSSH(t)
	fs := mk(t, srv, t.TempDir())
	f, err := fs.Create("f")
	if err != nil {
		t.Fatal(err)
	}
	srv.Kill()
	if _, err := f.Write(make([]byte, 1<<20)); err == nil {
		t.Error("a write to a dead server succeeded")
	}
	if _, err := fs.Stat("f"); err == nil {
		t.Error("a dead server answered")
	}
	srv.Start()
	if _, err := fs.Stat("f"); err != nil {
		t.Errorf("after the restart: %v", err)
	}
	if _, err := f.Write([]byte("x")); err == nil {
		t.Error("a file outlived its connection")
	}
}

// TestHung: a server that says nothing more ends a call.
func TestHung(t *testing.T) {
	srv := servers.StartSSH(t)
	o := options(srv, t.TempDir())
	o.Timeout = 200 * time.Millisecond
	fs, err := sftpfs.New(o)
	if err != nil {
		t.Fatal(err)
	}
	defer fs.Close()
	for range 100 { // connecting may take longer than that on a busy machine
		if _, err = fs.Stat("."); err == nil {
			break
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	srv.Pause()
	_, err = fs.Stat(".")
	srv.Resume()
	if err == nil {
		t.Error("a server that is stopped answered")
	}
}

// TestRefused: as a data directory, by name; and who it does not know.
func TestRefused(t *testing.T) {
	fs, err := sftpfs.New(sftpfs.Options{URL: "sftp://me@host.invalid/data"})
	if err != nil {
		t.Fatal(err)
	}
	err = vfs.RequireData(fs)
	if !errors.Is(err, vfs.ErrCaps) || !strings.Contains(fmt.Sprint(err), "sftp://me@host.invalid/data lacks lock") {
		t.Errorf("RequireData: %v", err)
	}
	if _, err := sftpfs.New(sftpfs.Options{URL: "sftp://me:geheim@host/x"}); err == nil || strings.Contains(err.Error(), "geheim") {
		t.Errorf("a URL with a password: %v", err)
	}
	srv := servers.StartSSH(t)
	o := options(srv, t.TempDir())
	o.KnownHosts = filepath.Join(t.TempDir(), "none")
	if fs, err = sftpfs.New(o); err != nil {
		t.Fatal(err)
	}
	if _, err := fs.Stat("."); err == nil || !strings.Contains(err.Error(), "known hosts") {
		t.Errorf("an unknown host: %v", err)
	}
}
