package arena

import (
	"slices"
	"testing"
)

// TestFetch: what is fetched is neither changed nor needed.
func TestFetch(t *testing.T) {
	a := New()
	defer a.Close()
	var places []Place
	var refs []Ref
	for i := range 100 {
		r := a.Alloc(100 * (i + 1))
		copy(a.Bytes(r, 100*(i+1)), slices.Repeat([]byte{byte(i)}, 100*(i+1)))
		refs = append(refs, r)
		places = append(places, a.Place(r), a.Place(r)+Line)
	}
	Fetch(nil)
	Fetch(places[:1])
	Fetch(places)
	for i, r := range refs {
		if b := a.Bytes(r, 100*(i+1)); slices.ContainsFunc(b, func(c byte) bool { return c != byte(i) }) {
			t.Fatalf("block %d has changed", i)
		}
	}
	large := a.Alloc(64 << 20)
	gone := a.Place(large)
	a.Free(large)
	Fetch([]Place{gone, 0, 1, ^Place(0), 1 << 63})
}

// TestLines: each line of what is to be fetched is fetched once, wherever it begins.
func TestLines(t *testing.T) {
	for _, c := range []struct {
		at   Place
		size int
		n    int
	}{{0, 1, 1}, {0, 64, 1}, {0, 65, 2}, {63, 1, 1}, {63, 2, 2}, {32, 480, 8}, {128, 0, 0}, {130, -1, 0}} {
		if first, n := lines(c.at, c.size); n != c.n || n > 0 && first != c.at&^(Line-1) {
			t.Errorf("%d bytes at %d are %d lines from %d on", c.size, c.at, n, first)
		}
	}
	b := make([]byte, 1000)
	at, _ := PlaceOf(&b[0])
	for size := range len(b) {
		FetchSpan(at, size)
	}
	FetchSpan(^Place(0), 1)
}
