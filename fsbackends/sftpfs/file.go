package sftpfs

import (
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/pkg/sftp"
	"github.com/spf13/afero"

	"github.com/spillwaydb/spillway/internal/sftpconn"
)

// packet is how much one request writes. The client sends more than that as
// several requests at once, which an append would put in any order.
const packet = 32 << 10

// file is an open file of the server.
type file struct {
	fs   *FS
	conn *sftpconn.Conn
	f    *sftp.File
	name string
	flag int

	appending sync.Mutex // held over the requests of one append
	closed    atomic.Bool
}

var _ afero.File = (*file)(nil)

// do runs a call on the file, which the flags have to allow.
func (f *file) do(op string, mode int, call func() error) error {
	err := f.allowed(mode)
	if err == nil {
		err = f.fs.bounded(f.conn, call)
	}
	if err == nil || isEOF(err) {
		return err
	}
	return &os.PathError{Op: op, Path: f.name, Err: number(err)}
}

// The modes that a call needs.
const (
	anyMode = iota
	reading
	writing
	truncating
)

func (f *file) allowed(mode int) error {
	switch access := f.flag & (os.O_WRONLY | os.O_RDWR); {
	case f.closed.Load():
		return os.ErrClosed
	case mode == reading && access == os.O_WRONLY, mode == writing && access == os.O_RDONLY:
		return syscall.EBADF
	case mode == truncating && access == os.O_RDONLY:
		return syscall.EINVAL
	}
	return nil
}

// Name implements afero.File.
func (f *file) Name() string { return f.name }

// Close implements afero.File.
func (f *file) Close() error {
	if f.closed.Swap(true) {
		return &os.PathError{Op: "close", Path: f.name, Err: os.ErrClosed}
	}
	if err := f.fs.bounded(f.conn, f.f.Close); err != nil {
		return &os.PathError{Op: "close", Path: f.name, Err: err}
	}
	return nil
}

// Read implements afero.File.
func (f *file) Read(b []byte) (n int, err error) {
	if len(b) == 0 {
		return 0, f.do("read", anyMode, func() error { return nil })
	}
	err = f.do("read", reading, func() error { n, err = f.f.Read(b); return err })
	if n > 0 && isEOF(err) {
		err = nil // the next one says it
	}
	return n, err
}

// ReadAt implements afero.File.
func (f *file) ReadAt(b []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, &os.PathError{Op: "read", Path: f.name, Err: syscall.EINVAL}
	}
	if len(b) == 0 { // pread(2) is not called then
		return 0, nil
	}
	err = f.do("read", reading, func() error { n, err = f.f.ReadAt(b, off); return err })
	return n, err
}

// Seek implements afero.File.
func (f *file) Seek(off int64, whence int) (pos int64, err error) {
	err = f.do("seek", anyMode, func() error { pos, err = f.f.Seek(off, whence); return err })
	return pos, err
}

// Write implements afero.File.
func (f *file) Write(b []byte) (n int, err error) {
	err = f.do("write", writing, func() error {
		n, err = f.write(b)
		if err == nil && f.flag&os.O_SYNC != 0 {
			err = f.f.Sync()
		}
		return err
	})
	return n, err
}

func (f *file) write(b []byte) (n int, err error) {
	if f.flag&os.O_APPEND == 0 {
		return f.f.Write(b)
	}
	f.appending.Lock()
	defer f.appending.Unlock()
	for n < len(b) && err == nil {
		var k int
		k, err = f.f.Write(b[n:min(len(b), n+packet)])
		n += k
	}
	if err == nil && n > 0 {
		_, err = f.f.Seek(0, io.SeekEnd) // as write(2) leaves it
	}
	return n, err
}

// WriteString implements afero.File.
func (f *file) WriteString(s string) (int, error) { return f.Write([]byte(s)) }

// WriteAt implements afero.File.
func (f *file) WriteAt(b []byte, off int64) (n int, err error) {
	switch {
	case f.flag&os.O_APPEND != 0:
		return 0, &os.PathError{Op: "write", Path: f.name, Err: errAppend}
	case off < 0:
		return 0, &os.PathError{Op: "write", Path: f.name, Err: syscall.EINVAL}
	}
	if len(b) == 0 { // pwrite(2) is not called then
		return 0, nil
	}
	err = f.do("write", writing, func() error {
		n, err = f.f.WriteAt(b, off)
		if err == nil && f.flag&os.O_SYNC != 0 {
			err = f.f.Sync()
		}
		return err
	})
	return n, err
}

var errAppend = errors.New("a file that is open for appending is written at its end only")

// Truncate implements afero.File.
func (f *file) Truncate(size int64) error {
	return f.do("truncate", truncating, func() error {
		if size < 0 {
			return syscall.EINVAL
		}
		return f.f.Truncate(size)
	})
}

// Sync implements afero.File: an fsync on the server.
func (f *file) Sync() error { return f.do("sync", anyMode, f.f.Sync) }

// Stat implements afero.File.
func (f *file) Stat() (st os.FileInfo, err error) {
	err = f.do("stat", anyMode, func() error { st, err = f.f.Stat(); return err })
	return st, err
}

// Readdir implements afero.File; it fails.
func (f *file) Readdir(int) ([]os.FileInfo, error) {
	return nil, f.do("readdir", anyMode, func() error { return syscall.ENOTDIR })
}

// Readdirnames implements afero.File; it fails.
func (f *file) Readdirnames(n int) ([]string, error) {
	_, err := f.Readdir(n)
	return nil, err
}
