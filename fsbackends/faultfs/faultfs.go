package faultfs

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/afero"

	"github.com/spillwaydb/spillway/core/vfs"
)

var (
	_ vfs.FS     = (*FS)(nil)
	_ vfs.Locker = (*FS)(nil)
)

// OpKind is what an operation does.
type OpKind string

// The kinds of operations. OpRename stands for Rename and Replace.
const (
	OpCreate    OpKind = "create"    // OpenFile with O_CREATE
	OpOpen      OpKind = "open"      // any other open
	OpRead      OpKind = "read"      // Read, ReadAt; N is the buffer's length
	OpWrite     OpKind = "write"     // Write, WriteAt; N is the number of bytes
	OpTruncate  OpKind = "truncate"  // N is the size asked for
	OpSync      OpKind = "sync"      // File.Sync
	OpClose     OpKind = "close"     // File.Close
	OpReaddir   OpKind = "readdir"   // Readdir, Readdirnames
	OpSyncDir   OpKind = "syncdir"   // SyncDir
	OpRename    OpKind = "rename"    // Path is the old name, To the new one
	OpRemove    OpKind = "remove"    // Remove
	OpRemoveAll OpKind = "removeall" // RemoveAll
	OpMkdir     OpKind = "mkdir"     // Mkdir, MkdirAll
	OpStat      OpKind = "stat"      // FS.Stat, File.Stat
	OpAttr      OpKind = "attr"      // Chmod, Chown, Chtimes
	OpLock      OpKind = "lock"      // Lock
)

// Mutates tells whether operations of this kind change what is on disk, or what
// of it is durable.
func (k OpKind) Mutates() bool {
	switch k {
	case OpOpen, OpRead, OpClose, OpReaddir, OpStat, OpLock:
		return false
	}
	return true
}

// Op is one operation, about to run.
type Op struct {
	Index int64 // 1 for the first since New or Reset
	Kind  OpKind
	Path  string
	To    string // the new name of a rename
	N     int64  // a byte count; see the kinds
	Fault error  // in a trace: what inject returned
}

// String returns the operation as a line of a trace: "write log/1 512 = EIO".
func (o Op) String() string {
	s := fmt.Sprintf("%s %s", o.Kind, o.Path)
	switch o.Kind {
	case OpRename:
		s += " " + o.To
	case OpRead, OpWrite, OpTruncate:
		s += fmt.Sprintf(" %d", o.N)
	}
	if o.Fault != nil {
		s += fmt.Sprintf(" = %v", o.Fault)
	}
	return s
}

// Short is an injected error that lets the first N bytes of a write through.
type Short struct {
	N   int64
	Err error
}

// Error implements error.
func (e *Short) Error() string { return fmt.Sprintf("short write of %d bytes: %v", e.N, e.Err) }

// Unwrap returns the error underneath.
func (e *Short) Unwrap() error { return e.Err }

// After is an injected error that comes after the operation has run: the caller
// sees a failure of something that happened.
type After struct{ Err error }

// Error implements error.
func (e *After) Error() string { return fmt.Sprintf("after the operation: %v", e.Err) }

// Unwrap returns the error underneath.
func (e *After) Unwrap() error { return e.Err }

// FS wraps a filesystem. It is safe for concurrent use; inject is called from
// the goroutine of the operation, without a lock, and may block to add latency.
type FS struct {
	inner vfs.FS

	mu     sync.Mutex
	inject func(Op) error
	count  int64
	trace  []Op
	resets int
}

// New wraps inner. A nil inject only counts and traces.
func New(inner vfs.FS, inject func(op Op) error) *FS { return &FS{inner: inner, inject: inject} }

// Inner returns the wrapped filesystem.
func (fs *FS) Inner() vfs.FS { return fs.inner }

// SetInject replaces the inject function.
func (fs *FS) SetInject(inject func(op Op) error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.inject = inject
}

// Count returns the number of operations since New or Reset.
func (fs *FS) Count() int64 {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fs.count
}

// maxTrace bounds the trace of a long run; the newest operations are kept.
const maxTrace = 1 << 16

// Trace returns the operations since New or Reset, oldest first, failed ones
// included: the last 65,536 at least, and never more than twice as many.
func (fs *FS) Trace() []Op {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return append([]Op(nil), fs.trace...)
}

// Last returns the newest n operations as text, numbered, one a line with the
// fault it met: what a failing test prints.
func (fs *FS) Last(n int) string {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	var b strings.Builder
	for _, op := range fs.trace[max(len(fs.trace)-n, 0):] {
		fmt.Fprintf(&b, "%6d %s\n", op.Index, op)
	}
	return b.String()
}

// Reset forgets the count and the trace. The inject function stays.
func (fs *FS) Reset() {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.count, fs.trace = 0, nil
	fs.resets++
}

// before numbers and records op and asks whether it fails.
func (fs *FS) before(op Op) error {
	fs.mu.Lock()
	fs.count++
	op.Index = fs.count
	if len(fs.trace) >= 2*maxTrace {
		fs.trace = append([]Op(nil), fs.trace[maxTrace:]...)
	}
	fs.trace = append(fs.trace, op)
	inject, resets := fs.inject, fs.resets
	fs.mu.Unlock()
	if inject == nil {
		return nil
	}
	err := inject(op)
	if err != nil {
		fs.mu.Lock()
		defer fs.mu.Unlock()
		if resets == fs.resets && op.Index >= fs.trace[0].Index {
			fs.trace[op.Index-fs.trace[0].Index].Fault = err
		}
	}
	return err
}

// do runs f as op unless a fault says otherwise.
func (fs *FS) do(op Op, f func() error) error {
	err := fs.before(op)
	if err == nil {
		return f()
	}
	var after *After
	if errors.As(err, &after) {
		if ferr := f(); ferr != nil {
			return ferr
		}
	}
	return &os.PathError{Op: string(op.Kind), Path: op.Path, Err: err}
}

// Name implements afero.Fs.
func (fs *FS) Name() string { return "faultfs over " + fs.inner.Name() }

// Caps implements vfs.FS.
func (fs *FS) Caps() vfs.Caps { return fs.inner.Caps() }

// Create implements afero.Fs.
func (fs *FS) Create(name string) (afero.File, error) {
	return fs.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o666)
}

// Open implements afero.Fs.
func (fs *FS) Open(name string) (afero.File, error) { return fs.OpenFile(name, os.O_RDONLY, 0) }

// OpenFile implements afero.Fs.
func (fs *FS) OpenFile(name string, flag int, perm os.FileMode) (afero.File, error) {
	kind := OpOpen
	if flag&os.O_CREATE != 0 {
		kind = OpCreate
	}
	var f afero.File
	err := fs.do(Op{Kind: kind, Path: name}, func() (err error) {
		f, err = fs.inner.OpenFile(name, flag, perm)
		return err
	})
	if err != nil {
		if f != nil {
			f.Close()
		}
		return nil, err
	}
	return &file{fs: fs, File: f, path: name}, nil
}

// Mkdir implements afero.Fs.
func (fs *FS) Mkdir(name string, perm os.FileMode) error {
	return fs.do(Op{Kind: OpMkdir, Path: name}, func() error { return fs.inner.Mkdir(name, perm) })
}

// MkdirAll implements afero.Fs.
func (fs *FS) MkdirAll(name string, perm os.FileMode) error {
	return fs.do(Op{Kind: OpMkdir, Path: name}, func() error { return fs.inner.MkdirAll(name, perm) })
}

// Remove implements afero.Fs.
func (fs *FS) Remove(name string) error {
	return fs.do(Op{Kind: OpRemove, Path: name}, func() error { return fs.inner.Remove(name) })
}

// RemoveAll implements afero.Fs; it is one operation.
func (fs *FS) RemoveAll(name string) error {
	return fs.do(Op{Kind: OpRemoveAll, Path: name}, func() error { return fs.inner.RemoveAll(name) })
}

// Rename implements afero.Fs.
func (fs *FS) Rename(oldname, newname string) error {
	return fs.do(Op{Kind: OpRename, Path: oldname, To: newname}, func() error { return fs.inner.Rename(oldname, newname) })
}

// Replace implements vfs.FS.
func (fs *FS) Replace(oldname, newname string) error {
	return fs.do(Op{Kind: OpRename, Path: oldname, To: newname}, func() error { return fs.inner.Replace(oldname, newname) })
}

// SyncDir implements vfs.FS.
func (fs *FS) SyncDir(dir string) error {
	return fs.do(Op{Kind: OpSyncDir, Path: dir}, func() error { return fs.inner.SyncDir(dir) })
}

// Stat implements afero.Fs.
func (fs *FS) Stat(name string) (st os.FileInfo, err error) {
	err = fs.do(Op{Kind: OpStat, Path: name}, func() (err error) {
		st, err = fs.inner.Stat(name)
		return err
	})
	return st, err
}

// Chmod implements afero.Fs.
func (fs *FS) Chmod(name string, mode os.FileMode) error {
	return fs.do(Op{Kind: OpAttr, Path: name}, func() error { return fs.inner.Chmod(name, mode) })
}

// Chown implements afero.Fs.
func (fs *FS) Chown(name string, uid, gid int) error {
	return fs.do(Op{Kind: OpAttr, Path: name}, func() error { return fs.inner.Chown(name, uid, gid) })
}

// Chtimes implements afero.Fs.
func (fs *FS) Chtimes(name string, atime, mtime time.Time) error {
	return fs.do(Op{Kind: OpAttr, Path: name}, func() error { return fs.inner.Chtimes(name, atime, mtime) })
}

// Lock implements vfs.Locker when the wrapped filesystem does, and fails when it
// does not.
func (fs *FS) Lock(name string) (c io.Closer, err error) {
	l, ok := fs.inner.(vfs.Locker)
	if !ok {
		return nil, fmt.Errorf("lock %s: %s has no locks: %w", name, fs.inner.Name(), errors.ErrUnsupported)
	}
	err = fs.do(Op{Kind: OpLock, Path: name}, func() (err error) {
		c, err = l.Lock(name)
		return err
	})
	if err != nil && c != nil {
		c.Close()
		c = nil
	}
	return c, err
}
