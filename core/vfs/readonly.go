package vfs

import (
	"os"
	"syscall"

	"github.com/spf13/afero"
)

// ReadOnly returns inner without any way to change it: whatever would create,
// write, rename or remove fails with EPERM or EROFS and does not reach inner.
// It has no lock to give, and of Caps only what reading needs. To sync does
// nothing, since nothing was written: inner is not asked to either, so a reader
// never makes a writer of the same files wait for its disk.
func ReadOnly(inner FS) FS { return &readOnly{Fs: afero.NewReadOnlyFs(inner), inner: inner} }

type readOnly struct {
	afero.Fs
	inner FS
}

var _ FS = (*readOnly)(nil)

// Name implements afero.Fs.
func (r *readOnly) Name() string { return r.inner.Name() + ", read-only" }

// Open implements afero.Fs.
func (r *readOnly) Open(name string) (afero.File, error) { return r.OpenFile(name, os.O_RDONLY, 0) }

// OpenFile implements afero.Fs.
func (r *readOnly) OpenFile(name string, flag int, perm os.FileMode) (afero.File, error) {
	f, err := r.Fs.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return unsynced{f}, nil
}

// SyncDir implements FS.
func (r *readOnly) SyncDir(string) error { return nil }

// Replace implements FS: it refuses.
func (r *readOnly) Replace(oldname, newname string) error {
	return &os.LinkError{Op: "replace", Old: oldname, New: newname, Err: syscall.EROFS}
}

// Caps implements FS.
func (r *readOnly) Caps() Caps { return Caps{Inodes: r.inner.Caps().Inodes} }

// unsynced is a file that was opened for reading.
type unsynced struct{ afero.File }

// Sync implements File.
func (unsynced) Sync() error { return nil }
