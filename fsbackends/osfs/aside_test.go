package osfs

import (
	"errors"
	"os"
	"sync"
	"testing"

	"github.com/spillwaydb/spillway/core/vfs"
)

// TestSyncAside: many files at once, a directory, and what fsync(2) refuses, which is
// refused in its words.
func TestSyncAside(t *testing.T) {
	fs, err := New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i := range 40 {
		f, err := fs.Create(string(rune('A' + i)))
		if err != nil {
			t.Fatal(err)
		}
		all.Go(func() {
			defer f.Close()
			for range 3 {
				if n, err := vfs.WriteAside(f, []byte("some")); n != 4 || err != nil {
					t.Error(n, err)
				}
				if err := vfs.SyncAside(f); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if err := fs.SyncDir("."); err != nil {
		t.Error(err)
	}
	f, err := fs.Open("A")
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if err := vfs.SyncAside(f); !errors.Is(err, os.ErrClosed) {
		t.Errorf("of a closed file: %v", err)
	}
	if _, err := vfs.WriteAside(f, []byte("some")); !errors.Is(err, os.ErrClosed) {
		t.Errorf("a write to a closed file: %v", err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if got, want := syncAside(w), w.Sync(); want == nil || got == nil || got.Error() != want.Error() {
		t.Errorf("of a pipe: %v, fsync says %v", got, want)
	}
}
