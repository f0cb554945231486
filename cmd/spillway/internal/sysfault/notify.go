//go:build linux && (amd64 || arm64)

package sysfault

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// notification is struct seccomp_notif.
type notification struct {
	id    uint64
	pid   uint32 // of the thread
	flags uint32
	nr    int32
	arch  uint32
	ip    uint64
	args  [6]uint64
}

// response is struct seccomp_notif_resp.
type response struct {
	id    uint64
	val   int64
	err   int32
	flags uint32
}

// The layout of struct seccomp_data, which the filter reads.
const (
	dataNr   = 0
	dataArch = 4
	dataArgs = 16
)

// filter is the program that the kernel runs for every call of the process.
func filter() []unix.SockFilter {
	const (
		load   = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		equal  = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		anyBit = unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K
		answer = unix.BPF_RET | unix.BPF_K
	)
	prog := []unix.SockFilter{
		{Code: load, K: dataArch},
		{Code: equal, K: auditArch, Jt: 1},
		{Code: answer, K: unix.SECCOMP_RET_ALLOW},
		{Code: load, K: dataNr},
	}
	for nr, k := range kinds {
		if k.flags == 0 {
			prog = append(prog,
				unix.SockFilter{Code: equal, K: uint32(nr), Jf: 1},
				unix.SockFilter{Code: answer, K: unix.SECCOMP_RET_USER_NOTIF})
			continue
		}
		prog = append(prog,
			unix.SockFilter{Code: equal, K: uint32(nr), Jf: 4},
			unix.SockFilter{Code: load, K: uint32(dataArgs + 8*k.flags)}, // the lower half; both machines are little-endian
			unix.SockFilter{Code: anyBit, K: unix.O_CREAT | unix.O_TRUNC, Jf: 1},
			unix.SockFilter{Code: answer, K: unix.SECCOMP_RET_USER_NOTIF},
			unix.SockFilter{Code: answer, K: unix.SECCOMP_RET_ALLOW})
	}
	return append(prog, unix.SockFilter{Code: answer, K: unix.SECCOMP_RET_ALLOW})
}

// install puts the filter on the calling thread and returns the descriptor that
// its notifications come from.
func install() (fd int, err error) {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return -1, fmt.Errorf("prctl(PR_SET_NO_NEW_PRIVS): %w", err)
	}
	prog := filter()
	fprog := unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]}
	// Once it is received, no signal but a deadly one breaks a call off: Go
	// sends its threads signals all the time, and a call that is made anew
	// would be counted twice.
	const flags = unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
	r, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&fprog)))
	runtime.KeepAlive(prog)
	if errno != 0 {
		return -1, fmt.Errorf("seccomp: %w", errno)
	}
	unix.CloseOnExec(int(r)) // it is already; to be sure
	return int(r), nil
}

// serve decides on calls until nobody is left who could make one.
func (w *Watch) serve(fd int) {
	defer close(w.done)
	defer func() { _ = unix.Close(fd) }()
	for {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		if _, err := unix.Poll(p, -1); err != nil && !errors.Is(err, unix.EINTR) {
			w.err = errors.Join(w.err, fmt.Errorf("waiting for a call: %w", err))
			return
		}
		switch {
		case p[0].Revents&unix.POLLIN != 0:
			w.serveOne(fd)
		case p[0].Revents != 0: // POLLHUP
			return
		}
	}
}

func (w *Watch) serveOne(fd int) {
	var n notification
	if err := ioctl(fd, unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&n)); err != nil {
		if !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EINTR) { // ENOENT: the thread is dead meanwhile
			w.err = errors.Join(w.err, fmt.Errorf("receiving a call: %w", err))
		}
		return
	}
	pid := int(n.pid)
	c, err := w.resolve(pid, kinds[int(n.nr)], &n.args)
	if err != nil && ioctl(fd, unix.SECCOMP_IOCTL_NOTIF_ID_VALID, unsafe.Pointer(&n.id)) == nil {
		w.err = errors.Join(w.err, fmt.Errorf("%s by process %d: %w", c.Name, pid, err))
	}
	v := w.decide(c)
	if v.kill {
		// Nothing is answered: the thread dies where it waits.
		if err := kill(pid); err != nil {
			w.err = errors.Join(w.err, err)
		}
		return
	}
	r := response{id: n.id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
	if v.errno != 0 {
		r.flags, r.err = 0, -int32(v.errno)
	}
	if err := ioctl(fd, unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&r)); err != nil && !errors.Is(err, unix.ENOENT) {
		w.err = errors.Join(w.err, fmt.Errorf("deciding on %s: %w", c, err))
	}
}

func ioctl(fd int, op uint, arg unsafe.Pointer) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(op), uintptr(arg)); errno != 0 {
		return errno
	}
	return nil
}

// kill ends the process that a thread is of.
func kill(thread int) error {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", thread))
	if err != nil {
		return nil // it is gone
	}
	_, rest, _ := strings.Cut(string(status), "\nTgid:")
	line, _, _ := strings.Cut(rest, "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		return fmt.Errorf("the process of thread %d: %w", thread, err)
	}
	if err := unix.Kill(pid, unix.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("killing process %d: %w", pid, err)
	}
	return nil
}
