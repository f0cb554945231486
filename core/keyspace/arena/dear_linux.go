//go:build linux && !spillway_goheap

package arena

import (
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spillwaydb/spillway/internal/aside"
)

// A virtual machine whose host gives it memory in small pages, when it is first touched, waits 512 times for each
// large page: 2 to 5 ms, in which the thread that touches it cannot be interrupted, and a thread that waits for the processor gets it
// at the next tick at best. Neither does the processor save anything with such a page, since it walks the host's
// tables as well, which have small ones. So where large pages are seen to take that long, chunks
// that come have small ones. On one such machine that took p99.9 through a checkpoint from 4.6 to 1.7 ms, and GET
// and SET took the same CPU or less without large pages.
const (
	slowPage = time.Millisecond       // of the processor for a large page: 0.04 to 0.4 are usual
	fastPage = 100 * time.Microsecond // what takes no longer has found the page there, as the second half of one does
	slowMost = 3                      // in a row: it may be something else once
)

// advise is madvise(2) about memory that it is going to take long for, and tells how long the processor was at it.
func advise(at uintptr, n, advice int) (e syscall.Errno, took time.Duration) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before := threadTime()
	_, e = aside.Call(unix.SYS_MADVISE, at, uintptr(n), uintptr(advice), 0)
	return e, threadTime() - before
}

// threadTime is how long processors have been at the thread: what the host takes for its memory is in it.
func threadTime() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t) // 0 is no time at all
	return time.Duration(t.Nano())
}

// noteLarge takes in how long it has taken to get memory for a large page, and tells whether there are to be no more. pool is locked.
func noteLarge(took time.Duration) (dear bool) {
	switch {
	case took >= slowPage:
		pool.slow++
	case took > fastPage:
		pool.slow = 0
	}
	if pool.slow >= slowMost && !pool.dear {
		pool.dear = true
		for _, region := range pool.regions {
			_ = unix.Madvise(region, unix.MADV_NOHUGEPAGE) // what is large stays so until it is given back
		}
	}
	return pool.dear
}
