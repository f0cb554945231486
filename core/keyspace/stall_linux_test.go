package keyspace

import (
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spillwaydb/spillway/core/rdb"
)

var stallElements = flag.Int("stall", 200_000, "elements of the collections of BenchmarkStall")

// BenchmarkStall reports how long writes to a very large collection take, the longest above
// all, with nobody else about and while a view of it is written out. It is the thread's
// processor time, what the collector has it do included: a machine that is busy is not
// in it. The heap grows as the daemon's does.
func BenchmarkStall(b *testing.B) {
	n, key := *stallElements, []byte("key")
	var buf []byte
	member := func(i int) []byte {
		buf = fmt.Appendf(buf[:0], "m%012d", i)
		return buf
	}
	entry := func(d *DB, i int) {
		d.AddEntry(key, StreamID{MS: uint64(i + 1)}, [][]byte{[]byte("f"), member(i)}) // positive
	}
	for _, c := range []struct {
		name       string
		add, write func(d *DB, i int)
	}{
		{"zset", func(d *DB, i int) { d.ZSet(key).Add(member(i), float64(i)) },
			func(d *DB, _ int) { d.ZSet(key).Add(member(rand.IntN(n)), float64(rand.IntN(n))) }},
		{"hash", func(d *DB, i int) { d.Hash(key).Set(member(i), []byte("value of 16 byte")) },
			func(d *DB, _ int) { d.Hash(key).Set(member(rand.IntN(n)), []byte("another of 16 by")) }},
		{"stream", entry, func(d *DB, i int) { entry(d, n+i) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			runtime.LockOSThread() // whose time it is
			defer runtime.UnlockOSThread()
			for b.Loop() {
				k := New(Config{Shards: 1, Databases: 1})
				s := k.Shard(0)
				for i := range n {
					s.Lock()
					c.add(s.DB(0), i)
					s.Unlock()
				}
				_, _, before := growAsDaemon()
				written := 0
				measure := func(what string, done func() bool) {
					var took []time.Duration
					for !done() || len(took) < 20_000 {
						s.Lock()
						from := threadTime(b)
						c.write(s.DB(0), written)
						took = append(took, threadTime(b)-from)
						s.Unlock()
						written++
					}
					slices.Sort(took)
					last := len(took) - 1
					b.ReportMetric(float64(took[last/2].Nanoseconds()), what+"-p50-ns")
					b.ReportMetric(float64(took[last-last/1000].Nanoseconds()), what+"-p99.9-ns")
					b.ReportMetric(float64(took[last-last/10_000].Nanoseconds()), what+"-p99.99-ns")
					b.ReportMetric(float64(took[last].Nanoseconds()), what+"-max-ns")
				}
				measure("alone", func() bool { return written >= 200_000 })
				s.Lock()
				v, err := s.Freeze()
				s.Unlock()
				if err != nil {
					b.Fatal(err)
				}
				over := make(chan error, 1)
				go func() {
					w := rdb.NewWriter(io.Discard)
					w.Header(nil)
					_, err := v.Encode(w, nil)
					v.Release()
					over <- err
				}()
				ended := false
				measure("saving", func() bool {
					select {
					case err := <-over:
						if ended = true; err != nil {
							b.Error(err)
						}
					default:
					}
					return ended
				})
				k.Close()
				debug.SetGCPercent(before)
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// threadTime is how much processor time the thread has had.
func threadTime(b *testing.B) time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		b.Fatal(err)
	}
	return time.Duration(t.Nano())
}
