package core_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/spillwaydb/spillway/core/coretest"
	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/internal/testutil"
)

// TestRefusalsAgainstRedis: what is refused by the state of the server rather than by
// its data is refused as a redis-server does it.
func TestRefusalsAgainstRedis(t *testing.T) {
	ask := askRedisLine(t, testutil.Redis(t)())
	h := coretest.New(t)
	for _, line := range []string{
		"CONFIG SET min-replicas-to-write -1", "CONFIG SET min-slaves-to-write 1", "CONFIG GET min-slaves-to-write",
		"SET k v", "GET k", "DEL k", "FLUSHALL", "PUBLISH c m", "LPUSH k", "XREADGROUP GROUP g c STREAMS s >",
		"MULTI", "SET k v", "GET k", "EXEC", "MULTI", "GET k", "EXEC",
		`EVAL "return redis.call('get', 'k')" 1 k`, `EVAL "return redis.call('set', 'k', 'v')" 1 k`, `EVAL "return redis.pcall('set', 'k', 'v')" 1 k`,
		`EVAL "#!lua\nreturn 1" 0`, `EVAL "#!lua flags=no-writes\nreturn 1" 0`, `EVAL_RO "return 1" 0`, `FUNCTION FLUSH`,
		"CONFIG SET min-replicas-max-lag 0", "SET k v", "CONFIG SET min-replicas-max-lag 10", "SET k v", "CONFIG SET min-replicas-to-write 0", "SET k v",

		"FLUSHALL", "CONFIG SET maxmemory 1", "SET k v", "GET k", "DEL k", `EVAL "return redis.call('set', 'k', 'v')" 1 k`, "MULTI", "GET k", "EXEC", "CONFIG SET maxmemory 0",

		"XGROUP CREATE s g $ MKSTREAM",
		`EVAL "return redis.pcall('xread', 'BLOCK', 0, 'STREAMS', 's', '$')" 1 s`, `EVAL "return redis.pcall('xread', 'STREAMS', 's', '$')" 1 s`,
		`EVAL "return redis.pcall('XREADGROUP', 'GROUP', 'g', 'c', 'BLOCK', 'x', 'STREAMS', 's', '>')" 1 s`,
		"MULTI", "XREAD BLOCK 0 STREAMS s $", "EXEC",

		`COMMAND GETKEYS EVAL "return 1" 0`, `COMMAND GETKEYS EVAL "return 1" 3 a`, `COMMAND GETKEYSANDFLAGS EVALSHA x 0`, "COMMAND GETKEYS FCALL f 0",
		"COMMAND GETKEYS ZUNIONSTORE d 0", "COMMAND GETKEYS XREAD STREAMS a b", "COMMAND GETKEYS MSET a", "COMMAND GETKEYS SORT",

		"SET n 9999", "OBJECT REFCOUNT n", "INCR n", "OBJECT REFCOUNT n", "SET n -1", "OBJECT REFCOUNT n", "SET n 7", "OBJECT REFCOUNT n", "APPEND n 0", "OBJECT REFCOUNT n",
		"SET n 7", "CONFIG SET maxmemory 1gb maxmemory-policy allkeys-random", "SET n 7", "OBJECT REFCOUNT n", "CONFIG SET maxmemory-policy allkeys-lru", "SET n 7", "OBJECT REFCOUNT n",
		"CONFIG SET maxmemory-policy volatile-lfu", "SET n 7", "OBJECT REFCOUNT n", "CONFIG SET maxmemory 0", "SET n 7", "OBJECT REFCOUNT n", "RPUSH l 7", "OBJECT REFCOUNT l",
	} {
		words, ok := resp.SplitArgs([]byte(line), nil)
		if !ok {
			t.Fatal(line)
		}
		args := make([]string, len(words))
		for i, w := range words {
			args[i] = string(w)
		}
		want := ask(line).String()
		if got := h.Do(args...); got != want {
			t.Errorf("%s\n  ours  %s\n  redis %s", line, got, want)
		}
	}
}

// TestCountsAgainstRedis: a script that is aborted, or returns an error, has failed, and
// what it may not call was rejected; each error counts once.
func TestCountsAgainstRedis(t *testing.T) {
	ask := askRedisLine(t, testutil.Redis(t)())
	h := coretest.New(t)
	counts := func(info string) string {
		var out []string
		for line := range strings.Lines(info) {
			switch name, fields, _ := strings.Cut(strings.TrimSpace(line), ":"); {
			case strings.HasPrefix(name, "cmdstat_set"), strings.HasPrefix(name, "cmdstat_eval"), strings.HasPrefix(name, "cmdstat_incr"):
				parts := strings.Split(fields, ",")
				out = append(out, name, parts[0], parts[3], parts[4])
			case strings.HasPrefix(name, "errorstat_"), name == "total_error_replies":
				out = append(out, name, fields)
			}
		}
		slices.Sort(out)
		return strings.Join(out, " ")
	}
	for _, lines := range [][]string{
		{"CONFIG SET maxmemory 1", "CONFIG RESETSTAT", `EVAL "return redis.call('set', 'k', 'v')" 1 k`},
		{"CONFIG RESETSTAT", `EVAL "return redis.pcall('set', 'k', 'v')" 1 k`},
		{"CONFIG RESETSTAT", `EVAL "redis.pcall('set', 'k', 'v') return 1" 1 k`},
		{"CONFIG SET maxmemory 0", "CONFIG RESETSTAT", `EVAL "return redis.call('set', 'k')" 1 k`},
		{"CONFIG RESETSTAT", "SET k v", `EVAL "return redis.pcall('incr', 'k')" 1 k`, `EVAL "return redis.call('incr', 'k')" 1 k`},
		{"CONFIG RESETSTAT", `EVAL "return redis.error_reply('MINE x')" 0`, `EVAL "redis.pcall('incr', 'k') return redis.error_reply('MINE x')" 1 k`},
		{"CONFIG RESETSTAT", "MULTI", `EVAL "return redis.pcall('incr', 'k')" 1 k`, "EXEC", "INCR k"},
	} {
		for _, line := range lines {
			words, _ := resp.SplitArgs([]byte(line), nil)
			args := make([]string, len(words))
			for i, w := range words {
				args[i] = string(w)
			}
			if got, want := h.Do(args...), ask(line).String(); got != want {
				t.Errorf("%s\n  ours  %s\n  redis %s", line, got, want)
			}
		}
		ours := counts(string(h.Value("INFO", "everything").Str))
		if theirs := counts(string(ask("INFO everything").Str)); ours != theirs {
			t.Errorf("%q\n  ours  %s\n  redis %s", lines, ours, theirs)
		}
	}
}
