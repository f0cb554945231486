//go:build linux && !spillway_goheap

package arena

import (
	"bytes"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The first region has small pages, so that a small process stays small. Once there is a second one,
// the first is full, and has most of the data of a process of a hundred megabytes: its
// small pages are copied into large ones, which a lookup of a million strings takes 0.8 to 0.9 of the time with.
// The kernel does that to two megabytes at a time, mostly in less than a millisecond (see noteLarge), in which nobody can
// write these; so it is done in the background, once.

// copies is what a call takes at the most that has a large page at hand.
const copies = time.Millisecond

// collapse makes large pages of those parts of a region that are in use.
func collapse(region []byte) {
	if !largePages() {
		return
	}
	for at := 0; at < len(region); at += hugePage {
		part := region[at : at+hugePage]
		if !dense(part) {
			continue
		}
		_ = unix.Madvise(part, unix.MADV_HUGEPAGE) // so that it stays large when it is given back and written anew
		// A kernel older than 6.1, or one without memory at hand, leaves it to its own thread, which comes by.
		_, took := advise(uintptr(unsafe.Pointer(&part[0])), hugePage, unix.MADV_COLLAPSE)
		pool.Lock()
		dear := noteLarge(took - copies)
		pool.Unlock()
		if dear {
			return
		}
	}
}

// dense tells whether nearly all small pages of a large one have memory: of any other, more would be taken than
// is in use.
func dense(part []byte) bool {
	var in [hugePage / PageSize]byte
	_, _, e := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&part[0])), hugePage, uintptr(unsafe.Pointer(&in[0])))
	n := 0
	for _, page := range in[:hugePage/os.Getpagesize()] {
		n += int(page & 1)
	}
	return e == 0 && n*os.Getpagesize() >= hugePage/8*7
}

// largePages tells whether who runs this machine wants large pages, which collapsing does not ask.
func largePages() bool {
	b, err := os.ReadFile("/sys/kernel/mm/transparent_hugepage/enabled") //nolint:forbidigo // the kernel's word, no data
	return err == nil && !bytes.Contains(b, []byte("[never]"))
}
