package core_test

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strconv"
	"testing"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/coretest"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

// TestCompactionByTick: when most keys were deleted the engine moves the others
// together by itself and comes to an end; it logs nothing of that, and what is left
// is what it was, in the memory and behind a power loss.
func TestCompactionByTick(t *testing.T) {
	t.Parallel()
	h := coretest.New(t, func(o *core.Options) { o.Shards = 1 })
	const keys = 10_000
	value := string(make([]byte, 2600))
	key := func(i int) string { return fmt.Sprintf("key:%d", i) }
	batch := func(verb string, words int, add func(i int) []string) {
		args := []string{verb}
		for i := range keys {
			if args = append(args, add(i)...); len(args) > words {
				h.Do(args...)
				args = args[:1]
			}
		}
		if len(args) > 1 {
			h.Do(args...)
		}
	}
	batch("MSET", 200, func(i int) []string { return []string{key(i), value[:2500+i%100]} })
	rng := rand.New(rand.NewPCG(1, 2))
	left := map[int]bool{}
	batch("DEL", 200, func(i int) []string {
		if rng.IntN(20) > 0 {
			return []string{key(i)}
		}
		left[i] = true
		return nil
	})

	info := func(field string) int {
		m := regexp.MustCompile(`(?m)^` + field + `:(\d+)`).FindSubmatch(h.Value("INFO", "everything").Str)
		if m == nil {
			t.Fatalf("INFO has no %s", field)
		}
		n, _ := strconv.Atoi(string(m[1]))
		return n
	}
	size := info("aof_current_size")
	for i := 0; i == 0 || info("active_defrag_running") == 1; i++ {
		if i == 10_000 {
			t.Fatal("it does not come to an end")
		}
		h.DB.Tick()
	}
	if info("active_defrag_key_hits") == 0 {
		t.Error("nothing was moved")
	}
	if now := info("aof_current_size"); now != size {
		t.Errorf("the log has grown from %d to %d", size, now)
	}
	for _, life := range []string{"moved", "after a power loss"} {
		if got := h.Do("DBSIZE"); got != strconv.Itoa(len(left)) {
			t.Errorf("%s: %s keys, want %d", life, got, len(left))
		}
		for i := range left {
			if got := h.Do("STRLEN", key(i)); got != strconv.Itoa(2500+i%100) {
				t.Fatalf("%s: %s has %s bytes, want %d", life, key(i), got, 2500+i%100)
			}
		}
		h.Crash(memfs.LoseAll)
	}
}
