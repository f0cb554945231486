package session_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/coretest"
	"github.com/spillwaydb/spillway/core/resp"
)

// sortElements is how many elements the collections have: with a key for each a SORT looks
// at many.
const sortElements = 2200

// visitingSorts are SORTs of large collections that read other keys.
var visitingSorts = []string{
	"SORT s BY w_*", "SORT l BY w_* DESC GET # GET w_* GET w_", "SORT z BY w_* ALPHA LIMIT 10 20", "SORT s BY w_* LIMIT 10 2000 GET w_*", "SORT_RO l BY nosort GET w_* DESC",
	"SORT l BY x_*->f GET x_*->g GET x_*", "SORT s ALPHA GET w_* LIMIT 100 2000", "SORT s BY wrong_* GET #",
	"SORT s BY w_* GET # GET w_* STORE dst", "SORT z BY w_* LIMIT 7 20 STORE dst", "SORT z BY w_* LIMIT 7 20 GET w_* STORE dst", "SORT s BY wrong_* STORE dst", "SORT l BY w_* STORE l",
}

// fillSorts makes the collections that visitingSorts are about, and fillOthers the other
// keys.
func fillSorts(h *coretest.Harness) {
	h.Do("DEL", "s", "l", "z")
	s, list, z := []string{"SADD", "s"}, []string{"RPUSH", "l"}, []string{"ZADD", "z"}
	for i := range sortElements {
		e := fmt.Sprint("e", i)
		s, list, z = append(s, e), append(list, e), append(z, fmt.Sprint(i), e)
	}
	for _, line := range [][]string{s, list, z, {"SET", "dst", "before"}} {
		h.Do(line...)
	}
}

func fillOthers(h *coretest.Harness) {
	weights := []string{"MSET", "wrong_e2099", "no number"}
	for i := range sortElements {
		weights = append(weights, fmt.Sprint("w_e", i), fmt.Sprint(i*7%1000))
	}
	h.Do(weights...)
	h.Do("EVAL", "for i = 0, 2198, 2 do redis.call('HSET', 'x_e' .. i, 'f', i * 7 % 1000, 'g', 'g' .. i) end", "0")
}

// TestSortVisits: a SORT of a large collection that reads other keys holds nothing
// between some hundreds of them, and is what it would have been under the locks: its
// collection is that of its beginning.
func TestSortVisits(t *testing.T) {
	t.Parallel()
	h := coretest.New(t, func(o *core.Options) { o.Shards, o.NoLog = 3, true })
	s, other := h.DB.Session(), h.DB.Session()
	fillOthers(h)
	for _, line := range visitingSorts {
		fields := strings.Fields(line)
		dst := fields[len(fields)-1]
		run := func(lines ...string) (v resp.Value, hits, misses int64) {
			stats := h.DB.Stats()
			hits, misses = stats.Hits.Load(), stats.Misses.Load()
			for _, line := range lines {
				v, _ = s.Do(strings.Fields(line)...)
			}
			return v, stats.Hits.Load() - hits, stats.Misses.Load() - misses
		}
		fillSorts(h)
		v, hits, misses := run("MULTI", line, "EXEC") // everything stays locked
		want, stored := v.Elems[0].String(), h.Do("DEBUG", "DIGEST-VALUE", dst)

		fillSorts(h)
		calls, changes := 0, int64(0)
		s.BetweenVisits(func(bool) {
			if calls++; calls == 1 && dst != "l" {
				_, _ = other.Do("DEL", "l", "s", "z")
				_, _ = other.Do("SET", "s", "another type")
				changes = 2
			}
			h.DB.Keyspace().LockAll()
			h.DB.Keyspace().UnlockAll()
		})
		before := h.DB.Stats().Commands()
		v, gotHits, gotMisses := run(line)
		n := h.DB.Stats().Commands() - before - changes
		s.BetweenVisits(func(bool) {})
		if got := v.String(); got != want || calls < int(hits+misses)/256 || n != 1 {
			t.Errorf("%s: %d visits for %d keys, %d commands, %.200s; want %.200s", line, calls, hits+misses, n, got, want)
		}
		if got := h.Do("DEBUG", "DIGEST-VALUE", dst); strings.Contains(line, "STORE") && got != stored {
			t.Errorf("%s has stored %s, want %s", line, got, stored)
		}
		if gotMisses != misses || gotHits < hits {
			t.Errorf("%s: %d hits and %d misses, under the locks %d and %d", line, gotHits, gotMisses, hits, misses)
		}
	}
}

// TestSortSeesEachKeyAtOnce: each key that GET names has a value that it had between the
// beginning and the end, and is not torn from its element.
func TestSortSeesEachKeyAtOnce(t *testing.T) {
	t.Parallel()
	h := coretest.New(t, func(o *core.Options) { o.Shards, o.NoLog = 3, true })
	s, other, calls := h.DB.Session(), h.DB.Session(), 0
	fillSorts(h)
	fillOthers(h)
	s.BetweenVisits(func(bool) {
		calls++
		for i := range 40 {
			_, _ = other.Do("SET", fmt.Sprint("w_e", i*50), fmt.Sprint(10000+calls))
		}
	})
	v, err := s.Do("SORT", "s", "BY", "w_*", "GET", "#", "GET", "w_*")
	got := texts(v)
	if err != nil || len(got) != 2*sortElements {
		t.Fatal(len(got), err)
	}
	seen := make(map[string]bool)
	for i := 0; i < len(got); i += 2 {
		n, _ := strconv.Atoi(strings.TrimPrefix(got[i], "e"))
		value, _ := strconv.Atoi(got[i+1])
		if changed := n%50 == 0 && n < 2000; changed && (value <= 10000 || value > 10000+calls) || !changed && value != n*7%1000 {
			t.Errorf("%s has %s after %d visits", got[i], got[i+1], calls)
		}
		seen[got[i]] = true
	}
	if len(seen) != sortElements {
		t.Errorf("%d elements", len(seen))
	}
}

// TestSortStoresNoLoss: what is put into a collection while it is sorted into itself is
// not lost, and a list that is stored replaces what was stored meanwhile. It is the same
// after a replay.
func TestSortStoresNoLoss(t *testing.T) {
	t.Parallel()
	h := coretest.New(t, func(o *core.Options) { o.Shards = 3 })
	fillOthers(h)
	for _, line := range []string{"SORT l BY w_* STORE l", "SORT l BY w_* STORE dst"} {
		fillSorts(h)
		s, other, calls := h.DB.Session(), h.DB.Session(), 0
		s.BetweenVisits(func(bool) {
			if calls++; calls == 2 {
				_, _ = other.Do("RPUSH", "l", "new")
				_, _ = other.Do("DEL", "dst")
				_, _ = other.Do("RPUSH", "dst", "new")
			}
		})
		v, err := s.Do(strings.Fields(line)...)
		s.BetweenVisits(func(bool) {})
		want := map[string]string{"l": "2201", "dst": "2200"}[line[len("SORT l BY w_* STORE "):]]
		if got := v.String(); err != nil || got != want {
			t.Errorf("%s: %s, %v; want %s", line, got, err, want)
		}
		digest := h.Do("DEBUG", "DIGEST")
		h.Reopen()
		if got := h.Do("DEBUG", "DIGEST"); got != digest {
			t.Errorf("%s: %s after a replay, want %s", line, got, digest)
		}
	}
}

// TestSortMeetsExpired: a key past its deadline that a SORT comes upon goes, and a field,
// which is logged.
func TestSortMeetsExpired(t *testing.T) {
	h := coretest.New(t, func(o *core.Options) { o.Shards = 3 })
	fillSorts(h)
	fillOthers(h)
	h.Do("DEBUG", "SET-ACTIVE-EXPIRE", "0")
	h.Do("SET", "w_e7", "v", "PX", "10")
	h.Do("HPEXPIRE", "x_e8", "10", "FIELDS", "1", "g")
	h.Clock.Advance(20e6)
	before := h.DB.LogSize()
	v, err := h.DB.Session().Do("SORT", "l", "BY", "nosort", "GET", "w_*", "GET", "x_*->g")
	if err != nil || len(v.Elems) != 2*sortElements || v.Elems[14].String() != "(nil)" || v.Elems[17].String() != "(nil)" || v.Elems[12].String() != `"42"` {
		t.Fatal(len(v.Elems), err)
	}
	if n := h.DB.Stats().ExpiredKeys.Load(); n != 1 || h.DB.LogSize() == before {
		t.Errorf("%d keys have expired; the log has grown by %d bytes", n, h.DB.LogSize()-before)
	}
	h.Reopen()
	if got := h.Do("EXISTS", "w_e7") + h.Do("HLEN", "x_e8"); got != "01" {
		t.Error(got)
	}
}

// TestSortVisitsAreBounded: large values are few in a visit.
func TestSortVisitsAreBounded(t *testing.T) {
	h := coretest.New(t, func(o *core.Options) { o.Shards, o.NoLog = 3, true })
	h.Do("SET", "w_e", strings.Repeat("x", 8192))
	h.Do(append([]string{"RPUSH", "l"}, slices.Repeat([]string{"e"}, 2100)...)...)
	calls := 0
	h.DB.Session().BetweenVisits(func(bool) { calls++ })
	if v, err := h.DB.Session().Do("SORT", "l", "BY", "nosort", "GET", "w_*"); err != nil || len(v.Elems) != 2100 || calls < 2100*8192>>20 {
		t.Errorf("%d visits, %d elements, %v", calls, len(v.Elems), err)
	}
}

// TestSortAndBusyScript: when a script has become busy that has the next shard, the SORT
// is refused, as if it had come later, and stores nothing.
func TestSortAndBusyScript(t *testing.T) {
	for _, line := range []string{"SORT s BY w_*", "SORT s BY w_* STORE dst"} {
		h := coretest.New(t, func(o *core.Options) { o.Shards, o.NoLog = 3, true })
		fillSorts(h)
		fillOthers(h)
		h.Do("CONFIG", "SET", "busy-reply-threshold", "1")
		done, calls := make(chan resp.Value, 1), 0
		s := h.DB.Session()
		s.BetweenVisits(func(bool) {
			if calls++; calls != 3 {
				return
			}
			go func() {
				v, _ := h.DB.Session().Do("EVAL", "redis.call('type', KEYS[1]) while true do end", "1", "s")
				done <- v
			}()
			for probe := h.DB.Session(); ; {
				h.Clock.Advance(1e7)
				if v, _ := probe.Do("PING"); v.Err() != nil {
					return
				}
			}
		})
		if v, err := s.Do(strings.Fields(line)...); err != nil || !strings.HasPrefix(v.Text(), "BUSY ") {
			t.Errorf("%s: %.100s, %v", line, v, err)
		}
		if v, _ := s.Do("SCRIPT", "KILL"); v.Text() != "OK" {
			t.Fatal(v)
		}
		<-done
		s.BetweenVisits(func(bool) {})
		if got := h.Do("GET", "dst"); got != `"before"` {
			t.Error(got)
		}
		if v, err := s.Do(strings.Fields(line)...); err != nil || v.Err() != nil {
			t.Errorf("%s again: %.100s, %v", line, v, err)
		}
	}
}
