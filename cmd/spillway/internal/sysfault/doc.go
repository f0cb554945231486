// Package sysfault decides on every file-changing system call of a real
// process, one at a time: let it be, let it fail with an errno, or kill the
// process in its place.
//
//	cmd := exec.Command("spillway", "serve", …)
//	w, err := sysfault.Start(cmd, root, func(c sysfault.Call) sysfault.Verdict {
//		if c.N == 17 {
//			return sysfault.Fail(syscall.EIO)
//		}
//		return sysfault.Pass
//	})
//
// The calls are those that change files, or promise to have changed them: open
// to create or truncate, write, fsync, truncate, rename, link, remove, mkdir and
// their kin. Those below root are counted, over all threads and children in the
// order in which they arrive; that is what a count by strace cannot do, which
// counts for each thread, and what LD_PRELOAD cannot see, since Go makes its
// calls itself.
//
// It is seccomp's user notification (seccomp_unotify(2), Linux 5.19 or newer,
// no privileges): the kernel holds a call up until it is decided. Threads run
// on meanwhile, and a call that is let be ends whenever it ends. So "killed
// after call N" is a kill at the next call of any kind, which is before the
// reply that call N may have been for is on its way, and "killed before call N"
// after all of that.
//
// A memory-mapped file that is written is not seen, nor is io_uring; Spillway
// uses neither for its files.
package sysfault
