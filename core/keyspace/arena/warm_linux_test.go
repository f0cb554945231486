//go:build linux && !spillway_goheap

package arena

import (
	"testing"
	"time"
)

// stopTicks lets nothing but the test call tick, and gives back what others have left.
func stopTicks(t *testing.T) {
	was := keptFor
	kept.Lock()
	keptFor = time.Hour
	if kept.timer != nil {
		kept.timer.Stop()
	}
	kept.Unlock()
	for len(kept.list) > 0 {
		tick()
	}
	t.Cleanup(func() { keptFor = was })
}

// TestLargeBlocksStayWarm: a large block that was freed is what the next one gets,
// whatever its size; of those that stay there is an end, and a tick that finds that
// nobody took one gives it back. Not parallel: what stays is the process's.
func TestLargeBlocksStayWarm(t *testing.T) {
	stopTicks(t)
	a := New()
	const size = 1 << 20
	first := a.Alloc(size)
	copy(a.Bytes(first, size), "pages that are there")
	at := a.at(first)
	a.Free(first)
	again := a.Alloc(size)
	if a.at(again) != at || string(a.Bytes(again, 5)) != "pages" {
		t.Error("a block of the same size lies elsewhere")
	}
	a.Free(again)
	for _, other := range []int{3 * size / 2, 3 * size / 4, size} {
		r := a.Alloc(other)
		mem := a.Bytes(r, other)
		if len(kept.list) != 0 {
			t.Errorf("a block of %d was not made of the one of another size", other)
		}
		if string(mem[:5]) != "pages" {
			t.Errorf("%q in a block of %d", mem[:5], other)
		}
		mem[other-1] = 1 // it is all there
		a.Free(r)
	}
	var all []Ref
	for range 2 * maxKept / size {
		all = append(all, a.Alloc(size))
	}
	all = append(all, a.Alloc(2*maxKeptEach))
	for _, r := range all {
		a.Free(r)
	}
	if kept.bytes != maxKept {
		t.Errorf("%d bytes stay", kept.bytes)
	}
	if a.Mapped() != 0 {
		t.Errorf("%d bytes are still the arena's", a.Mapped())
	}
	kept.idle = 0 // as if there had been no tick yet
	tick()
	used := a.Alloc(size)
	if n := maxKept/size - 1; len(kept.list) != n || kept.idle != n {
		t.Errorf("%d are kept and %d idle, want %d", len(kept.list), kept.idle, n)
	}
	a.Free(used)
	tick()
	if len(kept.list) != 1 {
		t.Errorf("%d are kept, want the one that was used", len(kept.list))
	}
	tick()
	if len(kept.list) != 0 || kept.bytes != 0 {
		t.Errorf("%d are kept with %d bytes", len(kept.list), kept.bytes)
	}
}

// TestBuffersStayWarm: a buffer is made of memory that was given back, as it is, where that is
// not much longer; short ones have few lengths. Not parallel, as above.
func TestBuffersStayWarm(t *testing.T) {
	stopTicks(t)
	const size = 1 << 20
	a := New()
	r := a.Alloc(size + size/roomShare)
	at := a.at(r)
	a.Free(r)
	var b Buffer
	if mem := b.Grow(size); b.m.base != at || len(mem) != size+size/roomShare {
		t.Errorf("a buffer of %d bytes has %d, elsewhere: %v", size, len(mem), b.m.base != at)
	}
	b.Free()
	b.Grow(size - size/roomShare)
	if b.m.size != size-size/roomShare {
		t.Errorf("%d bytes are much more than it needs", b.m.size)
	}
	b.Free()
	b.Grow(70 << 10)
	at = b.m.base
	b.Free()
	if mem := b.Grow(100 << 10); b.m.base != at || len(mem) != 128<<10 {
		t.Errorf("a short buffer has %d bytes, elsewhere: %v", len(mem), b.m.base != at)
	}
	b.Free()
}
