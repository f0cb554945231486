package core_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/spillwaydb/spillway/core/resp"
)

// BenchmarkShards is what an operation costs when as many clients as there are processors
// send batches of 16 for keys of all shards: without sockets, so that nothing but the engine
// is shared. With -cpu 1,2 it shows what a second processor gains, and with
// -mutexprofile or -blockprofile what they wait for.
func BenchmarkShards(b *testing.B) {
	const keys, pipeline = 1 << 20, 16
	value := []byte(strings.Repeat("x", 64))
	for _, c := range []struct {
		name  string
		write bool
		log   bool // is on, with the policy everysec
	}{{"GET", false, false}, {"SET", true, false}, {"SET with the log", true, true}} {
		for _, shards := range []int{1, 2, 4, 8, 16, 32, 64} {
			b.Run(fmt.Sprintf("%s/shards=%d", c.name, shards), func(b *testing.B) {
				db := benchEngine(b, shards, c.log)
				s := db.Session()
				var out resp.Writer
				for i := range keys {
					s.Run([][]byte{[]byte("SET"), appendKey(nil, i), value}, &out)
					out.Truncate(0)
				}
				s.Release()
				var clients atomic.Uint64
				b.ResetTimer()
				b.RunParallel(func(pb *testing.PB) {
					random := rand.New(rand.NewPCG(clients.Add(1), 1)) // not for secrets
					s := db.Session()
					defer s.Close()
					batch := make([][][]byte, pipeline)
					for i := range batch {
						batch[i] = [][]byte{[]byte("GET"), nil}
						if c.write {
							batch[i] = [][]byte{[]byte("SET"), nil, value}
						}
					}
					var out resp.Writer
					for more := true; more; {
						n := 0
						for n < pipeline {
							if more = pb.Next(); !more {
								break
							}
							batch[n][1] = appendKey(batch[n][1][:0], random.IntN(keys))
							n++
						}
						s.Prefetch(batch[:n])
						for _, args := range batch[:n] {
							s.Run(args, &out)
						}
						s.Release()
						s.Finish(&out)
						out.Taken()
					}
				})
			})
		}
	}
}

// appendKey appends redis-benchmark's key number n.
func appendKey(b []byte, n int) []byte {
	b = append(b, "key:000000000000"...)
	for i := len(b) - 1; n > 0; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
	return b
}
