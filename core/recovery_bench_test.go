package core_test

import (
	"context"
	"strconv"
	"testing"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

// BenchmarkRecover is what a start makes of a log, of the rewrite of one, or of a
// snapshot, that clients with different habits have left. Every client sends 256
// commands at once.
func BenchmarkRecover(b *testing.B) {
	value := "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	key := func(i int) string { return "key:" + strconv.Itoa(i) }
	rewrite := func(db *core.DB) error { return db.RewriteAOF(context.Background()) }
	snapshot := func(db *core.DB) error { return db.Save(context.Background()) }
	for _, c := range []struct {
		name string
		save func(db *core.DB) error // what it leaves in the place of its log
		do   func(do func(args ...string), i int)
	}{
		{"log/set", nil, func(do func(...string), i int) { do("SET", key(i), value) }},
		{"log/hset", nil, func(do func(...string), i int) { do("HSET", key(i%5000), "f"+strconv.Itoa(i), value) }},
		{"log/transfers", nil, func(do func(...string), i int) {
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
		{"log/one in ten is a transfer", nil, func(do func(...string), i int) {
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
		{"rewrite/set", rewrite, func(do func(...string), i int) { do("SET", key(i), value) }},
		{"snapshot/set", snapshot, func(do func(...string), i int) { do("SET", key(i), value) }},
		{"snapshot/set with a deadline", snapshot, func(do func(...string), i int) { do("SET", key(i), value, "EX", "86400") }},
		{"snapshot/small hashes", snapshot, func(do func(...string), i int) { do("HSET", key(i/10), "f"+strconv.Itoa(i), value) }},
		{"snapshot/small lists", snapshot, func(do func(...string), i int) { do("RPUSH", key(i/10), value) }},
		{"snapshot/small sets", snapshot, func(do func(...string), i int) { do("SADD", key(i/10), "m"+strconv.Itoa(i)) }},
		{"snapshot/small zsets", snapshot, func(do func(...string), i int) { do("ZADD", key(i/10), strconv.Itoa(i), "m"+strconv.Itoa(i)) }},
		{"snapshot/large hashes", snapshot, func(do func(...string), i int) { do("HSET", key(i%10), "f"+strconv.Itoa(i), value) }},
		{"snapshot/large lists", snapshot, func(do func(...string), i int) { do("RPUSH", key(i%10), value) }},
		{"snapshot/large sets", snapshot, func(do func(...string), i int) { do("SADD", key(i%10), "m"+strconv.Itoa(i)) }},
		{"snapshot/large zsets", snapshot, func(do func(...string), i int) { do("ZADD", key(i%10), strconv.Itoa(i), "m"+strconv.Itoa(i)) }},
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
			if c.save != nil {
				if err := c.save(db); err != nil {
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
