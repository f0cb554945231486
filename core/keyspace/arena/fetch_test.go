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
