package core_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/resp"
)

// BenchmarkShards is what an operation costs when as many clients as there are processors
// send batches of 16 for keys of all shards: without sockets, so that nothing but the engine
// is shared. With -cpu 1,2 it shows what a second processor gains, and with
// -mutexprofile or -blockprofile what they wait for. Apart is the same with an engine for each
// client, which therefore share nothing but the machine: what there is to be gained.
func BenchmarkShards(b *testing.B) {
	const keys, pipeline = 1 << 20, 16
	value := []byte(strings.Repeat("x", 64))
	for _, c := range []struct {
		name  string
		write bool
		log   bool // is on, with the policy everysec
		apart bool
	}{
		{"GET", false, false, false},
		{"SET", true, false, false},
		{"SET with the log", true, true, false},
		{"GET apart", false, false, true},
		{"SET apart", true, false, true},
	} {
		for _, shards := range []int{1, 2, 4, 8, 16, 32, 64} {
			b.Run(fmt.Sprintf("%s/shards=%d", c.name, shards), func(b *testing.B) {
				dbs := make([]*core.DB, 1)
				if c.apart {
					dbs = make([]*core.DB, runtime.GOMAXPROCS(0))
				}
				for i := range dbs {
					dbs[i] = benchEngine(b, shards, c.log)
					fillKeys(dbs[i], keys, value)
				}
				var clients atomic.Uint64
				b.ResetTimer()
				b.RunParallel(func(pb *testing.PB) {
					me := clients.Add(1)
					random := rand.New(rand.NewPCG(me, 1)) // not for secrets
					s := dbs[me%uint64(len(dbs))].Session()
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

// fillKeys sets the first so many keys.
func fillKeys(db *core.DB, keys int, value []byte) {
	s := db.Session()
	defer s.Close()
	var out resp.Writer
	for i := range keys {
		s.Run([][]byte{[]byte("SET"), appendKey(nil, i), value}, &out)
		out.Truncate(0)
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
