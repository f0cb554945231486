package osfs

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// syncAside makes an open file or directory durable as fsync(2) does, and keeps no
// processor meanwhile.
//
// A goroutine in fsync(2) has one of Go's processors until sysmon takes that away, which
// may look every 10 ms only, and has to find the call twice: a server with one processor
// served nobody for up to 20 ms of each of the twenty fsyncs in a checkpoint of 80 MB.
// So the kernel is asked by io_submit(2), whose IOCB_CMD_FSYNC (Linux 4.18) is the same
// fsync by a thread of its own, and the goroutine waits for an eventfd, parked.
// Where the kernel does not have it, or something forbids it, fsync(2) it is.
func syncAside(f *os.File) error {
	a, err := takeAside()
	if err != nil {
		return f.Sync()
	}
	defer giveAside(a)
	err = a.sync(f)
	switch {
	case errors.Is(err, errNotAside):
		return f.Sync()
	case err != nil:
		return &os.PathError{Op: "sync", Path: f.Name(), Err: err}
	}
	return nil
}

// errNotAside says that nothing was asked of the kernel, which does not do it.
var errNotAside = errors.New("the kernel does not fsync aside")

// aside is an AIO context for one fsync at a time, and the eventfd that tells of its end.
type aside struct {
	ctx  uintptr // aio_context_t
	done *os.File
	fd   uint32 // of done
	cb   iocb
	list *iocb // what io_submit is given: an array of one
	owed bool  // the kernel was asked, and has not answered
}

// iocb is struct iocb of linux/aio_abi.h.
type iocb struct {
	_      [2]uint64 // what the event is to say; key and flags
	opcode uint16
	_      int16
	fd     uint32
	_      [4]uint64 // buffer, length, offset, reserved
	how    uint32    // IOCB_FLAG_…
	doneFD uint32
}

// ioEvent is struct io_event of linux/aio_abi.h.
type ioEvent struct {
	_      [2]uint64
	result int64
	_      int64
}

const (
	iocbFsync = 2 // IOCB_CMD_FSYNC
	iocbResFD = 1 // IOCB_FLAG_RESFD: doneFD is an eventfd to write to
)

func newAside() (*aside, error) {
	a := &aside{}
	a.list = &a.cb
	if _, _, e := unix.Syscall(unix.SYS_IO_SETUP, 1, uintptr(unsafe.Pointer(&a.ctx)), 0); e != 0 {
		return nil, os.NewSyscallError("io_setup", e)
	}
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		_, _, _ = unix.Syscall(unix.SYS_IO_DESTROY, a.ctx, 0, 0)
		return nil, os.NewSyscallError("eventfd", err)
	}
	a.fd, a.done = uint32(fd), os.NewFile(uintptr(fd), "fsync")
	return a, nil
}

func (a *aside) close() {
	_, _, _ = unix.Syscall(unix.SYS_IO_DESTROY, a.ctx, 0, 0)
	_ = a.done.Close()
}

// sync fsyncs f. Its error is fsync's, or errNotAside.
func (a *aside) sync(f *os.File) error {
	if err := a.submit(f); err != nil {
		return err
	}
	var told [8]byte
	if _, err := a.done.Read(told[:]); err != nil { // the wait
		return fmt.Errorf("waiting for an fsync: %w", err)
	}
	var ev ioEvent
	var now unix.Timespec // zero: do not wait
	n, _, e := unix.RawSyscall6(unix.SYS_IO_GETEVENTS, a.ctx, 1, 1, uintptr(unsafe.Pointer(&ev)), uintptr(unsafe.Pointer(&now)), 0)
	switch {
	case e != 0:
		return os.NewSyscallError("io_getevents", e)
	case n != 1:
		return errors.New("io_getevents: no fsync has ended")
	}
	a.owed = false
	if ev.result < 0 {
		return syscall.Errno(-ev.result)
	}
	return nil
}

// submit asks for the fsync, for which the kernel holds the file open from then on.
func (a *aside) submit(f *os.File) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return errNotAside
	}
	var e syscall.Errno
	err = raw.Control(func(fd uintptr) {
		a.cb = iocb{opcode: iocbFsync, fd: uint32(fd), how: iocbResFD, doneFD: a.fd}
		_, _, e = unix.RawSyscall(unix.SYS_IO_SUBMIT, a.ctx, 1, uintptr(unsafe.Pointer(&a.list)))
	})
	switch {
	case err != nil: // it is closed, which fsync(2) says in its words
		return errNotAside
	case e == unix.EINVAL, e == unix.EAGAIN, e == unix.ENOSYS, e == unix.EPERM, e == unix.ENOMEM:
		return errNotAside
	case e != 0:
		return e
	}
	a.owed = true
	return nil
}

// asides are those that nobody uses.
var asides struct {
	sync.Mutex
	free []*aside
}

// asidesKept is how many of them are kept: what several engines' checkpoints and logs need at once.
const asidesKept = 8

func takeAside() (*aside, error) {
	asides.Lock()
	defer asides.Unlock()
	if n := len(asides.free); n > 0 {
		a := asides.free[n-1]
		asides.free = asides.free[:n-1]
		return a, nil
	}
	return newAside()
}

// giveAside keeps a for the next fsync, unless an answer to this one could come then.
func giveAside(a *aside) {
	asides.Lock()
	defer asides.Unlock()
	if a.owed || len(asides.free) >= asidesKept {
		a.close()
		return
	}
	asides.free = append(asides.free, a)
}
