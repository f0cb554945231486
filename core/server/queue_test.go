package server

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/spillwaydb/spillway/core/keyspace/arena"
)

// TestQueue: what goes in comes out, in order, and all memory is counted and
// given back.
func TestQueue(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 4))
	held := 0
	count := func(n int) bool { held += n; return true }
	some := func(most int) []byte {
		b := make([]byte, rng.IntN(most))
		for i := 0; i < len(b); i += 97 {
			b[i] = byte(rng.Uint32())
		}
		return b
	}
	for range 12 {
		var want []byte
		q := queue{many: chunks{held: count}}
		for range rng.IntN(12) {
			long := chunks{held: count}
			if rng.IntN(4) == 0 {
				b := some(2 * arena.ChunkSize)
				long.Append(b)
				want = append(want, b...)
			}
			b := some([]int{100, fewBytes, 2 * arena.ChunkSize}[rng.IntN(3)])
			want = append(want, b...)
			if !q.add(&long, b) || long.n != 0 {
				t.Fatal("refused")
			}
		}
		if q.size() != len(want) || held != q.many.cost()+cap(q.few) || q.many.n > 0 && len(q.few) > 0 {
			t.Fatalf("%d bytes, want %d; %d held", q.size(), len(want), held)
		}
		if rng.IntN(2) == 0 {
			var got []byte
			for p := q.many.front(); len(p) > 0; p = q.many.front() {
				got = append(got, p...)
				q.many.left(len(p))
			}
			if got = append(got, q.few...); !bytes.Equal(got, want) {
				t.Fatal("other bytes come out")
			}
		}
		if q.free(); held != 0 || q.size() != len(q.few) {
			t.Fatalf("%d bytes are held by nothing", held)
		}
	}
	no := queue{many: chunks{held: func(n int) bool { held += n; return n < 0 }}}
	if no.append([]byte("x")) {
		t.Error("refused memory was taken")
	}
	if no.free(); held != 0 {
		t.Errorf("%d bytes are held by nothing", held)
	}
}
