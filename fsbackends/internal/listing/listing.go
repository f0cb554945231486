// Package listing is what remote backends have in common: the description of a
// file that is no inode, and an open directory whose entries were fetched as a
// whole.
//
// It refuses to fetch: a backend hands it a function that does.
package listing

import (
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/afero"
)

// Info describes a file or a directory.
type Info struct {
	Base  string // the last element of the path
	Bytes int64
	Time  time.Time
	Dir   bool
}

var _ os.FileInfo = Info{}

// Name implements os.FileInfo.
func (i Info) Name() string { return i.Base }

// Size implements os.FileInfo.
func (i Info) Size() int64 { return i.Bytes }

// Mode implements os.FileInfo: only the owner may do anything.
func (i Info) Mode() os.FileMode {
	if i.Dir {
		return os.ModeDir | 0o700
	}
	return 0o600
}

// ModTime implements os.FileInfo.
func (i Info) ModTime() time.Time { return i.Time }

// IsDir implements os.FileInfo.
func (i Info) IsDir() bool { return i.Dir }

// Sys implements os.FileInfo.
func (i Info) Sys() any { return nil }

// Dir is a directory that is open for reading its entries. It is safe for
// concurrent use.
type Dir struct {
	name  string
	info  os.FileInfo
	fetch func() ([]os.FileInfo, error)

	mu      sync.Mutex
	closed  bool
	fetched bool
	left    []os.FileInfo
}

var _ afero.File = (*Dir)(nil)

// NewDir returns the open directory. fetch is called once, when the first entry
// is asked for.
func NewDir(name string, info os.FileInfo, fetch func() ([]os.FileInfo, error)) *Dir {
	return &Dir{name: name, info: info, fetch: fetch}
}

// fail is the error of what no directory can do.
func (d *Dir) fail(op string, err error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return &os.PathError{Op: op, Path: d.name, Err: os.ErrClosed}
	}
	return &os.PathError{Op: op, Path: d.name, Err: err}
}

// Name implements afero.File.
func (d *Dir) Name() string { return d.name }

// Close implements afero.File.
func (d *Dir) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return &os.PathError{Op: "close", Path: d.name, Err: os.ErrClosed}
	}
	d.closed = true
	return nil
}

// Stat implements afero.File.
func (d *Dir) Stat() (os.FileInfo, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, &os.PathError{Op: "stat", Path: d.name, Err: os.ErrClosed}
	}
	return d.info, nil
}

// Readdir implements afero.File, with the meaning of count that os.File gives it.
func (d *Dir) Readdir(count int) ([]os.FileInfo, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, &os.PathError{Op: "readdir", Path: d.name, Err: os.ErrClosed}
	}
	if !d.fetched {
		all, err := d.fetch()
		if err != nil {
			return nil, err
		}
		d.left, d.fetched = all, true
	}
	if count > 0 && len(d.left) == 0 {
		return nil, io.EOF
	}
	n := len(d.left)
	if count > 0 {
		n = min(n, count)
	}
	out := d.left[:n:n]
	d.left = d.left[n:]
	return out, nil
}

// Readdirnames implements afero.File.
func (d *Dir) Readdirnames(n int) ([]string, error) {
	infos, err := d.Readdir(n)
	names := make([]string, len(infos))
	for i, info := range infos {
		names[i] = info.Name()
	}
	return names, err
}

// Sync implements afero.File. The names in a directory are SyncDir's.
func (d *Dir) Sync() error {
	_, err := d.Stat()
	return err
}

// Read implements afero.File; it fails.
func (d *Dir) Read([]byte) (int, error) { return 0, d.fail("read", syscall.EISDIR) }

// ReadAt implements afero.File; it fails.
func (d *Dir) ReadAt([]byte, int64) (int, error) { return 0, d.fail("read", syscall.EISDIR) }

// Seek implements afero.File; it fails.
func (d *Dir) Seek(int64, int) (int64, error) { return 0, d.fail("seek", syscall.EISDIR) }

// Write implements afero.File; it fails.
func (d *Dir) Write([]byte) (int, error) { return 0, d.fail("write", syscall.EBADF) }

// WriteAt implements afero.File; it fails, as pwrite(2) does, which is not called
// for nothing.
func (d *Dir) WriteAt(b []byte, off int64) (int, error) {
	if len(b) == 0 && off >= 0 {
		return 0, nil
	}
	return 0, d.fail("write", syscall.EBADF)
}

// WriteString implements afero.File; it fails.
func (d *Dir) WriteString(string) (int, error) { return 0, d.fail("write", syscall.EBADF) }

// Truncate implements afero.File; it fails.
func (d *Dir) Truncate(int64) error { return d.fail("truncate", syscall.EINVAL) }
