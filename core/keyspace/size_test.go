//go:build !race && !spillway_goheap

// With those the Go heap has more on it than what the keyspace counts.

package keyspace

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/spillwaydb/spillway/core/rdb"
)

// TestUsedIsTaken: what large collections are said to take is what the Go heap, on which
// they lie, and the pool of their elements have grown by.
func TestUsedIsTaken(t *testing.T) {
	const elements = 30_000
	for _, c := range []struct {
		name string
		add  func(d *DB, key []byte, i int)
	}{
		{"hash", func(d *DB, key []byte, i int) {
			d.Hash(key).Set(fmt.Appendf(nil, "field:%d", i), fmt.Appendf(nil, "%032d", i))
		}},
		{"set", func(d *DB, key []byte, i int) { d.Set(key).Add(fmt.Appendf(nil, "member:%d", i)) }},
		{"sorted set", func(d *DB, key []byte, i int) {
			d.ZSet(key).Add(fmt.Appendf(nil, "member:%d", i), float64(i*7919%elements))
		}},
		{"list", func(d *DB, key []byte, i int) { d.List(key).PushBack(fmt.Appendf(nil, "element:%032d", i)) }},
		{"stream", func(d *DB, key []byte, i int) {
			d.AddEntry(key, StreamID{MS: uint64(i + 1)}, [][]byte{[]byte("field"), fmt.Appendf(nil, "%032d", i)})
		}},
		{"group", func(d *DB, key []byte, i int) {
			d.EditStream(key, func(s *StreamValue) {
				s.CreateGroup(key, StreamID{}, rdb.EntriesUnknown)
				s.EditGroup(key, func(g *StreamGroup) {
					g.CreateConsumer(key, 1)
					g.Claim(StreamPending{ID: StreamID{MS: uint64(i + 1)}, Consumer: key, Delivered: 1, Count: 1})
				})
			})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := New(Config{Shards: 1, Databases: 1})
			s := k.Shard(0)
			s.Lock()
			defer s.Unlock()
			before, used := heapInUse(), s.used
			for i := range elements {
				c.add(s.DB(0), []byte("key"), i)
			}
			s.spares.empty() // the shard's, and of a bounded size
			onHeap := heapInUse() - before
			taken, said := onHeap+k.pool.Used(), s.used-used
			if ratio := float64(said) / float64(taken); ratio < 0.9 || ratio > 1.1 {
				t.Errorf("%d elements are said to take %d bytes, and take %d: %.2f", elements, said, taken, ratio)
			}
			if ratio := float64(s.heap) / float64(onHeap); ratio < 0.6 || ratio > 1.4 {
				t.Errorf("%d bytes are said to be on the Go heap, and %d are: %.2f", s.heap, onHeap, ratio)
			}
			runtime.KeepAlive(k)
		})
	}
}

// heapInUse is how many bytes the live objects of the Go heap take.
func heapInUse() int64 {
	runtime.GC()
	runtime.GC() // what finalizers, and pools, have kept
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
