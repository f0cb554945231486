package osfs

import (
	"errors"
	"fmt"
	iofs "io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/afero"

	"github.com/spillwaydb/spillway/core/vfs"
)

var _ vfs.FS = (*FS)(nil)

// permMask is what is left of the permissions callers ask for.
const permMask = 0o700

// errRoot is the answer to who would remove or rename the root, the same for
// all systems.
var errRoot error = syscall.EINVAL

// FS is a directory of the operating system.
type FS struct {
	dir  string
	root *os.Root
}

// New opens the directory at root. Missing directories are created with mode
// 0700 and made durable; an existing one keeps its mode.
func New(root string) (vfs.FS, error) {
	if root == "" {
		return nil, errors.New("open filesystem: the root directory is empty; use . for the current one")
	}
	abs, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("open filesystem %s: %w", root, err)
	}
	if err := makeRoot(abs); err != nil {
		return nil, fmt.Errorf("open filesystem %s: %w", root, err)
	}
	r, err := os.OpenRoot(abs)
	if err != nil {
		return nil, fmt.Errorf("open filesystem %s: %w", root, err)
	}
	return &FS{dir: abs, root: r}, nil
}

// makeRoot creates dir and its parents, syncing the parent of each it creates.
func makeRoot(dir string) error {
	st, err := os.Stat(dir)
	if err == nil {
		if !st.IsDir() {
			return fmt.Errorf("%s is a file, not a directory", dir)
		}
		return nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	parent := filepath.Dir(dir)
	if err := makeRoot(parent); err != nil {
		return err
	}
	if err := os.Mkdir(dir, permMask); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	f, err := os.Open(parent)
	if err != nil {
		return nil // a parent we may not read is not ours to sync
	}
	defer f.Close()
	return syncDir(f)
}

// Dir returns the absolute path of the root directory.
func (fs *FS) Dir() string { return fs.dir }

// Close gives the handle of the root directory back. Files that are open stay
// usable; every other call fails from then on.
func (fs *FS) Close() error { return fs.root.Close() }

// Name implements afero.Fs.
func (fs *FS) Name() string { return "osfs " + fs.dir }

// Caps implements vfs.FS.
func (fs *FS) Caps() vfs.Caps {
	return vfs.Caps{Durable: true, AtomicReplace: true, SyncDir: canSyncDir, Append: true, Inodes: true, Lock: canLock}
}

// clean checks a path and turns it into the platform's form.
func clean(op, name string) (string, error) {
	p, err := vfs.Clean(name)
	if err != nil {
		return "", &os.PathError{Op: op, Path: name, Err: err}
	}
	return filepath.FromSlash(p), nil
}

// Create implements afero.Fs: read-write, created with mode 0600 or truncated.
func (fs *FS) Create(name string) (afero.File, error) {
	return fs.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
}

// Open implements afero.Fs: read-only.
func (fs *FS) Open(name string) (afero.File, error) { return fs.OpenFile(name, os.O_RDONLY, 0) }

// OpenFile implements afero.Fs. What is neither a regular file nor a directory
// is refused, at once and with an error that wraps vfs.ErrNotRegular: the open of
// a named pipe waits for somebody at its other end.
func (fs *FS) OpenFile(name string, flag int, perm os.FileMode) (afero.File, error) {
	p, err := clean("open", name)
	if err != nil {
		return nil, err
	}
	f, err := fs.open(p, flag, perm&permMask)
	if err != nil {
		return nil, err // not f: a nil *os.File in an interface is not nil
	}
	return file{f}, nil
}

// file is an open file.
type file struct{ *os.File }

var _ vfs.Aside = file{}

// SyncAside implements vfs.Aside.
func (f file) SyncAside() error { return syncAside(f.File) }

// WriteAside implements vfs.Aside.
func (f file) WriteAside(b []byte) (int, error) { return writeAside(f.File, b) }

// PushAside implements vfs.Aside.
func (f file) PushAside(off, n int64) error { return pushAside(f.File, off, n) }

// open is OpenFile with a path that is checked.
func (fs *FS) open(p string, flag int, perm os.FileMode) (*os.File, error) {
	refuse := func(mode os.FileMode) error {
		return &os.PathError{Op: "open", Path: p, Err: vfs.CheckRegular(mode)}
	}
	f, err := fs.openFile(p, flag|openAtOnce, perm)
	if err != nil {
		// Sockets, and pipes that nobody reads, refuse by themselves.
		if st, serr := fs.root.Stat(p); serr == nil && !st.Mode().IsRegular() && !st.IsDir() {
			return nil, refuse(st.Mode())
		}
		return nil, err
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() && !st.IsDir() {
		err = refuse(st.Mode())
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// Mkdir implements afero.Fs.
func (fs *FS) Mkdir(name string, perm os.FileMode) error {
	p, err := clean("mkdir", name)
	if err != nil {
		return err
	}
	return fs.mkdir(p, perm&permMask)
}

// MkdirAll implements afero.Fs.
func (fs *FS) MkdirAll(name string, perm os.FileMode) error {
	p, err := clean("mkdir", name)
	if err != nil {
		return err
	}
	return fs.root.MkdirAll(p, perm&permMask)
}

// Remove implements afero.Fs: a file, or an empty directory. A large file is forgotten first.
func (fs *FS) Remove(name string) error {
	p, err := clean("remove", name)
	if err != nil {
		return err
	}
	if p == "." {
		return &os.PathError{Op: "remove", Path: name, Err: errRoot}
	}
	fs.forget(p)
	return fs.remove(p)
}

// RemoveAll implements afero.Fs. The root itself is refused. Files go one by one, as Remove
// removes them.
func (fs *FS) RemoveAll(name string) error {
	p, err := clean("removeall", name)
	if err != nil {
		return err
	}
	if p == "." {
		return &os.PathError{Op: "removeall", Path: name, Err: errRoot}
	}
	if st, err := fs.root.Lstat(p); err == nil && st.IsDir() { // no link to one
		_ = iofs.WalkDir(fs.root.FS(), filepath.ToSlash(p), func(at string, d iofs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				at = filepath.FromSlash(at)
				fs.forget(at)
				_ = fs.remove(at)
			}
			return nil
		})
		_ = fs.remove(p)
	}
	// There is nothing left to do as a rule, or it tells why.
	return fs.root.RemoveAll(p)
}

// forgetBytes is how much of a file is forgotten at once, some hundred microseconds of work. Linux
// keeps a file in pieces of up to two megabytes, and forgets none of which it is asked for a part.
const forgetBytes = 2 << 20

// forget has the system drop what its cache has of a large file, step by step, before the
// file is removed. Otherwise the one call that removes it does that, 10 ms and more for
// 100 MB, in which who shares a processor with it waits: after a checkpoint every
// client of a server with one processor waited so for the old log. What it cannot do, the removal does.
func (fs *FS) forget(p string) {
	st, err := fs.root.Lstat(p)
	if err != nil || !st.Mode().IsRegular() || st.Size() <= forgetBytes {
		return
	}
	f, err := fs.open(p, os.O_RDONLY, 0)
	if err != nil {
		return
	}
	defer f.Close()
	for off := int64(0); off < st.Size(); off += forgetBytes {
		if forgetAside(f, off, forgetBytes) != nil {
			return
		}
	}
}

// Rename implements afero.Fs.
func (fs *FS) Rename(oldname, newname string) error {
	from, err := clean("rename", oldname)
	if err != nil {
		return err
	}
	to, err := clean("rename", newname)
	if err != nil {
		return err
	}
	if from == "." || to == "." {
		return &os.LinkError{Op: "rename", Old: oldname, New: newname, Err: errRoot}
	}
	return fs.rename(from, to)
}

// Replace implements vfs.FS; rename(2) is it.
func (fs *FS) Replace(oldname, newname string) error { return fs.Rename(oldname, newname) }

// SyncDir implements vfs.FS.
func (fs *FS) SyncDir(dir string) error {
	p, err := clean("syncdir", dir)
	if err != nil {
		return err
	}
	f, err := fs.open(p, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if !st.IsDir() {
		return &os.PathError{Op: "syncdir", Path: dir, Err: errNotDir}
	}
	return syncDir(f)
}

// Stat implements afero.Fs, following links inside the root.
func (fs *FS) Stat(name string) (os.FileInfo, error) {
	p, err := clean("stat", name)
	if err != nil {
		return nil, err
	}
	return fs.root.Stat(p)
}

// Chmod implements afero.Fs; group and others get nothing.
func (fs *FS) Chmod(name string, mode os.FileMode) error {
	p, err := clean("chmod", name)
	if err != nil {
		return err
	}
	return fs.root.Chmod(p, mode&permMask)
}

// Chown implements afero.Fs.
func (fs *FS) Chown(name string, uid, gid int) error {
	p, err := clean("chown", name)
	if err != nil {
		return err
	}
	return fs.root.Chown(p, uid, gid)
}

// Chtimes implements afero.Fs.
func (fs *FS) Chtimes(name string, atime, mtime time.Time) error {
	p, err := clean("chtimes", name)
	if err != nil {
		return err
	}
	return fs.root.Chtimes(p, atime, mtime)
}
