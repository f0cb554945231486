package core_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/coretest"
	"github.com/spillwaydb/spillway/core/resp"
)

// TestScriptEffectsAreReplayed: what the commands of a script have changed is in the log,
// as one transaction, and not the script: chance and time come out of a crash as they
// were.
func TestScriptEffectsAreReplayed(t *testing.T) {
	for _, multi := range []bool{false, true} {
		h := coretest.New(t, func(o *core.Options) { o.Shards = 4 })
		h.Do("SADD", "set", "a", "b", "c", "d", "e")
		h.Do("SET", "dies", "x", "PX", "1")
		h.Clock.Advance(time.Second)
		run := func(args ...string) {
			if multi {
				h.Do("MULTI")
				h.Do(args...)
				h.Do("EXEC")
				return
			}
			h.Do(args...)
		}
		run("EVAL", `
			redis.call('set', KEYS[1], redis.call('time')[2] .. math.random())
			redis.call('set', 'popped', redis.call('spop', 'set'))
			redis.call('select', 3)
			redis.call('rpush', 'elsewhere', redis.call('incr', 'n'), 'x')
			redis.pcall('incr', 'elsewhere')
			return redis.call('get', 'dies')`, "1", "k")
		run("EVAL", "redis.call('set', 'before', 1) error('behind a write')", "0")
		run("EVAL", "redis.call('select', 5) redis.call('set', 'gone', 1) redis.call('flushdb') redis.call('set', 'after', 2)", "0")
		run("EVAL", "for i = 1, 50 do redis.call('set', 'many' .. i, i) end", "0")
		state := func() string {
			var b strings.Builder
			for _, line := range [][]string{{"SELECT", "0"}, {"GET", "k"}, {"GET", "popped"}, {"SCARD", "set"}, {"EXISTS", "dies"}, {"GET", "before"}, {"GET", "many50"}, {"DBSIZE"}, {"SELECT", "3"}, {"LRANGE", "elsewhere", "0", "-1"}, {"GET", "n"}, {"SELECT", "5"}, {"KEYS", "*"}, {"SELECT", "0"}} {
				fmt.Fprintf(&b, "%s: %s\n", line, h.Do(line...))
			}
			return b.String()
		}
		want := state()
		if !strings.Contains(want, "[GET many50]: \"50\"") || !strings.Contains(want, `[LRANGE elsewhere 0 -1]: ["1" "x"]`) {
			t.Fatalf("the scripts did\n%s", want)
		}
		h.Crash(1)
		if got := state(); got != want {
			t.Errorf("MULTI %v: after a crash\n%s\nwant\n%s", multi, got, want)
		}
	}
}

// TestScriptsAcrossShards: scripts that declare their keys and scripts that do not,
// transactions, commands on several shards, on all of them and on one, and checkpoints
// go on together: none waits for ever, and nobody sees money that is on its way.
func TestScriptsAcrossShards(t *testing.T) {
	const accounts, each = 12, 60
	h := coretest.New(t, func(o *core.Options) { o.Shards = 4 })
	total := 0
	for i := range accounts {
		h.Do("SET", fmt.Sprint("acc", i), "100")
		total += 100
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	sum := "local s = 0 for i = 0, 11 do s = s + redis.call('get', 'acc' .. i) end return s"
	move := "redis.call('decrby', KEYS[1] or ARGV[1], 7) redis.call('incrby', KEYS[2] or ARGV[2], 7)"
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			s := h.DB.Session()
			rng := rand.New(rand.NewPCG(seed, uint64(w)))
			acc := func() string { return fmt.Sprint("acc", rng.IntN(accounts)) }
			do := func(args ...string) resp.Value {
				v, err := s.Do(args...)
				if err != nil || v.Err() != nil {
					t.Errorf("%v: %v %v", args, err, v.Err())
				}
				return v
			}
			for range each {
				switch (w + rng.IntN(2)) % 8 {
				case 0:
					do("EVAL", move, "2", acc(), acc())
				case 1:
					do("EVAL", move, "0", acc(), acc())
				case 2:
					if got := do("EVAL", sum, "0").Int; got != int64(total) {
						t.Errorf("a script sees %d", got)
					}
				case 3:
					do("MULTI")
					do("DECRBY", acc(), "3")
					do("INCRBY", acc(), "3")
					do("EVAL", move, "1", acc(), acc(), acc())
					do("EXEC")
				case 4:
					args := []string{"MGET"}
					for i := range accounts {
						args = append(args, fmt.Sprint("acc", i))
					}
					got := 0
					for _, v := range do(args...).Elems {
						n := 0
						_, _ = fmt.Sscan(string(v.Str), &n)
						got += n
					}
					if got != total {
						t.Errorf("MGET sees %d", got)
					}
				case 5:
					do("GET", acc())
					do("DBSIZE")
				case 6:
					do("EVAL_RO", "return redis.call('dbsize')", "1", acc())
				case 7:
					do("WATCH", acc(), acc())
					do("UNWATCH")
				}
			}
		})
	}
	wg.Go(func() {
		for range 3 {
			if err := h.DB.Save(context.Background()); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	h.Crash(3)
	if got := h.Value("EVAL", sum, "0").Int; got != int64(total) {
		t.Errorf("after a crash there is %d", got)
	}
}

// busyScript has a client run a script that does not end, and returns once others are
// told so. The reply of the script comes on the channel.
func busyScript(t *testing.T, h *coretest.Harness, args ...string) chan resp.Value {
	t.Helper()
	h.Do("CONFIG", "SET", "lua-time-limit", "1")
	s := h.DB.Session()
	done := make(chan resp.Value, 1)
	go func() {
		v, err := s.Do(args...)
		if err != nil {
			t.Error(err)
		}
		done <- v
	}()
	// PING waits for no shard: a key may lie where the script is, and then its client
	// is told only when the time has moved.
	for !strings.Contains(h.Do("PING"), "BUSY") {
		h.Clock.Advance(time.Second)
	}
	return done
}

const endless = "while true do pcall(function() while true do end end) end"

// TestBusyScript: a script that has run for too long keeps nobody waiting, whatever
// they want: they are told, and can end it.
func TestBusyScript(t *testing.T) {
	const busy = "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."
	h := coretest.New(t, func(o *core.Options) { o.Shards = 4 })
	watcher, queued := h.DB.Session(), h.DB.Session()
	_, _ = watcher.Do("WATCH", "mine")
	_, _ = queued.Do("MULTI")
	_, _ = queued.Do("GET", "mine")
	done := busyScript(t, h, "EVAL", "redis.call('get', 'found') "+endless, "1", "mine")
	for line, want := range map[string]string{
		"GET mine": busy, "GET elsewhere": busy, "MGET a b c d e f": busy, "DBSIZE": busy, "INFO": busy, "EVAL return(1) 0": busy,
		"FUNCTION STATS": busy, "SCRIPT EXISTS x": busy, "FUNCTION KILL": busy, "SHUTDOWN": busy, "SHUTDOWN SAVE": busy, "PING": busy,
		"WATCH mine": busy, "UNWATCH": `"OK"`, "MULTI": `"OK"`, "DISCARD": `"OK"`, "SHUTDOWN ABORT": "No shutdown",
	} {
		if line == "DISCARD" { // in the order of a map
			continue
		}
		if got := h.Do(strings.Fields(line)...); !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", line, got, want)
		}
		h.Do("DISCARD")
	}
	if v, _ := watcher.Do("UNWATCH"); v.Text() != "OK" {
		t.Errorf("UNWATCH: %s", v)
	}
	if v, _ := queued.Do("EXEC"); v.Text() != "EXECABORT Transaction discarded because of: "+busy {
		t.Errorf("EXEC: %s", v)
	}
	if got := h.Do("SCRIPT", "KILL"); got != `"OK"` {
		t.Fatal(got)
	}
	if v := <-done; !strings.Contains(v.Text(), "ERR Script killed by user with SCRIPT KILL... script: ") {
		t.Errorf("the script: %s", v)
	}
	if got := h.Do("GET", "mine"); got != "(nil)" {
		t.Error(got)
	}
	if got := h.Do("SCRIPT", "KILL"); !strings.Contains(got, "NOTBUSY") {
		t.Error(got)
	}
}

// TestBusyFunction is TestBusyScript for a function.
func TestBusyFunction(t *testing.T) {
	h := coretest.New(t, func(o *core.Options) { o.Shards = 4 })
	h.Do("FUNCTION", "LOAD", "#!lua name=lib\nredis.register_function('f', function() "+endless+" end)")
	done := busyScript(t, h, "FCALL", "f", "1", "mine")
	for line, want := range map[string]string{
		"GET mine": "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE.", "SCRIPT KILL": "BUSY", "FUNCTION LIST": "BUSY",
		"FUNCTION STATS": `"name" "f" "command" ["FCALL" "f" "1" "mine"] "duration_ms"`,
	} {
		if got := h.Do(strings.Fields(line)...); !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", line, got, want)
		}
	}
	if got := h.Do("FUNCTION", "KILL"); got != `"OK"` {
		t.Fatal(got)
	}
	if v := <-done; !strings.Contains(v.Text(), "Script killed by user with SCRIPT KILL... script: f, on @user_function:") {
		t.Errorf("the function: %s", v)
	}
}

// TestBusyScriptThatHasWritten cannot be killed, and does not hold up the end of the
// engine: then nothing of it is kept.
func TestBusyScriptThatHasWritten(t *testing.T) {
	for _, mode := range []command.ShutdownMode{command.ShutdownNoSave, command.ShutdownDefault, command.ShutdownSave} {
		h := coretest.New(t, func(o *core.Options) { o.Shards = 4 })
		h.Do("SET", "kept", "before")
		done := busyScript(t, h, "EVAL", "redis.call('set', 'kept', 'lost') redis.call('set', 'new', 'lost') "+endless, "1", "kept")
		if got := h.Do("SCRIPT", "KILL"); !strings.Contains(got, "UNKILLABLE") {
			t.Fatal(got)
		}
		if err := h.DB.PrepareShutdown(mode, false); err != nil {
			t.Fatal(err)
		}
		if v := <-done; v.Err() == nil {
			t.Errorf("the script: %s", v)
		}
		h.Reopen()
		if got := h.Do("MGET", "kept", "new"); got != `["before" (nil)]` {
			t.Errorf("mode %v: %s", mode, got)
		}
	}
}

// TestFunctionsAreReplayed: what clients do to function libraries comes out of a crash,
// a checkpoint and DEBUG RELOAD, and can be called then.
func TestFunctionsAreReplayed(t *testing.T) {
	h := coretest.New(t, func(o *core.Options) { o.Shards = 4 })
	for _, args := range [][]string{
		{"FUNCTION", "LOAD", "#!lua name=a\nlocal n = 0\nredis.register_function('a', function(keys) n = n + 1 redis.call('set', keys[1], n) return n end)"},
		{"FUNCTION", "LOAD", "#!lua name=b\nredis.register_function('b', function() return 'old' end)"},
		{"FUNCTION", "LOAD", "REPLACE", "#!lua name=b\nredis.register_function{function_name='b', callback=function() return 'new' end, flags={'no-writes'}}"},
		{"FUNCTION", "LOAD", "#!lua name=c\nserver.register_function('c', function() return 1 end)"},
		{"FUNCTION", "DELETE", "c"},
	} {
		if got := h.Do(args...); strings.Contains(got, "ERR") {
			t.Fatal(got)
		}
	}
	check := func(how string) {
		t.Helper()
		for line, want := range map[string]string{"FCALL b 0": `"new"`, "FCALL_RO b 0": `"new"`, "FCALL c 0": "Function not found", "FCALL_RO a 1 k": "Can not execute a script with write flag using *_ro command", "FUNCTION STATS": `"libraries_count" 2 "functions_count" 2`} {
			if got := h.Do(strings.Fields(line)...); !strings.Contains(got, want) {
				t.Errorf("after %s, %s: %s, want %s", how, line, got, want)
			}
		}
		if got := h.Do("FCALL", "a", "1", "k"); strings.Contains(got, "ERR") || h.Do("GET", "k") == "(nil)" {
			t.Errorf("after %s: %s", how, got)
		}
	}
	check("nothing")
	h.Crash(1)
	check("a crash")
	h.Do("SAVE")
	h.Reopen()
	check("a checkpoint")
	h.Do("DEBUG", "RELOAD")
	check("DEBUG RELOAD")
	dump := h.Value("FUNCTION", "DUMP")
	h.Do("FUNCTION", "FLUSH")
	if got := h.Do("FCALL", "b", "0"); !strings.Contains(got, "Function not found") {
		t.Error(got)
	}
	if got := h.Do("FUNCTION", "RESTORE", string(dump.Str)); got != `"OK"` {
		t.Error(got)
	}
	check("FUNCTION RESTORE")
	h.Crash(1)
	check("the second crash")
}

// TestScriptsAndWatch: a script's writes are seen by WATCH, and a script that only reads
// disturbs nobody.
func TestScriptsAndWatch(t *testing.T) {
	for script, want := range map[string]string{"return redis.call('set', 'k', 2)": "(nil)", "return redis.call('get', 'k')": `["1"]`} {
		h := coretest.New(t)
		h.Do("SET", "k", "1")
		h.Do("WATCH", "k")
		if v, err := h.DB.Session().Do("EVAL", script, "0"); err != nil || v.Err() != nil {
			t.Fatal(v, err)
		}
		h.Do("MULTI")
		h.Do("GET", "k")
		if got := h.Do("EXEC"); got != want {
			t.Errorf("%s: EXEC: %s, want %s", script, got, want)
		}
	}
}

// TestScriptsServeThoseWhoWait: what a script pushes goes to the client that waits for
// it, whether the script has declared the key or not, and a script itself never waits.
func TestScriptsServeThoseWhoWait(t *testing.T) {
	for _, declared := range []string{"0", "1"} {
		h := coretest.New(t, func(o *core.Options) { o.Shards = 4 })
		waiter := h.DB.Session()
		got := make(chan string, 1)
		go func() {
			v, err := waiter.Do("BLMOVE", "k", "elsewhere", "LEFT", "RIGHT", "0")
			if err != nil {
				t.Error(err)
			}
			got <- v.String()
		}()
		for !waiter.Blocked() {
			runtime.Gosched()
		}
		args := []string{"EVAL", "redis.call('rpush', 'k', 'v') return redis.call('llen', 'k')", declared}
		if declared == "1" {
			args = append(args, "k")
		}
		if n := h.Do(args...); n != "1" {
			t.Errorf("within the script the key has %s", n)
		}
		if v := <-got; v != `"v"` {
			t.Errorf("declared %s: the client got %s", declared, v)
		}
		h.Crash(1)
		if v := h.Do("LRANGE", "elsewhere", "0", "-1"); v != `["v"]` || h.Do("EXISTS", "k") != "0" {
			t.Errorf("after a crash: %s", v)
		}
		if v := h.Do("EVAL", "return redis.call('blpop', 'k', 0)", "0"); !strings.Contains(v, "not allowed from script") {
			t.Errorf("BLPOP in a script: %s", v)
		}
	}
}
