package session_test

import (
	"testing"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/coretest"
	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/core/wal"
)

// TestAwaitsDisk: a batch says before it is finished whether its replies wait for an fsync:
// under always, when it has written or seen what is not durable yet.
func TestAwaitsDisk(t *testing.T) {
	for _, policy := range []wal.Policy{wal.Always, wal.EverySec, wal.No} {
		h := coretest.New(t, func(o *core.Options) { o.Shards, o.Fsync = 2, policy })
		writer, reader := h.DB.SessionFor(nil, nil), h.DB.SessionFor(nil, nil)
		var out resp.Writer
		run := func(words ...string) {
			args := make([][]byte, len(words))
			for i, w := range words {
				args[i] = []byte(w)
			}
			writer.Run(args, &out)
		}
		always := policy == wal.Always
		run("GET", "k")
		writer.Release()
		if writer.AwaitsDisk() {
			t.Errorf("%v: who has read what nobody wrote waits", policy)
		}
		run("SET", "k", "v")
		writer.Release()
		if got := writer.AwaitsDisk(); got != always {
			t.Errorf("%v: who has written waits: %v", policy, got)
		}
		reader.Run([][]byte{[]byte("GET"), []byte("k")}, &out)
		reader.Release()
		if got := reader.AwaitsDisk(); got != always {
			t.Errorf("%v: who has read it waits: %v", policy, got)
		}
		writer.Finish(&out)
		if writer.AwaitsDisk() || reader.AwaitsDisk() {
			t.Errorf("%v: they wait for what is durable", policy)
		}
		reader.Finish(&out)
		writer.Close()
		reader.Close()
	}
}
