package session_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/coretest"
	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/core/wal"
)

// visited are commands that visit shards one after the other.
var visited = []string{"KEYS *", "SCAN 0 COUNT 1000000", "DBSIZE", "RANDOMKEY", "INFO keyspace", "CLUSTER COUNTKEYSINSLOT 7", "CLUSTER GETKEYSINSLOT 7 10"}

// full opens an engine of several shards that hold many keys, names of which are
// returned, one in each shard.
func full(t *testing.T, keys int) (h *coretest.Harness, one []string) {
	h = coretest.New(t, func(o *core.Options) { o.Shards, o.NoLog, o.Cluster = 3, true, true })
	one = make([]string, 3)
	for i := range keys {
		key := fmt.Sprint("stay", i)
		h.Do("SET", key, "v")
		one[h.DB.Keyspace().ShardOf([]byte(key))] = key
	}
	return h, one
}

// TestVisitsHoldNothing: between two visits of a command others write to the shard that
// it has visited, to the one that it will, and to all at once.
func TestVisitsHoldNothing(t *testing.T) {
	for _, line := range visited {
		t.Run(strings.Fields(line)[0], func(t *testing.T) {
			h, one := full(t, 3000)
			other, calls := h.DB.Session(), 0
			other.BetweenVisits(func(bool) {
				calls++
				for _, key := range one {
					if v, err := other.Do("SET", key, fmt.Sprint(calls)); err != nil || v.Text() != "OK" {
						t.Errorf("SET: %s, %v", v, err)
					}
				}
				h.DB.Keyspace().LockAll()
				h.DB.Keyspace().UnlockAll()
			})
			if v := h.Do(strings.Fields(line)...); strings.HasPrefix(v, "(error)") {
				t.Error(v)
			}
			if calls == 0 {
				t.Errorf("%s has visited nothing", line)
			}
		})
	}
}

// TestVisitsAreBounded: who looks at many keys gives the lock up in between.
func TestVisitsAreBounded(t *testing.T) {
	h, _ := full(t, 3000)
	for line, least := range map[string]int{"KEYS nothing*": 6, "SCAN 0 COUNT 1000000": 10, "CLUSTER COUNTKEYSINSLOT 7": 2, "SCAN 0": 1} {
		calls := 0
		h.DB.Session().BetweenVisits(func(bool) { calls++ })
		h.Do(strings.Fields(line)...)
		if calls < least {
			t.Errorf("%s: %d visits", line, calls)
		}
	}
}

// TestKeysMeetsEveryKey: KEYS returns each key that is there from its beginning to its
// end, none twice, and none that was never there, while others come and go.
func TestKeysMeetsEveryKey(t *testing.T) {
	const stay = 3000
	h, _ := full(t, stay)
	other, n := h.DB.Session(), 0
	for _, grows := range []bool{true, false, true} {
		other.BetweenVisits(func(bool) {
			for range 500 {
				key := fmt.Sprint("volatile", n%6000)
				n++
				if grows {
					_, _ = other.Do("SET", key, "v")
				} else {
					_, _ = other.Do("DEL", key)
				}
			}
		})
		v, err := h.DB.Session().Do("KEYS", "*")
		if err != nil || v.Err() != nil {
			t.Fatal(v, err)
		}
		keys := texts(v)
		slices.Sort(keys)
		if got := len(keys); len(slices.Compact(slices.Clone(keys))) != got {
			t.Error("a key came twice")
		}
		for i := range stay {
			if _, found := slices.BinarySearch(keys, fmt.Sprint("stay", i)); !found {
				t.Fatalf("stay%d is missing", i)
			}
		}
		if slices.ContainsFunc(keys, func(k string) bool { return !strings.HasPrefix(k, "stay") && !strings.HasPrefix(k, "volatile") }) {
			t.Error("a key was never there")
		}
	}
}

func texts(v resp.Value) (out []string) {
	for _, e := range v.Elems {
		out = append(out, e.Text())
	}
	return out
}

// TestOneShardIsEnough: a command that looks at one shard does not wait for another.
func TestOneShardIsEnough(t *testing.T) {
	h, _ := full(t, 30)
	ks := h.DB.Keyspace()
	shard := ks.ShardOfSlot(7)
	for n := range ks.NumShards() {
		if n != shard {
			ks.Shard(n).Lock()
			defer ks.Shard(n).Unlock()
		}
	}
	h.Do("CLUSTER", "COUNTKEYSINSLOT", "7")
	if got := h.Do("SCAN", fmt.Sprint(shard), "COUNT", "1"); strings.Contains(got, "[]") {
		t.Error(got)
	}
}

// TestScriptHoldsItsShards: what says its keys beforehand, a transaction or a script, does
// not wait for another shard.
func TestScriptHoldsItsShards(t *testing.T) {
	h, one := full(t, 30)
	ks := h.DB.Keyspace()
	for n := range ks.NumShards() {
		if n != 1 {
			ks.Shard(n).Lock()
			defer ks.Shard(n).Unlock()
		}
	}
	h.Do("EVAL", "return redis.call('append', KEYS[1], 'more')", "1", one[1])
	h.Do("MULTI")
	h.Do("APPEND", one[1], "and")
	h.Do("EVAL", "return redis.call('append', KEYS[1], 'more')", "1", one[1])
	h.Do("EXEC")
	if got := h.Do("GET", one[1]); got != `"vmoreandmore"` {
		t.Error(got)
	}
}

// TestVisitsInTransaction: in a transaction and in a script all shards are locked, and
// what those have changed is seen.
func TestVisitsInTransaction(t *testing.T) {
	h := coretest.New(t, func(o *core.Options) { o.Shards, o.NoLog = 3, true })
	s := h.DB.Session()
	s.BetweenVisits(func(bool) { t.Error("a shard was visited") })
	for _, line := range []string{"MULTI", "MSET a 1 b 2 c 3", "DBSIZE", "KEYS b", "SCAN 0 MATCH c COUNT 100", "DEL b c", "RANDOMKEY", "INFO keyspace"} {
		if v, err := s.Do(strings.Fields(line)...); err != nil || v.Err() != nil {
			t.Fatal(line, v, err)
		}
	}
	v, err := s.Do("EXEC")
	if got, want := fmt.Sprint(v), `["OK" 3 ["b"] ["0" ["c"]] 2 "a" "# Keyspace\r\ndb0:keys=1,expires=0,avg_ttl=0,subexpiry=0\r\n"]`; err != nil || got != want {
		t.Errorf("%s, %v; want %s", got, err, want)
	}
	v, err = s.Do("EVAL", "redis.call('set', 'd', 1) return {redis.call('dbsize'), redis.call('keys', 'd'), redis.call('scan', 0, 'match', 'a', 'count', 100)}", "0")
	if got, want := fmt.Sprint(v), `[2 ["d"] ["0" ["a"]]]`; err != nil || got != want {
		t.Errorf("%s, %v; want %s", got, err, want)
	}
}

// TestVisitAndBusyScript: when a script has become busy that has the next shard, the
// command is refused, as if it had come later.
func TestVisitAndBusyScript(t *testing.T) {
	for _, line := range visited {
		h, one := full(t, 300)
		h.Do("CONFIG", "SET", "busy-reply-threshold", "1")
		done, begun := make(chan resp.Value, 1), false
		s := h.DB.Session()
		s.BetweenVisits(func(bool) {
			if begun {
				return
			}
			begun = true
			go func() {
				v, _ := h.DB.Session().Do("EVAL", "redis.call('get', KEYS[1]) while true do end", "1", one[2])
				done <- v
			}()
			for probe := h.DB.Session(); ; {
				h.Clock.Advance(1e7)
				if v, _ := probe.Do("PING"); v.Err() != nil {
					return
				}
			}
		})
		switch v, err := s.Do(strings.Fields(line)...); {
		case err != nil, v.Err() == nil && strings.HasPrefix(line, "KEYS"), v.Err() != nil && !strings.HasPrefix(v.Text(), "BUSY "):
			t.Errorf("%s: %s, %v", line, v, err)
		}
		if v, _ := s.Do("SCRIPT", "KILL"); v.Text() != "OK" {
			t.Fatal(v)
		}
		<-done
		if got := h.Do("GET", one[2]); got != `"v"` {
			t.Error(got)
		}
	}
}

// TestRandomkeyExpires: a key past its deadline that RANDOMKEY comes upon goes, which is
// logged, told to who watches it, and not while clients are paused.
func TestRandomkeyExpires(t *testing.T) {
	h := coretest.New(t, func(o *core.Options) { o.Shards, o.Fsync = 3, wal.Always })
	watcher := h.DB.Session()
	h.Do("SET", "k", "v", "PX", "10")
	_, _ = watcher.Do("WATCH", "k")
	h.Clock.Advance(20e6)
	h.Do("CLIENT", "PAUSE", "1000", "WRITE")
	if got := h.Do("RANDOMKEY") + h.Do("DBSIZE"); got != "(nil)1" {
		t.Error(got)
	}
	h.Do("CLIENT", "UNPAUSE")
	before := h.DB.LogSize()
	if got := h.Do("RANDOMKEY") + h.Do("DBSIZE"); got != "(nil)0" {
		t.Error(got)
	}
	if n := h.DB.Stats().ExpiredKeys.Load(); n != 1 || h.DB.LogSize() == before {
		t.Errorf("%d keys have expired; the log has grown by %d bytes", n, h.DB.LogSize()-before)
	}
	_, _ = watcher.Do("MULTI")
	if v, _ := watcher.Do("EXEC"); v.Text() != "" || len(v.Elems) != 0 {
		t.Errorf("EXEC: %s", v)
	}
}
