package keyspace

import (
	"fmt"
	"testing"
)

// TestCopyIsIndependent changes a large collection and its copy in turn: each
// sees its own changes only.
func TestCopyIsIndependent(t *testing.T) {
	_, d := oneDB(t)
	a, b := d.Hash([]byte("a")), d.Hash([]byte("b"))
	for i := range 1000 {
		a.Set(fmt.Append(nil, i), []byte("old"))
	}
	if !d.Copy([]byte("a"), []byte("b"), d) {
		t.Fatal("not copied")
	}
	for i := range 1000 {
		h, other := a, b
		if i%2 == 1 {
			h, other = b, a
		}
		h.Set(fmt.Append(nil, i), []byte("new"))
		if v, _ := other.Get(fmt.Append(nil, i)); string(v) != "old" {
			t.Fatalf("field %d of the other is %q", i, v)
		}
	}
}
