package session_test

import (
	"strings"
	"testing"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/coretest"
)

// TestPrefetchLooksAtKeys: what is looked up ahead are keys, and no shard is locked for
// arguments that are none.
func TestPrefetchLooksAtKeys(t *testing.T) {
	h := coretest.New(t, func(o *core.Options) { o.Shards, o.NoLog = 16, true })
	ks := h.DB.Keyspace()
	batch := func(line string) (cmds [][][]byte) {
		var args [][]byte
		for _, word := range strings.Fields(line) {
			args = append(args, []byte(word))
		}
		return [][][]byte{args, args, args, args}
	}
	for line, locks := range map[string]bool{
		"XREADGROUP GROUP g c STREAMS x >": false, "XREAD COUNT 1 STREAMS x 0": false, "EVAL script 1 k": false, "OBJECT ENCODING k": false, "PING text": false, "nosuch k": false,
		"FLUSHALL ASYNC": false, "GET k": true, "hset k f v": true, "MGET k l": true, "SORT k BY nosort": true,
	} {
		c := h.DB.Session()
		cmds := batch(line)
		c.Prefetch(cmds)
		shard := ks.Shard(ks.ShardOf(cmds[0][1]))
		free := shard.TryLock()
		if free {
			shard.Unlock()
		}
		if free == locks {
			t.Errorf("%s: the shard of %s is free: %v", line, cmds[0][1], free)
		}
		c.Release()
	}
}
