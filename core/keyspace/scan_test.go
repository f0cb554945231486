package keyspace

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestScan iterates while keys come and go, so that pages split and join under
// the cursor: every key that stays must be reported.
func TestScan(t *testing.T) {
	t.Logf("replay with -run TestScan -seed %d", *seed)
	rng := rand.New(rand.NewPCG(*seed, 7))
	k := New(Config{Shards: 3, Databases: 1})
	defer k.Close()
	stay, volatile := map[string]bool{}, map[string]bool{}
	add := func(key string, set map[string]bool) {
		s := k.Shard(k.ShardOf([]byte(key)))
		s.Lock()
		s.DB(0).SetString([]byte(key), []byte("v"), 0)
		s.Unlock()
		set[key] = true
	}
	for i := range 5000 {
		add(fmt.Sprint("stay", i), stay)
	}
	for round := range 20 {
		seen := map[string]int{}
		calls, cursor := 0, uint64(0)
		count := 1 + rng.IntN(300)
		for {
			shard, pos := k.UnpackCursor(cursor)
			s := k.Shard(shard)
			s.Lock()
			pos = s.DB(0).Scan(pos, count, func(key []byte, e Entry) {
				if string(e.Key()) != string(key) {
					t.Fatalf("entry of %q for key %q", e.Key(), key)
				}
				seen[string(key)]++
			})
			s.Unlock()
			if cursor = k.PackCursor(shard, pos); cursor == 0 {
				break
			}
			if cursor>>63 != 0 {
				t.Fatalf("cursor %#x has 64 bits", cursor)
			}
			if calls++; calls > 1_000_000 {
				t.Fatal("the cursor goes round and round")
			}
			// In even rounds keys come, in odd ones they go.
			for range rng.IntN(3 * count) {
				key := fmt.Sprint("volatile", rng.IntN(30_000))
				if round%2 == 0 {
					add(key, volatile)
				} else if volatile[key] {
					s := k.Shard(k.ShardOf([]byte(key)))
					s.Lock()
					s.DB(0).Delete([]byte(key))
					s.Unlock()
					delete(volatile, key)
				}
			}
		}
		for key := range stay {
			if seen[key] == 0 {
				t.Fatalf("round %d, count %d: %s was not reported", round, count, key)
			}
		}
		if round%2 == 1 {
			for key := range volatile {
				s := k.Shard(k.ShardOf([]byte(key)))
				s.Lock()
				s.DB(0).Delete([]byte(key))
				s.Unlock()
			}
			clear(volatile)
		}
	}
}

// TestScanStill expects every key exactly once, about count at a time, where
// nothing changes.
func TestScanStill(t *testing.T) {
	_, d := oneDB(t)
	if d.Scan(0, 10, func([]byte, Entry) {}) != 0 || d.Scan(1<<43, 10, func([]byte, Entry) {}) != 0 {
		t.Error("a scan of nothing does not end")
	}
	const keys = 3000
	for i := range keys {
		d.SetString(fmt.Append(nil, i), nil, 0)
	}
	for _, count := range []int{-1, 1, 10, 100, 10_000} {
		seen := map[string]bool{}
		for cursor := uint64(0); ; {
			n := 0
			cursor = d.Scan(cursor, count, func(key []byte, _ Entry) {
				if n++; seen[string(key)] {
					t.Fatalf("count %d: %s came twice", count, key)
				}
				seen[string(key)] = true
			})
			if n > max(count, 1)+8 {
				t.Errorf("count %d gives %d keys", count, n)
			}
			if cursor == 0 {
				break
			}
		}
		if len(seen) != keys {
			t.Errorf("count %d: %d keys", count, len(seen))
		}
	}
	// A cursor that nobody handed out ends, too.
	for _, cursor := range []uint64{1<<44 - 1, 1 << 44, ^uint64(0), 12345} {
		for n := 0; cursor != 0; n++ {
			if cursor = d.Scan(cursor, 100, func([]byte, Entry) {}); n > keys {
				t.Fatal("a forged cursor does not end")
			}
		}
	}
}

// TestScanJoin stops at every place of an index, has pages join and goes on: what
// came to the page with keys that were behind the cursor is reported too.
func TestScanJoin(t *testing.T) {
	_, d := oneDB(t)
	const keys, every = 3000, 20
	for stop := 1; stop < keys; stop += 37 {
		for i := range keys {
			d.SetString(fmt.Append(nil, i), nil, 0)
		}
		seen := map[string]bool{}
		note := func(key []byte, _ Entry) { seen[string(key)] = true }
		cursor := d.Scan(0, stop, note)
		for i := range keys {
			if i%every != 0 {
				d.Delete(fmt.Append(nil, i))
			}
		}
		for cursor != 0 {
			cursor = d.Scan(cursor, 10, note)
		}
		for i := 0; i < keys; i += every {
			if key := fmt.Sprint(i); !seen[key] {
				t.Fatalf("stopped after %d keys: %s was not reported", stop, key)
			}
		}
	}
}

// TestScanPosition: a position is a page and a print, whatever the number.
func TestScanPosition(t *testing.T) {
	rng := rand.New(rand.NewPCG(*seed, 8))
	t.Logf("replay with -run TestScanPosition -seed %d", *seed)
	for range 10_000 {
		depth, print := uint(rng.IntN(maxDepth+1)), rng.Uint64N(1<<printBits)
		at := rng.Uint64() &^ (prefixStep(depth) - 1)
		pos := scanPosition(at|rng.Uint64()&(prefixStep(depth)-1), depth, print)
		if a, d, p := scanPlace(pos); pos == 0 || pos>>scanBits != 0 || a != at || d != depth || p != print {
			t.Fatalf("%#x of %d bits, print %d: position %#x is %#x of %d bits, print %d", at, depth, print, pos, a, d, p)
		}
		if a, d, _ := scanPlace(rng.Uint64()); d > maxDepth || a&(prefixStep(d)-1) != 0 {
			t.Fatalf("%#x of %d bits", a, d)
		}
	}
}

// TestWalk walks while pages split and join: what stays is met once, and nothing is
// met twice.
func TestWalk(t *testing.T) {
	t.Logf("replay with -run TestWalk -seed %d", *seed)
	rng := rand.New(rand.NewPCG(*seed, 9))
	_, d := oneDB(t)
	const stay, volatile = 500, 10_000
	for i := range stay {
		d.SetString(fmt.Append(nil, "stay", i), nil, 0)
	}
	for round := range 20 {
		met := map[string]int{}
		var w Walk
		for steps := 0; !w.Ended; steps++ {
			if steps > 10_000 {
				t.Fatal("the walk does not end")
			}
			n := 0
			d.Step(&w, 1+rng.IntN(500), func(key []byte, e Entry) {
				if string(e.Key()) != string(key) {
					t.Fatalf("entry of %q for key %q", e.Key(), key)
				}
				met[string(key)]++
				n++
			})
			if n > 500+pageSlots {
				t.Fatalf("a step met %d keys", n)
			}
			for range rng.IntN(1000) {
				key := fmt.Append(nil, "volatile", rng.IntN(volatile))
				if round%2 == 0 {
					d.SetString(key, nil, 0)
				} else {
					d.Delete(key)
				}
			}
		}
		for i := range stay {
			if n := met[fmt.Sprint("stay", i)]; n != 1 {
				t.Fatalf("round %d: stay%d was met %d times", round, i, n)
			}
		}
		for key, n := range met {
			if n > 1 {
				t.Fatalf("round %d: %s was met %d times", round, key, n)
			}
		}
		for i := range volatile { // all come, or go
			if key := fmt.Append(nil, "volatile", i); round%2 == 0 {
				d.SetString(key, nil, 0)
			} else {
				d.Delete(key)
			}
		}
	}
}

func TestRandomAndSample(t *testing.T) {
	_, d := oneDB(t)
	rng := rand.New(rand.NewPCG(1, 1))
	if _, ok := d.Random(rng); ok {
		t.Error("a random key out of none")
	}
	d.Sample(5, false, rng, func([]byte, Entry) { t.Error("a sample of nothing") })
	const keys = 2000
	for i := range keys {
		d.SetString(fmt.Append(nil, i), nil, int64(i/1990)*1e15)
	}
	seen := map[string]int{}
	for range 20 * keys {
		key, ok := d.Random(rng)
		if !ok {
			t.Fatal("no random key")
		}
		seen[string(key)]++
	}
	for key, n := range seen {
		if n > 100 {
			t.Errorf("%s came %d times of %d", key, n, 20*keys)
		}
	}
	if len(seen) < keys*99/100 {
		t.Errorf("%d of %d keys came", len(seen), keys)
	}
	volatile := map[string]bool{}
	for range 1000 {
		n := 0
		d.Sample(7, true, rng, func(key []byte, e Entry) {
			n++
			if e.Deadline() == 0 {
				t.Fatalf("%s has no deadline", key)
			}
			volatile[string(key)] = true
		})
		if n != 7 {
			t.Fatalf("%d keys sampled", n)
		}
	}
	if len(volatile) != 10 {
		t.Errorf("%d of 10 keys with a deadline were sampled", len(volatile))
	}
	// One key among pages that have become empty is still found.
	for i := 1; i < keys; i++ {
		d.Delete(fmt.Append(nil, i))
	}
	for range 100 {
		if key, ok := d.Random(rng); !ok || string(key) != "0" {
			t.Fatalf("random key %q", key)
		}
	}
}
