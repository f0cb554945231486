//go:build linux && !spillway_goheap

package arena

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// The kernel clears a large page when its first byte is written. That takes 100 to 300 µs where
// the memory is the machine's own, and 2 to 5 ms in a virtual machine whose host has not given it
// that memory yet (see dear_linux.go); all clients of a loop wait, since it is a write to the keyspace that met it. So
// a few chunks are written beforehand by a goroutine, which keeps no processor meanwhile.
//
// A chunk that is released stays among them, as far as there is room: to give it back to the
// system takes as long as to get it.

// reserveChunks is how many free chunks have their memory. It counts as nobody's, and is
// 4 MiB of a process that has taken more than a region, or is going to.
const reserveChunks = 4

// reserve adds a chunk to those that are written, and tells whether it did.
func reserve(chunk unsafe.Pointer) bool {
	pool.Lock()
	defer pool.Unlock()
	n := len(pool.written)
	if pool.writing {
		n++ // which is being written
	}
	if !pool.large || n >= reserveChunks {
		return false
	}
	pool.written = append(pool.written, chunk)
	return true
}

// takeWritten returns a chunk that is written, if there is one, and has
// another written in its place. pool is locked.
func takeWritten() (chunk unsafe.Pointer, ok bool) {
	if pool.large && !pool.writing && !pool.lazy {
		pool.writing = true
		go writeAhead()
	}
	last := len(pool.written) - 1
	if last < 0 {
		return nil, false
	}
	chunk = pool.written[last]
	pool.written = pool.written[:last]
	return chunk, true
}

// writeAhead has chunks written until there are enough of them.
func writeAhead() {
	pool.Lock()
	defer pool.Unlock()
	defer func() { pool.writing = false }()
	for len(pool.written) < reserveChunks {
		chunk, err := takeFree(false)
		if err != nil {
			return
		}
		pool.Unlock()
		e, took := advise(uintptr(chunk), chunkSize, unix.MADV_POPULATE_WRITE)
		pool.Lock()
		noteLarge(took)
		switch {
		case e == unix.EINTR: // what is written of it is
		case e != 0:
			// A kernel older than 5.14, or no memory: who needs the chunk will write it.
			pool.lazy = e == unix.EINVAL
			pool.free = append(pool.free, chunk)
			return
		}
		pool.written = append(pool.written, chunk)
	}
}
