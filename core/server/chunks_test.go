package server

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/spillwaydb/spillway/core/keyspace/arena"
)

// TestChunks: what goes in comes out, in order, whatever is cut off or moved in
// between, and every chunk is given back.
func TestChunks(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	held := 0
	count := func(n int) bool { held += n; return true }
	var want []byte
	q := chunks{held: count}
	some := func() []byte {
		b := make([]byte, rng.IntN(3*arena.ChunkSize/2))
		for i := 0; i < len(b); i += 97 {
			b[i] = byte(rng.Uint32())
		}
		return b
	}
	for range 300 {
		switch rng.IntN(5) {
		case 0, 1:
			b := some()
			q.Append(b)
			want = append(want, b...)
		case 2:
			n := rng.IntN(q.n + 1)
			q.Truncate(n)
			want = want[:n]
		case 3:
			o := chunks{held: count}
			b := some()
			o.Append(b)
			q.move(&o)
			want = append(want, b...)
		case 4:
			if q.n == 0 {
				continue
			}
			b := q.front()
			m := 1 + rng.IntN(len(b))
			if !bytes.Equal(b[:m], want[:m]) {
				t.Fatal("other bytes come out")
			}
			q.left(m)
			want = want[m:]
		}
		if q.n != len(want) || held != len(q.list)*arena.ChunkSize || held > q.n+2*arena.ChunkSize {
			t.Fatalf("%d bytes, want %d; %d held by %d chunks", q.n, len(want), held, len(q.list))
		}
	}
	q.Truncate(0)
	if held != 0 {
		t.Errorf("%d bytes are held by nothing", held)
	}
	q.held = func(n int) bool { held += n; return n < 0 }
	if q.Append([]byte("x")) || held != 0 || q.n != 0 {
		t.Errorf("refused memory was taken: %d bytes held", held)
	}
}
