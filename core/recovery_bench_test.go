package core_test

import (
	"context"
	"strconv"
	"testing"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

// BenchmarkRecover is what a start makes of a log, or of the rewrite of one, that
// clients with different habits have left. Every client sends 256 commands at once.
func BenchmarkRecover(b *testing.B) {
	value := "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	key := func(i int) string { return "key:" + strconv.Itoa(i) }
	for _, c := range []struct {
		name    string
		rewrite bool
		do      func(do func(args ...string), i int)
	}{
		{"log/set", false, func(do func(...string), i int) { do("SET", key(i), value) }},
		{"log/hset", false, func(do func(...string), i int) { do("HSET", key(i%5000), "f"+strconv.Itoa(i), value) }},
		{"log/transfers", false, func(do func(...string), i int) {
			switch i % 4 {
			case 0:
				do("MULTI")
			case 1:
				do("DECRBY", key(i*7%9973), "5")
			case 2:
				do("INCRBY", key(i*13%9973), "5")
			case 3:
				do("EXEC")
			}
		}},
		{"log/one in ten is a transfer", false, func(do func(...string), i int) {
			switch i % 40 {
			case 0:
				do("MULTI")
			case 1:
				do("DECRBY", "n"+key(i*7%9973), "5")
			case 2:
				do("INCRBY", "n"+key(i*13%9973), "5")
			case 3:
				do("EXEC")
			default:
				do("SET", key(i), value)
			}
		}},
		{"rewrite/set", true, func(do func(...string), i int) { do("SET", key(i), value) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			const n = 200_000
			fs := memfs.New()
			open := func() *core.DB {
				o := core.DefaultOptions(fs)
				o.Shards, o.Save, o.ManualTick = 2, nil, true
				db, err := core.Open(o)
				if err != nil {
					b.Fatal(err)
				}
				return db
			}
			db := open()
			s := db.Session()
			for i := range n {
				c.do(func(args ...string) {
					if _, err := s.Do(args...); err != nil {
						b.Fatal(err)
					}
				}, i)
			}
			if c.rewrite {
				if err := db.RewriteAOF(context.Background()); err != nil {
					b.Fatal(err)
				}
			}
			if err := db.Close(); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				db := open()
				b.StopTimer()
				if err := db.Close(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/cmd")
		})
	}
}
