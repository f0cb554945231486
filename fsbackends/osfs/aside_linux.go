//go:build amd64 || arm64 || riscv64 || loong64

package osfs

import (
	"errors"
	"io"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"github.com/spillwaydb/spillway/internal/aside"
)

// callAside calls with the descriptor of f, which stays open meanwhile, again
// after a signal. Its errors are those of a method of os.File that is called op.
func callAside(f *os.File, op string, call func(fd uintptr) (int, syscall.Errno)) (n int, err error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return 0, err
	}
	e := syscall.EINTR
	err = raw.Control(func(fd uintptr) {
		for e == syscall.EINTR {
			n, e = call(fd)
		}
	})
	switch {
	case err != nil: // what it says of a closed file differs from what the methods say
		return 0, &os.PathError{Op: op, Path: f.Name(), Err: os.ErrClosed}
	case e != 0:
		return 0, &os.PathError{Op: op, Path: f.Name(), Err: e}
	}
	return n, nil
}

// syncAside is fsync(2).
func syncAside(f *os.File) error {
	_, err := callAside(f, "sync", func(fd uintptr) (int, syscall.Errno) {
		return aside.Call(syscall.SYS_FSYNC, fd, 0, 0, 0)
	})
	return err
}

// maxWrite is what one write(2) is given: it takes no more than 2 GiB anyway.
const maxWrite = 1 << 30

// writeAside is write(2), until all is written.
func writeAside(f *os.File, b []byte) (n int, err error) {
	for n < len(b) {
		rest := b[n:min(len(b), n+maxWrite)]
		w, err := callAside(f, "write", func(fd uintptr) (int, syscall.Errno) {
			return aside.Call(syscall.SYS_WRITE, fd, uintptr(unsafe.Pointer(unsafe.SliceData(rest))), uintptr(len(rest)), 0)
		})
		runtime.KeepAlive(b)
		if err != nil {
			return n, err
		}
		if w == 0 {
			return n, &os.PathError{Op: "write", Path: f.Name(), Err: io.ErrUnexpectedEOF}
		}
		n += w
	}
	return n, nil
}

// Flags of sync_file_range(2).
const (
	rangeWaitBefore = 1 // for what is being written already
	rangeWrite      = 2 // begin to write what is not
)

// pushAside is sync_file_range(2).
func pushAside(f *os.File, off, n int64) error {
	_, err := callAside(f, "sync_file_range", func(fd uintptr) (int, syscall.Errno) {
		return aside.Call(syscall.SYS_SYNC_FILE_RANGE, fd, uintptr(off), uintptr(n), rangeWaitBefore|rangeWrite)
	})
	switch {
	case errors.Is(err, syscall.ENOSYS), errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EINVAL), errors.Is(err, syscall.ESPIPE):
		return errors.ErrUnsupported // by the kernel, a filter of system calls, or the kind of file
	}
	return err
}

const adviseDontNeed = 4 // POSIX_FADV_DONTNEED

// forgetAside is posix_fadvise(2): the system need not keep these bytes in its cache.
func forgetAside(f *os.File, off, n int64) error {
	_, err := callAside(f, "fadvise", func(fd uintptr) (int, syscall.Errno) {
		return aside.Call(syscall.SYS_FADVISE64, fd, uintptr(off), uintptr(n), adviseDontNeed)
	})
	return err
}
