package vfs

import (
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/spf13/afero"
)

// File is an open file. Sync is a real fsync on a backend whose Caps say
// Durable; a nil return there means the bytes survive a power cut.
type File = afero.File

// FS is a filesystem the engine can keep data on.
//
// All methods are safe for concurrent use, and the errors wrap the usual
// sentinels (os.ErrNotExist, os.ErrExist, syscall.ENOSPC …).
type FS interface {
	afero.Fs

	// SyncDir makes the creates, renames and removes done so far in dir
	// durable. It says nothing about the contents of the files in it.
	SyncDir(dir string) error

	// Replace renames oldname to newname, atomically taking the place of an
	// existing file: no reader and no crash sees neither of the two. It does
	// not sync the directory. Where Caps says AtomicReplace is false it may
	// be a copy and a delete.
	Replace(oldname, newname string) error

	// Caps tells what this backend promises. It never changes during the
	// life of the FS.
	Caps() Caps
}

// Caps is what a backend promises.
type Caps struct {
	// Durable: a nil from File.Sync means the bytes survive a crash.
	Durable bool
	// AtomicReplace: Replace is one atomic step.
	AtomicReplace bool
	// SyncDir: a nil from FS.SyncDir means the directory survives a crash.
	SyncDir bool
	// Append: files can grow in place and be truncated (an append log works).
	Append bool
	// Inodes: an open file is one thing whatever its name comes to mean. It is
	// read and written anywhere, has a mode and a time, and outlives its name.
	// Where Inodes is false a file is written once, from its beginning to its
	// Close, and cannot be read before.
	Inodes bool
	// Lock: the filesystem is a Locker.
	Lock bool
}

// Data is what a data directory needs.
var Data = Caps{Durable: true, AtomicReplace: true, SyncDir: true, Append: true, Inodes: true, Lock: true}

// Missing names the capabilities in want that c lacks, in a fixed order.
func (c Caps) Missing(want Caps) []string {
	var out []string
	add := func(want, have bool, name string) {
		if want && !have {
			out = append(out, name)
		}
	}
	add(want.Durable, c.Durable, "durable fsync")
	add(want.AtomicReplace, c.AtomicReplace, "atomic replace")
	add(want.SyncDir, c.SyncDir, "directory sync")
	add(want.Append, c.Append, "append")
	add(want.Inodes, c.Inodes, "files written in place")
	add(want.Lock, c.Lock, "lock")
	return out
}

// Locker is implemented by backends that can keep two processes out of one
// data directory.
type Locker interface {
	// Lock takes an exclusive lock named by a file of the filesystem. It
	// does not wait: a lock held elsewhere is a *LockedError. Closing the
	// result releases it; so does the death of the process.
	Lock(name string) (io.Closer, error)
}

// LockedError says that somebody else holds the lock.
type LockedError struct {
	Path string // the lock file
	Dir  string // where the filesystem's root is, when it is a place of this machine
	PID  int    // its holder, 0 when unknown
}

// Error implements error.
func (e *LockedError) Error() string {
	holder := "another process"
	if e.PID > 0 {
		holder = fmt.Sprintf("process %d", e.PID)
	}
	return fmt.Sprintf("lock %s: held by %s; stop it or use another directory", path.Join(e.Dir, e.Path), holder)
}

// ErrEscape is wrapped by the error for a path that leaves its filesystem.
var ErrEscape = errors.New("path leaves the filesystem root")

// ErrCaps is wrapped by RequireData's error.
var ErrCaps = errors.New("filesystem cannot hold a data directory")

// RequireData returns an error that names the capabilities fs lacks for a data
// directory, or nil when it has them all.
func RequireData(fs FS) error { return fs.Caps().RequireData(fs.Name()) }

// RequireData is the same for a filesystem that is not open yet, called name.
func (c Caps) RequireData(name string) error {
	missing := c.Missing(Data)
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s lacks %s; use a local filesystem for data and this one as a sink",
		ErrCaps, name, strings.Join(missing, ", "))
}

// Clean returns name as a canonical slash path relative to the root: no leading
// slash, no "." or ".." elements, "." for the root itself. A name that climbs
// out of the root or holds a NUL byte is an error. Backends call it first.
func Clean(name string) (string, error) {
	if strings.IndexByte(name, 0) >= 0 {
		return "", fmt.Errorf("path %q: NUL byte in a file name", name)
	}
	p := path.Clean(strings.TrimLeft(name, "/"))
	if p == ".." || strings.HasPrefix(p, "../") {
		return "", fmt.Errorf("path %q: %w", name, ErrEscape)
	}
	return p, nil
}
