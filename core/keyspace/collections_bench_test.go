package keyspace

import (
	"encoding/binary"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"strconv"
	"testing"
	"time"
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

var benchLarge = flag.Int("large", 1_000_000, "elements of the large collections in the benchmarks")

// benchMember is the member of a number, 20 bytes of text in no order.
func benchMember(buf []byte, i int) []byte {
	return fmt.Appendf(buf[:0], "member:%013d", uint64(i)*0x9e3779b97f4a7c15%1e13) // positive
}

// BenchmarkLarge fills one collection of each type with -large elements in no order, and
// then does with it what clients do. "fill" reports resident bytes an element, the bytes
// that are accounted for, and the share of the processor that collecting garbage took.
func BenchmarkLarge(b *testing.B) {
	n := *benchLarge
	val := make([]byte, 16)
	buf := make([]byte, 0, 32)
	for _, t := range []Type{Set, Hash, ZSet} {
		k := New(Config{Shards: 1, Databases: 1})
		s := k.Shard(0)
		s.Lock()
		d := s.DB(0)
		key := []byte("large")
		add := func(i int) {
			switch m := benchMember(buf, i); t {
			case Set:
				d.Set(key).Add(m)
			case Hash:
				d.Hash(key).Set(m, val)
			default:
				d.ZSet(key).Add(m, float64(uint32(i*2654435761))) // the low half
			}
		}
		var filled int
		b.Run(t.String()+"/fill", func(b *testing.B) {
			debug.FreeOSMemory()
			before := resident(b)
			var from, to runtime.MemStats
			runtime.ReadMemStats(&from)
			begin := time.Now()
			for ; filled < n; filled++ {
				add(filled)
			}
			took := time.Since(begin)
			for b.Loop() { // it fills once
			}
			runtime.ReadMemStats(&to)
			b.ReportMetric(float64(took.Nanoseconds())/float64(n), "ns/element")
			b.ReportMetric(float64(to.NumGC-from.NumGC), "collections")
			debug.FreeOSMemory()
			b.ReportMetric(float64(resident(b)-before)/float64(n), "B/element")
			b.ReportMetric(float64(s.used)/float64(n), "accounted/element")
			start := time.Now()
			runtime.GC()
			b.ReportMetric(float64(time.Since(start).Milliseconds()), "ms/gc")
		})
		rng := rand.New(rand.NewPCG(1, 2))
		run := func(name string, fn func(i int)) {
			b.Run(t.String()+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					fn(rng.IntN(n))
				}
			})
		}
		switch t {
		case Set:
			run("has", func(i int) { d.Set(key).Has(benchMember(buf, i)) })
			run("pop+add", func(i int) {
				buf = append(buf[:0], d.Set(key).At(i%d.Set(key).Len())...)
				d.Set(key).Remove(buf)
				d.Set(key).Add(buf)
			})
		case Hash:
			run("get", func(i int) { d.Hash(key).Get(benchMember(buf, i)) })
			run("set", func(i int) { d.Hash(key).Set(benchMember(buf, i), val) })
		default:
			run("score", func(i int) { d.ZSet(key).Score(benchMember(buf, i)) })
			run("add", func(i int) { d.ZSet(key).Add(benchMember(buf, i), float64(rng.Uint32())) })
			run("range", func(i int) {
				z := d.ZSet(key)
				at := z.LowerScore(float64(uint32(i*2654435761)), false) // the low half
				z.EachRank(at, min(at+9, z.Len()-1), false, func([]byte, float64) bool { return true })
			})
		}
		s.Unlock()
		k.Close()
	}
}
