package memfs

import (
	"errors"
	"io"
	"os"
	"syscall"
	"time"

	"github.com/spf13/afero"
)

var _ afero.File = (*file)(nil)

// file is one open handle. Its offset is guarded by FS.mu too.
type file struct {
	fs     *FS
	n      *inode
	name   string
	flag   int
	off    int64
	closed bool
	list   []os.FileInfo // what Readdir has still to return
	listed bool
}

func (f *file) fail(op string, err error) error { return pathError(op, f.name, err) }

// check refuses a call on a closed handle, or on one that lacks the access.
func (f *file) check(read, write bool) error {
	mode := f.flag & (os.O_RDONLY | os.O_WRONLY | os.O_RDWR)
	switch {
	case f.closed:
		return os.ErrClosed
	case read && mode == os.O_WRONLY, write && mode == os.O_RDONLY:
		return syscall.EBADF
	case (read || write) && f.n.isDir():
		return syscall.EISDIR
	}
	return nil
}

// Name implements afero.File: the name it was opened with.
func (f *file) Name() string { return f.name }

// Close implements afero.File. It makes nothing durable.
func (f *file) Close() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.closed {
		return f.fail("close", os.ErrClosed)
	}
	f.closed = true
	f.n.opens--
	f.fs.release(f.n)
	return nil
}

// Read implements io.Reader.
func (f *file) Read(b []byte) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	switch err := f.check(true, false); {
	case err != nil && (len(b) > 0 || errors.Is(err, os.ErrClosed)):
		return 0, f.fail("read", err)
	case len(b) == 0:
		return 0, nil
	}
	n := f.n.live.readAt(b, f.off)
	f.off += int64(n)
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// ReadAt implements io.ReaderAt.
func (f *file) ReadAt(b []byte, off int64) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	switch err := f.check(true, false); {
	case off < 0:
		return 0, f.fail("readat", errNegative)
	case len(b) == 0:
		return 0, nil
	case err != nil:
		return 0, f.fail("read", err)
	}
	n := f.n.live.readAt(b, off)
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// Seek implements io.Seeker.
func (f *file) Seek(offset int64, whence int) (int64, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.closed {
		return 0, f.fail("seek", os.ErrClosed)
	}
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		offset += f.off
	case io.SeekEnd:
		offset += f.n.live.size
	default:
		return 0, f.fail("seek", syscall.EINVAL)
	}
	if offset < 0 {
		return 0, f.fail("seek", syscall.EINVAL)
	}
	if f.n.isDir() {
		f.list, f.listed = nil, false
	}
	f.off = offset
	return offset, nil
}

// Write implements io.Writer. With O_APPEND it writes at the end, in one step.
func (f *file) Write(b []byte) (int, error) {
	n, err := f.write(b, func() int64 {
		if f.flag&os.O_APPEND != 0 {
			return f.n.live.size
		}
		return f.off
	}, true)
	return n, err
}

// WriteString implements afero.File.
func (f *file) WriteString(s string) (int, error) { return f.Write([]byte(s)) }

// These are what os.File says too, before it looks at anything else.
var (
	errAppendAt = errors.New("invalid use of WriteAt on file opened with O_APPEND")
	errNegative = errors.New("negative offset")
)

// WriteAt implements io.WriterAt.
func (f *file) WriteAt(b []byte, off int64) (int, error) {
	if f.flag&os.O_APPEND != 0 {
		return 0, f.fail("writeat", errAppendAt)
	}
	if off < 0 {
		return 0, f.fail("writeat", errNegative)
	}
	if len(b) == 0 {
		return 0, nil
	}
	return f.write(b, func() int64 { return off }, false)
}

// write writes b at the offset that at returns under the lock. A quota cuts it
// short.
func (f *file) write(b []byte, at func() int64, advance bool) (int, error) {
	n, err := f.writeLocked(b, at, advance)
	if err == nil && n > 0 && f.flag&os.O_SYNC != 0 {
		err = f.Sync()
	}
	return n, err
}

func (f *file) writeLocked(b []byte, at func() int64, advance bool) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.check(false, true); err != nil {
		return 0, f.fail("write", err)
	}
	if len(b) == 0 {
		return 0, nil // and O_APPEND does not move the offset
	}
	off := at()
	if err := checkSize(off); err != nil {
		return 0, f.fail("write", err)
	}
	if err := checkSize(off + int64(len(b))); err != nil {
		return 0, f.fail("write", err)
	}
	size := f.n.live.size
	room := int64(len(b)) // how much of b may be written
	if grow := off + room - size; grow > f.fs.free() {
		room = max(size+f.fs.free()-off, 0)
	}
	if room > 0 {
		f.n.writeAt(b[:room], off)
		f.n.mtime = time.Now()
		f.fs.used += f.n.live.size - size
	}
	if advance {
		f.off = off + room
	}
	if room < int64(len(b)) {
		return int(room), f.fail("write", syscall.ENOSPC)
	}
	return int(room), nil
}

// Truncate implements afero.File.
func (f *file) Truncate(size int64) error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.check(false, true); err != nil {
		if errors.Is(err, syscall.EBADF) {
			err = syscall.EINVAL // as ftruncate(2) says
		}
		return f.fail("truncate", err)
	}
	if err := checkSize(size); err != nil {
		return f.fail("truncate", err)
	}
	grow := size - f.n.live.size
	if grow > f.fs.free() {
		return f.fail("truncate", syscall.ENOSPC)
	}
	f.n.resize(size)
	f.n.mtime = time.Now()
	f.fs.used += grow
	return nil
}

// Sync implements afero.File: the content is durable once it returns nil. On a
// directory it is SyncDir. When it fails the dirty pages are dropped.
func (f *file) Sync() error {
	fault := f.fs.checkSync(f.name)
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	switch {
	case f.closed:
		return f.fail("sync", os.ErrClosed)
	case fault != nil:
		f.n.drop()
		return f.fail("sync", fault)
	case f.n.isDir():
		f.fs.syncDir(f.n)
	default:
		f.n.sync()
	}
	return nil
}

// DropDirty does what a failed fsync does to the pages that are not synced: they
// stay readable and no later Sync writes them. Wrappers that inject sync errors
// call it.
func (f *file) DropDirty() {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	f.n.drop()
}

// Stat implements afero.File.
func (f *file) Stat() (os.FileInfo, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.closed {
		return nil, f.fail("stat", os.ErrClosed)
	}
	return f.n.info(base(f.name)), nil
}

// Readdir implements afero.File: entries in name order, as of the first call
// since opening or seeking.
func (f *file) Readdir(count int) ([]os.FileInfo, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	switch {
	case f.closed:
		return nil, f.fail("readdir", os.ErrClosed)
	case !f.n.isDir():
		return nil, f.fail("readdir", syscall.ENOTDIR)
	case f.n.links == 0 && f.n != f.fs.root:
		return nil, f.fail("readdir", syscall.ENOENT) // removed, and empty
	}
	if !f.listed {
		f.listed = true
		for _, name := range sortedNames(f.n.entries) {
			f.list = append(f.list, f.n.entries[name].info(name))
		}
	}
	if count > 0 && len(f.list) == 0 {
		return nil, io.EOF
	}
	n := len(f.list)
	if count > 0 {
		n = min(n, count)
	}
	out := f.list[:n:n]
	f.list = f.list[n:]
	return out, nil
}

// Readdirnames implements afero.File.
func (f *file) Readdirnames(count int) ([]string, error) {
	infos, err := f.Readdir(count)
	names := make([]string, len(infos))
	for i, st := range infos {
		names[i] = st.Name()
	}
	return names, err
}

// fileInfo is a snapshot of an inode.
type fileInfo struct {
	name  string
	size  int64
	mode  os.FileMode
	mtime time.Time
}

func (n *inode) info(name string) os.FileInfo {
	return fileInfo{name: name, size: n.live.size, mode: n.mode, mtime: n.mtime}
}

func (st fileInfo) Name() string       { return st.name }
func (st fileInfo) Size() int64        { return st.size }
func (st fileInfo) Mode() os.FileMode  { return st.mode }
func (st fileInfo) ModTime() time.Time { return st.mtime }
func (st fileInfo) IsDir() bool        { return st.mode.IsDir() }
func (st fileInfo) Sys() any           { return nil }
