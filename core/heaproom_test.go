package core_test

import (
	"runtime/debug"
	"strconv"
	"testing"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/coretest"
)

// TestHeapRoomIsUsed: the tick has the keyspace count what the Go heap may grow by, as it
// is now.
func TestHeapRoomIsUsed(t *testing.T) {
	h := coretest.New(t, func(o *core.Options) { o.NoLog = true })
	s := h.DB.Session()
	for i := range 5000 {
		if _, err := s.Do("SADD", "set", "member:"+strconv.Itoa(i)); err != nil {
			t.Fatal(err)
		}
	}
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	used := func(percent int) int64 {
		debug.SetGCPercent(percent)
		h.DB.Tick()
		for i := range h.DB.Keyspace().NumShards() {
			shard := h.DB.Keyspace().Shard(i)
			shard.Lock()
			shard.Unlock() //nolint:staticcheck // a shard tells what it takes when it is unlocked
		}
		return h.DB.Keyspace().UsedBytes()
	}
	off, half, all := used(-1), used(50), used(100)
	if off >= half || half >= all || (all-off) < (half-off)*19/10 || (all-off) > (half-off)*21/10 {
		t.Errorf("with no room %d bytes, with half %d, with all %d", off, half, all)
	}
}
