package hll

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// TestSparseIsDense adds elements to a sparse HyperLogLog that may have any length
// and to a dense one: they agree all the time.
func TestSparseIsDense(t *testing.T) {
	sparse := New()
	dense, err := ToDense(New())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3000 {
		r, v := Place(fmt.Append(nil, "element", i))
		var inSparse, inDense bool
		if sparse, inSparse, err = Set(sparse, r, v, math.MaxInt); err != nil {
			t.Fatal(err)
		}
		if dense, inDense, err = Set(dense, r, v, 0); err != nil || inSparse != inDense {
			t.Fatalf("element %d changes the sparse one: %v, the dense one: %v, %v", i, inSparse, inDense, err)
		}
		if i%100 != 0 {
			continue
		}
		again, err := ToDense(sparse)
		if err != nil || !bytes.Equal(again, dense) {
			t.Fatalf("element %d: both forms differ (%v)", i, err)
		}
	}
	if Dense(sparse) || !Valid(sparse) || !Valid(dense) {
		t.Error("no longer what they were")
	}
}

func TestSelfTest(t *testing.T) {
	if testing.Short() {
		t.Skip("it adds ten million elements")
	}
	if err := SelfTest(rand.New(rand.NewPCG(1, 2)), 3000); err != nil {
		t.Error(err)
	}
}

// FuzzString does everything to a string that claims to be a HyperLogLog. Nothing
// panics, nothing reserves more than a dense one has, and what is not corrupt stays
// valid.
func FuzzString(f *testing.F) {
	b := New()
	for i := range 50 {
		r, v := Place(fmt.Append(nil, i))
		b, _, _ = Set(b, r, v, math.MaxInt)
	}
	f.Add(b, uint16(100), uint8(7))
	f.Add(New(), uint16(0), uint8(32))
	f.Add(append(New()[:headerSize], 0x7f), uint16(16383), uint8(33))
	f.Add(append(New()[:headerSize], 0x80, 0x83, 0x7f, 0xfa), uint16(4), uint8(9))
	dense, _ := ToDense(b)
	f.Add(dense, uint16(16383), uint8(51))
	f.Fuzz(func(t *testing.T, b []byte, register uint16, value uint8) {
		if !Valid(b) {
			return
		}
		var m Max
		count, err := Count(b)
		if mergeErr := m.Merge(b); (err == nil) != (mergeErr == nil) {
			t.Fatalf("counting it: %v, merging it: %v", err, mergeErr)
		}
		if err == nil && m.Count() != count {
			t.Fatalf("merged it counts %d, and %d alone", m.Count(), count)
		}
		if !Dense(b) {
			Decode(b)
		}
		before := append([]byte(nil), b...)
		out, changed, setErr := Set(bytes.Clone(b), int(register)%Registers, value%MaxRegister+1, 3000)
		switch {
		case setErr != nil && !errors.Is(setErr, ErrCorrupt), setErr == nil && !Valid(out):
			t.Fatalf("it becomes %q: %v", out, setErr)
		case setErr == nil && !changed && !bytes.Equal(out, before):
			t.Fatal("it has changed, and does not say so")
		case setErr == nil && err == nil:
			if _, err := Count(out); err != nil {
				t.Fatalf("it is corrupt afterwards: %v", err)
			}
		}
	})
}
