package core_test

import (
	"strings"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/coretest"
)

// TestEngineRemovesKeys: a key that goes without a command, because it is past
// its deadline or has to make room, is a change to who watches it, is counted,
// and does not come back with the next start.
func TestEngineRemovesKeys(t *testing.T) {
	for _, c := range []struct {
		name, counter string
		remove        func(h *coretest.Harness)
	}{
		{"met by a command", "expired_keys:1", func(h *coretest.Harness) {
			h.Clock.Advance(2 * time.Second)
			h.Do("EXISTS", "k")
		}},
		{"expired by the cycle", "expired_keys:1", func(h *coretest.Harness) {
			h.Clock.Advance(2 * time.Second)
			h.DB.Tick()
		}},
		{"evicted", "evicted_keys:1", func(h *coretest.Harness) {
			h.Do("CONFIG", "SET", "maxmemory-policy", "volatile-ttl", "maxmemory", "1")
			h.Do("SET", "room", "1") // refused in the end: nothing more may go
			h.Do("CONFIG", "SET", "maxmemory", "0")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := coretest.New(t, func(o *core.Options) { o.Shards = 1 })
			h.Do("SET", "k", "v", "PX", "1000")
			watcher := h.DB.Session()
			do := func(args ...string) string {
				v, err := watcher.Do(args...)
				if err != nil {
					t.Fatal(err)
				}
				return v.String()
			}
			do("WATCH", "k")
			c.remove(h)
			do("MULTI")
			do("SET", "other", "1")
			if got := do("EXEC"); got != "(nil)" {
				t.Errorf("EXEC beside the removal: %s", got)
			}
			if info := h.Value("INFO", "stats").String(); !strings.Contains(info, c.counter) {
				t.Errorf("no %s in %s", c.counter, info)
			}
			h.Clock.Advance(-2 * time.Second) // only the log can say that it is gone
			h.Reopen()
			if got := h.Do("EXISTS", "k"); got != "0" {
				t.Errorf("the key is back: EXISTS %s", got)
			}
		})
	}
}
