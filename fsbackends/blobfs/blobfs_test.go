package blobfs_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"

	"gocloud.dev/blob/memblob"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/fsbackends/blobfs"
	"github.com/spillwaydb/spillway/fsbackends/fstest"
	"github.com/spillwaydb/spillway/plugins/plugintest"
	"github.com/spillwaydb/spillway/plugins/plugintest/servers"
)

// remote is a server with buckets.
type remote interface {
	Bucket(t testing.TB) string
	URL(bucket, path string) string
}

func mk(t testing.TB, r remote) *blobfs.FS {
	t.Helper()
	fs, err := blobfs.Open(r.URL(r.Bucket(t), "/of this/é"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { fs.Close() })
	return fs
}

// stores are all stores there are servers for.
var stores = []struct {
	name  string
	start func(t testing.TB) remote
}{
	{"s3", func(t testing.TB) remote { return servers.StartS3(t) }},
	{"gcs", func(t testing.TB) remote { return servers.StartGCS(t) }},
	{"azure", func(t testing.TB) remote { return servers.StartAzure(t) }},
}

func TestConformance(t *testing.T) {
	t.Run("mem", func(t *testing.T) {
		fstest.Run(t, func(*testing.T) vfs.FS { return blobfs.New(memblob.OpenBucket(nil), "", "mem://") })
	})
	for _, s := range stores {
		t.Run(s.name, func(t *testing.T) {
			r := s.start(t)
			fstest.Run(t, func(t *testing.T) vfs.FS { return mk(t, r) })
		})
	}
}

// TestSink: the sink over any filesystem works over these.
func TestSink(t *testing.T) {
	for _, s := range stores {
		t.Run(s.name, func(t *testing.T) {
			r := s.start(t)
			plugintest.TestSink(t, func(t testing.TB) sink.Sink { return sink.NewFSSink("far", mk(t, r), "checkpoints") })
		})
	}
}

// TestReplacedWhileRead: a reader never goes on in another object.
func TestReplacedWhileRead(t *testing.T) {
	for _, s := range stores {
		t.Run(s.name, func(t *testing.T) {
			fs := mk(t, s.start(t))
			write := func(b byte) {
				f, err := fs.Create("f")
				if err != nil {
					t.Fatal(err)
				}
				if _, err = f.Write(bytes.Repeat([]byte{b}, 1<<20)); err != nil {
					t.Fatal(err)
				}
				if err := f.Close(); err != nil {
					t.Fatal(err)
				}
			}
			write('a')
			f, err := fs.Open("f")
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			b := make([]byte, 10)
			if _, err := f.ReadAt(b, 5); err != nil || string(b) != "aaaaaaaaaa" {
				t.Fatalf("%q, %v", b, err)
			}
			write('b')
			if _, err := f.ReadAt(b, 5); !errors.Is(err, syscall.ESTALE) {
				t.Errorf("ReadAt: %q, %v; want ESTALE", b, err)
			}
			if n, err := f.Read(b); !errors.Is(err, syscall.ESTALE) {
				t.Errorf("Read: %q, %v; want ESTALE", b[:n], err)
			}
		})
	}
}

// TestWholeOrNotAtAll: a file has its name when it is closed, and not before.
func TestWholeOrNotAtAll(t *testing.T) {
	fs := mk(t, servers.StartS3(t))
	old := []byte("old")
	if err := vfs.WriteFileAtomic(fs, "f", old, 0); err != nil {
		t.Fatal(err)
	}
	f, err := fs.OpenFile("f", os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(f, strings.NewReader(strings.Repeat("new", 5<<20))); err != nil {
		t.Fatal(err)
	}
	if b, err := vfs.ReadFile(fs, "f"); err != nil || !bytes.Equal(b, old) {
		t.Errorf("before Close: %d bytes, %v", len(b), err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if b, err := vfs.ReadFile(fs, "f"); err != nil || len(b) != 15<<20 {
		t.Errorf("after Close: %d bytes, %v", len(b), err)
	}
}

// TestUnsupported: what an object cannot do is said, and not half done.
func TestUnsupported(t *testing.T) {
	fs := blobfs.New(memblob.OpenBucket(nil), "", "mem://")
	if err := vfs.WriteFileAtomic(fs, "f", []byte("content"), 0); err != nil {
		t.Fatal(err)
	}
	open := func(flag int) error {
		f, err := fs.OpenFile("f", flag, 0)
		if err == nil {
			f.Close()
		}
		return err
	}
	w, err := fs.Create("g")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.WriteString("12345"); err != nil {
		t.Fatal(err)
	}
	_, back := w.WriteAt([]byte("x"), 0)
	_, read := w.Read(make([]byte, 1))
	_, seek := w.Seek(0, io.SeekStart)
	for what, err := range map[string]error{
		"append": open(os.O_WRONLY | os.O_APPEND), "in place": open(os.O_RDWR), "WriteAt": back, "Read": read, "Seek": seek,
		"Truncate": w.Truncate(1), "Chmod": fs.Chmod("f", 0o600), "Chown": fs.Chown("f", 1, 1),
	} {
		if !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s: %v, want ErrUnsupported", what, err)
		}
	}
	if _, err := w.WriteAt([]byte("67"), 5); err != nil {
		t.Errorf("WriteAt the end: %v", err)
	}
	if err := w.Sync(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("8")); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Write after Sync: %v", err)
	}
	w.Close()
	if b, err := vfs.ReadFile(fs, "g"); err != nil || string(b) != "1234567" {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := fs.Create(".spillway-dir"); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("a name of our own: %v", err)
	}
}

// TestRefused: as a data directory, by name; URLs that are none, or hold
// secrets; and a bucket that is not there, which is not an empty one.
func TestRefused(t *testing.T) {
	srv := servers.StartS3(t)
	fs := mk(t, srv)
	err := vfs.RequireData(fs)
	for _, word := range []string{"blobfs s3://", "atomic replace", "append", "lock"} {
		if !errors.Is(err, vfs.ErrCaps) || !strings.Contains(err.Error(), word) {
			t.Errorf("RequireData: %v, want %q", err, word)
		}
	}
	for _, bad := range []string{"", "file:///tmp", "ftp://x", "s3://key:geheim@b/a"} {
		if _, err := blobfs.Open(bad); err == nil || strings.Contains(err.Error(), "geheim") {
			t.Errorf("Open(%q): %v", bad, err)
		}
	}
	none, err := blobfs.Open(srv.URL("no-such-bucket", ""))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := vfs.ReadDir(none, "."); err == nil {
		t.Error("a bucket that is not there was listed")
	}
	if there, err := vfs.Exists(none, "f"); err == nil {
		t.Errorf("a bucket that is not there has no file: %v", there)
	}
}
