package keyspace

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestCompact deletes most keys in no order. Compact gives the memory back, a bounded
// number of keys at a time, and what is left is what it was, in the same order.
func TestCompact(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(*seed, 3))
	t.Logf("replay with -seed %d", *seed)
	k := New(Config{Shards: 1})
	s := k.Shard(0)
	s.Lock()
	defer s.Unlock()
	d := s.DB(0)
	const keys = 150_000
	key := func(i int) []byte { return fmt.Appendf(nil, "key:%d", i) }
	value := make([]byte, 300)
	for i := range keys {
		d.SetString(key(i), value[:100+i%200], int64(i%3)*1_900_000_000_000)
	}
	st := d.st
	peak := st.arena.Mapped()
	left := map[string]int{}
	for i := range keys {
		if rng.IntN(10) == 0 {
			left[string(key(i))] = 100 + i%200
		} else {
			d.Delete(key(i))
		}
	}
	order := func() (out []string) {
		eachKey(st, func(b blob) { out = append(out, string(b.key())) })
		return out
	}
	before, inOrder := st.arena.Mapped(), order()
	if before < peak/2 {
		t.Fatalf("%d of %d MiB mapped before anything is moved: the test tries nothing", before>>20, peak>>20)
	}

	v, err := s.Freeze()
	if err != nil {
		t.Fatal(err)
	}
	if moved, more := d.Compact(10); moved != 0 || more {
		t.Errorf("with a view alive %d keys were moved, more is %v", moved, more)
	}
	s.Unlock()
	v.Release()
	s.Lock()

	st.compaction.futile = st.arena.Used()
	if _, more := d.Compact(50); more {
		t.Error("it begins again behind a round in vain, though nothing has changed")
	}
	st.compaction.futile *= 2

	all := 0
	for more := true; more; {
		var moved int
		if moved, more = d.Compact(50); moved > 50 {
			t.Fatalf("%d keys were moved at once", moved)
		}
		if all += moved; all > 3*keys {
			t.Fatal("it does not come to an end")
		}
		if got := st.arena.Mapped(); got > before+roundLeast {
			t.Fatalf("it took %d MiB more on its way", (got-before)>>20)
		}
	}
	checkStore(t, st)
	if got, limit := st.arena.Mapped(), st.arena.Used()*5/4+16<<20; got > limit {
		t.Errorf("%d MiB are mapped for %d, want at most %d", got>>20, st.arena.Used()>>20, limit>>20)
	}
	if !slices.Equal(order(), inOrder) {
		t.Error("the order of the keys is another")
	}
	for key, size := range left {
		e, status := d.Get([]byte(key), 0)
		if status != Live || len(e.Bytes()) != size {
			t.Fatalf("key %s is %v", key, status)
		}
	}
	t.Logf("%d MiB mapped, %d after the deletions, %d now, for %d; %d keys moved", peak>>20, before>>20, st.arena.Mapped()>>20, st.arena.Used()>>20, all)

}
