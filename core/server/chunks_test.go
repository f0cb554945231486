package server

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/spillwaydb/spillway/core/keyspace/arena"
)

// loans counts what is lent and was not returned.
type loans struct{ out int }

func (l *loans) Return() { l.out-- }

// cost is what a queue holds by its pieces.
func (q *chunks) cost() (n int) {
	for _, p := range q.list {
		n += p.cost
	}
	return n
}

// TestChunks: what goes in comes out, in order, whatever is cut off or moved in
// between, and every chunk is given back, and every loan returned, once.
func TestChunks(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	held := 0
	count := func(n int) bool { held += n; return true }
	var want []byte
	var lent loans
	q := chunks{held: count}
	lend := func(q *chunks) []byte {
		head, b := make([]byte, rng.IntN(2*fewBehind)), make([]byte, 1+rng.IntN(700<<10))
		for i := 0; i < len(b); i += 97 {
			b[i] = byte(rng.Uint32())
		}
		lent.out++
		q.Lend(head, b, &lent)
		return append(head, b...)
	}
	some := func() []byte {
		b := make([]byte, rng.IntN(3*arena.ChunkSize/2))
		for i := 0; i < len(b); i += 97 {
			b[i] = byte(rng.Uint32())
		}
		return b
	}
	for range 300 {
		switch rng.IntN(7) {
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
			if rng.IntN(2) == 0 {
				b = append(b, lend(&o)...)
				m := rng.IntN(len(o.front()))
				o.left(m)
				b = b[m:]
			}
			q.move(&o)
			want = append(want, b...)
		case 5:
			want = append(want, lend(&q)...)
		case 6:
			b := make([]byte, rng.IntN(fewBehind))
			q.Append(b)
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
		if q.n != len(want) || held != q.cost() || len(q.list) > 0 && q.n == 0 {
			t.Fatalf("%d bytes, want %d; %d held by %d pieces, of %d", q.n, len(want), held, len(q.list), q.cost())
		}
		on := 0
		for i, p := range q.list {
			if p.loan != nil {
				on++
			}
			// Only what a loan or the end is behind may have room.
			if i+1 < len(q.list) && q.list[i+1].loan == nil && len(p.mem) < cap(p.mem) {
				t.Fatalf("piece %d of %d has room", i, len(q.list))
			}
		}
		if on != lent.out {
			t.Fatalf("%d loans are out, %d in the queue", lent.out, on)
		}
	}
	q.Truncate(0)
	if lent.out != 0 {
		t.Errorf("%d loans were not returned", lent.out)
	}
	if held != 0 {
		t.Errorf("%d bytes are held by nothing", held)
	}
	q.held = func(n int) bool { held += n; return n < 0 }
	lent.out = 2
	if q.Append([]byte("x")) || q.Lend(nil, []byte("x"), &lent) || q.Lend([]byte("x"), []byte("x"), &lent) || held != 0 || q.n != 0 {
		t.Errorf("refused memory was taken: %d bytes held", held)
	}
	if lent.out != 0 {
		t.Errorf("%d loans that were refused were not returned", lent.out)
	}
}
