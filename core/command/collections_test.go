package command

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/internal/testutil"
)

// seedOf returns the seed of a randomised test: from SPILLWAY_SEED, or anew.
func seedOf(t *testing.T) uint64 {
	t.Helper()
	seed := uint64(time.Now().UnixNano()) // any number will do
	if s := os.Getenv("SPILLWAY_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seed = n
	}
	t.Logf("again: SPILLWAY_SEED=%d go test ./core/command -run '^%s$'", seed, t.Name())
	return seed
}

// words makes random commands on collections.
type words struct{ rng *rand.Rand }

func pick[T any](w words, from ...T) T { return from[w.rng.IntN(len(from))] }

func (w words) key() string {
	// Mostly each type has its own keys, so that few commands meet another's.
	return pick(w, "k0", "k1", "k2")
}
func (w words) typed(t string) string {
	if w.rng.IntN(50) == 0 {
		return pick(w, "h", "l", "s", "z") + w.key()
	}
	return t + w.key()
}
func (w words) member() string {
	switch w.rng.IntN(4) {
	case 0:
		return strconv.Itoa(w.rng.IntN(30) - 5)
	case 1:
		return pick(w, "", "a", "b", "aa", "ab", "A", "x\r\ny", "\x00", "\xff", strings.Repeat("long", 40))
	}
	return "m" + strconv.Itoa(w.rng.IntN(40))
}
func (w words) index() string {
	if w.rng.IntN(60) == 0 {
		return pick(w, "x", "", "1.5", "9223372036854775807", "-9223372036854775807", "99999999999999999999", "+1", "01")
	}
	return strconv.Itoa(w.rng.IntN(24) - 8)
}
func (w words) integer() string { return strconv.Itoa(w.rng.IntN(24) - 8) }
func (w words) score() string {
	if w.rng.IntN(40) == 0 {
		return pick(w, "inf", "-inf", "nan", "x", "", "1e3", "+5", "-0", "0.1")
	}
	return pick(w, strconv.Itoa(w.rng.IntN(20)-5), strconv.FormatFloat(float64(w.rng.IntN(80))/8, 'g', -1, 64))
}
func (w words) scoreBound() string {
	if w.rng.IntN(4) == 0 {
		return pick(w, "-inf", "+inf", "(", "(inf", "((1")
	}
	return pick(w, "", "(") + w.score()
}
func (w words) lexBound() string {
	if w.rng.IntN(3) == 0 {
		return pick(w, "-", "+", "[", "(", "x", "", "-1")
	}
	return pick(w, "[", "(") + w.member()
}

// lexKey is a sorted set whose scores are all the same, without which ranges
// of members mean nothing.
func (w words) lexKey() string { return "e" + w.key() }

// intKey is a set of integers only, of which few enough are an intset. Among
// the keys of other sets one would be met too rarely to count on.
func (w words) intKey() string { return "i" + w.key() }

func (w words) bounds() (bounds []string, option string) {
	switch w.rng.IntN(3) {
	case 0:
		return []string{w.scoreBound(), w.scoreBound()}, "BYSCORE"
	case 1:
		return []string{w.lexBound(), w.lexBound()}, "BYLEX"
	}
	return []string{w.index(), w.index()}, ""
}
func (w words) maybe(out []string, percent int, words ...string) []string {
	if w.rng.IntN(100) < percent {
		return append(out, words...)
	}
	return out
}
func (w words) many(fn func() string) []string {
	var out []string
	for range 1 + w.rng.IntN(4) {
		out = append(out, fn())
	}
	return out
}
func join(first []string, rest ...[]string) []string { return append(first, slices.Concat(rest...)...) }

// command returns one command, and whether the order of its reply is free.
func (w words) command() (args []string, unordered bool) {
	h := func() string { return w.typed("h") }
	l := func() string { return w.typed("l") }
	s := func() string { return w.typed("s") }
	z := func() string { return w.typed("z") }
	switch w.rng.IntN(50) {
	case 0, 1:
		return join([]string{pick(w, "HSET", "HMSET"), h()}, w.many(w.member)), false
	case 2:
		return []string{"HSET", h(), w.member(), w.score()}, false
	case 3:
		return join([]string{pick(w, "HDEL", "HMGET"), h()}, w.many(w.member)), false
	case 4:
		return []string{pick(w, "HGET", "HEXISTS", "HSTRLEN"), h(), w.member()}, false
	case 5:
		return []string{pick(w, "HGETALL", "HKEYS", "HVALS"), h()}, true
	case 6:
		return []string{"HSETNX", h(), w.member(), w.score()}, false
	case 7:
		return []string{"HINCRBY", h(), w.member(), w.index()}, false
	case 8:
		return []string{"HINCRBYFLOAT", h(), w.member(), w.score()}, false
	case 9, 10:
		return join([]string{pick(w, "LPUSH", "RPUSH", "LPUSHX", "RPUSHX"), l()}, w.many(w.member)), false
	case 11:
		return w.maybe([]string{pick(w, "LPOP", "RPOP"), l()}, 40, w.index()), false
	case 12:
		return []string{pick(w, "LRANGE", "LTRIM", "LRANGE"), l(), w.index(), w.index()}, false
	case 13:
		return []string{pick(w, "LREM", "LSET"), l(), w.index(), w.member()}, false
	case 14:
		return []string{"LINSERT", l(), pick(w, "BEFORE", "AFTER", "AROUND"), w.member(), w.member()}, false
	case 15:
		out := []string{"LPOS", l(), w.member()}
		out = w.maybe(out, 50, "RANK", w.index())
		out = w.maybe(out, 50, "COUNT", w.index())
		return w.maybe(out, 30, "MAXLEN", w.index()), false
	case 16:
		return []string{"LMOVE", l(), l(), pick(w, "LEFT", "RIGHT"), pick(w, "LEFT", "RIGHT", "UP")}, false
	case 17:
		return []string{"RPOPLPUSH", l(), l()}, false
	case 18:
		return []string{"LINDEX", l(), w.index()}, false
	case 19:
		return w.maybe([]string{"LMPOP", "2", l(), l(), pick(w, "LEFT", "RIGHT")}, 50, "COUNT", w.index()), false
	case 20, 21, 22:
		return join([]string{pick(w, "SADD", "SADD", "SREM", "SMISMEMBER"), s()}, w.many(w.member)), false
	case 23:
		return []string{"SMOVE", s(), s(), w.member()}, false
	case 24:
		return join([]string{pick(w, "SINTER", "SUNION", "SDIFF")}, w.many(pick(w, s, s, w.intKey))), true
	case 25:
		return join([]string{pick(w, "SINTERSTORE", "SUNIONSTORE", "SDIFFSTORE"), s()}, w.many(s)), false
	case 26:
		return w.maybe([]string{"SINTERCARD", pick(w, "1", "2", "2", "3"), s(), s()}, 50, "LIMIT", w.index()), false
	case 27:
		return []string{pick(w, "SMEMBERS", "SMEMBERS", "SCARD"), s()}, true
	case 28, 29, 30:
		out := []string{"ZADD", z()}
		for _, opt := range []string{"NX", "XX", "GT", "LT", "CH", "INCR"} {
			out = w.maybe(out, 12, opt)
		}
		for range 1 + w.rng.IntN(2) {
			out = append(out, w.score(), w.member())
		}
		return out, false
	case 31:
		return []string{"ZINCRBY", z(), w.score(), w.member()}, false
	case 32:
		return join([]string{pick(w, "ZREM", "ZMSCORE"), z()}, w.many(w.member)), false
	case 33:
		return []string{pick(w, "ZSCORE", "ZRANK", "ZREVRANK"), z(), w.member()}, false
	case 34, 35, 36:
		bounds, opt := w.bounds()
		src := z()
		if opt == "BYLEX" {
			src = w.lexKey()
		}
		out := join([]string{"ZRANGE", src}, bounds)
		if w.rng.IntN(4) == 0 {
			out = join([]string{"ZRANGESTORE", z(), src}, bounds)
		}
		if opt != "" {
			out = append(out, opt)
		}
		out = w.maybe(out, 40, "REV")
		out = w.maybe(out, 40, "WITHSCORES")
		return w.maybe(out, 30, "LIMIT", w.index(), w.index()), false
	case 37:
		bounds, opt := w.bounds()
		name := map[string]string{
			"BYSCORE": pick(w, "ZRANGEBYSCORE", "ZREVRANGEBYSCORE", "ZCOUNT", "ZREMRANGEBYSCORE"),
			"BYLEX":   pick(w, "ZRANGEBYLEX", "ZREVRANGEBYLEX", "ZLEXCOUNT", "ZREMRANGEBYLEX"),
			"":        pick(w, "ZREVRANGE", "ZREMRANGEBYRANK"),
		}[opt]
		src := z()
		if opt == "BYLEX" {
			src = w.lexKey()
		}
		return join([]string{name, src}, bounds), false
	case 38:
		return w.maybe([]string{pick(w, "ZPOPMIN", "ZPOPMAX"), z()}, 40, w.index()), false
	case 39:
		return w.maybe([]string{"ZMPOP", "2", z(), z(), pick(w, "MIN", "MAX")}, 50, "COUNT", w.index()), false
	case 40:
		out := []string{pick(w, "ZUNION", "ZINTER", "ZDIFF"), "2", z(), pick(w, z, s)()}
		out = w.maybe(out, 40, "WITHSCORES")
		out = w.maybe(out, 30, "WEIGHTS", w.score(), w.score())
		return w.maybe(out, 30, "AGGREGATE", pick(w, "MIN", "MAX", "SUM")), false
	case 41:
		out := []string{pick(w, "ZUNIONSTORE", "ZINTERSTORE", "ZDIFFSTORE"), z(), "2", z(), pick(w, z, s)()}
		out = w.maybe(out, 30, "WEIGHTS", w.score(), w.score())
		return w.maybe(out, 30, "AGGREGATE", pick(w, "MIN", "MAX", "SUM")), false
	case 42:
		return w.maybe([]string{"ZINTERCARD", pick(w, "1", "2", "2", "3"), z(), z()}, 50, "LIMIT", w.index()), false
	case 43:
		return []string{"ZADD", w.lexKey(), "0", w.member(), "0", w.member()}, false
	case 44, 45:
		return []string{"DEL", w.typed(pick(w, "h", "l", "s", "z", "i"))}, false
	case 46:
		t := pick(w, h, l, s, z)
		return w.maybe([]string{"COPY", t(), t()}, 80, "REPLACE"), false
	case 47:
		return join([]string{pick(w, "SADD", "SADD", "SREM"), pick(w, s, w.intKey)()}, w.many(w.integer)), false
	case 48:
		return []string{"OBJECT", "ENCODING", w.typed(pick(w, "h", "l", "s", "z", "i", "i", "i"))}, false
	}
	return []string{pick(w, "LLEN", "HLEN", "ZCARD", "TYPE", "DEL"), w.typed(pick(w, "h", "l", "s", "z"))}, false
}

// plusZero turns every minus zero into zero: Redis keeps the sign in some
// encodings of a sorted set and loses it in others, we lose it always.
func plusZero(v resp.Value) resp.Value {
	if v.Float == 0 {
		v.Float = 0
	}
	if string(v.Str) == "-0" {
		v.Str = v.Str[1:]
	}
	for i := range v.Elems {
		v.Elems[i] = plusZero(v.Elems[i])
	}
	return v
}

// limits returns random limits of packed collections, low ones mostly, and the
// CONFIG SET that gives Redis the same. It has none for packed sets of strings.
func (w words) limits() (keyspace.Limits, []string) {
	n := func(from ...int) int { return pick(w, from...) }
	l := keyspace.Limits{
		HashEntries: n(0, 1, 4, 10, 512), HashValue: n(0, 2, 64, 200), ZSetEntries: n(0, 1, 4, 10, 128), ZSetValue: n(0, 2, 64, 200),
		IntsetEntries: n(0, 1, 4, 512), SetEntries: n(0, 1, 4, 10, 128), SetValue: n(0, 2, 64, 200), ListSize: n(0, 1, 4, 10, -1, -2, -5),
	}
	s := strconv.Itoa
	return l, []string{
		"CONFIG", "SET", "hash-max-listpack-entries", s(l.HashEntries), "hash-max-listpack-value", s(l.HashValue),
		"zset-max-listpack-entries", s(l.ZSetEntries), "zset-max-listpack-value", s(l.ZSetValue),
		"set-max-intset-entries", s(l.IntsetEntries), "list-max-listpack-size", s(l.ListSize),
	}
}

// asRedis70 turns the encoding that Redis 7.0 has no name for into the one it
// would have.
func asRedis70(args []string, v resp.Value, ks *keyspace.Keyspace) resp.Value {
	if args[0] != "OBJECT" || string(v.Str) != "listpack" {
		return v
	}
	s := ks.Shard(ks.ShardOf([]byte(args[2])))
	s.Lock()
	defer s.Unlock()
	if e, _ := s.DB(0).Get([]byte(args[2]), 0); e.Type() == keyspace.Set {
		v.Str = []byte("hashtable")
	}
	return v
}

// TestCollectionsAgainstRedis sends the same random commands to us and to a
// real redis-server and requires the same replies, while the limits up to which
// collections are packed change. Then the log of all of them must rebuild the
// same state.
func TestCollectionsAgainstRedis(t *testing.T) {
	w := words{rand.New(rand.NewPCG(seedOf(t), 1))}
	conn := redisServer(t)
	ask := asker(t, conn)
	x := newTester(t, 4)
	rounds := testutil.Rounds(30_000)
	encodings := map[string]int{}
	for i := range rounds {
		if i == rounds/2 {
			ask("HELLO", "3")
			x.out.Proto = 3
		}
		if i%250 == 249 {
			l, set := w.limits()
			x.ks.SetLimits(l)
			if v := ask(set...); v.Err() != nil {
				t.Fatal(v.Err())
			}
		}
		line, unordered := w.command()
		theirs := plusZero(ask(line...))
		ours := plusZero(x.run(line...))
		if line[0] == "OBJECT" {
			encodings[ours.String()]++
		}
		ours = asRedis70(line, ours, x.ks)
		if unordered {
			ours, theirs = sortReply(ours), sortReply(theirs)
		}
		if ours.Kind != theirs.Kind || ours.String() != theirs.String() {
			t.Fatalf("command %d: %q\n  ours  %c %s\n  redis %c %s", i, line, ours.Kind, ours, theirs.Kind, theirs)
		}
	}
	for _, e := range []string{"listpack", "intset", "hashtable", "skiplist", "quicklist"} {
		if encodings[`"`+e+`"`] == 0 && !testutil.Race {
			t.Errorf("no %s among the encodings met: %v", e, encodings)
		}
	}
	t.Log("met", encodings)
	if len(x.state()) == 0 {
		t.Error("nothing is left to compare")
	}
	twin := newTester(t, 3)
	twin.replay(x.effects)
	if want, got := strings.Join(x.state(), "\n"), strings.Join(twin.state(), "\n"); want != got {
		t.Errorf("the log replays to another state\nwant:\n%s\ngot:\n%s", want, got)
	}
}

// TestRandomMembers checks what cannot be compared with Redis: that random
// commands return members, as many as asked for, and each once where promised;
// and that what SPOP took is what it logged.
func TestRandomMembers(t *testing.T) {
	for _, n := range []int{1, 5, 40, 1000} {
		x := newTester(t, 2)
		for i := range n {
			m := fmt.Sprintf("m%d", i)
			x.run("SADD", "s", m)
			x.run("HSET", "h", m, "v"+m)
			x.run("ZADD", "z", strconv.Itoa(i), m)
		}
		for _, cmd := range [][]string{{"SRANDMEMBER", "s"}, {"HRANDFIELD", "h"}, {"ZRANDMEMBER", "z"}} {
			for _, count := range []int{1, 2, n / 5, n / 2, n - 1, n, n + 1} {
				got := distinctMembers(x.run(append(cmd, strconv.Itoa(count))...))
				if got != min(max(count, 0), n) && count != 0 {
					t.Errorf("%v %d of %d: %d different members", cmd, count, n, got)
				}
				v := x.run(append(cmd, strconv.Itoa(-count-1))...)
				if len(v.Elems) != count+1 {
					t.Errorf("%v %d of %d: %d members", cmd, -count-1, n, len(v.Elems))
				}
			}
		}
		pairs := x.run("HRANDFIELD", "h", strconv.Itoa((n+1)/2), "WITHVALUES").Elems
		for i := 0; i < len(pairs); i += 2 {
			if string(pairs[i+1].Str) != "v"+string(pairs[i].Str) {
				t.Errorf("HRANDFIELD pairs %s with %s", pairs[i], pairs[i+1])
			}
		}
		for left := n; left > 0; {
			count := min(1+left/3, left)
			v := x.run("SPOP", "s", strconv.Itoa(count))
			if distinctMembers(v) != count {
				t.Fatalf("SPOP %d of %d: %s", count, left, v)
			}
			left -= count
			if got := x.run("SCARD", "s"); got.Int != int64(left) {
				t.Fatalf("%d members are left, want %d", got.Int, left)
			}
		}
		for _, e := range x.effects {
			if is(e.Args[0], "spop") {
				t.Fatal("SPOP is logged as an intention")
			}
		}
		twin := newTester(t, 3)
		twin.replay(x.effects)
		if want, got := strings.Join(x.state(), "\n"), strings.Join(twin.state(), "\n"); want != got {
			t.Errorf("%d members: the log replays to another state", n)
		}
	}
}

func distinctMembers(v resp.Value) int {
	seen := make(map[string]bool)
	for _, e := range v.Elems {
		seen[string(e.Str)] = true
	}
	return len(seen)
}

// TestScanAll requires that the SCAN family finds everything in sets of any
// size, whatever COUNT is.
func TestScanAll(t *testing.T) {
	for _, n := range []int{1, 100, 3000} {
		x := newTester(t, 1)
		for i := range n {
			m := fmt.Sprintf("m%d", i)
			x.run("SADD", "s", m)
			x.run("HSET", "h", m, "1")
			x.run("ZADD", "z", "1", m)
		}
		for _, cmd := range [][]string{{"SSCAN", "s"}, {"HSCAN", "h"}, {"ZSCAN", "z"}} {
			for _, count := range []string{"1", "7", "10000"} {
				seen, cursor := make(map[string]bool), "0"
				for {
					v := x.run(append(cmd, cursor, "MATCH", "m*", "COUNT", count)...)
					for _, e := range v.Elems[1].Elems {
						if s := string(e.Str); s != "1" {
							seen[s] = true
						}
					}
					if cursor = string(v.Elems[0].Str); cursor == "0" {
						break
					}
				}
				if len(seen) != n {
					t.Errorf("%v of %d with COUNT %s found %d", cmd, n, count, len(seen))
				}
			}
		}
	}
}

// FuzzCollections feeds the handlers of this package's collections arguments
// of any kind: whatever they are, there is one reply, and no panic.
func FuzzCollections(f *testing.F) {
	names := []string{}
	for _, cmd := range All() {
		if cmd.Categories&(CatHash|CatList|CatSet|CatSortedSet) != 0 {
			names = append(names, cmd.Name)
		}
	}
	f.Add(uint8(0), "k a 1 b 2")
	f.Add(uint8(60), "k 2 a b weights 1 2 aggregate sum withscores")
	f.Fuzz(func(t *testing.T, n uint8, line string) {
		x := newTester(t, 2)
		x.run("RPUSH", "k", "a", "b")
		x.run("ZADD", "a", "1", "x", "2", "y")
		x.run("SADD", "b", "x", "1")
		x.run("HSET", "2", "f", "v")
		x.run(append([]string{names[int(n)%len(names)]}, strings.Fields(line)...)...)
	})
}
