package server

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// System calls about descriptors that do not block, of which the Go runtime is not told.
//
// It is told of others, so that another thread can go on with the goroutines of one
// that stays in the kernel; and the first one after everything was idle wakes Go's sysmon,
// which looks every 20 µs then for threads that stay there. A server that is idle between two
// requests pays that for each. What is here comes back at once: a loop stands still in it no longer than
// in a command.

// brief is how many bytes are moved by such a call at the most: some 100 µs' worth, as long
// as a command about so many takes that copies them. More goes the usual way. With
// 64 KiB here a SET of 1 MiB, which is read in two or three pieces, took half as much again,
// most of it sysmon's naps and what it takes to wake it.
const brief = 1 << 20

// readNow is unix.Read of what is there at a socket. It is asked as one, which takes the kernel a shorter
// way than a file does.
func readNow(fd int, p []byte) (int, error) {
	if len(p) == 0 || len(p) > brief {
		return unix.Read(fd, p)
	}
	n, _, err := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), unix.MSG_DONTWAIT, 0, 0)
	if err != 0 {
		return 0, err
	}
	return int(n), nil
}

// writeNow is unix.Write of what there is room for at a socket.
func writeNow(fd int, p []byte) (int, error) {
	if len(p) == 0 || len(p) > brief {
		return unix.Write(fd, p)
	}
	n, _, err := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	if err != 0 {
		return 0, err
	}
	return int(n), nil
}

// epollNow is unix.EpollWait for what there is to report. events is not empty.
func epollNow(epoll int, events []unix.EpollEvent) (int, error) {
	n, _, err := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(epoll), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), 0, 0, 0)
	if err != 0 {
		return 0, err
	}
	return int(n), nil
}

// readable tells whether poll(2) says so of a descriptor.
func readable(fd int) bool {
	var now unix.Timespec
	f := unix.PollFd{Fd: int32(fd), Events: unix.POLLIN}
	n, _, err := unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&f)), 1, uintptr(unsafe.Pointer(&now)), 0, 0, 0)
	return err == 0 && n > 0
}

// wakeSysmon makes a system call of which the Go runtime is told; it does nothing else.
func wakeSysmon() { _, _ = unix.Read(-1, nil) }
