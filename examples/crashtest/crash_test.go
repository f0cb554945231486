package crashtest

import (
	"testing"

	"github.com/spillwaydb/spillway/core/coretest"
)

func TestAcknowledgedWritesSurvive(t *testing.T) {
	for seed := range int64(20) {
		h := coretest.New(t)
		h.Do("RPUSH", "orders", "a", "b", "c")
		h.Do("SAVE")
		h.Do("RPUSH", "orders", "d")
		h.Crash(seed)
		if got := h.Do("LRANGE", "orders", "0", "-1"); got != `["a" "b" "c" "d"]` {
			t.Fatalf("seed %d: %s", seed, got)
		}
	}
}
