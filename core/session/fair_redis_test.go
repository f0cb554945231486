package session_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/internal/testutil"
)

// TestServedLikeRedis plays scenes in which clients wait, and are served, beside a
// real redis-server: "0> BLPOP k 0" is what client 0 sends. Every client is told the
// same, at the same step, and the keys are the same in the end.
func TestServedLikeRedis(t *testing.T) {
	for _, proto := range []int{2, 3} {
		t.Run(fmt.Sprintf("RESP%d", proto), func(t *testing.T) {
			d := newDuo(t, 4, proto)
			for name, scene := range scenes {
				t.Run(name, func(t *testing.T) {
					d.t, d.ours.t, d.theirs.t, d.transcript = t, t, t, nil
					for i := range d.clients {
						d.step(i, "SELECT 0")
					}
					d.step(0, "FLUSHALL")
					before := d.toldByAnother
					for _, line := range strings.Split(strings.TrimSpace(scene), "\n") {
						var n int
						line = strings.TrimSpace(line)
						if _, err := fmt.Sscanf(line, "%d>", &n); err != nil {
							t.Fatalf("%s: %v", line, err)
						}
						d.step(n, strings.TrimSpace(line[2:]))
					}
					d.same("k", "l", "m", "z", "dst")
					d.end()
					if d.toldByAnother == before && !strings.Contains(name, "nobody") {
						t.Error("nobody was served")
					}
				})
			}
		})
	}
}

var scenes = map[string]string{
	"first come first served": `
		0> BLPOP k 0
		1> BRPOP k 0
		2> BLMPOP 0 1 k LEFT COUNT 2
		3> RPUSH k a b c d e
		3> LLEN k`,
	"a later client does not overtake": `
		0> BLPOP k l 0
		1> RPUSH l a
		2> BLPOP l 0
		1> RPUSH k b
		1> RPUSH l c`,
	"the keys in the order in which they became ready": `
		0> BLPOP k l m 0
		1> MULTI
		1> RPUSH m 1
		1> RPUSH l 2
		1> RPUSH k 3
		1> EXEC`,
	"one client for each key that became ready": `
		0> BLPOP k l 0
		1> BLPOP l k 0
		2> MULTI
		2> RPUSH l 1
		2> RPUSH k 2
		2> EXEC`,
	"a key is ready when it has something of use": `
		0> BLPOP k l 0
		1> MULTI
		1> SET k x
		1> RPUSH l 1
		1> DEL k
		1> RPUSH k 2
		1> EXEC`,
	"what is pushed and popped again: nobody": `
		0> BLPOP k 0
		1> MULTI
		1> RPUSH k a
		1> LPOP k
		1> EXEC
		1> MULTI
		1> RPUSH k a
		1> DEL k
		1> SET k v
		1> EXEC
		1> DEL k`,
	"a transaction pops before those who wait": `
		0> BLPOP k 0
		1> MULTI
		1> RPUSH k a b c
		1> BLPOP k 0
		1> BLMOVE k k LEFT RIGHT 0
		1> EXEC`,
	"the same key several times": `
		0> BLPOP k k l k 0
		1> RPUSH k a b
		1> RPUSH k c
		0> BLPOP m m 0
		1> RPUSH m a`,
	"a key is ready when it is made, and not when it grows": `
		0> BZPOPMIN z k 0
		1> RPUSH k 1
		1> ZADD c 1 m
		2> BLPOP m 0
		3> MULTI
		3> LMOVE k k LEFT RIGHT
		3> RPUSH k 2
		3> ZADD z 3 w
		3> RENAME c k
		3> EXEC`,
	"a key is ready when it is made, with whatever somebody waits for": `
		0> BZPOPMIN z k 0
		1> ZADD c 1 m
		2> BLPOP m 0
		3> MULTI
		3> RPUSH k 2
		3> ZADD z 3 w
		3> RENAME c k
		3> EXEC`,
	"a key is not ready when it is made with what nobody waits for": `
		0> BZPOPMIN z k 0
		1> ZADD c 1 m
		3> MULTI
		3> RPUSH k 2
		3> ZADD z 3 w
		3> RENAME c k
		3> EXEC`,
	"a key is ready when another takes its place": `
		0> BZPOPMIN z k 0
		1> RPUSH k 1
		1> ZADD c 1 m
		1> RPUSH l x
		2> BLPOP m 0
		3> MULTI
		3> RENAME l k
		3> ZADD z 3 w
		3> COPY c k REPLACE
		3> EXEC`,
	"another type is no answer": `
		0> BLPOP k 0
		1> BZPOPMIN k 0
		2> ZADD k 1 a
		2> RPUSH k b
		2> DEL k
		2> RPUSH k b
		2> SADD k x`,
	"sorted sets": `
		0> BZPOPMIN z k 0
		1> BZPOPMAX z 0
		2> BZMPOP 0 2 k z MAX COUNT 2
		3> ZADD z 1 a 2 b 3 c 4 d 5.5 e
		3> ZRANGE z 0 -1`,
	"lists and sorted sets at one key": `
		0> BLPOP k 0
		1> BZPOPMIN k 0
		2> BLPOP k 0
		3> MULTI
		3> ZADD k 1 a
		3> EXEC
		3> RPUSH k 1
		3> RPUSH k 2`,
	"chained": `
		0> BLMOVE k l LEFT RIGHT 0
		1> BLMOVE l m LEFT RIGHT 0
		2> BLPOP m 0
		3> RPUSH k a b`,
	"chained, the other way round": `
		0> BRPOPLPUSH l m 0
		1> BRPOPLPUSH k l 0
		3> RPUSH k a b
		3> RPUSH k c`,
	"circular": `
		0> BRPOPLPUSH k l 0
		1> BRPOPLPUSH l k 0
		2> RPUSH k a`,
	"self-referential": `
		0> BRPOPLPUSH k k 0
		1> BLMOVE k k RIGHT LEFT 0
		2> RPUSH k a b c`,
	"a destination of another type": `
		3> SET dst x
		0> BLMOVE k dst LEFT LEFT 0
		1> BRPOPLPUSH k dst 0
		2> BLPOP k 0
		3> RPUSH k a b`,
	"a destination that a client waits for": `
		0> BLPOP dst 0
		1> BLMOVE k dst RIGHT LEFT 0
		2> BLPOP dst k 0
		3> RPUSH k a b c`,
	"by RENAME": `
		0> BLPOP k 0
		1> RPUSH l a b
		1> RENAME l k
		1> EXISTS l`,
	"by COPY, to another database too": `
		0> BLPOP k 0
		2> SELECT 3
		2> BLPOP k 0
		1> RPUSH l a b
		1> COPY l k
		1> COPY l k DB 3`,
	"by MOVE": `
		0> SELECT 2
		0> BLPOP k 0
		1> RPUSH k a b
		1> MOVE k 2`,
	"by SWAPDB": `
		0> BLPOP k 0
		1> SELECT 1
		1> RPUSH k a
		1> SWAPDB 0 1
		2> RPUSH k b`,
	"by RESTORE": `
		0> BLPOP k 0
		1> RESTORE k 0 "\x01\x01\x01a\t\x00\x97\xd2\x8d\x8b\x93\xfe\x8d\xfa"
		1> RPUSH k a`,
	"by RESTORE REPLACE over another type": `
		0> BLPOP k 0
		1> SET k x
		1> RPUSH l v
		1> COPY l k REPLACE`,
	"by ZUNIONSTORE and its like": `
		0> BZPOPMIN k 0
		1> BZPOPMAX l 0
		2> BZMPOP 0 1 m MIN COUNT 10
		3> ZADD z 1 a 2 b
		3> ZUNIONSTORE k 1 z
		3> ZRANGESTORE l z 0 -1
		3> ZINTERSTORE m 2 z z
		3> ZINTERSTORE m 2 z nosuch`,
	"by ZINCRBY, LMOVE, LINSERT and LPUSHX, which may do nothing": `
		0> BLPOP k 0
		1> BZPOPMIN z 0
		2> LPUSHX k a
		2> RPUSHX k a
		2> LINSERT k BEFORE a b
		2> ZADD z XX 1 a
		2> ZINCRBY z 1 a
		2> RPUSH l x y
		2> LMOVE l k LEFT LEFT
		2> RPOPLPUSH l k`,
	"a key past its deadline: nobody": `
		0> BLPOP k 0
		1> MULTI
		1> RPUSH k a
		1> PEXPIREAT k 1
		1> EXEC
		1> EXISTS k`,
	"WATCH sees what those take who waited": `
		0> BLPOP k 0
		1> WATCH k
		2> RPUSH k a
		1> MULTI
		1> EXEC`,
	"WATCH of a client whose command waits": `
		0> WATCH l
		0> BLMOVE k l LEFT LEFT 0
		1> RPUSH k a
		0> MULTI
		0> PING
		0> EXEC`,
	"databases are apart": `
		0> BLPOP k 0
		1> SELECT 5
		1> BLPOP k 0
		2> SELECT 5
		2> RPUSH k a
		3> RPUSH k b`,
	"WAIT, by whom nothing is served: nobody": `
		0> WAIT 0 0
		0> MULTI
		0> WAIT 1 0
		0> EXEC
		1> WAIT 1 0`,
}

// TestServedLikeRedisAtRandom has clients wait and push at random, beside a real
// redis-server.
func TestServedLikeRedisAtRandom(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	d := newDuo(t, 6, 2+rng.IntN(2))
	pick := func(of ...string) string { return of[rng.IntN(len(of))] }
	lists, sets := []string{"a", "b", "c", "d"}, []string{"x", "y", "a"}
	l, z := func() string { return pick(lists...) }, func() string { return pick(sets...) }
	end, most := func() string { return pick("LEFT", "RIGHT") }, func() string { return pick("MIN", "MAX") }
	value := 0
	next := func() string { value++; return fmt.Sprint(value) }
	blocking := []func() string{
		func() string { return "BLPOP " + l() + " " + l() + " 0" },
		func() string { return "BRPOP " + l() + " 0" },
		func() string { return "BLMOVE " + l() + " " + l() + " " + end() + " " + end() + " 0" },
		func() string { return "BRPOPLPUSH " + l() + " " + l() + " 0" },
		func() string { return "BLMPOP 0 2 " + l() + " " + l() + " " + end() + " COUNT " + pick("1", "2", "3") },
		func() string { return "BZPOPMIN " + z() + " " + z() + " 0" },
		func() string { return "BZPOPMAX " + z() + " 0" },
		func() string { return "BZMPOP 0 2 " + z() + " " + z() + " " + most() + " COUNT " + pick("1", "2") },
	}
	others := []func() string{
		func() string { return "RPUSH " + l() + " " + next() },
		func() string { return "LPUSH " + l() + " " + next() + " " + next() + " " + next() },
		func() string { return "RPUSH " + l() + " " + next() + " " + next() },
		func() string { return "ZADD " + z() + " " + pick("1", "2", "3") + " " + next() },
		func() string { return "ZADD " + z() + " 1 " + next() + " 2 " + next() },
		func() string { return "LMOVE " + l() + " " + l() + " " + end() + " " + end() },
		func() string { return "LPOP " + l() },
		func() string { return "DEL " + pick("a", "b", "c", "d", "x", "y") },
		func() string { return "SET " + pick("a", "b", "x") + " 1" },
		func() string { return "RENAME " + l() + " " + l() },
		func() string { return "COPY " + l() + " " + l() + " REPLACE" },
		func() string { return "ZUNIONSTORE y 1 x" },
		func() string { return "LTRIM " + l() + " 1 -1" },
	}
	for range 2 * testutil.Rounds(750) {
		var free []int
		for i, p := range d.ours.clients {
			if !p.busy {
				free = append(free, i)
			}
		}
		n := free[rng.IntN(len(free))]
		switch {
		case len(free) > 1 && rng.IntN(2) == 0:
			d.step(n, blocking[rng.IntN(len(blocking))]())
		case rng.IntN(6) == 0:
			d.step(n, "MULTI")
			for range 1 + rng.IntN(4) {
				if rng.IntN(4) == 0 {
					d.step(n, blocking[rng.IntN(len(blocking))]())
				} else {
					d.step(n, others[rng.IntN(len(others))]())
				}
			}
			d.step(n, "EXEC")
		default:
			d.step(n, others[rng.IntN(len(others))]())
		}
		if len(d.transcript) > 200 {
			d.transcript = d.transcript[100:]
		}
	}
	d.same("a", "b", "c", "d", "x", "y")
	d.end()
	t.Logf("%d replies, %d of them to clients that have waited", d.told, d.toldByAnother)
	if d.toldByAnother < 5 && !testutil.Race {
		t.Errorf("only %d commands that waited were served", d.toldByAnother)
	}
}
