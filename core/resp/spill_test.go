package resp

import (
	"bytes"
	"testing"
)

// held is a Spill that takes up to most bytes; 0: any number.
type held struct {
	b    []byte
	most int
}

func (h *held) Append(b []byte) bool {
	if h.most > 0 && len(h.b)+len(b) > h.most {
		return false
	}
	h.b = append(h.b, b...)
	return true
}

// Lend returns the loan at once: it copies.
func (h *held) Lend(head, b []byte, loan Loan) bool {
	loan.Return()
	return h.Append(head) && h.Append(b)
}

// loans counts those that were returned.
type loans struct{ back int }

func (l *loans) Return() { l.back++ }

func (h *held) Truncate(n int) { h.b = h.b[:n] }

// TestSpill: with a Spill the same is said, Buf stays short, and one may go back
// to any place.
func TestSpill(t *testing.T) {
	t.Parallel()
	long := bytes.Repeat([]byte("v"), spillFrom/3)
	var plain Writer
	var back loans
	h := new(held)
	w := Writer{Spill: h}
	for i := range 50 {
		at, ref, errors := w.Len(), plain.Len(), w.Errors
		for _, o := range []*Writer{&w, &plain} {
			o.Array(3)
			o.Bulk(long[:len(long)*(i%5)/4])
			o.Int(int64(i))
			o.Raw(long)
			if i%3 == 0 {
				o.BulkLent(long, &back)
				o.Int(7)
			}
		}
		if i%7 == 3 {
			w.Truncate(at)
			plain.Truncate(ref)
			w.Error("ERR no")
			plain.Error("ERR no")
			if w.Errors != errors+1 {
				t.Fatal("an error is not seen")
			}
		} else if w.Errors != errors {
			t.Fatal("an error is seen where none is")
		}
		if w.Len() != plain.Len() || len(w.Buf) > 2*spillFrom || !bytes.Equal(append(bytes.Clone(h.b), w.Buf...), plain.Buf) {
			t.Fatalf("after %d replies: %d bytes, want %d; %d in Buf", i, w.Len(), plain.Len(), len(w.Buf))
		}
	}
	if back.back != 2*17 {
		t.Errorf("%d loans were returned", back.back)
	}
	w.Truncate(7)
	if got := append(bytes.Clone(h.b), w.Buf...); !bytes.Equal(got, plain.Buf[:7]) {
		t.Errorf("%q is left", got)
	}

	// Beyond a limit nothing is kept, and that is said.
	for name, w := range map[string]*Writer{"Max": {Spill: new(held), Max: spillFrom}, "Spill": {Spill: &held{most: spillFrom}}} {
		start := w.Len()
		var back loans
		for i := range 20 {
			if i%2 == 0 {
				w.BulkLent(long, &back)
			} else {
				w.Bulk(long)
			}
		}
		if back.back != 10 {
			t.Errorf("%s: %d loans of 10 were returned", name, back.back)
		}
		if !w.Over || w.Len() > 2*spillFrom {
			t.Errorf("%s: over %v, %d bytes", name, w.Over, w.Len())
		}
		w.Shed(start)
		w.Truncate(1 << 30)
	}
}
