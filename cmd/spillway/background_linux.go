package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// What ioprio_set(2) takes.
const (
	ioprioOfGroup = 2
	ioprioIdle    = 3 << 13
)

// lowerPriority has this process, which is of a group of its own, run when nobody else
// wants to, and be the first to go when memory is short. What the machine does not allow
// is left as it is.
func lowerPriority() {
	_ = unix.Setpriority(unix.PRIO_PGRP, 0, 19)
	_, _, _ = unix.Syscall(unix.SYS_IOPRIO_SET, ioprioOfGroup, 0, ioprioIdle)
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0)
}
