package keyspace

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spillwaydb/spillway/core/rdb"
)

// TestLoader: what a Loader loads is what Load loads one after the other, whatever the
// objects are, also where a key comes twice.
func TestLoader(t *testing.T) {
	for seed, c := range []struct{ shards, databases, keys int }{{3, 2, 40}, {1, 1, prefetchKeys * 3 / 2}, {3, 2, 3000}} {
		rnd := rand.New(rand.NewPCG(uint64(seed), 9)) // positive
		cfg := Config{Shards: c.shards, Databases: c.databases}
		one, many := New(cfg), New(cfg)
		t.Cleanup(one.Close)
		t.Cleanup(many.Close)
		l := many.NewLoader()
		for range 20_000 {
			obj := &rdb.Object{DB: rnd.IntN(c.databases), Key: fmt.Append(nil, "key:", rnd.IntN(c.keys)), LRU: -1, LFU: -1}
			switch rnd.IntN(40) {
			case 0:
				obj.Type, obj.Str = String, []byte(strings.Repeat("l", loadWaits+rnd.IntN(9)))
			case 1:
				obj.Type, obj.Items = List, [][]byte{[]byte("a"), fmt.Append(nil, rnd.IntN(100))}
			case 2:
				obj.Type, obj.Items = Hash, [][]byte{[]byte("a"), fmt.Append(nil, rnd.IntN(100))}
			default:
				obj.Type, obj.Str = String, fmt.Append(nil, rnd.IntN(1_000_000))
			}
			if rnd.IntN(3) == 0 {
				obj.ExpireMS = 1 + rnd.Int64N(1<<40)
			}
			if rnd.IntN(4) == 0 {
				obj.LRU = rnd.Int64N(1000)
			}
			for _, err := range []error{one.Load(obj), l.Load(obj)} {
				if err != nil {
					t.Fatal(err)
				}
			}
			clear(obj.Key) // it is the caller's again
			clear(obj.Str)
		}
		l.Flush()
		want, got := everything(one, c.keys), everything(many, c.keys)
		if len(want) < 40 || !cmp.Equal(want, got) {
			t.Errorf("seed %d: %s", seed, cmp.Diff(want, got))
		}
	}
	k := New(Config{Shards: 1, Databases: 1})
	t.Cleanup(k.Close)
	if err := k.NewLoader().Load(&rdb.Object{DB: 1, Key: []byte("k"), Str: []byte("v")}); err == nil {
		t.Error("a database that there is not was loaded into")
	}
}

// everything is the keyspace as texts, by database and key, of which there are so many at most.
func everything(k *Keyspace, keys int) map[string]string {
	all := make(map[string]string)
	for n := range k.NumShards() {
		s := k.Shard(n)
		s.Lock()
		for db := range k.NumDatabases() {
			d := s.DB(db)
			for id := range keys {
				key := fmt.Append(nil, "key:", id)
				if e, status := d.Get(key, 0); status == Live {
					o, err := d.Dump(key, e)
					if err != nil {
						panic(err)
					}
					b, _, _ := d.st.find(k.hash(key), key)
					all[fmt.Sprintf("%d/%s", db, key)] = fmt.Sprintf("%v %d %q %q %d %d", o.Type, o.ExpireMS, o.Str, o.Listpack, len(o.Items), b.clock())
				}
			}
		}
		s.Unlock()
	}
	return all
}

// BenchmarkLoader loads strings of 64 bytes until there are some millions of them, in no order that
// the index knows.
func BenchmarkLoader(b *testing.B) {
	const keys = 1 << 21
	obj := &rdb.Object{Key: []byte("key:000000000000"), Type: String, Str: []byte(strings.Repeat("x", 64)), LRU: -1}
	for b.Loop() {
		k := New(Config{Shards: 2})
		l := k.NewLoader()
		for i := range keys {
			for at, n := len(obj.Key)-1, i; at > 3; at, n = at-1, n/10 {
				obj.Key[at] = byte('0' + n%10)
			}
			if err := l.Load(obj); err != nil {
				b.Fatal(err)
			}
		}
		l.Flush()
		b.StopTimer()
		k.Close()
		b.StartTimer()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/keys, "ns/key")
}
