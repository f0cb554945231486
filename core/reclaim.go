package core

import (
	"math"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

// What is large and short-lived lies outside the Go heap and is given back to
// the system at once. The rest, such as collections that were deleted, commands
// queued in a transaction, or what the log has buffered, the Go runtime keeps for
// minutes when nothing else happens. reclaim asks it not to.

const (
	reclaimTicks = 5               // between looks
	reclaimFrom  = 16 << 20        // what is worth a collection of the heap
	reclaimEvery = 2 * time.Second // at most
	reclaimShare = 100             // and for no more than a hundredth of the time,
	shrunkShare  = 10              // or a tenth, when the keyspace has become smaller
)

// heap is the process's Go heap, which all engines in it share.
var heap struct {
	sync.Mutex
	running bool
	base    int64 // its size after the last time
	last    int64 // its size when it was last looked at
	began   time.Time
	took    time.Duration // the last time
}

// reclaim gives memory back to the system when the Go heap has grown since the
// last time and grows no more, or when the keyspace has become smaller. The
// engine's goroutine calls it once in a while.
func (db *DB) reclaim() {
	now := db.clock.Now()
	used := db.ks.UsedBytes()
	db.usedPeak = max(db.usedPeak, used)
	heap.Lock()
	defer heap.Unlock()
	size := heapSize()
	grows := size > heap.last+reclaimFrom/4
	heap.last = size
	grown := !grows && size-heap.base > max(reclaimFrom, heap.base/4)
	shrunk := db.usedPeak-used > max(reclaimFrom, used/4) && size > reclaimFrom
	if heap.running || !grown && !shrunk || now.Sub(heap.began) < reclaimPause(heap.took, shrunk) {
		return
	}
	db.usedPeak = used
	heap.running = true
	go func() {
		debug.FreeOSMemory()
		took := db.clock.Now().Sub(now)
		heap.Lock()
		defer heap.Unlock()
		heap.running = false
		heap.base = heapSize()
		heap.last = heap.base
		heap.began, heap.took = now, took
	}()
}

// reclaimPause is how long after the beginning of the last time, which took so long, the heap
// may be given back again. What has been deleted costs nothing to collect, so that the last time
// says too much of it: on a busy machine it would be minutes.
func reclaimPause(took time.Duration, shrunk bool) time.Duration {
	if shrunk {
		return max(reclaimEvery, shrunkShare*took)
	}
	return max(reclaimEvery, reclaimShare*took)
}

// mostRoom bounds the growth of the heap that is counted, in percent.
const mostRoom = 1000

// countHeapRoom has the keyspace count what the Go heap may grow by before it is
// collected: maxmemory is about what the process takes.
func (db *DB) countHeapRoom() {
	s := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(s)
	percent := s[0].Value.Uint64()
	if percent > math.MaxInt32 { // it is off: something else bounds the heap
		percent = 0
	}
	db.ks.SetHeapRoom(int(min(percent, mostRoom)))
}

// heapSize is how much memory the Go heap has from the system.
func heapSize() int64 {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/unused:bytes"}, {Name: "/memory/classes/heap/free:bytes"}}
	metrics.Read(s)
	n := uint64(0)
	for _, x := range s {
		n += x.Value.Uint64()
	}
	return int64(n)
}
