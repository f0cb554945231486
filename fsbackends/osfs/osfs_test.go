package osfs_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/fsbackends/fstest"
	"github.com/spillwaydb/spillway/fsbackends/osfs"
)

func TestConformance(t *testing.T) {
	fstest.Run(t, func(t *testing.T) vfs.FS {
		fs, err := osfs.New(filepath.Join(t.TempDir(), "made", "for", "us"))
		if err != nil {
			t.Fatal(err)
		}
		return fs
	})
}

// TestContainment: neither links nor a sibling with the root's name as a prefix
// (afero #513) can be reached.
func TestContainment(t *testing.T) {
	dir := t.TempDir()
	root, evil := filepath.Join(dir, "data"), filepath.Join(dir, "data-evil")
	fs, err := osfs.New(root)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(evil, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(evil, "secret"), []byte("s"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := fs.Open("../data-evil/secret"); !errors.Is(err, vfs.ErrEscape) {
		t.Errorf("the sibling opened: %v", err)
	}
	if err := os.Symlink(evil, filepath.Join(root, "link")); err != nil {
		t.Fatal(err)
	}
	if _, err := fs.Open("link/secret"); err == nil {
		t.Error("a symbolic link led out of the root")
	}
	if err := fs.RemoveAll("link"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(evil, "secret")); err != nil {
		t.Errorf("RemoveAll followed the link: %v", err)
	}
}

func TestPermissions(t *testing.T) {
	root := filepath.Join(t.TempDir(), "data")
	fs, err := osfs.New(root)
	if err != nil {
		t.Fatal(err)
	}
	if err := fs.MkdirAll("a/b", 0o777); err != nil {
		t.Fatal(err)
	}
	f, err := fs.OpenFile("a/f", os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	for name, want := range map[string]os.FileMode{"": 0o700, "a": 0o700, "a/b": 0o700, "a/f": 0o600} {
		st, err := os.Stat(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		if st.Mode().Perm() != want {
			t.Errorf("%q has mode %v, want %v", name, st.Mode().Perm(), want)
		}
	}
}

func TestNewRefusesAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, root := range []string{"", file, filepath.Join(file, "below")} {
		if _, err := osfs.New(root); err == nil {
			t.Errorf("New(%q) succeeded", root)
		}
	}
}

// TestLockErrorsNameTheDirectory: a lock that cannot be had says of which of an
// operator's directories.
func TestLockErrorsNameTheDirectory(t *testing.T) {
	dir := t.TempDir()
	fs, err := osfs.New(dir)
	if err != nil {
		t.Fatal(err)
	}
	locker := fs.(vfs.Locker)
	held, err := locker.Lock("LOCK")
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	want := "lock " + filepath.Join(dir, "LOCK") + ": "
	if _, err := locker.Lock("LOCK"); err == nil || !strings.HasPrefix(err.Error(), want+"held by process ") {
		t.Errorf("a lock that is held: %v, want %q", err, want)
	}
	if err := os.Mkdir(filepath.Join(dir, "OTHER"), 0o700); err != nil {
		t.Fatal(err)
	}
	want = "lock " + filepath.Join(dir, "OTHER") + ": is a directory"
	if _, err := locker.Lock("OTHER"); err == nil || err.Error() != want {
		t.Errorf("a lock that cannot be made: %v, want %q", err, want)
	}
}
