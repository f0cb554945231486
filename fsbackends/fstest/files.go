package fstest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/afero"

	"github.com/spillwaydb/spillway/core/vfs"
)

func testReadWrite(t *testing.T, fs vfs.FS) {
	if !fs.Caps().Inodes {
		return
	}
	f := open(t, fs, "a", os.O_RDWR|os.O_CREATE)
	n, err := f.Write([]byte("hello world"))
	must(t, err)
	if n != 11 {
		t.Fatalf("wrote %d bytes, want 11", n)
	}
	_, err = f.WriteAt([]byte("HELLO"), 0)
	must(t, err)
	b := make([]byte, 20)
	if n, err := f.ReadAt(b, 6); n != 5 || err != io.EOF || string(b[:n]) != "world" {
		t.Fatalf("ReadAt(6) = %q, %v; want world, EOF", b[:n], err)
	}
	if n, err := f.ReadAt(b[:5], 0); n != 5 || err != nil || string(b[:n]) != "HELLO" {
		t.Fatalf("ReadAt(0) = %q, %v", b[:n], err)
	}
	if n, err := f.Read(b); n != 0 || err != io.EOF {
		t.Fatalf("Read at the end = %d, %v; want 0, EOF", n, err)
	}
	_, err = f.WriteAt([]byte("x"), 100_000) // a hole reads as zeros
	must(t, err)
	st, err := f.Stat()
	must(t, err)
	if st.Size() != 100_001 || st.IsDir() || st.Name() != "a" {
		t.Fatalf("Stat: %d bytes, dir %v, name %q", st.Size(), st.IsDir(), st.Name())
	}
	_, err = f.ReadAt(b, 50_000)
	must(t, err)
	if string(b) != string(make([]byte, 20)) {
		t.Fatalf("hole holds %q", b)
	}
	if _, err := f.ReadAt(b, -1); err == nil {
		t.Fatal("ReadAt(-1) succeeded")
	}
	if _, err := f.WriteAt(b, -1); err == nil {
		t.Fatal("WriteAt(-1) succeeded")
	}
}

// testWhole: a file that is written from its beginning to its Close is there
// then, whole. So much every backend does.
func testWhole(t *testing.T, fs vfs.FS) {
	put(t, fs, "empty", "")
	want(t, fs, "empty", "")
	data := bytes.Repeat([]byte("0123456789abcdef"), 200_000)
	for _, name := range []string{"a", "a", "b"} { // and over another one
		f, err := fs.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
		must(t, err)
		for rest := data; len(rest) > 0; {
			n, err := f.Write(rest[:min(len(rest), 70_001)])
			must(t, err)
			rest = rest[n:]
		}
		must(t, f.Sync())
		must(t, f.Close())
	}
	f := open(t, fs, "a", os.O_RDONLY)
	st, err := f.Stat()
	must(t, err)
	if st.Size() != int64(len(data)) || st.IsDir() || st.Name() != "a" || time.Since(st.ModTime()) > 24*time.Hour {
		t.Fatalf("Stat: %d bytes, dir %v, name %q, changed %v", st.Size(), st.IsDir(), st.Name(), st.ModTime())
	}
	got, err := io.ReadAll(f)
	must(t, err)
	if !bytes.Equal(got, data) {
		t.Fatalf("read %d bytes, which are not those written", len(got))
	}
	b := make([]byte, 20)
	if n, err := f.ReadAt(b, int64(len(data)-5)); n != 5 || err != io.EOF || string(b[:n]) != "bcdef" {
		t.Fatalf("ReadAt near the end = %q, %v", b[:n], err)
	}
	if n, err := f.ReadAt(b, 16_000); n != 20 || err != nil || string(b) != "0123456789abcdef0123" {
		t.Fatalf("ReadAt = %q, %v", b[:n], err)
	}
	if n, err := f.ReadAt(b, int64(len(data)+5)); n != 0 || err != io.EOF {
		t.Fatalf("ReadAt past the end = %d, %v", n, err)
	}
	if _, err := f.ReadAt(b, -1); err == nil {
		t.Fatal("ReadAt(-1) succeeded")
	}
	if _, err := vfs.ReadFile(fs, "none"); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("ReadFile of a missing file: %v", err)
	}
}

func testFlags(t *testing.T, fs vfs.FS) {
	put(t, fs, "a", "content")
	_, err := fs.OpenFile("none", os.O_RDWR, 0o600)
	wantErr(t, err, os.ErrNotExist)
	_, err = fs.OpenFile("a", os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	wantErr(t, err, os.ErrExist)
	want(t, fs, "a", "content")

	r := open(t, fs, "a", os.O_RDONLY)
	_, err = r.Write([]byte("x"))
	wantErr(t, err, syscall.EBADF)
	if err := r.Truncate(0); err == nil {
		t.Fatal("Truncate through a read-only file succeeded")
	}
	mode := os.O_WRONLY
	if !fs.Caps().Inodes {
		mode |= os.O_TRUNC
	}
	w := open(t, fs, "a", mode)
	_, err = w.Read(make([]byte, 1))
	wantErr(t, err, syscall.EBADF)
	if fs.Caps().Inodes {
		_, err = w.Write([]byte("C"))
		must(t, err)
		want(t, fs, "a", "Content")
	}

	must(t, open(t, fs, "a", os.O_WRONLY|os.O_TRUNC).Close())
	want(t, fs, "a", "")
	_, err = fs.OpenFile("nodir/a", os.O_RDWR|os.O_CREATE, 0o600)
	wantErr(t, err, os.ErrNotExist)
	_, err = fs.OpenFile("a/b", os.O_RDWR|os.O_CREATE, 0o600)
	wantErr(t, err, syscall.ENOTDIR)
	must(t, fs.Mkdir("d", 0o700))
	_, err = fs.OpenFile("d", os.O_RDWR, 0)
	wantErr(t, err, syscall.EISDIR)
	_, err = open(t, fs, "d", os.O_RDONLY).Read(make([]byte, 1))
	wantErr(t, err, syscall.EISDIR)
}

func testAppend(t *testing.T, fs vfs.FS) {
	if !fs.Caps().Append {
		return
	}
	put(t, fs, "a", "one")
	f := open(t, fs, "a", os.O_RDWR|os.O_APPEND)
	g := open(t, fs, "a", os.O_WRONLY|os.O_APPEND)
	for i, w := range []afero.File{f, g, f} {
		_, err := fmt.Fprintf(w, "-%d", i)
		must(t, err)
	}
	_, err := f.Seek(0, io.SeekStart)
	must(t, err)
	_, err = f.Write([]byte("-end"))
	must(t, err)
	want(t, fs, "a", "one-0-1-2-end")
	if _, err := f.WriteAt([]byte("x"), 0); err == nil {
		t.Fatal("WriteAt on an O_APPEND file succeeded")
	}
}

func testTruncate(t *testing.T, fs vfs.FS) {
	if !fs.Caps().Inodes {
		return
	}
	f := open(t, fs, "a", os.O_RDWR|os.O_CREATE)
	_, err := f.WriteString("0123456789")
	must(t, err)
	must(t, f.Truncate(4))
	want(t, fs, "a", "0123")
	must(t, f.Truncate(6))
	want(t, fs, "a", "0123\x00\x00")
	_, err = f.WriteString("x") // the offset did not move
	must(t, err)
	want(t, fs, "a", "0123\x00\x00\x00\x00\x00\x00x")
	if err := f.Truncate(-1); err == nil {
		t.Fatal("Truncate(-1) succeeded")
	}
}

func testSeek(t *testing.T, fs vfs.FS) {
	put(t, fs, "a", "0123456789")
	f := open(t, fs, "a", os.O_RDONLY)
	for _, c := range []struct {
		off    int64
		whence int
		want   int64
	}{{3, io.SeekStart, 3}, {2, io.SeekCurrent, 5}, {-1, io.SeekEnd, 9}, {5, io.SeekEnd, 15}} {
		got, err := f.Seek(c.off, c.whence)
		must(t, err)
		if got != c.want {
			t.Fatalf("Seek(%d, %d) = %d, want %d", c.off, c.whence, got, c.want)
		}
	}
	if _, err := f.Seek(-1, io.SeekStart); err == nil {
		t.Fatal("Seek(-1) succeeded")
	}
	if n, err := f.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Fatalf("Read past the end = %d, %v; want 0, EOF", n, err)
	}
}

func testClosedFile(t *testing.T, fs vfs.FS) {
	f, err := fs.Create("a")
	must(t, err)
	must(t, f.Close())
	b := make([]byte, 1)
	for name, call := range map[string]func() error{
		"Close": f.Close, "Sync": f.Sync,
		"Read":     func() error { _, err := f.Read(b); return err },
		"Write":    func() error { _, err := f.Write(b); return err },
		"ReadAt":   func() error { _, err := f.ReadAt(b, 0); return err },
		"WriteAt":  func() error { _, err := f.WriteAt(b, 0); return err },
		"Seek":     func() error { _, err := f.Seek(0, io.SeekStart); return err },
		"Truncate": func() error { return f.Truncate(0) },
	} {
		if err := call(); !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s on a closed file: %v, want os.ErrClosed", name, err)
		}
	}
}
