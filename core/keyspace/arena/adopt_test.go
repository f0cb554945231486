package arena

import (
	"bytes"
	"testing"
)

// adoptable is a buffer of size bytes with a value of n at offset at, which is filled with v.
func adoptable(size, at, n int, v byte) (*Buffer, []byte) {
	b := new(Buffer)
	val := b.Grow(size)[at : at+n]
	for i := range val {
		val[i] = v
	}
	return b, val
}

// TestAdopt: a value that is adopted lies where it was, with room for its head, and counts as
// what it takes. Buffer and block share the memory until both are gone, whichever goes first.
func TestAdopt(t *testing.T) {
	t.Parallel()
	const n, head = 700 << 10, 40
	for _, at := range []int{head, head + 1, head + 13, 5000} {
		a := New()
		b, val := adoptable(at+n+2, at, n, 'a')
		copy(b.Bytes()[at+n:], "\r\n")
		r, ok := a.Adopt(b, val, head)
		if !ok || !b.Adopted() {
			t.Fatalf("a value at %d is not adopted", at)
		}
		block := a.Bytes(r, head+n)
		if &block[head] != &val[0] {
			t.Fatalf("a value at %d was moved", at)
		}
		if _, again := a.Adopt(b, val, head); again {
			t.Error("it is adopted twice")
		}
		mapped := Size(at + n + 2)
		if mapped += mapped / roomShare; a.Mapped() > int64(mapped) { // it may be what another test has given back
			t.Errorf("%d bytes mapped for a request of %d", a.Mapped(), at+n+2)
		}
		if size := a.BlockSize(r); size < head+n || int64(size) > a.Mapped() || a.Used() != int64(size) {
			t.Errorf("a block of %d bytes, %d used, %d mapped", size, a.Used(), a.Mapped())
		}
		if !a.Lent(r) {
			t.Error("the buffer is there, and nobody has the block on loan")
		}
		clear(block[:head])
		if at == head { // the block goes first
			a.Free(r)
			for range 3 {
				o := a.Alloc(n)
				clear(a.Bytes(o, n))
				a.Free(o)
			}
			if bytes.Count(val, []byte("a")) != n || string(b.Bytes()[at+n:at+n+2]) != "\r\n" {
				t.Error("the buffer was written before it was freed")
			}
			b.Free()
		} else {
			b.Free()
			if b.Adopted() || a.Lent(r) {
				t.Error("the buffer was freed, and has the block on loan")
			}
			o, _ := adoptable(n, 0, n, 'b')
			if bytes.Count(a.Bytes(r, head+n)[head:], []byte("a")) != n {
				t.Error("the block was written by who got the buffer's memory")
			}
			o.Free()
			a.Free(r)
		}
		b.Free()
		if a.Used() != 0 || a.Mapped() != 0 {
			t.Errorf("%d bytes used, %d mapped of nothing", a.Used(), a.Mapped())
		}
		a.Close()
	}
}

// TestAdoptRefuses: what would take another's memory, or much more than it needs, is
// refused, and nothing has happened then.
func TestAdoptRefuses(t *testing.T) {
	t.Parallel()
	const n, head = 700 << 10, 40
	a := New()
	defer a.Close()
	for name, try := range map[string]func() (*Buffer, []byte){
		"no room for a head": func() (*Buffer, []byte) { return adoptable(head+n, head-1, n, 'v') },
		"a short value":      func() (*Buffer, []byte) { return adoptable(head+maxRun, head, maxRun-head, 'v') },
		"much before it":     func() (*Buffer, []byte) { return adoptable(n/4+n, n/4, n, 'v') },
		"much behind it":     func() (*Buffer, []byte) { return adoptable(n+n/4, head, n, 'v') },
		"a value elsewhere": func() (*Buffer, []byte) {
			b, _ := adoptable(head+n, head, n, 'v')
			return b, make([]byte, n)
		},
		"no value":        func() (*Buffer, []byte) { b, _ := adoptable(head+n, head, n, 'v'); return b, nil },
		"an empty buffer": func() (*Buffer, []byte) { return new(Buffer), make([]byte, n) },
	} {
		b, val := try()
		if _, ok := a.Adopt(b, val, head); ok || b.Adopted() || a.Used() != 0 {
			t.Errorf("%s: adopted", name)
		}
		b.Free()
	}
}
