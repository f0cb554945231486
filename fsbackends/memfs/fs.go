package memfs

import (
	"errors"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/afero"

	"github.com/spillwaydb/spillway/core/vfs"
)

var (
	_ vfs.FS     = (*FS)(nil)
	_ vfs.Locker = (*FS)(nil)
)

// FS is an in-memory filesystem that can crash. Make one with New.
type FS struct {
	mu        sync.Mutex
	root      *inode
	pending   []*op // directory edits no SyncDir has covered, oldest first
	used      int64 // live bytes of all files that have a name or a handle
	quota     int64 // 0: none
	locks     map[string]bool
	syncFault func(name string) error
}

// New returns an empty filesystem. Its root is durable.
func New() *FS {
	return &FS{root: newDir(0o700, time.Now()), locks: map[string]bool{}}
}

// Name implements afero.Fs.
func (fs *FS) Name() string { return "memfs" }

// Caps implements vfs.FS: memfs promises everything.
func (fs *FS) Caps() vfs.Caps {
	return vfs.Data
}

// SetQuota limits the live bytes of all files together; 0 or less lifts the
// limit. What is there already stays. Past the limit writes are cut short with
// ENOSPC and new files and directories are refused.
func (fs *FS) SetQuota(bytes int64) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.quota = max(bytes, 0)
}

// Used returns the live bytes of all files, open but removed ones included.
func (fs *FS) Used() int64 {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fs.used
}

// FailSync installs fault, which is asked before every File.Sync and SyncDir
// with the name of the file or directory; nil removes it. When it returns an
// error the sync fails with it. A failed File.Sync drops the file's dirty pages
// for good, as Linux does; a failed SyncDir leaves its edits pending.
func (fs *FS) FailSync(fault func(name string) error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.syncFault = fault
}

// checkSync asks the fault hook without holding the lock.
func (fs *FS) checkSync(name string) error {
	fs.mu.Lock()
	fault := fs.syncFault
	fs.mu.Unlock()
	if fault == nil {
		return nil
	}
	return fault(name)
}

// free returns how many bytes may still be added.
func (fs *FS) free() int64 {
	if fs.quota == 0 {
		return maxFileSize
	}
	return max(fs.quota-fs.used, 0)
}

// walk returns the inode at a clean path.
func (fs *FS) walk(p string) (*inode, error) {
	n := fs.root
	if p == "." {
		return n, nil
	}
	for elem := range strings.SplitSeq(p, "/") {
		if !n.isDir() {
			return nil, syscall.ENOTDIR
		}
		next := n.entries[elem]
		if next == nil {
			return nil, syscall.ENOENT
		}
		n = next
	}
	return n, nil
}

// parent returns the directory that holds a clean path, and the last element.
// The root has no parent.
func (fs *FS) parent(p string) (*inode, string, error) {
	if p == "." {
		return nil, "", syscall.EINVAL
	}
	dir, name := path.Split(p)
	d, err := fs.walk(path.Clean(dir))
	if err != nil {
		return nil, "", err
	}
	if !d.isDir() {
		return nil, "", syscall.ENOTDIR
	}
	return d, name, nil
}

// pathError wraps err unless it is nil.
func pathError(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &os.PathError{Op: op, Path: name, Err: err}
}

// on runs f on the inode of name under the lock.
func (fs *FS) on(op, name string, f func(*inode)) error {
	p, err := vfs.Clean(name)
	if err != nil {
		return pathError(op, name, err)
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	n, err := fs.walk(p)
	if err != nil {
		return pathError(op, name, err)
	}
	f(n)
	return nil
}

// Create implements afero.Fs: read-write, created or truncated.
func (fs *FS) Create(name string) (afero.File, error) {
	return fs.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o666)
}

// Open implements afero.Fs: read-only.
func (fs *FS) Open(name string) (afero.File, error) { return fs.OpenFile(name, os.O_RDONLY, 0) }

// OpenFile implements afero.Fs with the flags' POSIX meaning. O_SYNC makes each
// write durable before it returns.
func (fs *FS) OpenFile(name string, flag int, perm os.FileMode) (afero.File, error) {
	p, err := vfs.Clean(name)
	if err != nil {
		return nil, pathError("open", name, err)
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	n, err := fs.openInode(p, flag, perm)
	if err != nil {
		return nil, pathError("open", name, err)
	}
	n.opens++
	return &file{fs: fs, n: n, name: name, flag: flag}, nil
}

func (fs *FS) openInode(p string, flag int, perm os.FileMode) (*inode, error) {
	writes := flag&(os.O_WRONLY|os.O_RDWR) != 0
	if p == "." {
		switch {
		case flag&(os.O_CREATE|os.O_EXCL) == os.O_CREATE|os.O_EXCL:
			return nil, syscall.EEXIST
		case writes || flag&(os.O_CREATE|os.O_TRUNC) != 0:
			return nil, syscall.EISDIR
		}
		return fs.root, nil
	}
	dir, base, err := fs.parent(p)
	if err != nil {
		return nil, err
	}
	n := dir.entries[base]
	switch {
	case n == nil && flag&os.O_CREATE == 0:
		return nil, syscall.ENOENT
	case n == nil:
		if fs.free() == 0 {
			return nil, syscall.ENOSPC
		}
		n = newFile(perm, time.Now())
		fs.apply(edit{dir, base, n})
		return n, nil
	case flag&(os.O_CREATE|os.O_EXCL) == os.O_CREATE|os.O_EXCL:
		return nil, syscall.EEXIST
	case n.isDir() && (writes || flag&(os.O_CREATE|os.O_TRUNC) != 0):
		return nil, syscall.EISDIR
	case flag&os.O_TRUNC != 0:
		fs.used -= n.live.size
		n.resize(0)
		n.mtime = time.Now()
	}
	return n, nil
}

// Mkdir implements afero.Fs.
func (fs *FS) Mkdir(name string, perm os.FileMode) error {
	p, err := vfs.Clean(name)
	if err != nil {
		return pathError("mkdir", name, err)
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return pathError("mkdir", name, fs.mkdir(p, perm))
}

func (fs *FS) mkdir(p string, perm os.FileMode) error {
	if p == "." {
		return syscall.EEXIST
	}
	dir, base, err := fs.parent(p)
	if err != nil {
		return err
	}
	if dir.entries[base] != nil {
		return syscall.EEXIST
	}
	if fs.free() == 0 {
		return syscall.ENOSPC
	}
	fs.apply(edit{dir, base, newDir(perm, time.Now())})
	return nil
}

// MkdirAll implements afero.Fs.
func (fs *FS) MkdirAll(name string, perm os.FileMode) error {
	p, err := vfs.Clean(name)
	if err != nil {
		return pathError("mkdir", name, err)
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for i := 0; i <= len(p); i++ {
		if i < len(p) && p[i] != '/' {
			continue
		}
		if n, err := fs.walk(p[:i]); err == nil {
			if !n.isDir() && i == len(p) {
				return pathError("mkdir", name, syscall.EEXIST)
			}
		} else if err := fs.mkdir(p[:i], perm); err != nil {
			return pathError("mkdir", name, err)
		}
	}
	return nil
}

// Remove implements afero.Fs: a file, or an empty directory.
func (fs *FS) Remove(name string) error {
	p, err := vfs.Clean(name)
	if err != nil {
		return pathError("remove", name, err)
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	dir, base, err := fs.parent(p)
	if err != nil {
		return pathError("remove", name, err)
	}
	n := dir.entries[base]
	switch {
	case n == nil:
		return pathError("remove", name, syscall.ENOENT)
	case n.isDir() && len(n.entries) > 0:
		return pathError("remove", name, syscall.ENOTEMPTY)
	}
	fs.apply(edit{dir, base, nil})
	return nil
}

// RemoveAll implements afero.Fs. Each name under it is removed by an edit of
// its own, so a crash may leave a part of the tree.
func (fs *FS) RemoveAll(name string) error {
	p, err := vfs.Clean(name)
	if err != nil {
		return pathError("removeall", name, err)
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	dir, base, err := fs.parent(p)
	if errors.Is(err, syscall.ENOENT) {
		return nil
	}
	if err != nil {
		return pathError("removeall", name, err)
	}
	if n := dir.entries[base]; n != nil {
		fs.removeTree(n)
		fs.apply(edit{dir, base, nil})
	}
	return nil
}

func (fs *FS) removeTree(n *inode) {
	for _, name := range sortedNames(n.entries) {
		fs.removeTree(n.entries[name])
		fs.apply(edit{n, name, nil})
	}
}

// Rename implements afero.Fs: atomic, a file over an existing file too, and
// without making parents. Like Go's os package, and unlike POSIX, it refuses to
// replace a directory, even an empty one.
func (fs *FS) Rename(oldname, newname string) error {
	fail := func(err error) error {
		return &os.LinkError{Op: "rename", Old: oldname, New: newname, Err: err}
	}
	from, err := vfs.Clean(oldname)
	if err != nil {
		return fail(err)
	}
	to, err := vfs.Clean(newname)
	if err != nil {
		return fail(err)
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if from == "." || to == "." {
		return fail(syscall.EINVAL)
	}
	fromDir, fromBase, err := fs.parent(from)
	if err != nil {
		return fail(err)
	}
	toDir, toBase, err := fs.parent(to)
	if err != nil {
		return fail(err)
	}
	n, over := fromDir.entries[fromBase], toDir.entries[toBase]
	switch {
	case n == nil:
		return fail(syscall.ENOENT)
	case over != nil && over.isDir():
		return fail(syscall.EEXIST)
	case n == over:
		return nil
	case n.isDir() && strings.HasPrefix(to, from+"/"):
		return fail(syscall.EINVAL)
	case n.isDir() && over != nil:
		return fail(syscall.ENOTDIR)
	}
	fs.apply(edit{fromDir, fromBase, nil}, edit{toDir, toBase, n})
	return nil
}

// Replace implements vfs.FS; it is Rename.
func (fs *FS) Replace(oldname, newname string) error { return fs.Rename(oldname, newname) }

// Stat implements afero.Fs.
func (fs *FS) Stat(name string) (os.FileInfo, error) {
	var st os.FileInfo
	err := fs.on("stat", name, func(n *inode) { st = n.info(base(name)) })
	return st, err
}

// Chmod implements afero.Fs; the bits are stored, not enforced.
func (fs *FS) Chmod(name string, mode os.FileMode) error {
	return fs.on("chmod", name, func(n *inode) { n.mode = n.mode&^os.ModePerm | mode.Perm() })
}

// Chown implements afero.Fs; the owner is stored, not enforced.
func (fs *FS) Chown(name string, uid, gid int) error {
	return fs.on("chown", name, func(n *inode) { n.uid, n.gid = uid, gid })
}

// Chtimes implements afero.Fs; there are no access times.
func (fs *FS) Chtimes(name string, _, mtime time.Time) error {
	return fs.on("chtimes", name, func(n *inode) { n.mtime = mtime })
}

// base is the last element of a name, "." for the root.
func base(name string) string { return path.Base(path.Clean(name)) }

func sortedNames(m map[string]*inode) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
