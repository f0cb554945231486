package session_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/coretest"
	"github.com/spillwaydb/spillway/internal/testutil"
)

// detaching are commands with long replies about large collections.
var detaching = []string{
	"SMEMBERS s", "HGETALL h", "HKEYS h", "HVALS h", "LRANGE l 0 -1", "LRANGE l 100 4900", "ZRANGE z 0 -1 WITHSCORES", "ZREVRANGE z 0 -1",
	"ZRANGEBYSCORE z 10 4990", "SORT s ALPHA", "SORT_RO l ALPHA DESC LIMIT 3 10", "SORT z BY nosort", "SORT s", "SSCAN s 0 COUNT 5000",
	"HSCAN h 0 COUNT 5000 MATCH *7", "ZSCAN z 0 COUNT 100000", "SINTER s s2 s", "SUNION s none s2", "SDIFF s s2", "SINTERCARD 2 s s2 LIMIT 100",
	"XRANGE x - +", "XREVRANGE x 4900 50", "XRANGE x - + COUNT 4500", "DUMP s", "DUMP h", "DUMP l", "DUMP z", "DUMP x",
	"ZUNION 3 z none s", "ZINTER 2 z s2 WEIGHTS 2 3 AGGREGATE MAX WITHSCORES", "ZDIFF 2 z s2", "ZINTERCARD 2 z s LIMIT 4000", "LCS a b", "LCS a b IDX MINMATCHLEN 3 WITHMATCHLEN", "LCS a a LEN",
	"GEOSEARCH g FROMLONLAT 0 0 BYRADIUS 9000 km ASC WITHDIST", "GEORADIUS g 0 0 9000 km COUNT 50", "GEORADIUSBYMEMBER_RO g e2500 10000 km WITHCOORD WITHHASH",
	"SRANDMEMBER s 5000", "HRANDFIELD h 6000 WITHVALUES", "ZRANDMEMBER z 5000 WITHSCORES", // all of them
}

// fill makes the collections that detaching are about, and what only the line needs.
func fill(h *coretest.Harness, line string) {
	const n = 5000
	h.Do("DEL", "s", "s2", "h", "l", "z", "x")
	s, s2, hash, list, z := []string{"SADD", "s"}, []string{"SADD", "s2"}, []string{"HSET", "h"}, []string{"RPUSH", "l"}, []string{"ZADD", "z"}
	weights, places := []string{"MSET"}, []string{"GEOADD", "g"}
	for i := range n {
		e := fmt.Sprint("e", i)
		weights = append(weights, "w_"+e, fmt.Sprint(i*7%1000))
		places = append(places, fmt.Sprint(i%360-180), fmt.Sprint(i%160-80), e)
		s, list, z, hash = append(s, e), append(list, e), append(z, fmt.Sprint(i), e), append(hash, e, fmt.Sprint("v", i))
		if i%2 == 0 {
			s2 = append(s2, e)
		}
	}
	all := [][]string{s, s2, hash, list, z}
	if strings.Contains(line, "w_") {
		all = append(all, weights)
	}
	if strings.Contains(line, " g ") {
		all = append(all, places)
	}
	for _, line := range all {
		h.Do(line...)
	}
	h.Do("SET", "a", strings.Repeat("abcab", 120))
	h.Do("SET", "b", strings.Repeat("bcb", 160))
	h.Do("EVAL", "for i = 1, tonumber(ARGV[1]) do redis.call('XADD', KEYS[1], i, 'f', 'e' .. i-1) end", "1", "x", fmt.Sprint(n))
}

// TestDetached: when a long reply is made nothing is locked, and whatever others do
// meanwhile, it is what it would have been under the locks.
func TestDetached(t *testing.T) {
	t.Parallel()
	h := coretest.New(t, func(o *core.Options) { o.Shards, o.NoLog = 3, true })
	s, other := h.DB.Session(), h.DB.Session()
	for i, line := range detaching {
		if testutil.Race && i%4 != 0 {
			continue // of goroutines there are TestDetachedReaders and TestDetachedRandom
		}
		fill(h, line)
		_, _ = s.Do("MULTI") // everything stays locked
		_, _ = s.Do(strings.Fields(line)...)
		v, err := s.Do("EXEC")
		if err != nil || len(v.Elems) != 1 {
			t.Fatal(line, v, err)
		}
		want, calls := v.Elems[0].String(), 0
		s.BetweenVisits(func(bool) {
			calls++
			h.DB.Keyspace().LockAll()
			h.DB.Keyspace().UnlockAll()
			for i := 0; i < 5000; i += 500 {
				e := fmt.Sprint("e", i)
				for _, change := range []string{"SREM s " + e, "SREM s2 " + e, "HSET h " + e + " changed", "HDEL h e1", "LSET l " + fmt.Sprint(i) + " changed", "ZREM z " + e, "XDEL x " + fmt.Sprint(i+1), "XADD x * f v", "SETRANGE a 0 xyz", "SET b changed", "ZREM g " + e} {
					if v, err := other.Do(strings.Fields(change)...); err != nil || v.Err() != nil {
						t.Fatal(change, v, err)
					}
				}
			}
			_, _ = other.Do("FLUSHALL")
			_, _ = other.Do("SET", "s", "another type")
		})
		before := h.DB.Stats().Misses.Load()
		v, err = s.Do(strings.Fields(line)...)
		s.BetweenVisits(func(bool) {})
		if got := v.String(); err != nil || got != want || calls != 1 {
			t.Errorf("%s: %d times without locks, %.200s, %v; want %.200s", line, calls, got, err, want)
		}
		if n := h.DB.Stats().Misses.Load() - before; n != int64(strings.Count(line, "none")) {
			t.Errorf("%s counts %d misses", line, n)
		}
	}
}

// storing are commands that store what they make of large collections.
var storing = []string{
	"SINTERSTORE dst s s2", "SUNIONSTORE dst none s s2", "SDIFFSTORE dst s s2", "SDIFFSTORE dst s s", "SINTERSTORE s s s2", "SUNIONSTORE s2 s2 s",
	"ZUNIONSTORE dst 3 z none s WEIGHTS 2 1 3", "ZINTERSTORE dst 2 z s2 AGGREGATE MAX", "ZDIFFSTORE dst 2 z s2", "ZDIFFSTORE z 2 z s2", "ZUNIONSTORE dst 2 s s2",
	"ZRANGESTORE dst z 0 -1", "ZRANGESTORE z z 5 4190 REV", "ZRANGESTORE dst z 10 (4150 BYSCORE LIMIT 1 4100",
	"SORT s ALPHA STORE dst", "SORT z ALPHA DESC LIMIT 3 40 STORE dst", "SORT s STORE dst", "SORT s BY nosort STORE s", "SORT z LIMIT 5000 1 ALPHA STORE dst",
	"SORT z BY nosort GET # GET w_ STORE dst",
	"GEOSEARCHSTORE dst g FROMLONLAT 0 0 BYRADIUS 20000 km", "GEOSEARCHSTORE g g FROMMEMBER e1 BYBOX 30000 9000 km STOREDIST", "GEORADIUS g 0 0 20000 km COUNT 30 STORE dst",
	"GEOSEARCHSTORE dst g FROMLONLAT 0 0 BYRADIUS 20000 km COUNT 5000 ANY",
}

// besideStoring are changes that others make while the result is made, beside none.
var besideStoring = map[string][]string{
	"SUNIONSTORE dst none s s2":                             {"SREM s e4", "SADD none e8", "SET unrelated x", "SADD s2 e1", "DEL s s2 z", "SET dst string", "SET s2 string"},
	"ZUNIONSTORE dst 3 z none s WEIGHTS 2 1 3":              {"SADD s new", "ZADD none 1 e8", "ZADD z 7.5 e8", "DEL dst"},
	"ZRANGESTORE dst z 0 -1":                                {"ZADD z 7.5 e8", "SET unrelated x", "DEL dst", "DEL z", "SET z string"},
	"SORT s ALPHA STORE dst":                                {"SREM s e4", "SET unrelated x", "DEL dst", "DEL s", "SET s string"},
	"SORT s STORE dst":                                      {"SET unrelated x", "DEL s"},
	"SORT z LIMIT 5000 1 ALPHA STORE dst":                   {"DEL dst"},
	"GEOSEARCHSTORE dst g FROMLONLAT 0 0 BYRADIUS 20000 km": {"ZREM g e4", "SET unrelated x", "DEL dst", "DEL g", "SET g string"},
}

// TestMadeAside: what a STORE command makes of large collections is made when nothing is
// locked, and is what it would have been under the locks at a moment between: what
// others do to its operands meanwhile is in it. It is the same after a replay.
func TestMadeAside(t *testing.T) {
	t.Parallel()
	h := coretest.New(t, func(o *core.Options) { o.Shards = 3 })
	expected := coretest.New(t, func(o *core.Options) { o.Shards, o.NoLog = 1, true })
	s, s2, z := []string{"SADD", "s"}, []string{"SADD", "s2"}, []string{"ZADD", "z"}
	weights, places := []string{"MSET"}, []string{"GEOADD", "g"}
	for i := range 4200 {
		e := fmt.Sprint("e", i)
		s, z = append(s, e), append(z, fmt.Sprint(i), e)
		weights = append(weights, "w_"+e, fmt.Sprint(i*7%1000))
		places = append(places, fmt.Sprint(i%360-180), fmt.Sprint(i%160-80), e)
		if i%2 == 0 {
			s2 = append(s2, e)
		}
	}
	for i, command := range storing {
		if testutil.Race && i%4 != 0 {
			continue // all of it is one goroutine's
		}
		changes := append([]string{""}, besideStoring[command]...)
		dst := strings.Fields(command)[1]
		if at := strings.Index(command, " STORE "); at >= 0 {
			dst = command[at+len(" STORE "):]
		}
		for _, change := range changes {
			for _, to := range []*coretest.Harness{h, expected} {
				to.Do("DEL", "none", "s", "s2", "z", "g")
				to.Do("MSET", "dst", "before", "wrong_e4199", "no number")
				for part, line := range map[string][]string{" s": s, " s2": s2, " z": z, " g ": places, "w_": weights} {
					if strings.Contains(command+" ", part) {
						to.Do(line...)
					}
				}
			}
			if change != "" {
				expected.Do(strings.Fields(change)...)
			}
			expected.Do("MULTI") // under the locks
			expected.Do(strings.Fields(command)...)
			want := expected.Value("EXEC").Elems[0].String()

			s, other, calls := h.DB.Session(), h.DB.Session(), 0
			s.BetweenVisits(func(bool) {
				calls++
				h.DB.Keyspace().LockAll()
				h.DB.Keyspace().UnlockAll()
				if change != "" {
					if v, err := other.Do(strings.Fields(change)...); err != nil || v.Err() != nil {
						t.Fatal(change, v, err)
					}
				}
			})
			before := h.DB.Stats().Commands()
			v, err := s.Do(strings.Fields(command)...)
			n := h.DB.Stats().Commands() - before
			s.BetweenVisits(func(bool) {})
			if got := v.String(); err != nil || got != want || calls != 1 {
				t.Errorf("%s beside %q: %d times without locks, %s, %v; want %s", command, change, calls, got, err, want)
			}
			if change == "" && n != 1 {
				t.Errorf("%s counts as %d commands", command, n)
			}
			sameValue := func(how string) {
				t.Helper()
				if got, want := h.Do("DEBUG", "DIGEST-VALUE", dst), expected.Do("DEBUG", "DIGEST-VALUE", dst); got != want {
					t.Errorf("%s beside %q%s: %s is %s, want %s", command, change, how, dst, h.Do("DEBUG", "OBJECT", dst), expected.Do("DEBUG", "OBJECT", dst))
				}
			}
			sameValue("")
			if change == "" && len(changes) > 1 {
				h.Reopen()
				sameValue(" after a replay")
				h.Do("SAVE") // so that the next replay is not of all this
			}
		}
	}
}

// TestDetachedRandom: elements at random are chosen without locks if there are many of
// them, of a small collection too.
func TestDetachedRandom(t *testing.T) {
	h := coretest.New(t, func(o *core.Options) { o.Shards, o.NoLog = 3, true })
	fill(h, "")
	h.Do("SADD", "small", "e1", "e2")
	s, calls := h.DB.Session(), 0
	s.BetweenVisits(func(bool) {
		calls++
		h.DB.Keyspace().LockAll()
		h.DB.Keyspace().UnlockAll()
	})
	for line, want := range map[string]int{
		"SRANDMEMBER small -5000": 5000, "SRANDMEMBER s -5000": 5000, "SRANDMEMBER s 4990": 4990, "HRANDFIELD h -5000": 5000,
		"HRANDFIELD h 4500 WITHVALUES": 9000, "ZRANDMEMBER z -4096 WITHSCORES": 8192, "ZRANDMEMBER z 4990": 4990,
	} {
		calls = 0
		v, err := s.Do(strings.Fields(line)...)
		if err != nil || len(v.Elems) != want || calls != 1 {
			t.Errorf("%s: %d elements, %d times without locks, %v", line, len(v.Elems), calls, err)
		}
	}
}

// TestSmallRepliesStay: what is quickly replied is replied under the lock, since
// copies make the next writes dearer.
func TestSmallRepliesStay(t *testing.T) {
	h := coretest.New(t, func(o *core.Options) { o.Shards, o.NoLog = 3, true })
	fill(h, "")
	h.Do("SET", "a", "string")
	h.Do("ZADD", "z2", "1", "e1")
	h.DB.Session().BetweenVisits(func(bool) { t.Error("the collection was copied") })
	for _, line := range []string{"LRANGE l 0 99", "ZRANGE z 0 99", "SISMEMBER s e1", "SSCAN s 0", "HGET h e1", "SPOP s", "XRANGE x 17 17", "XRANGE x - + COUNT 100", "XREVRANGE x + 4000",
		"SRANDMEMBER s -100", "ZUNION 2 z2 none", "LCS a a", "HRANDFIELD h 100", "ZRANDMEMBER z", "DUMP a"} {
		h.Do(strings.Fields(line)...)
	}
}

// TestDetachedReaders reads a set while others change it: what was there before and is
// never removed is in every reply, and nothing else than what was added.
func TestDetachedReaders(t *testing.T) {
	h := coretest.New(t, func(o *core.Options) { o.Shards, o.NoLog, o.Clock = 2, true, nil })
	fill(h, "")
	var readers, writer sync.WaitGroup
	done := make(chan struct{})
	writer.Go(func() {
		s := h.DB.Session()
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
			}
			_, _ = s.Do("SADD", "s", fmt.Sprint("new", i%100))
			_, _ = s.Do("SREM", "s", fmt.Sprint("new", (i+50)%100))
			_, _ = s.Do("LSET", "l", fmt.Sprint(i%5000), fmt.Sprint("e", i%5000))
			_, _ = s.Do("ZADD", "z", fmt.Sprint(i%5000), fmt.Sprint("e", i%5000))
			_, _ = s.Do("HSET", "h", fmt.Sprint("e", i%5000), fmt.Sprint("v", i%5000))
			_, _ = s.Do("XADD", "x", fmt.Sprint(1<<60+i), "f", "new")
			_, _ = s.Do("XDEL", "x", fmt.Sprint(1<<60+i))
		}
	})
	for _, line := range []string{"SMEMBERS s", "LRANGE l 0 -1", "ZRANGE z 0 -1", "HKEYS h", "XRANGE x 1 5000"} {
		readers.Go(func() {
			s := h.DB.Session()
			for range 10 {
				v, err := s.Do(strings.Fields(line)...)
				if err != nil {
					t.Error(err)
					return
				}
				if strings.HasPrefix(line, "XRANGE") {
					for i, entry := range v.Elems {
						v.Elems[i] = entry.Elems[1].Elems[1]
					}
				}
				got := texts(v)
				slices.Sort(got)
				for i := range 5000 {
					if _, found := slices.BinarySearch(got, fmt.Sprint("e", i)); !found {
						t.Errorf("%s: e%d is missing of %d", line, i, len(got))
						return
					}
				}
				if line != "SMEMBERS s" && len(got) != 5000 {
					t.Errorf("%s: %d elements", line, len(got))
				}
			}
		})
	}
	readers.Wait()
	close(done)
	writer.Wait()
}
