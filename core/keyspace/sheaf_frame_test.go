package keyspace

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestFrame: orders of all kinds, near and far from each other, come back from the frame that is
// found for them, whose numbers are no longer than they need be.
func TestFrame(t *testing.T) {
	rng := rand.New(rand.NewPCG(*seed, 31))
	for range 20_000 {
		reach := rng.Uint64() >> rng.IntN(64)
		low := rng.IntN(64)
		base := rng.Uint64() >> rng.IntN(64)
		orders := make([]uint64, 1+rng.IntN(20))
		for i := range orders {
			orders[i] = base + (rng.Uint64N(reach|1)>>low)<<low // may begin anew at zero
		}
		slices.Sort(orders)
		r := framing{lo: orders[0], hi: orders[0]}
		for _, order := range orders[1:] {
			r = r.with(order)
		}
		half := framing{lo: orders[len(orders)/2], hi: orders[len(orders)/2]}
		f := r.join(half).frame()
		for _, order := range orders {
			if !f.fits(order) || f.order(f.number(order)) != order {
				t.Fatalf("%x of %x does not fit %+v", order, orders, f)
			}
		}
		if most := (r.hi - r.lo) >> f.shift; f.width > 0 && most>>(8*(f.width-1)) == 0 {
			t.Fatalf("numbers of %d bytes for up to %x", f.width, most)
		}
		if f.base > 0 && f.fits(f.base-1) {
			t.Fatalf("%x fits a frame from %x on", f.base-1, f.base)
		}
	}
}

// TestElementScore: scores come back, and whole ones take few bytes.
func TestElementScore(t *testing.T) {
	for score, most := range map[float64]int{
		1: 1, -1: 1, 1000: 2, -1000: 2, 1_000_000: 3, 1.7e12: 6, wholeScore: 8, -wholeScore: 8,
		wholeScore + 1: 9, 1 << 62: 9, 1 << 63: 9, -1 << 63: 9, 0.5: 9, -0.1: 9, math.MaxFloat64: 9, math.SmallestNonzeroFloat64: 9,
		math.Inf(1): 9, math.Inf(-1): 9,
	} {
		e := element{key: []byte("key"), val: []byte("value"), score: score}
		b := appendElement(nil, &e)
		got := readElement(b)
		if string(got.key) != "key" || string(got.val) != "value" || got.score != score {
			t.Errorf("%v comes back as %q %q %v", score, got.key, got.val, got.score)
		}
		if n := len(b) - 1 - len("keyvalue"); n > most {
			t.Errorf("%v takes %d bytes, want %d", score, n, most)
		}
		if n := elementSize(&e); n < len(b) {
			t.Errorf("%v: an element of %d bytes is said to be no longer than %d", score, len(b), n)
		}
	}
}

// TestLargeIsCompact bounds what an element takes beyond its bytes, however elements come:
// members of 13 bytes, in sorted sets twice, values of 16.
func TestLargeIsCompact(t *testing.T) {
	const n = 20_000
	rng := rand.New(rand.NewPCG(*seed, 32))
	member := func(i int) []byte { return fmt.Appendf(nil, "m%012d", i) }
	for name, c := range map[string]struct {
		add  func(d *DB, key []byte, i int)
		most int64
	}{
		"sorted set, random whole scores": {func(d *DB, key []byte, i int) { d.ZSet(key).Add(member(i), float64(rng.IntN(n))) }, 2*13 + 23},
		"sorted set, random scores":       {func(d *DB, key []byte, i int) { d.ZSet(key).Add(member(i), rng.Float64()) }, 2*13 + 35},
		"sorted set, rising scores":       {func(d *DB, key []byte, i int) { d.ZSet(key).Add(member(i), float64(i)) }, 2*13 + 22},
		"sorted set, falling scores":      {func(d *DB, key []byte, i int) { d.ZSet(key).Add(member(i), float64(n-i)) }, 2*13 + 23},
		"sorted set, one score":           {func(d *DB, key []byte, i int) { d.ZSet(key).Add(member(i), 1) }, 2*13 + 18},
		"hash":                            {func(d *DB, key []byte, i int) { d.Hash(key).Set(member(i), []byte("value of 16 byte")) }, 13 + 16 + 15},
		"set":                             {func(d *DB, key []byte, i int) { d.Set(key).Add(member(i)) }, 13 + 13},
	} {
		t.Run(name, func(t *testing.T) {
			_, d := oneDB(t)
			key := []byte("key")
			for i := range n {
				c.add(d, key, i)
			}
			b, _ := d.lookup(key)
			if each := d.object(b).memory() / n; each > c.most {
				t.Errorf("an element takes %d bytes, want at most %d", each, c.most)
			} else {
				t.Logf("%d bytes an element, of at most %d", each, c.most)
			}
		})
	}
}
