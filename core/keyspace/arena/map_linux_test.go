//go:build linux && !spillway_goheap

package arena

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"
	"unsafe"
)

// TestLargePages: the first region has small pages; those behind it ask for large ones, and
// begin where one may.
func TestLargePages(t *testing.T) {
	if _, err := os.Stat("/sys/kernel/mm/transparent_hugepage"); err != nil {
		t.Skip("the kernel has no large pages:", err)
	}
	pool.Lock()
	defer pool.Unlock()
	grown := pool.grown
	defer func() { pool.grown = grown }()
	pool.grown = false
	for i, large := range []bool{false, true, true} {
		region, err := mapRegion()
		if err != nil {
			t.Fatal(err)
		}
		at := uintptr(unsafe.Pointer(&region[0]))
		if at%hugePage != 0 || len(region) != regionSize {
			t.Errorf("region %d: %d bytes at %#x", i, len(region), at)
		}
		// The middle: where a region ends, and whether one lies beside another, is the kernel's.
		if got := strings.Contains(flagsAt(t, at+regionSize/2)+" ", " hg "); got != large {
			t.Errorf("region %d asks for large pages: %v", i, got)
		}
	}
}

// flagsAt is what the kernel says of the mapping at an address, as proc(5) explains VmFlags.
func flagsAt(t *testing.T, at uintptr) string {
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
		} else if flags, ok := strings.CutPrefix(lines.Text(), "VmFlags:"); ok && in {
			return flags
		}
	}
	t.Fatalf("nothing is mapped at %#x", at)
	return ""
}
