package core_test

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/coretest"
	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/internal/testutil"
)

// TestOutOfMemory compares what is refused while memory is over maxmemory, and may not
// be made free, with what a real redis-server refuses.
func TestOutOfMemory(t *testing.T) {
	ask := askRedis(t, testutil.Redis(t)())
	h := coretest.New(t)
	sess := h.DB.Session()
	for _, line := range []string{
		"SET k v", "RPUSH l a b",
		"MULTI", "SET k w", "GET k", "CONFIG SET maxmemory 1", "EXEC", // refuses nothing: it was queued and begun before
		"SET k x", "GET k", "DEL nosuch", "LPOP l", "RPUSH l c", "GETDEL nosuch", "EXPIRE k 100", "SORT l STORE s", "EVAL return{} 0",
		`EVAL "return redis.call('GET','k')" 0`, `EVAL "return redis.call('DEL','nosuch')" 0`,
		"MULTI", "GET k", "EXEC",
		"MULTI", "SET k y", "PING", "DISCARD",
		"MULTI", "NOSUCH", "WATCH k", "MULTI", "DISCARD",
		"MULTI", "EXEC", "WATCH k", "UNWATCH",
		"CONFIG SET maxmemory 0", "MULTI", "SET k z", "GET k", "EXEC", "GET k",
	} {
		args, ok := resp.SplitArgs([]byte(line), nil)
		if !ok {
			t.Fatal(line)
		}
		words := make([]string, len(args))
		for i := range args {
			words[i] = string(args[i])
		}
		theirs := ask(words...)
		ours, err := sess.Do(words...)
		if err != nil {
			t.Fatal(err)
		}
		if ours.String() != theirs.String() || ours.Kind != theirs.Kind {
			t.Errorf("%s\n  ours  %s\n  redis %s", line, ours, theirs)
		}
	}
	// A transaction that was queued while there was memory.
	other := h.DB.Session()
	for _, line := range [][]string{{"MULTI"}, {"SET", "k", "late"}} {
		if v, err := sess.Do(line...); err != nil || v.Err() != nil {
			t.Fatal(line, v, err)
		}
	}
	if v, err := other.Do("CONFIG", "SET", "maxmemory", "1"); err != nil || v.Err() != nil {
		t.Fatal(v, err)
	}
	want := "EXECABORT Transaction discarded because of: OOM command not allowed when used memory > 'maxmemory'."
	if v, err := sess.Do("EXEC"); err != nil || v.Err() == nil || v.Err().Error() != want {
		t.Errorf("EXEC: %s, %v", v, err)
	}
	if v, _ := sess.Do("GET", "k"); v.String() != `"z"` {
		t.Errorf("after a transaction that was refused: %s", v)
	}
}

// TestEvictionKeepsUp has several clients write many times what there is room for, by
// each policy that evicts: no write is refused, and what is used stays within the limit
// but for what is being written.
func TestEvictionKeepsUp(t *testing.T) {
	const writers, writes, size, limit = 4, 1500, 1000, 1 << 20
	for _, policy := range []string{
		"allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl",
	} {
		t.Run(policy, func(t *testing.T) {
			h := coretest.New(t, func(o *core.Options) {
				o.MaxMemoryPolicy, o.MaxMemory, o.Shards, o.NoLog = policy, limit, 4, true
			})
			var most atomic.Int64
			var all sync.WaitGroup
			for w := range writers {
				sess := h.DB.Session()
				all.Go(func() {
					value := strings.Repeat("v", size)
					for i := range writes {
						v, err := sess.Do("SET", fmt.Sprint("k", w, "-", i), value, "EX", strconv.Itoa(10_000+i))
						if err != nil || v.Err() != nil {
							t.Error(v, err)
							return
						}
						if i%20 == 0 {
							info, _ := sess.Do("INFO", "memory")
							for used := usedMemory(info); ; {
								if old := most.Load(); used <= old || most.CompareAndSwap(old, used) {
									break
								}
							}
						}
					}
				})
			}
			all.Wait()
			if got, bound := most.Load(), int64(limit+limit/8); got > bound {
				t.Errorf("%d bytes were used, more than %d", got, bound)
			}
			left := int(h.Value("DBSIZE").Int)
			if left < limit/size/4 {
				t.Errorf("only %d keys are left", left)
			}
			evicted := "evicted_keys:" + strconv.Itoa(writers*writes-left)
			if info := string(h.Value("INFO", "stats").Str); !strings.Contains(info, evicted+"\r\n") {
				t.Errorf("no %s in\n%s", evicted, info)
			}
		})
	}
}

// usedMemory is what INFO says of it.
func usedMemory(info resp.Value) int64 {
	_, rest, _ := strings.Cut(string(info.Str), "used_memory:")
	n, _, _ := strings.Cut(rest, "\r\n")
	used, _ := strconv.ParseInt(n, 10, 64)
	return used
}

// passing is a clock by which something passes whenever it is asked.
type passing struct {
	*coretest.Clock
}

func (c passing) Now() time.Time {
	c.Advance(time.Millisecond)
	return c.Clock.Now()
}

// TestRemovalLatency: how long it takes to remove keys that are past their deadline, or
// have to make room, is told by LATENCY.
func TestRemovalLatency(t *testing.T) {
	h := coretest.New(t, func(o *core.Options) {
		o.Clock, o.Shards = passing{o.Clock.(*coretest.Clock)}, 1
	})
	h.Do("CONFIG", "SET", "latency-monitor-threshold", "1", "maxmemory-policy", "allkeys-lru")
	for i := range 200 {
		h.Do("SET", fmt.Sprint("k", i), "v", "PX", "1")
	}
	h.DB.Tick()
	h.Do("SET", "k", "v")
	h.Do("CONFIG", "SET", "maxmemory", "1")
	h.DB.Tick()
	for _, event := range []string{"expire-cycle", "eviction-cycle", "eviction-del"} {
		if v := h.Value("LATENCY", "HISTORY", event); len(v.Elems) == 0 {
			t.Errorf("nothing is known of %s", event)
		}
	}
	if n := h.Value("DBSIZE").Int; n != 0 {
		t.Errorf("%d keys are left", n)
	}
}
