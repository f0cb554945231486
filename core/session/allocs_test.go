package session_test

import (
	"fmt"
	"testing"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/coretest"
)

// TestNoAllocations: the usual commands allocate nothing between their parsing and
// their replies, alone or in a pipeline.
func TestNoAllocations(t *testing.T) {
	h := coretest.New(t, func(o *core.Options) { o.NoLog = true })
	fill := newClient(t, h)
	for i := range 20 {
		fill.says(fmt.Sprintf("XADD stream 1-%d field value", 10+i), fmt.Sprintf("$4\r\n1-%d\r\n", 10+i))
	}
	fill.says("XGROUP CREATE stream group 0", "+OK\r\n")
	for i := range 40_000 { // more than fits a cache, so that their elements are looked ahead at
		for _, line := range []string{"HSET large:hash %d value", "ZADD large:zset %d %[1]d", "SADD large:set %d"} {
			fill.says(fmt.Sprintf(line, i), ":1\r\n")
		}
	}
	fill.Close()
	for _, pipeline := range []int{1, 16} {
		for _, line := range []string{
			"SET string value", "GET string", "GET missing", "INCR number", "HSET hash field value", "HGET hash field",
			"LPUSH list element", "LPOP list", "SADD set member", "ZADD zset 1 member", "HSET large:hash 7 value", "HGET large:hash 8", "ZADD large:zset 7 7", "SISMEMBER large:set 8",
			"ZPOPMIN large:zset", "ZPOPMAX large:zset", "EXPIRE string 100", "DEL missing",
			"XRANGE stream - + COUNT 2", "XREAD COUNT 2 STREAMS stream 0", "XREADGROUP GROUP group consumer COUNT 2 STREAMS stream >",
		} {
			c := newClient(t, h)
			c.says("DEL list", ":0\r\n")
			var batch [][][]byte
			for range pipeline {
				batch = append(batch, words(line))
				switch line[:5] {
				case "LPUSH":
					batch = append(batch, words("LPOP list")) // it stays small
				case "XREAD":
					batch = append(batch, words("XGROUP SETID stream group 0")) // there is something to read again
				}
			}
			run := func() {
				c.Prefetch(batch)
				for _, args := range batch {
					if c.Run(args, &c.out) != command.Done {
						t.Fatalf("%s: %q", line, c.out.Buf)
					}
				}
				c.Release()
				c.Finish(&c.out)
				c.out.Taken()
			}
			run()
			if n := testing.AllocsPerRun(500, run); n != 0 {
				t.Errorf("%s, %d at once: %v allocations", line, pipeline, n)
			}
			c.Close()
		}
	}
}
