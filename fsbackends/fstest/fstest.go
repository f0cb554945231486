package fstest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/afero"

	"github.com/spillwaydb/spillway/core/vfs"
)

// Run runs the suite. mk returns a new, empty filesystem each time it is called.
func Run(t *testing.T, mk func(t *testing.T) vfs.FS) {
	t.Helper()
	for _, c := range []struct {
		name string
		run  func(t *testing.T, fs vfs.FS)
	}{
		{"ReadWrite", testReadWrite},
		{"Flags", testFlags},
		{"Append", testAppend},
		{"Truncate", testTruncate},
		{"Seek", testSeek},
		{"ClosedFile", testClosedFile},
		{"Directories", testDirectories},
		{"Readdir", testReaddir},
		{"Remove", testRemove},
		{"Rename", testRename},
		{"OpenFilesOutliveNames", testOutlive},
		{"Sync", testSync},
		{"Containment", testContainment},
		{"Attributes", testAttributes},
		{"WriteFileAtomic", testWriteFileAtomic},
		{"MkdirAllSync", testMkdirAllSync},
		{"Exclusive", testExclusive},
		{"Concurrent", testConcurrent},
		{"Lock", testLock},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, mk(t)) })
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got error %v, want %v", err, want)
	}
}

func open(t *testing.T, fs vfs.FS, name string, flag int) afero.File {
	t.Helper()
	f, err := fs.OpenFile(name, flag, 0o600)
	must(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

func put(t *testing.T, fs vfs.FS, name, data string) {
	t.Helper()
	f, err := fs.Create(name)
	must(t, err)
	_, err = f.WriteString(data)
	must(t, err)
	must(t, f.Close())
}

func want(t *testing.T, fs vfs.FS, name, data string) {
	t.Helper()
	b, err := vfs.ReadFile(fs, name)
	must(t, err)
	if string(b) != data {
		t.Fatalf("%s is %.80q, want %.80q", name, b, data)
	}
}

func testReadWrite(t *testing.T, fs vfs.FS) {
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
	w := open(t, fs, "a", os.O_WRONLY)
	_, err = w.Read(make([]byte, 1))
	wantErr(t, err, syscall.EBADF)
	_, err = w.Write([]byte("C"))
	must(t, err)
	want(t, fs, "a", "Content")

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

func testDirectories(t *testing.T, fs vfs.FS) {
	must(t, fs.Mkdir("d", 0o700))
	wantErr(t, fs.Mkdir("d", 0o700), os.ErrExist)
	wantErr(t, fs.Mkdir("no/d", 0o700), os.ErrNotExist)
	must(t, fs.MkdirAll("d/e/f", 0o700))
	must(t, fs.MkdirAll("d/e/f", 0o700))
	put(t, fs, "d/e/f/file", "x")
	if err := fs.MkdirAll("d/e/f/file/g", 0o700); err == nil {
		t.Fatal("MkdirAll through a file succeeded")
	}
	st, err := fs.Stat("d/e")
	must(t, err)
	if !st.IsDir() || st.Name() != "e" {
		t.Fatalf("Stat(d/e): dir %v, name %q", st.IsDir(), st.Name())
	}
	for name, there := range map[string]bool{".": true, "/": true, "d": true, "d/e/f/file": true, "d/x": false, "x/y": false} {
		got, err := vfs.Exists(fs, name)
		must(t, err)
		if got != there {
			t.Errorf("Exists(%s) = %v", name, got)
		}
	}
}

func testReaddir(t *testing.T, fs vfs.FS) {
	must(t, fs.Mkdir("d", 0o700))
	must(t, fs.Mkdir("d/sub", 0o700))
	all := []string{"sub"}
	for i := range 9 {
		name := fmt.Sprintf("f%d", i)
		put(t, fs, "d/"+name, "12345")
		all = append(all, name)
	}
	slices.Sort(all)
	infos, err := vfs.ReadDir(fs, "d")
	must(t, err)
	var got []string
	for _, st := range infos {
		got = append(got, st.Name())
		if st.IsDir() != (st.Name() == "sub") || !st.IsDir() && st.Size() != 5 {
			t.Errorf("%s: dir %v, %d bytes", st.Name(), st.IsDir(), st.Size())
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, all) {
		t.Fatalf("listed %v, want %v", got, all)
	}

	f := open(t, fs, "d", os.O_RDONLY)
	got = nil
	for {
		names, err := f.Readdirnames(4)
		if err == io.EOF {
			break
		}
		must(t, err)
		if len(names) == 0 || len(names) > 4 {
			t.Fatalf("Readdirnames(4) returned %d names", len(names))
		}
		got = append(got, names...)
	}
	slices.Sort(got)
	if !slices.Equal(got, all) {
		t.Fatalf("listed in parts %v, want %v", got, all)
	}
	if _, err := open(t, fs, "d/f0", os.O_RDONLY).Readdir(-1); err == nil {
		t.Fatal("Readdir of a file succeeded")
	}
	infos, err = vfs.ReadDir(fs, "none")
	if len(infos) != 0 || err != nil {
		t.Fatalf("ReadDir of a missing directory: %v, %v", infos, err)
	}
}

func testRemove(t *testing.T, fs vfs.FS) {
	must(t, fs.MkdirAll("d/e", 0o700))
	put(t, fs, "d/f", "x")
	wantErr(t, fs.Remove("none"), os.ErrNotExist)
	must(t, vfs.RemoveIfExists(fs, "none"))
	if err := fs.Remove("d"); err == nil {
		t.Fatal("Remove of a directory with entries succeeded")
	}
	must(t, fs.Remove("d/f"))
	must(t, fs.Remove("d/e"))
	must(t, fs.Remove("d"))
	must(t, fs.MkdirAll("t/u/v", 0o700))
	put(t, fs, "t/u/f", "x")
	must(t, fs.RemoveAll("t"))
	must(t, fs.RemoveAll("t"))
	if there, err := vfs.Exists(fs, "t"); there || err != nil {
		t.Fatalf("after RemoveAll: there %v, %v", there, err)
	}
	if err := fs.Remove("."); err == nil {
		t.Fatal("the root was removed")
	}
}

func testRename(t *testing.T, fs vfs.FS) {
	put(t, fs, "a", "A")
	put(t, fs, "b", "B")
	must(t, fs.Rename("a", "b"))
	want(t, fs, "b", "A")
	wantErr(t, fs.Rename("a", "c"), os.ErrNotExist)
	must(t, fs.Replace("b", "b"))
	put(t, fs, "new", "N")
	must(t, fs.Replace("new", "b"))
	want(t, fs, "b", "N")
	if err := fs.Rename("b", "nodir/b"); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("Rename into a missing directory: %v", err)
	}

	must(t, fs.MkdirAll("d/e", 0o700))
	must(t, fs.MkdirAll("full/x", 0o700))
	must(t, fs.Mkdir("empty", 0o700))
	for _, c := range [][2]string{{"b", "d"}, {"d", "b"}, {"d", "full"}, {"d", "d/e/f"}} {
		if err := fs.Rename(c[0], c[1]); err == nil {
			t.Errorf("Rename(%s, %s) succeeded", c[0], c[1])
		}
	}
	put(t, fs, "d/e/f", "F")
	must(t, fs.Rename("d", "g"))
	want(t, fs, "g/e/f", "F")
	must(t, fs.Rename("g/e/f", "f"))
	want(t, fs, "f", "F")
}

func testOutlive(t *testing.T, fs vfs.FS) {
	put(t, fs, "a", "old")
	f := open(t, fs, "a", os.O_RDWR)
	put(t, fs, "b", "new")
	must(t, fs.Replace("b", "a"))
	b := make([]byte, 3)
	_, err := f.ReadAt(b, 0)
	must(t, err)
	if string(b) != "old" {
		t.Fatalf("the open file reads %q after its name was replaced", b)
	}
	_, err = f.WriteAt([]byte("xxx"), 0)
	must(t, err)
	want(t, fs, "a", "new")
	must(t, fs.Remove("a"))
	must(t, f.Sync())
}

func testSync(t *testing.T, fs vfs.FS) {
	must(t, fs.Mkdir("d", 0o700))
	f := open(t, fs, "d/f", os.O_RDWR|os.O_CREATE)
	_, err := f.WriteString("x")
	must(t, err)
	must(t, f.Sync())
	if !fs.Caps().SyncDir {
		return
	}
	must(t, fs.SyncDir("d"))
	must(t, fs.SyncDir("."))
	must(t, fs.SyncDir(""))
	wantErr(t, fs.SyncDir("none"), os.ErrNotExist)
	if err := fs.SyncDir("d/f"); err == nil {
		t.Fatal("SyncDir of a file succeeded")
	}
}

func testContainment(t *testing.T, fs vfs.FS) {
	put(t, fs, "inside", "x")
	for _, name := range []string{"..", "../x", "d/../../x", "/../x", "../" + "inside"} {
		_, err := fs.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
		wantErr(t, err, vfs.ErrEscape)
		_, err = fs.Stat(name)
		wantErr(t, err, vfs.ErrEscape)
		for op, err := range map[string]error{
			"Mkdir": fs.Mkdir(name, 0o700), "MkdirAll": fs.MkdirAll(name, 0o700),
			"Remove": fs.Remove(name), "RemoveAll": fs.RemoveAll(name),
			"Rename from": fs.Rename(name, "y"), "Rename to": fs.Rename("inside", name),
			"SyncDir": fs.SyncDir(name), "Chmod": fs.Chmod(name, 0o600),
		} {
			if !errors.Is(err, vfs.ErrEscape) {
				t.Errorf("%s %s: %v, want ErrEscape", op, name, err)
			}
		}
	}
	if _, err := fs.Stat("a\x00b"); err == nil {
		t.Error("a NUL byte in a name is accepted")
	}
	put(t, fs, "/rooted", "r") // a leading slash means the root of the filesystem
	want(t, fs, "rooted", "r")
	want(t, fs, "./x/../rooted", "r")
}

func testAttributes(t *testing.T, fs vfs.FS) {
	put(t, fs, "a", "x")
	must(t, fs.Chmod("a", 0o400))
	when := time.Unix(1_000_000_000, 0)
	must(t, fs.Chtimes("a", when, when))
	st, err := fs.Stat("a")
	must(t, err)
	if st.Mode().Perm() != 0o400 || !st.ModTime().Equal(when) {
		t.Fatalf("mode %v, mtime %v", st.Mode(), st.ModTime())
	}
	wantErr(t, fs.Chmod("none", 0o600), os.ErrNotExist)
	wantErr(t, fs.Chtimes("none", when, when), os.ErrNotExist)
}

func testWriteFileAtomic(t *testing.T, fs vfs.FS) {
	must(t, fs.Mkdir("d", 0o700))
	for _, data := range []string{"first", "", "the third"} {
		must(t, vfs.WriteFileAtomic(fs, "d/f", []byte(data), 0o600))
		want(t, fs, "d/f", data)
	}
	infos, err := vfs.ReadDir(fs, "d")
	must(t, err)
	if len(infos) != 1 {
		t.Fatalf("%d files left, want 1", len(infos))
	}
	err = vfs.WriteFileAtomic(fs, "none/f", nil, 0o600)
	wantErr(t, err, os.ErrNotExist)
	if errors.Is(err, vfs.ErrUnknownOutcome) {
		t.Fatalf("a failure before the rename is unknown: %v", err)
	}
}

func testMkdirAllSync(t *testing.T, fs vfs.FS) {
	must(t, vfs.MkdirAllSync(fs, "a/b/c", 0o700))
	must(t, vfs.MkdirAllSync(fs, "a/b/c", 0o700))
	must(t, vfs.MkdirAllSync(fs, ".", 0o700))
	put(t, fs, "a/f", "x")
	if err := vfs.MkdirAllSync(fs, "a/f/g", 0o700); err == nil {
		t.Fatal("MkdirAllSync through a file succeeded")
	}
	wantErr(t, vfs.MkdirAllSync(fs, "../x", 0o700), vfs.ErrEscape)
}

func testExclusive(t *testing.T, fs vfs.FS) {
	const workers, rounds = 8, 20
	for round := range rounds {
		var wg sync.WaitGroup
		won := make([]bool, workers)
		for i := range workers {
			wg.Go(func() {
				f, err := fs.OpenFile(fmt.Sprintf("x%d", round), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
				if err == nil {
					won[i] = true
					f.Close()
				}
			})
		}
		wg.Wait()
		n := 0
		for _, w := range won {
			if w {
				n++
			}
		}
		if n != 1 {
			t.Fatalf("%d of %d created one file exclusively", n, workers)
		}
	}
}

func testConcurrent(t *testing.T, fs vfs.FS) {
	// The pairs that kill or race afero's MemMapFs: rename against rename and
	// remove of one name, seek against write.
	put(t, fs, "shared", "")
	shared := open(t, fs, "shared", os.O_RDWR)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for j := range 50 {
				name := fmt.Sprintf("n%d", (i+j)%3)
				if f, err := fs.Create(name); err == nil {
					f.Write([]byte("data"))
					f.Sync()
					f.Close()
				}
				fs.Rename(name, "target")
				fs.Remove("target")
				shared.Seek(int64(j), io.SeekStart)
				shared.Write([]byte("x"))
				shared.ReadAt(make([]byte, 8), 0)
				fs.Stat("target")
				vfs.ReadDir(fs, ".")
			}
		})
	}
	wg.Wait()
}

func testLock(t *testing.T, fs vfs.FS) {
	l, ok := fs.(vfs.Locker)
	if !ok {
		return
	}
	held, err := l.Lock("LOCK")
	must(t, err)
	_, err = l.Lock("LOCK")
	var locked *vfs.LockedError
	if !errors.As(err, &locked) || locked.PID != os.Getpid() || locked.Path != "LOCK" {
		t.Fatalf("second Lock: %v, want a LockedError with our pid", err)
	}
	must(t, held.Close())
	held.Close()
	again, err := l.Lock("LOCK")
	must(t, err)
	must(t, again.Close())
	_, err = l.Lock("../LOCK")
	wantErr(t, err, vfs.ErrEscape)
}
