package core_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/spillwaydb/spillway/core/resp"
)

// BenchmarkLarge is what a command on a large collection costs between its parsing and
// the writing of its reply: one client that sends 16 at once.
func BenchmarkLarge(b *testing.B) {
	const size, pipeline = 1_000_000, 16
	element := func(i int) string { return fmt.Sprintf("element:%012d", i) }
	value := strings.Repeat("x", 64)
	add := func(i int) []string { return []string{"ZADD", "zset", strconv.Itoa(i), element(i)} }
	entry := func(int) []string { return []string{"XADD", "stream", "*", "field", value} }
	item := func(int) []string { return []string{"RPUSH", "list", value} }
	for _, c := range []struct {
		name string
		fill func(i int) []string
		args func(i int) []string
	}{
		{"ZADD", add, func(i int) []string { return []string{"ZADD", "zset", strconv.Itoa(rand.IntN(size)), element(i)} }},
		{"ZRANGEBYSCORE", add, func(i int) []string {
			return []string{"ZRANGEBYSCORE", "zset", strconv.Itoa(i), "+inf", "LIMIT", "0", "10"}
		}},
		{"XADD", entry, entry},
		{"LPUSH", item, func(int) []string { return []string{"LPUSH", "list", value} }},
		{"RPUSH", item, item},
		{"XREADGROUP", entry, func(int) []string {
			return []string{"XREADGROUP", "GROUP", "group", "consumer", "COUNT", "1", "STREAMS", "stream", ">"}
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			db := benchEngine(b, 2, false)
			s := db.Session()
			var out resp.Writer
			run := func(batch [][][]byte) {
				s.Prefetch(batch)
				for _, args := range batch {
					s.Run(args, &out)
				}
				s.Release()
				s.Finish(&out)
				out.Taken()
			}
			words := func(line []string) (args [][]byte) {
				for _, a := range line {
					args = append(args, []byte(a))
				}
				return args
			}
			for i := range size {
				run([][][]byte{words(c.fill(i))})
			}
			if c.name == "XREADGROUP" {
				run([][][]byte{words([]string{"XGROUP", "CREATE", "stream", "group", "0"})})
			}
			var cmds [][][]byte
			for range 1 << 16 {
				cmds = append(cmds, words(c.args(rand.IntN(size))))
			}
			b.ReportAllocs()
			b.ResetTimer()
			for done := 0; done < b.N; done += pipeline {
				at := done % (len(cmds) - pipeline)
				run(cmds[at : at+pipeline])
			}
		})
	}
}
