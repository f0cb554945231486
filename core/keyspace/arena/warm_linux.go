//go:build linux && !spillway_goheap

package arena

import (
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A large block has a mapping of its own, and the kernel clears each page of a new one
// when it is first written: for a value of a megabyte that costs more than copying it,
// twice, since the buffer that it arrives in is such a block as well. So mappings that
// are released stay with the process for a moment, with their pages, and the next large
// block takes one of them, made longer or shorter. A client that writes values of one
// megabyte over and over needs a quarter of the processor's time.
//
// What nobody took for keptFor goes back to the system.
const (
	maxKept     = 32 << 20 // bytes that stay
	maxKeptEach = 8 << 20  // of larger ones the copying counts, not the pages
)

var keptFor = time.Second // a variable for tests

// kept is what is there, oldest first.
var kept struct {
	sync.Mutex
	list  []mapping
	bytes int
	idle  int         // as many of the oldest were not taken since the last tick
	timer *time.Timer // calls tick, unless nothing is kept
}

// keep takes a mapping that was released, and tells whether it did.
func keep(m mapping) bool {
	if m.size > maxKeptEach {
		return false
	}
	kept.Lock()
	defer kept.Unlock()
	if kept.bytes+m.size > maxKept {
		return false
	}
	kept.list = append(kept.list, m)
	kept.bytes += m.size
	switch {
	case kept.timer == nil:
		kept.timer = time.AfterFunc(keptFor, tick)
	case len(kept.list) == 1:
		kept.timer.Reset(keptFor)
	}
	return true
}

// takeKept returns memory of this size out of what is kept: the latest that has the
// size, which processors may still have in their caches, or else the nearest.
// Of up to room bytes more it is taken as it is.
func takeKept(size, room int) (mapping, bool) {
	m, ok := nearestKept(size, room)
	if !ok || m.size >= size && m.size-size <= room {
		return m, ok
	}
	mem, err := unix.Mremap(m.own, size, unix.MREMAP_MAYMOVE)
	if err != nil {
		unmap(m.own)
		return mapping{}, false
	}
	return ownMapping(mem), true
}

func nearestKept(size, room int) (mapping, bool) {
	if size > maxKeptEach {
		return mapping{}, false
	}
	kept.Lock()
	defer kept.Unlock()
	best := -1
	for i, m := range slices.Backward(kept.list) {
		if m.size >= size && m.size-size <= room {
			best = i
			break
		}
		if best < 0 || distance(m.size, size) < distance(kept.list[best].size, size) {
			best = i
		}
	}
	if best < 0 {
		return mapping{}, false
	}
	m := kept.list[best]
	kept.list = slices.Delete(kept.list, best, best+1)
	kept.bytes -= m.size
	kept.idle = min(kept.idle, len(kept.list))
	return m, true
}

func distance(a, b int) int { return max(a, b) - min(a, b) }

// tick gives back what nobody has taken since the tick before.
func tick() {
	kept.Lock()
	gone := slices.Clone(kept.list[:kept.idle])
	kept.list = slices.Delete(kept.list, 0, kept.idle)
	for _, m := range gone {
		kept.bytes -= m.size
	}
	kept.idle = len(kept.list)
	if kept.idle > 0 {
		kept.timer.Reset(keptFor)
	}
	kept.Unlock()
	for _, m := range gone {
		unmap(m.own)
	}
}
