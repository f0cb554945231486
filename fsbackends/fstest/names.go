package fstest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core/vfs"
)

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
	wantErr(t, fs.Remove("d"), syscall.ENOTEMPTY)
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
	wantErr(t, fs.Remove("."), syscall.EINVAL)
	wantErr(t, fs.RemoveAll("."), syscall.EINVAL)
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
	for _, c := range []struct {
		from, to string
		want     error
	}{
		{"b", "d", os.ErrExist}, {"b", "empty", os.ErrExist}, {"d", "empty", os.ErrExist}, {"d", "full", os.ErrExist},
		{"d", "b", syscall.ENOTDIR}, {"d", "d/e/f", syscall.EINVAL},
		{".", "x", syscall.EINVAL}, {"b", ".", syscall.EINVAL}, {"b", "b/c", syscall.ENOTDIR},
	} {
		if err := fs.Rename(c.from, c.to); !errors.Is(err, c.want) {
			t.Errorf("Rename(%s, %s): %v, want %v", c.from, c.to, err, c.want)
		}
	}
	put(t, fs, "d/e/f", "F")
	must(t, fs.Rename("d", "g"))
	want(t, fs, "g/e/f", "F")
	must(t, fs.Rename("g/e/f", "f"))
	want(t, fs, "f", "F")
}

func testOutlive(t *testing.T, fs vfs.FS) {
	if !fs.Caps().Inodes {
		return
	}
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
			if op == "SyncDir" && !fs.Caps().SyncDir {
				continue
			}
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
	if !fs.Caps().Inodes { // then it says so, and pretends nothing
		put(t, fs, "a", "x")
		wantErr(t, fs.Chmod("a", 0o400), errors.ErrUnsupported)
		wantErr(t, fs.Chtimes("a", time.Now(), time.Now()), errors.ErrUnsupported)
		return
	}
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
