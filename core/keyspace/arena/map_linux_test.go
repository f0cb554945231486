//go:build linux && !spillway_goheap

package arena

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// useLayout has the pool begin with l until the test ends, where the kernel has large pages.
func useLayout(t *testing.T, l layout) {
	t.Helper()
	if _, err := os.Stat("/sys/kernel/mm/transparent_hugepage"); err != nil {
		t.Skip("the kernel has no large pages:", err)
	}
	use := func(l layout) (was layout) {
		pool.Lock()
		defer pool.Unlock()
		was, pool.layout = pool.layout, l
		return was
	}
	was := use(l)
	t.Cleanup(func() { use(was) })
}

// TestLargePages: the first region has small pages; those behind it ask for large ones, and
// begin where one may. Regions of small pages are told to have none.
func TestLargePages(t *testing.T) {
	useLayout(t, layout{})
	pool.Lock()
	defer pool.Unlock()
	for i, want := range []string{"", "hg", "nh", "hg"} {
		region, err := mapRegion(want == "nh")
		if err != nil {
			t.Fatal(err)
		}
		at := uintptr(unsafe.Pointer(&region[0]))
		if at%hugePage != 0 || len(region) != regionSize {
			t.Errorf("region %d: %d bytes at %#x", i, len(region), at)
		}
		// The middle: where a region ends, and whether one lies beside another, is the kernel's.
		flags := " " + flagsAt(t, at+regionSize/2) + " "
		for _, flag := range []string{"hg", "nh"} {
			if got := strings.Contains(flags, " "+flag+" "); got != (flag == want) {
				t.Errorf("region %d says %s of large pages: %v", i, flag, got)
			}
		}
	}
}

// TestExpect: where much is going to be stored, the first region has large pages, be it there already or not, and
// otherwise it has not.
func TestExpect(t *testing.T) {
	useLayout(t, layout{})
	pool.Lock()
	defer pool.Unlock()
	for _, c := range []struct {
		before, after int64 // what is expected before and after the region is mapped
		large         bool
	}{{expectLarge - 1, expectLarge - 1, false}, {expectLarge, 0, true}, {0, expectLarge, true}, {expectLarge, expectLarge, true}} {
		pool.layout = layout{}
		expect := func(size int64) {
			pool.Unlock()
			Expect(size)
			pool.Lock()
		}
		expect(c.before)
		region, err := mapRegion(false)
		if err != nil {
			t.Fatal(err)
		}
		expect(c.after)
		at := uintptr(unsafe.Pointer(&region[0]))
		if flags := flagsAt(t, at+regionSize/2); strings.Contains(" "+flags+" ", " hg ") != c.large || pool.large != c.large {
			t.Errorf("with %d expected before and %d after, it says %s", c.before, c.after, flags)
		}
	}
}

// TestDearPages: where three large pages in a row have taken long to come, regions that are there and those that come
// have small ones. One of them that was quick, or a chunk of which the page was there, is another matter.
func TestDearPages(t *testing.T) {
	useLayout(t, layout{large: true})
	pool.Lock()
	defer pool.Unlock()
	newRegion := func() uintptr {
		region, err := mapRegion(false)
		if err != nil {
			t.Fatal(err)
		}
		return uintptr(unsafe.Pointer(&region[regionSize/2]))
	}
	says := func(at uintptr, flag string) {
		t.Helper()
		if flags := " " + flagsAt(t, at) + " "; !strings.Contains(flags, " "+flag+" ") {
			t.Errorf("a region says%s, want %s among it", flags, flag)
		}
	}
	before := []uintptr{newRegion(), newRegion()}
	for _, took := range []time.Duration{slowPage, 1, slowPage, slowPage - 1, slowPage, slowPage, fastPage} {
		noteLarge(took)
		says(before[0], "hg")
	}
	noteLarge(slowPage)
	before = append(before, newRegion())
	for _, at := range before {
		says(at, "nh")
	}
	pool.Unlock()
	Expect(expectLarge)
	pool.Lock()
	if says(before[0], "nh"); !noteLarge(0) {
		t.Error("large pages are not dear")
	}
}

// TestAdviseTakesTime: what is noted is the time of the processor, which writing a megabyte takes some of.
func TestAdviseTakesTime(t *testing.T) {
	pool.Lock()
	chunk, err := takeFree(true)
	pool.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	e, took := advise(uintptr(chunk), chunkSize, unix.MADV_POPULATE_WRITE)
	if e == unix.EINVAL {
		t.Skip("the kernel writes no pages when it is asked to")
	}
	if e != 0 || took <= 0 {
		t.Errorf("a chunk took %v: %v", took, e)
	}
	_ = unix.Madvise(unsafe.Slice((*byte)(chunk), chunkSize), unix.MADV_DONTNEED)
	pool.Lock()
	pool.small = append(pool.small, chunk)
	pool.Unlock()
}

// TestPoolGivesBack: what a pool has no blocks in goes back to the system although there are blocks around it.
func TestPoolGivesBack(t *testing.T) {
	p := NewPool()
	const size = 2<<10 - PoolHead
	perSpan := spanSize / (size + PoolHead)
	blocks := make([]Block, 40*perSpan) // two chunks and a half
	for i := range blocks {
		b := p.Alloc(size)
		for at := range b.Data {
			b.Data[at] = 1
		}
		blocks[i] = b
	}
	before := resident(t, blocks[0])
	var stay []Block
	for i, b := range blocks {
		if i/perSpan%4 == 0 { // a quarter of the spans
			stay = append(stay, b)
			continue
		}
		b.Drop()
		p.Free(b)
	}
	if left := resident(t, stay[0]); left > before/2 {
		t.Errorf("%d pages of a chunk with a quarter of its blocks are there, %d when it had all", left, before)
	}
	for _, b := range stay {
		if n := bytes.Count(b.Data, []byte{1}); n != size {
			t.Fatalf("%d bytes of %d are what they were", n, size)
		}
	}
}

// resident counts the pages in memory of the chunk that a block is in.
func resident(t *testing.T, b Block) (n int) {
	base := uintptr(unsafe.Pointer(&b.Data[0])) &^ (chunkSize - 1) // chunks begin at multiples of their size
	pages := make([]byte, pagesPerChunk)
	if _, _, err := unix.Syscall(unix.SYS_MINCORE, base, chunkSize, uintptr(unsafe.Pointer(&pages[0]))); err != 0 {
		t.Fatal(err)
	}
	for _, p := range pages {
		n += int(p & 1)
	}
	return n
}

// flagsAt is what the kernel says of the mapping at an address, as proc(5) explains VmFlags.
func flagsAt(t *testing.T, at uintptr) string { return fieldAt(t, at, "VmFlags") }

// fieldAt is what /proc/self/smaps says of the mapping at an address.
func fieldAt(t *testing.T, at uintptr, field string) string {
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	in := false
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var from, to uintptr
		if n, _ := fmt.Sscanf(lines.Text(), "%x-%x ", &from, &to); n == 2 {
			in = from <= at && at < to
		} else if value, ok := strings.CutPrefix(lines.Text(), field+":"); ok && in {
			return strings.TrimSpace(value)
		}
	}
	t.Fatalf("nothing is mapped at %#x", at)
	return ""
}

// TestCollapse: what is in use of a region comes to lie in large pages, as it is, and what is hardly used takes no
// more memory than before.
func TestCollapse(t *testing.T) {
	if !largePages() {
		t.Skip("this machine has no large pages")
	}
	useLayout(t, layout{slow: math.MinInt}) // large pages may be dear on this machine, and are to be made all the same
	mem, err := mapMemory(regionSize + hugePage)
	if err != nil {
		t.Fatal(err)
	}
	defer unmap(mem)
	skip := -int(uintptr(unsafe.Pointer(&mem[0]))) & (hugePage - 1)
	region := mem[skip : skip+regionSize]
	if err := unix.Madvise(region, unix.MADV_NOHUGEPAGE); err != nil { // or a machine of "always" has them from the beginning
		t.Fatal(err)
	}
	full, thin := region[:8*hugePage], region[8*hugePage:]
	for i := 0; i < len(full); i += 8 {
		binary.LittleEndian.PutUint64(full[i:], uint64(i))
	}
	for i := 0; i < len(thin); i += hugePage / 4 {
		thin[i] = 1
	}
	collapse(region)
	if err := unix.Madvise(full[:hugePage], unix.MADV_COLLAPSE); err != nil {
		t.Skip("the kernel collapses no pages when it is asked to:", err)
	}
	at := func(b []byte) uintptr { return uintptr(unsafe.Pointer(&b[len(b)/2])) }
	if got := fieldAt(t, at(full), "AnonHugePages"); got != fmt.Sprint(len(full)>>10, " kB") {
		t.Errorf("of what is in use %s are large pages", got)
	}
	if got := fieldAt(t, at(thin), "Rss"); got != fmt.Sprint(len(thin)/(hugePage/4)*os.Getpagesize()>>10, " kB") {
		t.Errorf("what is hardly used takes %s", got)
	}
	for i := 0; i < len(full); i += 8 {
		if got := binary.LittleEndian.Uint64(full[i:]); got != uint64(i) {
			t.Fatalf("byte %d is %d", i, got)
		}
	}
}
