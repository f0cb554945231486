//go:build amd64 || arm64 || riscv64 || loong64

package osfs

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/spillwaydb/spillway/core/vfs"
)

// TestRemoveForgets: of a large file that is removed nothing is left in the cache for the removal
// to drop, and who has it open, or by another name, still has all of it.
func TestRemoveForgets(t *testing.T) {
	dir := t.TempDir()
	disk, err := New(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := bytes.Repeat([]byte("0123456789abcdef"), (4*forgetBytes+4096)/16)
	for name, remove := range map[string]func(string) error{"Remove": disk.Remove, "RemoveAll": func(name string) error { return disk.RemoveAll(filepath.Dir(name)) }} {
		file := name + "/below/large"
		if err := vfs.MkdirAllSync(disk, filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		f, err := disk.Create(file)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.Write(want); err != nil {
			t.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			t.Fatal(err)
		}
		other := filepath.Join(dir, name+".link")
		if err := os.Link(filepath.Join(dir, file), other); err != nil {
			t.Fatal(err)
		}
		before := cached(t, other)
		if err := remove(file); err != nil {
			t.Fatal(err)
		}
		if there, err := vfs.Exists(disk, file); there || err != nil {
			t.Errorf("%s: it is there: %v, %v", name, there, err)
		}
		switch after := cached(t, other); {
		case before < len(want)/os.Getpagesize()/2:
			t.Logf("%s: this filesystem keeps %d pages", name, before)
		case onMemory(t, dir):
		case after > before/4:
			t.Errorf("%s: %d pages are in the cache, %d were", name, after, before)
		}
		if got, err := io.ReadAll(io.NewSectionReader(f, 0, int64(len(want)))); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: who has it open reads %d bytes, %v", name, len(got), err)
		}
		if got, err := os.ReadFile(other); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: by its other name it has %d bytes, %v", name, len(got), err)
		}
	}
}

// cached is how many pages of a file are in the system's cache.
func cached(t *testing.T, name string) (n int) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	m, err := unix.Mmap(int(f.Fd()), 0, int(st.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Munmap(m); err != nil {
			t.Error(err)
		}
	}()
	pages := make([]byte, (len(m)+os.Getpagesize()-1)/os.Getpagesize())
	if _, _, e := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&m[0])), uintptr(len(m)), uintptr(unsafe.Pointer(&pages[0]))); e != 0 {
		t.Fatal(e)
	}
	for _, p := range pages {
		n += int(p & 1)
	}
	return n
}

// onMemory tells whether a directory is on a filesystem that has nothing but its cache.
func onMemory(t *testing.T, dir string) bool {
	t.Helper()
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		t.Fatal(err)
	}
	return st.Type == unix.TMPFS_MAGIC
}
