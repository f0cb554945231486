package session_test

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/coretest"
	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/core/session"
)

// TestPrefetchLooksAtKeys: what is looked up ahead are keys, and no shard is locked for
// arguments that are none.
func TestPrefetchLooksAtKeys(t *testing.T) {
	h := coretest.New(t, func(o *core.Options) { o.Shards, o.NoLog = 16, true })
	ks := h.DB.Keyspace()
	for line, locks := range map[string]bool{
		"XREADGROUP GROUP g c STREAMS x >": false, "XREAD COUNT 1 STREAMS x 0": false, "EVAL script 1 k": false, "OBJECT ENCODING k": false, "PING text": false, "nosuch k": false,
		"FLUSHALL ASYNC": false, "GET k": true, "hset k f v": true, "MGET k l": true, "SORT k BY nosort": true,
	} {
		c := h.DB.Session()
		cmds := batch(line, line, line, line)
		c.Prefetch(cmds)
		if n := ks.ShardOf(cmds[0][1]); slices.Contains(taken(ks), n) != locks {
			t.Errorf("%s: the shards that are taken are %v, of which %d is that of %s", line, taken(ks), n, cmds[0][1])
		}
		c.Release()
	}
}

// TestBatchKeepsFewShards: where there are few shards a batch keeps the locks of all that it is about, from when it
// looks ahead until it ends, but for no more than so many commands; where there are many, that of the last command.
func TestBatchKeepsFewShards(t *testing.T) {
	for shards, few := range map[int]bool{2: true, 4: true, 5: false, 16: false} {
		t.Run(strconv.Itoa(shards), func(t *testing.T) {
			h := coretest.New(t, func(o *core.Options) { o.Shards, o.NoLog = shards, true })
			ks := h.DB.Keyspace()
			var gets []string
			about := map[int]bool{}
			for i := range 16 {
				key := "k" + strconv.Itoa(i)
				gets = append(gets, "GET "+key)
				about[ks.ShardOf([]byte(key))] = true
			}
			cmds, all := batch(gets...), slices.Sorted(maps.Keys(about))
			s := h.DB.Session()
			var out resp.Writer
			ran := 0
			run := func(args [][]byte) {
				s.Run(args, &out)
				ran++
				want := []int{ks.ShardOf(args[1])}
				if few && ran <= session.HeldMax {
					want = all
				}
				if got := taken(ks); !slices.Equal(got, want) {
					t.Fatalf("after %d commands the shards that are taken are %v, want %v", ran, got, want)
				}
			}
			for ran < session.HeldMax {
				s.Prefetch(cmds)
				for _, args := range cmds {
					run(args)
				}
			}
			run(cmds[0])
			if s.Release(); len(taken(ks)) > 0 {
				t.Errorf("after the batch the shards %v are taken", taken(ks))
			}

			n := ks.ShardOf(cmds[0][1])
			ks.Shard(n).Lock() // by somebody else: the others of the batch are looked up
			s.Prefetch(cmds)
			if got := taken(ks); few != slices.Equal(got, all) {
				t.Errorf("the shards that are taken are %v, want all of %v: %v", got, all, few)
			}
			ks.Shard(n).Unlock()
			if slices.Contains(taken(ks), n) {
				t.Errorf("shard %d has been taken although somebody had it", n)
			}
			s.Run(cmds[0], &out)
			if got := taken(ks); !slices.Equal(got, []int{n}) {
				t.Errorf("behind a lock that had to be got the shards that are taken are %v, want %d alone", got, n)
			}
			s.Release()
		})
	}
}

// TestBatchesThatKeepShards: clients whose batches are about the same shards in different orders, transactions, and
// scripts do not wait for each other for ever, and lose no write.
func TestBatchesThatKeepShards(t *testing.T) {
	const clients, rounds = 4, 200
	h := coretest.New(t, func(o *core.Options) { o.Shards, o.NoLog = 3, true })
	var lines []string
	for i := range 12 {
		lines = append(lines, "INCR n"+strconv.Itoa(i))
	}
	lines = append(lines, "MULTI", "INCR n0", "INCR n11", "EXEC", "EVAL return(redis.call('incr',KEYS[2])) 2 n3 n7", "MSET a 1 b 2 c 3")
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			s := h.DB.Session()
			defer s.Close()
			cmds := batch(lines...)
			if c%2 == 1 {
				slices.Reverse(cmds[:12])
			}
			var out resp.Writer
			for range rounds {
				s.Prefetch(cmds)
				for _, args := range cmds {
					s.Run(args, &out)
				}
				s.Finish(&out)
				out.Taken()
			}
		})
	}
	wg.Wait()
	for i := range 12 {
		want := clients * rounds
		if i == 0 || i == 7 || i == 11 {
			want *= 2
		}
		if got := strings.Trim(h.Do("GET", "n"+strconv.Itoa(i)), "\""); got != strconv.Itoa(want) {
			t.Errorf("n%d is %s, want %d", i, got, want)
		}
	}
}

// batch is the commands that these lines are.
func batch(lines ...string) (cmds [][][]byte) {
	for _, line := range lines {
		var args [][]byte
		for _, word := range strings.Fields(line) {
			args = append(args, []byte(word))
		}
		cmds = append(cmds, args)
	}
	return cmds
}

// taken is which shards are locked.
func taken(ks *keyspace.Keyspace) (taken []int) {
	for n := range ks.NumShards() {
		if s := ks.Shard(n); s.TryLock() {
			s.Unlock()
		} else {
			taken = append(taken, n)
		}
	}
	return taken
}
