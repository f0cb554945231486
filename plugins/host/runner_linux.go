package host

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// descriptors is the directory that the open files of a process can be run from.
var descriptors = "/proc/self/fd"

// processAttributes puts the plugin into a process group of its own and makes
// the kernel kill it when the host dies.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// awaitExit waits for the process's end and leaves it to be reaped: as long as
// it is not, its group's number cannot belong to others. false means that it
// could not wait.
func awaitExit(pid int) bool {
	for {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return err == nil
		}
	}
}
