package core_test

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strconv"
	"testing"

	"github.com/spillwaydb/spillway/core/coretest"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

// TestCompactionByTick: when most keys were deleted the engine moves the others
// together by itself and comes to an end; it logs nothing of that, and what is left
// is what it was, in the memory and behind a power loss.
func TestCompactionByTick(t *testing.T) {
	t.Parallel()
	h := coretest.New(t)
	const keys = 160_000
	value := string(make([]byte, 400))
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
	batch("MSET", 1000, func(i int) []string { return []string{key(i), value[:300+i%100]} })
	rng := rand.New(rand.NewPCG(1, 2))
	left := map[int]bool{}
	batch("DEL", 1000, func(i int) []string {
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
	if moved := info("active_defrag_key_hits"); moved < len(left)/2 {
		t.Errorf("%d keys were moved, %d are left", moved, len(left))
	}
	if now := info("aof_current_size"); now != size {
		t.Errorf("the log has grown from %d to %d", size, now)
	}
	for _, life := range []string{"moved", "after a power loss"} {
		if got := h.Do("DBSIZE"); got != strconv.Itoa(len(left)) {
			t.Errorf("%s: %s keys, want %d", life, got, len(left))
		}
		for i := range left {
			if got := h.Do("STRLEN", key(i)); got != strconv.Itoa(300+i%100) {
				t.Fatalf("%s: %s has %s bytes, want %d", life, key(i), got, 300+i%100)
			}
		}
		h.Crash(memfs.LoseAll)
	}
}
