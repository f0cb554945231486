package command

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestLazyFreedAgainstRedis: what UNLINK and flushes with ASYNC remove is counted as a real
// redis-server counts it, and nothing else is.
func TestLazyFreedAgainstRedis(t *testing.T) {
	b := newBoth(t)
	some := func(n int, line ...string) []string {
		for i := range n {
			line = append(line, fmt.Sprint("element", i))
		}
		return line
	}
	pairs := func(n int, line ...string) []string {
		for i := range n {
			line = append(line, strconv.Itoa(i), fmt.Sprint("element", i))
		}
		return line
	}
	large := strings.Repeat("x", 5000)
	var stream, pending [][]string
	for i := range 120 {
		stream = append(stream, []string{"XADD", "x", fmt.Sprint(i+1, "-0"), "f", large})
		pending = append(pending, []string{"XADD", "p", fmt.Sprint(i+1, "-0"), "f", "v"})
	}
	pending = append(pending, []string{"XGROUP", "CREATE", "p", "g", "0"}, []string{"XREADGROUP", "GROUP", "g", "c", "COUNT", "80", "STREAMS", "p", ">"})
	for _, lines := range [][][]string{
		{{"SET", "a", large}, {"UNLINK", "a", "nosuch"}},
		{some(600, "SADD", "s"), some(64, "SADD", "s64"), some(200, "SADD", "s200"), {"UNLINK", "s", "s64", "s200"}},
		{some(600, "SADD", "s"), {"DEL", "s"}},
		{some(600, "RPUSH", "l"), {"UNLINK", "l"}},
		{append([]string{"RPUSH", "l"}, slices.Repeat([]string{large}, 60)...), {"UNLINK", "l"}},
		{append([]string{"RPUSH", "l"}, slices.Repeat([]string{large}, 70)...), {"UNLINK", "l"}},
		{pairs(100, "ZADD", "z"), pairs(600, "ZADD", "z2"), {"UNLINK", "z", "z2"}},
		{pairs(100, "HSET", "h"), pairs(600, "HSET", "h2"), {"UNLINK", "h", "h2"}},
		append(stream, []string{"UNLINK", "x"}),
		append(pending, []string{"UNLINK", "p"}),
		{{"MSET", "a", "1", "b", "2"}, {"FLUSHDB", "ASYNC"}},
		{{"MSET", "a", "1", "b", "2"}, {"FLUSHALL", "SYNC"}},
		{{"MSET", "a", "1", "b", "2"}, {"FLUSHALL"}},
		{{"MSET", "a", "1", "b", "2"}, {"SELECT", "1"}, {"SET", "c", "3"}, {"FLUSHALL", "ASYNC"}, {"SELECT", "0"}},
	} {
		last := lines[len(lines)-1]
		for _, line := range lines {
			b.ask(line...)
		}
		want := ""
		for done := false; !done; {
			for _, field := range strings.Fields(string(b.redis("INFO", "memory").Str)) {
				switch name, value, _ := strings.Cut(field, ":"); name {
				case "lazyfree_pending_objects":
					done = value == "0"
				case "lazyfreed_objects":
					want = value
				}
			}
		}
		if got := strconv.FormatInt(b.x.ctx.Stats.LazyFreed.Load(), 10); got != want {
			t.Errorf("after %.60q %s are counted, by Redis %s", strings.Join(last, " "), got, want)
		}
	}
}
