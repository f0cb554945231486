package keyspace

import (
	"encoding/binary"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"strconv"
	"testing"
)

var benchHashes = flag.Int("hashes", 200_000, "small hashes, lists, sets and sorted sets in the benchmarks' keyspace")

const benchFields = 10

// benchFill gives every key a collection of benchFields elements of 16 bytes:
// fields are a few bytes longer, scores are small numbers.
func benchFill(k *Keyspace, t Type, n int) {
	var key []byte
	val := make([]byte, 16)
	fields := make([][]byte, benchFields)
	for i := range fields {
		fields[i] = fmt.Appendf(nil, "field%d", i)
	}
	for i := range n {
		key = benchKey(key, uint64(i)) // positive
		s := k.Shard(k.ShardOf(key))
		s.Lock()
		d := s.DB(0)
		for f := range benchFields {
			binary.LittleEndian.PutUint64(val, uint64(i))     // positive
			binary.LittleEndian.PutUint64(val[8:], uint64(f)) // positive
			switch t {
			case Hash:
				d.Hash(key).Set(fields[f], val)
			case List:
				d.List(key).PushBack(val)
			case Set:
				d.Set(key).Add(val)
			case ZSet:
				d.ZSet(key).Add(val, float64(f))
			}
		}
		s.Unlock()
	}
}

// BenchmarkSmallMemory reports resident bytes per small collection, key
// included, and the time that adding an element takes.
func BenchmarkSmallMemory(b *testing.B) {
	for _, t := range []Type{Hash, List, Set, ZSet} {
		b.Run(t.String(), func(b *testing.B) {
			for b.Loop() {
				debug.FreeOSMemory()
				before := resident(b)
				k := New(Config{Shards: 4, Databases: 16})
				benchFill(k, t, *benchHashes)
				debug.FreeOSMemory()
				b.ReportMetric(float64(resident(b)-before)/float64(*benchHashes), "B/key")
				k.Close()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N**benchHashes*benchFields), "ns/element")
		})
	}
}

// BenchmarkLargeList reports resident bytes per item of one list of a million
// items of 16 bytes, and the time that pushing one takes.
func BenchmarkLargeList(b *testing.B) {
	const items = 1_000_000
	val := make([]byte, 16)
	for b.Loop() {
		debug.FreeOSMemory()
		before := resident(b)
		k := New(Config{Shards: 1, Databases: 1})
		k.Shard(0).Lock()
		for i := range items {
			binary.LittleEndian.PutUint64(val, uint64(i)) // positive
			k.Shard(0).DB(0).List(val[:0]).PushBack(val)
		}
		k.Shard(0).Unlock()
		debug.FreeOSMemory()
		b.ReportMetric(float64(resident(b)-before)/items, "B/item")
		k.Close()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*items), "ns/item")
}

// BenchmarkHash gets and sets fields of random hashes of several sizes; the
// largest is no longer packed.
func BenchmarkHash(b *testing.B) {
	for _, fields := range []int{benchFields, 100, 1000} {
		k := New(Config{Shards: 4, Databases: 16})
		names := make([][]byte, fields)
		for i := range names {
			names[i] = []byte("field" + strconv.Itoa(i))
		}
		val := make([]byte, 16)
		keys := *benchHashes * benchFields / fields / 10
		var key []byte
		on := func(i int, fn func(h HashRef)) {
			key = benchKey(key, uint64(i)) // positive
			s := k.Shard(k.ShardOf(key))
			s.Lock()
			fn(s.DB(0).Hash(key))
			s.Unlock()
		}
		for i := range keys {
			on(i, func(h HashRef) {
				for _, f := range names {
					h.Set(f, val)
				}
			})
		}
		rng := rand.New(rand.NewPCG(1, 2))
		b.Run(fmt.Sprintf("get/%d", fields), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				on(rng.IntN(keys), func(h HashRef) {
					if _, ok := h.Get(names[rng.IntN(fields)]); !ok {
						b.Fatal("a field is missing")
					}
				})
			}
		})
		b.Run(fmt.Sprintf("set/%d", fields), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				on(rng.IntN(keys), func(h HashRef) { h.Set(names[rng.IntN(fields)], val) })
			}
		})
		k.Close()
	}
}
