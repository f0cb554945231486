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
	t.Run("hash", func(t *testing.T) {
		sharedCollections(t, func(d *DB, key []byte, f int, v []byte) { d.Hash(key).Set(strconv.AppendInt(nil, int64(f), 10), v) },
			func(d *DB, key []byte, f int) ([]byte, int) {
				v, _ := d.Hash(key).Get(strconv.AppendInt(nil, int64(f), 10))
				return v, d.Hash(key).Len()
			})
	})
	t.Run("list", func(t *testing.T) {
		sharedCollections(t, func(d *DB, key []byte, f int, v []byte) {
			switch l := d.List(key); {
			case f == l.Len():
				l.PushBack(v)
			case f == 0: // by way of the ends
				l.PopFront()
				l.PushFront(v)
			case f%3 == 0: // and of the middle
				l.InsertAt(f, v)
				l.Remove(l.At(f+1), 0)
			default:
				l.SetAt(f, v)
			}
		}, func(d *DB, key []byte, f int) ([]byte, int) { return d.List(key).At(f), d.List(key).Len() })
	})
}

// sharedCollections is TestSharedCollections of a type: set makes the value of a field, or of the item at a
// position, which may be the next one, and get returns it, and how many there are.
func sharedCollections(t *testing.T, set func(d *DB, key []byte, f int, v []byte), get func(d *DB, key []byte, f int) ([]byte, int)) {
	rng := rand.New(rand.NewPCG(*seed, 41))
	const shards, fields = 3, 1200
	k := New(Config{Shards: shards, Databases: 2})
	limits := DefaultLimits()
	limits.ListSize = 40 // of many chunks
	k.SetLimits(limits)
	place := func(i int) *DB { return k.Shard(i % shards).DB(i / shards % 2) }
	const places = 2 * shards
	locked := func(fn func()) {
		k.LockAll()
		defer k.UnlockAll()
		fn()
	}
	key := []byte("key")
	text := func(f, n int) []byte { return fmt.Appendf(nil, "%d:%d", f, n) }
	held := [places][]int{} // by place and field; nil: no key
	holds := func(d *DB, want []int) error {
		for f, n := range want {
			if v, size := get(d, key, f); string(v) != string(text(f, n)) || size != len(want) {
				return fmt.Errorf("field %d of %d is %q, want %q of %d", f, size, v, text(f, n), len(want))
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
					set(place(a), key, f, text(f, f+step))
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
								d.eachElement(b, new(texts), func(a, v []byte, _ float64) bool {
									if v == nil { // an item
										v = a
									}
									var f, n int
									if _, err := fmt.Sscanf(string(v), "%d:%d", &f, &n); err != nil || want[f] != n {
										wrong = fmt.Errorf("%q, want %d", v, want[f])
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
					set(place(a), key, f, text(f, held[a][f]))
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
