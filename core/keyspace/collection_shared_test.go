package keyspace

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
)

// TestSharedCollections: copies of large collections in other shards and databases, detached ones, and what
// views see share memory outside of the Go heap. Each keeps what it holds while the others are
// changed, moved, deleted and flushed, and with the last one all memory is given back.
func TestSharedCollections(t *testing.T) {
	t.Logf("replay with -run TestSharedCollections -seed %d", *seed)
	rng := rand.New(rand.NewPCG(*seed, 41))
	const shards, fields = 3, 1200
	k := New(Config{Shards: shards, Databases: 2})
	place := func(i int) *DB { return k.Shard(i % shards).DB(i / shards % 2) }
	const places = 2 * shards
	locked := func(fn func()) {
		k.LockAll()
		defer k.UnlockAll()
		fn()
	}
	key := []byte("hash")
	held := [places][]int{} // by place and field; nil: no key
	holds := func(d *DB, want []int) error {
		h := d.Hash(key)
		if h.Len() != len(want) {
			return fmt.Errorf("%d fields, want %d", h.Len(), len(want))
		}
		for f, n := range want {
			if v, _ := h.Get(strconv.AppendInt(nil, int64(f), 10)); string(v) != strconv.Itoa(n) {
				return fmt.Errorf("field %d is %q, want %d", f, v, n)
			}
		}
		return nil
	}
	var readers sync.WaitGroup
	defer readers.Wait()
	for step := range 400 {
		a, b := rng.IntN(places), rng.IntN(places)
		locked(func() {
			switch op := rng.IntN(12); {
			case held[a] == nil || op == 0:
				held[a] = make([]int, fields)
				place(a).Delete(key)
				for f := range fields {
					held[a][f] = f + step
					place(a).Hash(key).Set(strconv.AppendInt(nil, int64(f), 10), strconv.AppendInt(nil, int64(f+step), 10))
				}
			case op == 1:
				place(a).Delete(key)
				held[a] = nil
			case op == 2 && a < shards:
				place(a).Flush()
				held[a] = nil
			case op < 5 && a != b:
				place(a).Copy(key, key, place(b))
				held[b] = append([]int(nil), held[a]...)
			case op < 7 && a != b:
				place(a).Move(key, key, place(b))
				held[b], held[a] = held[a], nil
			case op == 7:
				copies := k.Detach(func([]byte) *DB { return place(a) }, key)
				want := append([]int(nil), held[a]...)
				readers.Go(func() {
					defer copies.Close()
					if err := holds(copies, want); err != nil {
						t.Errorf("detached: %v", err)
					}
				})
			case op == 8 && a < shards:
				v, err := k.Shard(a).Freeze()
				if err != nil {
					return // one lives
				}
				want := append([]int(nil), held[a]...)
				readers.Go(func() {
					defer v.Release()
					for i := range v.dbs {
						if d := &v.dbs[i]; d.db == 0 && d.keys > 0 {
							if err := d.each(func(b blob) error {
								var wrong error
								d.eachElement(b, new(texts), func(f, v []byte, _ float64) bool {
									if at, _ := strconv.Atoi(string(f)); string(v) != strconv.Itoa(want[at]) {
										wrong = fmt.Errorf("field %s is %q, want %d", f, v, want[at])
									}
									return wrong == nil
								})
								return wrong
							}, func(int) error { return nil }); err != nil {
								t.Errorf("frozen: %v", err)
							}
						}
					}
				})
			default:
				for range 20 {
					f := rng.IntN(fields)
					held[a][f]++
					place(a).Hash(key).Set(strconv.AppendInt(nil, int64(f), 10), strconv.AppendInt(nil, int64(held[a][f]), 10))
				}
			}
		})
		if step%10 == 0 {
			locked(func() {
				for i := range places {
					if err := holds(place(i), held[i]); err != nil {
						t.Fatalf("step %d, place %d: %v", step, i, err)
					}
				}
			})
		}
	}
	readers.Wait()
	locked(func() {
		for i := range places {
			checkCollections(t, place(i))
			place(i).Delete(key)
		}
	})
	checkDrained(t, k)
}
