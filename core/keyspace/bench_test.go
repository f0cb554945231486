package keyspace

import (
	"encoding/binary"
	"flag"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core/rdb"
)

var benchKeys = flag.Int("keys", 1_000_000, "keys in the benchmarks' keyspace; the targets are for 5000000")

const benchValue = 64

// benchKey writes the 16-byte key number i.
func benchKey(dst []byte, i uint64) []byte {
	dst = append(dst[:0], "key:"...)
	const digits = 12
	for shift := digits - 1; shift >= 0; shift-- {
		dst = append(dst, "0123456789abcdef"[i>>(4*shift)&15])
	}
	return dst
}

func fill(k *Keyspace, n int) {
	val := make([]byte, benchValue)
	var key []byte
	for i := range n {
		key = benchKey(key, uint64(i))                // positive
		binary.LittleEndian.PutUint64(val, uint64(i)) // positive
		set(k, key, val)
	}
}

func set(k *Keyspace, key, val []byte) {
	s := k.Shard(k.ShardOf(key))
	s.Lock()
	s.DB(0).SetString(key, val, 0)
	s.Unlock()
}

// resident is the process's resident memory.
func resident(tb testing.TB) int64 {
	status, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		tb.Fatal(err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(status))[1], 10, 64)
	if err != nil {
		tb.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

// BenchmarkMemory reports resident bytes per key, the time of a full garbage
// collection, and of freezing every shard, with all keys loaded.
func BenchmarkMemory(b *testing.B) {
	for b.Loop() {
		runtime.GC()
		before := resident(b)
		k := New(Config{Shards: 4, Databases: 16})
		start := time.Now()
		fill(k, *benchKeys)
		b.ReportMetric(float64(time.Since(start).Nanoseconds())/float64(*benchKeys), "ns/fill")
		runtime.GC()
		b.ReportMetric(float64(resident(b)-before)/float64(*benchKeys), "B/key")
		start = time.Now()
		runtime.GC()
		b.ReportMetric(float64(time.Since(start).Microseconds())/1000, "ms/gc")
		start = time.Now()
		var views []*View
		for i := range k.NumShards() {
			k.Shard(i).Lock()
			v, err := k.Shard(i).Freeze()
			k.Shard(i).Unlock()
			if err != nil {
				b.Fatal(err)
			}
			views = append(views, v)
		}
		b.ReportMetric(float64(time.Since(start).Nanoseconds())/1000, "µs/freeze")
		for _, v := range views {
			v.Release()
		}
		k.Close()
	}
}

func benchKeyspace(b *testing.B) (*Keyspace, *rand.Rand) {
	k := New(Config{Shards: 4, Databases: 16})
	fill(k, *benchKeys)
	b.Cleanup(k.Close)
	return k, rand.New(rand.NewPCG(1, 2))
}

func BenchmarkSet(b *testing.B) {
	k, rng := benchKeyspace(b)
	val := make([]byte, benchValue)
	var key []byte
	for b.Loop() {
		key = benchKey(key, rng.Uint64N(uint64(*benchKeys))) // positive
		set(k, key, val)
	}
}

func BenchmarkGet(b *testing.B) {
	k, rng := benchKeyspace(b)
	var key []byte
	sum := byte(0)
	for b.Loop() {
		key = benchKey(key, rng.Uint64N(uint64(*benchKeys))) // positive
		s := k.Shard(k.ShardOf(key))
		s.Lock()
		e, status := s.DB(0).Get(key, 1)
		if status != Live {
			b.Fatal("a key is missing")
		}
		sum ^= e.Bytes()[0]
		s.Unlock()
	}
	_ = sum
}

// BenchmarkSetFrozen writes while views of every shard live: each write of a
// page or a value that a view can see copies it first.
func BenchmarkSetFrozen(b *testing.B) {
	k, rng := benchKeyspace(b)
	val := make([]byte, benchValue)
	var key []byte
	for i := range k.NumShards() {
		k.Shard(i).Lock()
		v, err := k.Shard(i).Freeze()
		k.Shard(i).Unlock()
		if err != nil {
			b.Fatal(err)
		}
		defer v.Release()
	}
	for b.Loop() {
		key = benchKey(key, rng.Uint64N(uint64(*benchKeys))) // positive
		set(k, key, val)
	}
}

func BenchmarkEncode(b *testing.B) {
	k, _ := benchKeyspace(b)
	for b.Loop() {
		for i := range k.NumShards() {
			k.Shard(i).Lock()
			v, err := k.Shard(i).Freeze()
			k.Shard(i).Unlock()
			if err != nil {
				b.Fatal(err)
			}
			w := rdb.NewWriter(io.Discard)
			w.Header(nil)
			if _, err := v.Encode(w, nil); err != nil {
				b.Fatal(err)
			}
			if err := w.End(); err != nil {
				b.Fatal(err)
			}
			v.Release()
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(*benchKeys), "ns/key")
}

// BenchmarkSlot is what every command spends on each of its keys.
func BenchmarkSlot(b *testing.B) {
	key := []byte("key:000000012345")
	for b.Loop() {
		Slot(key)
	}
}
