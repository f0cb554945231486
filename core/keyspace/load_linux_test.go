package keyspace

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spillwaydb/spillway/core/rdb"
)

// BenchmarkLoad reads collections of each kind, small and large, out of an RDB file into a
// keyspace, as a start does. It reports the processor time of the whole process, the collector's
// included, so that a busy machine is not in it.
func BenchmarkLoad(b *testing.B) {
	const elements, smallSize, largeCount = 1 << 20, 10, 5
	for _, c := range []struct {
		name string
		add  func(d *DB, key []byte, i int)
	}{
		{"hash", func(d *DB, key []byte, i int) {
			d.Hash(key).Set(fmt.Appendf(nil, "elem%012d", i), []byte("value-of-16-byte"))
		}},
		{"list", func(d *DB, key []byte, i int) { d.List(key).PushBack(fmt.Appendf(nil, "elem%012d", i)) }},
		{"set", func(d *DB, key []byte, i int) { d.Set(key).Add(fmt.Appendf(nil, "elem%012d", i)) }},
		{"intset", func(d *DB, key []byte, i int) { d.Set(key).Add(fmt.Appendf(nil, "%d", i*37)) }},
		{"zset", func(d *DB, key []byte, i int) { d.ZSet(key).Add(fmt.Appendf(nil, "elem%012d", i), float64(i)) }},
		{"random zset", func(d *DB, key []byte, i int) {
			d.ZSet(key).Add(fmt.Appendf(nil, "elem%012d", i), rand.Float64())
		}},
		{"stream", func(d *DB, key []byte, i int) {
			d.AddEntry(key, StreamID{MS: uint64(i + 1)}, [][]byte{[]byte("field"), []byte("value-of-16-byte")}) // positive
		}},
	} {
		for _, size := range []struct {
			name string
			key  func(i int) []byte
		}{
			{"small", func(i int) []byte { return fmt.Appendf(nil, "key:%012d", i/smallSize) }},
			{"large", func(i int) []byte { return fmt.Appendf(nil, "large:%d", i%largeCount) }},
		} {
			b.Run(size.name+" "+c.name, func(b *testing.B) {
				from := New(Config{Shards: 1, Databases: 1})
				s := from.Shard(0)
				s.Lock()
				for i := range elements {
					c.add(s.DB(0), size.key(i), i)
				}
				v, err := s.Freeze()
				s.Unlock()
				var file bytes.Buffer
				w := rdb.NewWriter(&file)
				w.Header(nil)
				if err == nil {
					_, err = v.Encode(w, nil)
				}
				if err == nil {
					err = w.End()
				}
				if err != nil {
					b.Fatal(err)
				}
				v.Release()
				from.Close()
				b.SetBytes(int64(file.Len()))
				var took time.Duration
				for b.Loop() {
					before := processTime(b)
					k := New(Config{Shards: 1, Databases: 1})
					l := k.NewLoader()
					if err := rdb.Read(bytes.NewReader(file.Bytes()), rdb.Handler{Packed: true, Object: l.Load}); err != nil {
						b.Fatal(err)
					}
					l.Flush()
					took += processTime(b) - before
					k.Close()
				}
				b.ReportMetric(float64(took.Nanoseconds())/float64(b.N)/elements, "cpu-ns/element")
			})
		}
	}
}

// processTime is how much processor time the process has had.
func processTime(b *testing.B) time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t); err != nil {
		b.Fatal(err)
	}
	return time.Duration(t.Nano())
}
