package core_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

// BenchmarkSession is what a command costs between its parsing and the writing of
// its reply: one client that sends it alone, or 16 at once.
func BenchmarkSession(b *testing.B) {
	const keys = 1000 // few, so that the processor's cache holds them: it is the way to them that is measured
	key := func(i int) string { return fmt.Sprintf("key:%012d", i) }
	value := strings.Repeat("x", 64)
	for _, c := range []struct {
		name string
		args func(key string) []string
		log  bool // is on, with the policy everysec
	}{
		{"SET", func(key string) []string { return []string{"SET", key, value} }, false},
		{"SET with the log", func(key string) []string { return []string{"SET", key, value} }, true},
		{"GET", func(key string) []string { return []string{"GET", key} }, false},
		{"PING", func(string) []string { return []string{"PING"} }, false},
		{"INCR", func(key string) []string { return []string{"INCR", "n:" + key} }, false},
		{"HSET", func(key string) []string { return []string{"HSET", "h:" + key, "field", value} }, false},
		{"XADD", func(key string) []string { return []string{"XADD", "stream", "*", "field", value} }, false},
		{"MGET of 3", func(key string) []string { return []string{"MGET", key, key + "0", key + "1"} }, false},
		{"OBJECT ENCODING", func(key string) []string { return []string{"OBJECT", "ENCODING", key} }, false},
	} {
		for _, pipeline := range []int{1, 16} {
			b.Run(c.name+"/P"+strconv.Itoa(pipeline), func(b *testing.B) {
				db := benchEngine(b, 2, c.log)
				s := db.Session()
				var cmds [][][]byte
				for i := range keys {
					var args [][]byte
					for _, a := range c.args(key(i * 7919 % keys)) {
						args = append(args, []byte(a))
					}
					cmds = append(cmds, args)
					if _, err := s.Do("SET", key(i), value); err != nil {
						b.Fatal(err)
					}
				}
				var out resp.Writer
				b.ReportAllocs()
				b.ResetTimer()
				for done := 0; done < b.N; done += pipeline {
					at := done % (keys - pipeline)
					batch := cmds[at : at+pipeline]
					s.Prefetch(batch)
					for _, args := range batch {
						s.Run(args, &out)
					}
					s.Release()
					s.Finish(&out)
					out.Taken()
				}
			})
		}
	}
}

// benchEngine is an engine in memory that does nothing by itself, with the log and the policy everysec
// or without one.
func benchEngine(b *testing.B, shards int, log bool) *core.DB {
	b.Helper()
	o := core.DefaultOptions(memfs.New())
	o.Shards, o.Save, o.ManualTick, o.NoLog = shards, nil, true, !log
	db, err := core.Open(o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	return db
}
