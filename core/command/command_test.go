package command

import (
	"bytes"
	"math/big"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core/resp"
)

func TestLookup(t *testing.T) {
	for _, cmd := range All() {
		for _, name := range []string{cmd.Name, strings.ToUpper(cmd.Name)} {
			if Lookup([]byte(name)) != cmd {
				t.Errorf("Lookup(%q) does not find it", name)
			}
		}
		if cmd.Flags&Write != 0 && cmd.Flags&ReadOnly != 0 {
			t.Errorf("%s both writes and does not", cmd.Name)
		}
	}
	for _, name := range []string{"", "ge", "gett", "\x00get", strings.Repeat("x", 1000)} {
		if cmd := Lookup([]byte(name)); cmd != nil {
			t.Errorf("Lookup(%q) finds %s", name, cmd.Name)
		}
	}
}

// TestHotPathDoesNotAllocate guards GET, SET and INCR, as an executor runs them.
func TestHotPathDoesNotAllocate(t *testing.T) {
	x := newTester(t, 2)
	x.ctx.Events.Want(-1) // the tester itself
	for _, line := range []string{"SET key value", "GET key", "INCR n", "GET missing", "DEL missing", "EXISTS key", "SET key value EX 100", "EXPIRE key 100", "STRLEN key", "MGET key key"} {
		args, _ := resp.SplitArgs([]byte(line), nil)
		cmd := Lookup(args[0])
		shard := x.ks.Shard(x.ks.ShardOf(args[1]))
		var keys []Key
		var shards []int
		var err error
		run := func() {
			if Lookup(args[0]) != cmd || CheckArity(cmd, args) != "" {
				t.Fatal("not called")
			}
			if keys, err = cmd.AppendKeys(keys[:0], args); err != nil || len(keys) == 0 {
				t.Fatal("not placed")
			}
			if shards, err = Shards(cmd, args, x.ks, shards[:0]); err != nil || len(shards) == 0 {
				t.Fatal("no shards")
			}
			x.out.Buf = x.out.Buf[:0]
			shard.Lock()
			x.ctx.Reset(args, &x.out, 0, -1, x.now)
			Call(&x.ctx, cmd)
			_ = x.ctx.HasEffects()
			shard.Unlock()
		}
		run()
		if n := testing.AllocsPerRun(200, run); n != 0 {
			t.Errorf("%s allocates %v times", line, n)
		}
	}
}

// TestEffectsOutliveReset collects the effects of several commands, as EXEC does.
func TestEffectsOutliveReset(t *testing.T) {
	x := newTester(t, 1)
	var all []Effect
	for i := range 200 {
		args := [][]byte{[]byte("SET"), []byte("key" + strconv.Itoa(i)), bytes.Repeat([]byte{'v'}, i), []byte("EX"), []byte("10")}
		x.ctx.Reset(args, &x.out, 0, -1, x.now)
		Call(&x.ctx, Lookup(args[0]))
		all = AppendEffects(&x.ctx, all)
	}
	for i, e := range all {
		if string(e.Args[1]) != "key"+strconv.Itoa(i) || len(e.Args[2]) != i || string(e.Args[4]) != strconv.Itoa(testEpoch+10000) {
			t.Fatalf("effect %d was overwritten: %q", i, e.Args)
		}
	}
}

func TestParseInt(t *testing.T) {
	for in, want := range map[string]string{
		"0": "0", "1": "1", "-1": "-1", "9223372036854775807": "9223372036854775807", "-9223372036854775808": "-9223372036854775808",
		"9223372036854775808": "", "-9223372036854775809": "", "18446744073709551616": "", "99999999999999999999": "",
		"": "", "-": "", "-0": "", "00": "", "01": "", "+1": "", " 1": "", "1 ": "", "1.0": "", "1e3": "", "0x1": "", "\x001": "",
	} {
		got := ""
		if n, ok := parseInt([]byte(in)); ok {
			got = strconv.FormatInt(n, 10)
		}
		if got != want {
			t.Errorf("parseInt(%q) is %q, want %q", in, got, want)
		}
	}
}

// FuzzParseInt: whatever parses is in its only spelling.
func FuzzParseInt(f *testing.F) {
	for _, s := range []string{"0", "-1", "9223372036854775807", "-9223372036854775808", "18446744073709551615"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		want, err := strconv.ParseInt(s, 10, 64)
		canonical := err == nil && strconv.FormatInt(want, 10) == s
		if got, ok := parseInt([]byte(s)); ok != canonical || ok && got != want {
			t.Errorf("parseInt(%q) is %d, %v", s, got, ok)
		}
	})
}

// FuzzAddDecimals: no input panics or takes long, and what comes out is a
// decimal that adds to nothing unchanged.
func FuzzAddDecimals(f *testing.F) {
	for _, s := range []string{"10.5", "1e5000", "-1e-5000", "inf", ".5", "5.", "1e999999999", "0x1p3", "--1", "e", "+"} {
		f.Add(s, "0.1")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		start := time.Now()
		sum, msg := addDecimals([]byte(a), []byte(b))
		if time.Since(start) > time.Second {
			t.Errorf("%q + %q takes %v", a, b, time.Since(start))
		}
		if msg != "" {
			return
		}
		if _, _, err := big.ParseFloat(string(sum), 10, 64, big.ToNearestEven); err != nil {
			t.Errorf("%q + %q is %q: %v", a, b, sum, err)
		}
	})
}

func TestGlobMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true}, {"", "a", false}, {"*", "", true}, {"*", "abc", true}, {"?", "", false}, {"?", "a", true},
		{"a*c", "abc", true}, {"a*c", "ac", true}, {"a*c", "acb", false}, {"a*b*c", "axxbxxbxxc", true}, {"**", "x", true},
		{"[a-c]x", "bx", true}, {"[^a-c]x", "bx", false}, {"[^a-c]x", "dx", true}, {"[c-a]x", "bx", true}, {`[\]]`, "]", true},
		{`\*`, "*", true}, {`\*`, "a", false}, {`a\`, `a\`, true}, {"[", "a", false}, {"[a", "a", true}, {"[]", "a", false},
		{"a]", "a]", true}, {"[a-", "-", true}, {"*a", strings.Repeat("a", 1000), true}, {"h?llo*w[oa]rld", "hello, world", true},
	} {
		if got := GlobMatch([]byte(c.pattern), []byte(c.s), false); got != c.want {
			t.Errorf("GlobMatch(%q, %q) is %v", c.pattern, c.s, got)
		}
	}
	if !GlobMatch([]byte("SaVe*[X-Z]"), []byte("save-y"), true) || GlobMatch([]byte("SAVE"), []byte("save"), false) {
		t.Error("case is not as asked")
	}
	start := time.Now()
	GlobMatch([]byte(strings.Repeat("*a", 5000)+"*b"), bytes.Repeat([]byte("a"), 20000), false)
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("a hostile pattern takes %v", took)
	}
}

// FuzzGlobMatch: nothing panics, and on patterns without classes and escapes
// path.Match agrees.
func FuzzGlobMatch(f *testing.F) {
	f.Add("a*b?c", "axxbyc")
	f.Add("[a-", "a")
	f.Add(`\`, `\`)
	f.Fuzz(func(t *testing.T, pattern, s string) {
		got := GlobMatch([]byte(pattern), []byte(s), false)
		GlobMatch([]byte(pattern), []byte(s), true)
		if strings.ContainsAny(pattern, `[]\/`) || strings.Contains(s, "/") || !ascii(pattern) || !ascii(s) {
			return
		}
		if want, err := filepath.Match(pattern, s); err == nil && got != want {
			t.Errorf("GlobMatch(%q, %q) is %v", pattern, s, got)
		}
	})
}

func ascii(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= 0x80 }) < 0
}

// TestScanIsComplete walks a large keyspace over all shards.
func TestScanIsComplete(t *testing.T) {
	x := newTester(t, 5)
	const n = 5000
	for i := range n {
		x.run("SET", "key:"+strconv.Itoa(i), "v")
	}
	seen := map[string]bool{}
	cursor, calls := "0", 0
	for {
		v := x.run("SCAN", cursor, "COUNT", "37")
		for _, k := range v.Elems[1].Elems {
			seen[string(k.Str)] = true
		}
		calls++
		if cursor = string(v.Elems[0].Str); cursor == "0" {
			break
		}
		// What comes and goes meanwhile does not matter to what stays.
		x.run("SET", "new:"+strconv.Itoa(calls), "v")
		x.run("DEL", "new:"+strconv.Itoa(calls-10))
	}
	for i := range n {
		if !seen["key:"+strconv.Itoa(i)] {
			t.Errorf("key:%d was not reported", i)
		}
	}
	if calls < n/74 {
		t.Errorf("%d calls: COUNT is not respected", calls)
	}
}
