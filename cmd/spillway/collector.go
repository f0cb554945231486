package main

import (
	"os"
	"runtime/debug"
	runtimemetrics "runtime/metrics"
	"time"
)

// Strings, small collections, and the elements of large hashes, sets and sorted sets lie outside the Go
// heap. Large lists and streams lie on it,
// packed into runs that the collector does not look into: to mark them costs little, and
// letting the heap grow to twice what lives in it, as Go does by itself, costs as much
// memory again. So the larger the heap, the smaller the share by which it may grow before
// the collector runs: a small heap twofold, one of 100 MB and more by a sixth.
const (
	roomOfHeap = 16 << 20        // what a heap may grow by, if that is no more than itself
	leastShare = 16              // percent, of a large heap
	lookAtHeap = time.Second / 5 // the room counts as used memory, and maxmemory bounds that

	// While data is loaded a heap may grow by more: it begins at next to nothing, and the collector ran five times for the
	// first 30 MB, which is an eighth of what it takes to load a million entries of small streams, and a
	// quarter of a million fields of large hashes.
	roomToLoad  = 64 << 20
	shareToLoad = 400 // percent, at most
)

// paceCollector keeps the share that the Go heap may grow by in step with its size, until
// done is closed. Data is loaded until loaded is. Whoever sets GOGC has decided it himself.
func paceCollector(loaded, done <-chan struct{}) {
	if os.Getenv("GOGC") != "" {
		return
	}
	live := []runtimemetrics.Sample{{Name: "/gc/heap/live:bytes"}}
	now := shareToLoad
	debug.SetGCPercent(now)
	grow := growthToLoad
	tick := time.NewTicker(lookAtHeap)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-loaded:
			loaded, grow = nil, growth
		case <-tick.C:
		}
		runtimemetrics.Read(live)
		share := grow(live[0].Value.Uint64())
		if diff := share - now; diff > now/10 || diff < -now/10 { // setting it stops everything for a moment
			debug.SetGCPercent(share)
			now = share
		}
	}
}

// growthToLoad is growth while data is loaded.
func growthToLoad(live uint64) int {
	if live <= roomToLoad*100/shareToLoad {
		return shareToLoad
	}
	return max(growth(live), int(100*roomToLoad/live)) // below shareToLoad
}

// growth is by how many percent a heap may grow in which so many bytes live.
func growth(live uint64) int {
	if live <= roomOfHeap {
		return 100
	}
	return max(leastShare, int(100*roomOfHeap/live)) // below 100
}
