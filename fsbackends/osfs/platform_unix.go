//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package osfs

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/spillwaydb/spillway/core/vfs"
)

var _ vfs.Locker = (*FS)(nil)

const (
	canSyncDir = true
	canLock    = true
	openAtOnce = syscall.O_NONBLOCK // regular files and directories know no difference
)

var errNotDir = syscall.ENOTDIR

// syncDir makes the entries of an open directory durable.
func syncDir(f *os.File) error { return syncAside(f) }

// Lock implements vfs.Locker with flock(2): released by Close and by the death
// of the process, however it dies. A second Lock in the same process fails too.
func (fs *FS) Lock(name string) (io.Closer, error) {
	p, err := clean("lock", name)
	if err != nil {
		return nil, err
	}
	// Who reads an error about the lock has more than one directory.
	whole := filepath.Join(fs.dir, p)
	f, err := fs.open(p, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		var at *os.PathError
		if errors.As(err, &at) {
			err = at.Err
		}
		return nil, fmt.Errorf("lock %s: %w", whole, err)
	}
	l := &lock{f: f}
	if err := l.take(); err != nil {
		pid := readPID(f)
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, &vfs.LockedError{Path: name, Dir: fs.dir, PID: pid}
		}
		return nil, fmt.Errorf("lock %s: %w", whole, err)
	}
	return l, nil
}

// lock is a held lock file.
type lock struct {
	f    *os.File
	once sync.Once
	err  error
}

func (l *lock) take() error {
	for {
		err := syscall.Flock(int(l.f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		break
	}
	if err := l.f.Truncate(0); err != nil {
		return err
	}
	_, err := l.f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// Close empties the file and releases the lock; more calls do nothing. The file
// stays: removing it would let two processes lock two files of one name.
func (l *lock) Close() error {
	l.once.Do(func() { l.err = errors.Join(l.f.Truncate(0), l.f.Close()) })
	return l.err
}

// readPID returns the pid in a lock file, 0 when there is none.
func readPID(f *os.File) int {
	var buf [32]byte
	n, _ := f.ReadAt(buf[:], 0)
	pid, err := strconv.Atoi(strings.TrimSpace(string(buf[:n])))
	if err != nil {
		return 0
	}
	return pid
}
