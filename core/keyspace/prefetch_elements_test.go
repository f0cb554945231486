package keyspace

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// seekSet is a sorted set large enough to be looked ahead at, with scores from 0 up to it.
func seekSet(d *DB, key []byte, n int) {
	for i := range n {
		d.ZSet(key).Add(fmt.Appendf(nil, "member:%d", i), float64(i))
	}
}

// TestElements: searches that are made ahead end where those that are made one by one do.
func TestElements(t *testing.T) {
	k := New(Config{Shards: 1, Databases: 1})
	defer k.Close()
	s := k.Shard(0)
	s.Lock()
	defer s.Unlock()
	d, key := s.DB(0), []byte("zset")
	const n = 60_000
	seekSet(d, key, n)
	z := d.ZSet(key)
	c := z.heap(z.find())
	if c.memory() < prefetchBytes {
		t.Fatalf("%d bytes are not looked ahead at", c.memory())
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		var ds []descent
		for range AheadMax {
			member := fmt.Appendf(nil, "member:%d", rng.IntN(2*n)) // half of them are there
			ds = append(ds, descent{order: k.memberHash(member), key: member})
		}
		approach(ds, &c.items.tree)
		for range AheadMax {
			ds = append(ds, descent{order: scoreOrder(rng.Float64() * n)})
		}
		approach(ds[AheadMax:], &c.ranks.tree)
		descend(ds)
		for i, p := range ds {
			in := &c.items
			if i >= AheadMax {
				in = &c.ranks
			}
			if want := in.find(p.order, p.key); p.s != want.s || p.i != want.i && i < AheadMax {
				t.Fatalf("%x %q is sought at %d of %p, and is at %d of %p", p.order, p.key, p.i, p.s, want.i, want.s)
			}
		}
	}
	for _, last := range []bool{false, true} {
		ds := c.ranks.appendEnd(nil, k, last, 1000)
		if len(ds) != 1000 {
			t.Fatalf("%d of one end", len(ds))
		}
		for i, p := range ds {
			at := i
			if last {
				at = n - 1 - i
			}
			if want := fmt.Sprintf("member:%d", at); string(p.key) != want || p.order != k.memberHash(p.key) {
				t.Fatalf("member %d of the end is %q, want %q", i, p.key, want)
			}
		}
		if ds := c.ranks.appendEnd(nil, k, last, 2*n); len(ds) != n {
			t.Fatalf("%d of %d", len(ds), n)
		}
	}
}

// TestElementsChangeNothing looks ahead at whatever a command may say of whatever its key may be.
func TestElementsChangeNothing(t *testing.T) {
	k := New(Config{Shards: 1, Databases: 1})
	defer k.Close()
	s := k.Shard(0)
	s.Lock()
	d := s.DB(0)
	const n = 60_000
	seekSet(d, []byte("zset"), n)
	for i := range n {
		d.ZSet([]byte("alike")).Add(fmt.Appendf(nil, "%d", i), 1)
		d.Hash([]byte("hash")).Set(fmt.Appendf(nil, "%d", i), make([]byte, 20))
		d.Set([]byte("set")).Add(fmt.Appendf(nil, "member:%d", i))
		d.List([]byte("list")).PushBack(make([]byte, 20))
	}
	for i := range 300 {
		d.Hash([]byte("long")).Set(fmt.Appendf(nil, "%d", i), make([]byte, 8<<10))
		d.ZSet([]byte("long members")).Add(append(make([]byte, 8<<10), fmt.Sprint(i)...), 2)
	}
	d.SetString([]byte("string"), []byte("value"), 0)
	d.Hash([]byte("small")).Set([]byte("field"), []byte("value"))
	v, err := s.Freeze()
	if err != nil {
		t.Fatal(err)
	}
	defer v.Release() // which locks the shard
	defer s.Unlock()
	used := s.used
	var seeks []Seek
	for i := range 3*AheadMax + 5 {
		member := fmt.Appendf(nil, "member:%d", 31*i)
		seeks = append(seeks, Seek{}, Seek{Kind: SeekMember, Member: member}, Seek{Kind: SeekMember, Member: fmt.Append(nil, i)}, Seek{Kind: SeekPlace, Member: member, Score: -1},
			Seek{Kind: SeekPlace, Member: fmt.Append(nil, i), Score: 1}, Seek{Kind: SeekMember}, Seek{Kind: SeekFirst}, Seek{Kind: SeekLast})
	}
	for _, key := range []string{"zset", "alike", "hash", "set", "list", "long", "long members", "string", "small", "missing", ""} {
		d.PrefetchElements([]byte(key), seeks)
		d.PrefetchElements([]byte(key), nil)
	}
	if s.used != used {
		t.Errorf("to look ahead changed what is used from %d to %d", used, s.used)
	}
	for i := range n {
		if score, ok := d.ZSet([]byte("zset")).Score(fmt.Appendf(nil, "member:%d", i)); !ok || score != float64(i) {
			t.Fatalf("member %d has score %v, %v", i, score, ok)
		}
	}
}

// BenchmarkElements compares setting fields of a large hash one by one with looking ahead at 16 of them.
func BenchmarkElements(b *testing.B) {
	const fields, batch = 1 << 20, 16
	k := New(Config{Shards: 1, Databases: 1})
	defer k.Close()
	s := k.Shard(0)
	s.Lock()
	defer s.Unlock()
	d, key, val := s.DB(0), []byte("hash"), make([]byte, 64)
	seeks := make([]Seek, fields)
	for i := range seeks {
		seeks[i] = Seek{Kind: SeekMember, Member: fmt.Appendf(nil, "field:%012d", i*7919%fields)}
		d.Hash(key).Set(seeks[i].Member, val)
	}
	for _, ahead := range []bool{false, true} {
		b.Run(fmt.Sprintf("ahead=%v", ahead), func(b *testing.B) {
			for i := range b.N {
				at := i / batch * 7919 % (fields / batch) * batch
				if ahead && i%batch == 0 {
					d.PrefetchElements(key, seeks[at:at+batch])
				}
				d.Hash(key).Set(seeks[at+i%batch].Member, val)
			}
		})
	}
}
