//go:build linux && !spillway_goheap

package arena

import (
	"runtime"
	"slices"
	"testing"
	"time"
)

// TestReserve: beyond the first region, a chunk that is taken has its memory already, another is
// written in its place, and what is released is taken again as it is, up to a bound.
func TestReserve(t *testing.T) {
	fill := func() (all []mapping) { // until there is a second region
		for {
			all = append(all, mapChunk(false))
			pool.Lock()
			regions, lazy := len(pool.regions), pool.lazy
			pool.Unlock()
			switch {
			case lazy:
				t.Skip("the kernel writes no pages when it is asked to")
			case regions > 1:
				return all
			}
		}
	}
	all := fill()
	defer func() {
		for _, m := range all {
			m.release()
		}
	}()
	for range 3 * reserveChunks {
		all = append(all, mapChunk(false)) // which begins to write
		written()
		m := mapChunk(false)
		all = append(all, m)
		if n := resident(t, Block{Data: m.bytes()}); n != pagesPerChunk {
			t.Errorf("%d of %d pages of a chunk are there", n, pagesPerChunk)
		}
	}
	release := func(n int) {
		for range n {
			last := all[len(all)-1]
			all = all[:len(all)-1]
			last.release()
		}
	}
	written()
	before := len(pool.free)
	release(2 * reserveChunks)
	if n := written(); n != reserveChunks {
		t.Errorf("%d chunks are kept, want %d", n, reserveChunks)
	}
	if n := len(pool.free) - before; n != 2*reserveChunks {
		t.Errorf("%d chunks are given back, want %d", n, 2*reserveChunks)
	}

	// While one is being written, what is released leaves a place for it.
	pool.Lock()
	pool.writing = true
	some := pool.written[:reserveChunks-2]
	pool.free = append(pool.free, pool.written[len(some):]...)
	pool.written = some
	pool.Unlock()
	release(3)
	if n := len(pool.written); n != reserveChunks-1 {
		t.Errorf("%d chunks are kept beside one that is being written, want %d", n, reserveChunks-1)
	}
	writeAhead()
	if n := len(pool.written); n != reserveChunks {
		t.Errorf("%d chunks are written, want %d", n, reserveChunks)
	}
}

// written waits until nothing is being written, and returns how many chunks are.
func written() int {
	for {
		pool.Lock()
		n, writing := len(pool.written), pool.writing
		pool.Unlock()
		if !writing {
			return n
		}
		runtime.Gosched()
	}
}

// BenchmarkFirstWrite writes new chunks a page at a time, as fast as a full shard grows, and says how long
// the longest of these writes took: with chunks that are written ahead, and without. An operation
// is a chunk; a few hundred are needed (-benchtime 400x).
func BenchmarkFirstWrite(b *testing.B) {
	const pause = 20 * time.Microsecond // between two pages: 5 ms a chunk
	for _, lazy := range []bool{false, true} {
		b.Run(map[bool]string{false: "ahead", true: "never before"}[lazy], func(b *testing.B) {
			pool.Lock()
			was := pool.lazy
			pool.lazy = lazy
			pool.Unlock()
			defer func() { pool.lazy = was }()
			var all []mapping
			for len(pool.regions) < 2 {
				all = append(all, mapChunk(false))
			}
			took := make([]time.Duration, 0, b.N*pagesPerChunk)
			for b.Loop() {
				m := mapChunk(false)
				all = append(all, m)
				for at := 0; at < m.size; at += PageSize {
					began := time.Now()
					m.bytes()[at] = 1
					took = append(took, time.Since(began))
					for time.Since(began) < pause {
					}
				}
				runtime.Gosched() // as a loop does
			}
			for _, m := range all {
				m.release()
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)-1-len(took)/1000].Nanoseconds())/1e3, "p99.9-µs")
			b.ReportMetric(float64(took[len(took)-1-len(took)/10000].Nanoseconds())/1e3, "p99.99-µs")
			b.ReportMetric(float64(took[len(took)-1].Nanoseconds())/1e3, "longest-µs")
		})
	}
}
