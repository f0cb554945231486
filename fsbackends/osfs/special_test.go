//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package osfs_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/fsbackends/osfs"
)

// TestOnlyRegularFiles: whatever else has a file's name is refused, by a name
// for what it is, and no call waits for somebody at the other end.
func TestOnlyRegularFiles(t *testing.T) {
	dir := t.TempDir()
	fs, err := osfs.New(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(dir, "socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := os.Symlink("pipe", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for name, what := range map[string]string{"pipe": "named pipe", "socket": "socket", "link": "named pipe"} {
		for call, open := range map[string]func() error{
			"Open":    func() error { _, err := fs.Open(name); return err },
			"Create":  func() error { _, err := fs.Create(name); return err },
			"append":  func() error { _, err := fs.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0); return err },
			"update":  func() error { _, err := fs.OpenFile(name, os.O_RDWR, 0); return err },
			"read":    func() error { _, err := vfs.ReadFile(fs, name); return err },
			"SyncDir": func() error { return fs.SyncDir(name) },
			"Lock":    func() error { _, err := fs.(vfs.Locker).Lock(name); return err },
		} {
			done := make(chan error, 1)
			go func() { done <- open() }()
			select {
			case err = <-done:
			case <-time.After(time.Minute):
				t.Fatalf("%s of the %s hangs", call, name)
			}
			if !vfs.IsNotRegular(err) || !errors.Is(err, vfs.ErrNotRegular) || !strings.Contains(err.Error(), what) || !strings.Contains(err.Error(), name) {
				t.Errorf("%s of the %s: %v", call, name, err)
			}
		}
	}
	if _, err := vfs.ReadFile(fs, "."); !vfs.IsNotRegular(err) {
		t.Errorf("reading a directory: %v", err)
	}
}
