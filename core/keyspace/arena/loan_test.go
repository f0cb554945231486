package arena

import (
	"bytes"
	"testing"
)

// TestLoan: what is lent stays as it is when its block is freed and others of its size are
// written, and when the arena is closed.
func TestLoan(t *testing.T) {
	t.Parallel()
	const size = 700 << 10
	a := New()
	defer func() { a.Close() }()
	if _, ok := a.Lend(a.Alloc(maxRun)); ok {
		t.Error("a block in a chunk with others is lent")
	}
	fill := func(r Ref, v byte) []byte {
		b := a.Bytes(r, size)
		for i := range b {
			b[i] = v
		}
		return b
	}
	check := func(b []byte, v byte) {
		t.Helper()
		if bytes.Count(b, []byte{v}) != len(b) {
			t.Fatal("what is lent was written")
		}
	}
	r := a.Alloc(size)
	if a.Lent(r) {
		t.Error("nobody has it, and it is lent")
	}
	b := fill(r, 'a')
	first, _ := a.Lend(r)
	second, ok := a.Lend(r)
	if !ok || !a.Lent(r) {
		t.Error("it is not lent")
	}
	first.Return()
	if !a.Lent(r) {
		t.Error("it was returned once of twice, and is not lent")
	}
	mapped := a.Mapped()
	a.Free(r)
	if a.Mapped() >= mapped {
		t.Error("what was freed counts")
	}
	for range 4 {
		o := a.Alloc(size)
		fill(o, 'b')
		a.Free(o)
	}
	check(b, 'a')
	if users := second.c.users.Load(); users != 1 {
		t.Errorf("%d have it, want 1", users)
	}
	second.Return()
	if users := second.c.users.Load(); users != 0 {
		t.Errorf("%d have what was returned", users)
	}

	r = a.Alloc(size)
	b = fill(r, 'c')
	last, _ := a.Lend(r)
	a.Close()
	a = New()
	fill(a.Alloc(size), 'd')
	check(b, 'c')
	last.Return()
}
