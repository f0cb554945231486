//go:build amd64 || arm64

package osfs

import (
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"unsafe"

	"github.com/spillwaydb/spillway/internal/aside"
)

// What changes a directory waits for the filesystem's journal as a write does, and
// is done aside too: in a directory that os.Root has found, which is what keeps it within the
// root. What is not the usual case os.Root does itself. Errors are as it says them.

// openFile is Root.OpenFile, aside where it makes the file.
func (fs *FS) openFile(p string, flag int, perm os.FileMode) (*os.File, error) {
	if flag&os.O_CREATE == 0 {
		return fs.root.OpenFile(p, flag, perm)
	}
	var fd int
	e, found := fs.in(p, func(dir, name uintptr) (e syscall.Errno) {
		fd, e = aside.Call(syscall.SYS_OPENAT, dir, name, uintptr(flag|syscall.O_EXCL|syscall.O_NOFOLLOW|syscall.O_CLOEXEC), uintptr(perm.Perm()))
		return e
	})
	switch {
	case !found, e == syscall.EEXIST && flag&os.O_EXCL == 0:
		return fs.root.OpenFile(p, flag, perm)
	case e != 0:
		return nil, &os.PathError{Op: "openat", Path: p, Err: e}
	}
	return os.NewFile(uintptr(fd), filepath.Join(fs.root.Name(), p)), nil
}

// mkdir is Root.Mkdir, aside.
func (fs *FS) mkdir(p string, perm os.FileMode) error {
	e, found := fs.in(p, func(dir, name uintptr) syscall.Errno {
		_, e := aside.Call(syscall.SYS_MKDIRAT, dir, name, uintptr(perm.Perm()), 0)
		return e
	})
	switch {
	case !found:
		return fs.root.Mkdir(p, perm)
	case e != 0:
		return &os.PathError{Op: "mkdirat", Path: p, Err: e}
	}
	return nil
}

// remove is Root.Remove, aside.
func (fs *FS) remove(p string) error {
	e, found := fs.in(p, func(dir, name uintptr) syscall.Errno {
		_, e := aside.Call(syscall.SYS_UNLINKAT, dir, name, 0, 0)
		if e == syscall.EISDIR {
			_, e = aside.Call(syscall.SYS_UNLINKAT, dir, name, removeDir, 0)
		}
		return e
	})
	switch {
	case !found:
		return fs.root.Remove(p)
	case e != 0:
		return &os.PathError{Op: "removeat", Path: p, Err: e}
	}
	return nil
}

const removeDir = 0x200 // AT_REMOVEDIR

// rename is Root.Rename, aside unless there is a directory in the way.
func (fs *FS) rename(from, to string) error {
	if st, err := fs.root.Lstat(to); err == nil && st.IsDir() {
		return fs.root.Rename(from, to)
	}
	found := false
	e, was := fs.in(from, func(fromDir, fromName uintptr) (e syscall.Errno) {
		e, found = fs.in(to, func(toDir, toName uintptr) syscall.Errno {
			_, e := aside.Call(syscall.SYS_RENAMEAT, fromDir, fromName, toDir, toName)
			return e
		})
		return e
	})
	switch {
	case !was || !found:
		return fs.root.Rename(from, to)
	case e != 0:
		return &os.LinkError{Op: "renameat", Old: from, New: to, Err: e}
	}
	return nil
}

// in calls with the directory that p is in, and with the name that it has there, as the kernel takes
// them, again after a signal. Where that directory is not found it does nothing.
func (fs *FS) in(p string, call func(dir, name uintptr) syscall.Errno) (e syscall.Errno, found bool) {
	name, err := syscall.BytePtrFromString(filepath.Base(p))
	if err != nil {
		return 0, false
	}
	dir, err := fs.root.Open(filepath.Dir(p))
	if err != nil {
		return 0, false
	}
	defer dir.Close()
	raw, err := dir.SyscallConn()
	if err != nil {
		return 0, false
	}
	var pin runtime.Pinner
	pin.Pin(name)
	defer pin.Unpin()
	err = raw.Control(func(fd uintptr) {
		for e = syscall.EINTR; e == syscall.EINTR; {
			e = call(fd, uintptr(unsafe.Pointer(name)))
		}
	})
	return e, err == nil
}
