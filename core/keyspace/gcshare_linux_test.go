package keyspace

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
)

var shareElements = flag.Int("gcshare", 100_000, "elements of all keys of BenchmarkGCShare together")

// BenchmarkGCShare reports which share of the processor's time is the collector's while a shard is
// written to as fast as one goroutine can: of many strings, and of four large collections of each type. It is
// the processor time of the process, so that a busy machine is not in it: what one
// collection of the heap takes, which is measured by itself, for each time that writes allocate what
// the daemon lets the heap grow by.
func BenchmarkGCShare(b *testing.B) {
	n, keys := *shareElements, [4][]byte{[]byte("a"), []byte("b"), []byte("c"), []byte("d")}
	var buf []byte
	member := func(i int) []byte {
		buf = fmt.Appendf(buf[:0], "m%012d", i)
		return buf
	}
	value := []byte("a value of 64 bytes, which is what the other benchmarks write, x")
	for _, c := range []struct {
		name       string
		add, write func(d *DB, i int) // of all keys' elements
	}{
		{"strings", func(d *DB, i int) { d.SetString(member(i), value, 0) },
			func(d *DB, i int) { d.SetString(member(i), value, 0) }},
		{"zset", func(d *DB, i int) { d.ZSet(keys[i%4]).Add(member(i), float64(i)) },
			func(d *DB, i int) { d.ZSet(keys[i%4]).Add(member(i), float64(rand.IntN(n))) }},
		{"hash", func(d *DB, i int) { d.Hash(keys[i%4]).Set(member(i), value[:16]) },
			func(d *DB, i int) { d.Hash(keys[i%4]).Set(member(i), value[:8+rand.IntN(16)]) }},
		{"set", func(d *DB, i int) { d.Set(keys[i%4]).Add(member(i)) },
			func(d *DB, i int) {
				if s := d.Set(keys[i%4]); !s.Remove(member(i)) {
					s.Add(member(i))
				}
			}},
		{"list", func(d *DB, i int) { d.List(keys[i%4]).PushBack(value[:32]) },
			func(d *DB, i int) { d.List(keys[i%4]).SetAt(i/4, value[:16+rand.IntN(32)]) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			k := New(Config{Shards: 1, Databases: 1})
			defer k.Close()
			s := k.Shard(0)
			for i := range n {
				s.Lock()
				c.add(s.DB(0), i)
				s.Unlock()
			}
			write := func(times int) {
				for range times {
					s.Lock()
					c.write(s.DB(0), rand.IntN(n))
					s.Unlock()
				}
			}
			write(n / 10)
			live, room, before := growAsDaemon()
			defer debug.SetGCPercent(before)
			const cycles = 5
			from := processTime(b)
			for range cycles {
				runtime.GC()
			}
			cycle := (processTime(b) - from) / cycles
			allocated, from := readMetric("/gc/heap/allocs:bytes"), processTime(b)
			b.ResetTimer()
			write(b.N)
			b.StopTimer()
			took := processTime(b) - from
			times := float64(readMetric("/gc/heap/allocs:bytes")-allocated) / float64(max(room, 4<<20)) // Go's least heap
			b.ReportMetric(100*times*float64(cycle)/float64(took), "gc-%")
			b.ReportMetric(float64(cycle.Microseconds())/1000, "cycle-ms")
			b.ReportMetric(float64(live)/(1<<20), "live-MB")
			b.ReportMetric(float64(took.Nanoseconds())/float64(b.N), "cpu-ns/op")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// growAsDaemon lets the heap grow as the daemon does (cmd/spillway/collector.go): by room, beyond what
// lives in it. It returns the percentage that was in force.
func growAsDaemon() (live, room uint64, before int) {
	runtime.GC()
	live = readMetric("/gc/heap/live:bytes")
	room = max(min(live, 16<<20), live*16/100)
	return live, room, debug.SetGCPercent(int(100 * room / live)) // at most 100
}

func readMetric(name string) uint64 {
	s := []metrics.Sample{{Name: name}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
