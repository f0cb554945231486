package session_test

import (
	"testing"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/coretest"
)

// TestNoAllocations: the usual commands allocate nothing between their parsing and
// their replies, alone or in a pipeline.
func TestNoAllocations(t *testing.T) {
	h := coretest.New(t, func(o *core.Options) { o.NoLog = true })
	for _, pipeline := range []int{1, 16} {
		for _, line := range []string{
			"SET string value", "GET string", "GET missing", "INCR number", "HSET hash field value", "HGET hash field",
			"LPUSH list element", "LPOP list", "SADD set member", "ZADD zset 1 member", "EXPIRE string 100", "DEL missing",
		} {
			c := newClient(t, h)
			c.says("DEL list", ":0\r\n")
			var batch [][][]byte
			for range pipeline {
				batch = append(batch, words(line))
				if line == "LPUSH list element" {
					batch = append(batch, words("LPOP list")) // it stays small
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
