package memfs

import (
	"io"
	"os"
	"sync"

	"github.com/spillwaydb/spillway/core/vfs"
)

// Lock implements vfs.Locker. The lock belongs to this FS: a CrashClone is
// unlocked. It leaves no file.
func (fs *FS) Lock(name string) (io.Closer, error) {
	p, err := vfs.Clean(name)
	if err != nil {
		return nil, pathError("lock", name, err)
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.locks[p] {
		return nil, &vfs.LockedError{Path: name, PID: os.Getpid()}
	}
	fs.locks[p] = true
	return &lock{fs: fs, path: p}, nil
}

// lock is a held lock.
type lock struct {
	fs   *FS
	path string
	once sync.Once
}

// Close releases the lock; more calls do nothing.
func (l *lock) Close() error {
	l.once.Do(func() {
		l.fs.mu.Lock()
		defer l.fs.mu.Unlock()
		delete(l.fs.locks, l.path)
	})
	return nil
}
