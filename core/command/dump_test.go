package command

import (
	"fmt"
	"strings"
	"testing"

	"github.com/spillwaydb/spillway/core/rdb"
	"github.com/spillwaydb/spillway/core/resp"
)

// seal is the checksum that ends a DUMP payload, escaped for a command line.
func seal(t *testing.T, payload string) string {
	t.Helper()
	full := rdb.SealDump([]byte(payload))
	var b strings.Builder
	for _, c := range full[len(full)-8:] {
		fmt.Fprintf(&b, `\x%02x`, c)
	}
	return b.String()
}

var dumpSamples = []string{
	"SET string hello", "SET int 12345", "SET long " + strings.Repeat("abcdefgh", 100),
	"RPUSH list a b 3 " + strings.Repeat("x", 100), "SADD ints 3 1 2", "SADD set a b c", "HSET hash f v g 1",
	"ZADD zset 1 a 2.5 b -inf c inf d",
}

// TestDumpWithRedis moves values both ways between us and a real redis-server.
func TestDumpWithRedis(t *testing.T) {
	redis := asker(t, redisServer(t))
	ask := func(args ...string) resp.Value {
		t.Helper()
		v := redis(args...)
		if v.Err() != nil {
			t.Fatalf("redis: %.80q: %v", args, v)
		}
		return v
	}
	x := newTester(t, 2)
	for _, line := range dumpSamples {
		key := strings.Fields(line)[1]
		x.do(line)
		ours := string(x.run("DUMP", key).Str)
		ask("RESTORE", key, "0", ours)
		theirs := string(ask("DUMP", key).Str)
		if v := x.run("RESTORE", "back:"+key, "0", theirs); v.String() != `"OK"` {
			t.Errorf("RESTORE of redis's %s: %s", key, v)
		}
		if v := x.run("RESTORE", key, "0", theirs, "REPLACE", "IDLETIME", "100"); v.String() != `"OK"` {
			t.Errorf("RESTORE REPLACE of %s: %s", key, v)
		}
		if got := x.do("OBJECT IDLETIME " + key); got != "100" {
			t.Errorf("idle time of %s: %s", key, got)
		}
	}
	want, got := map[string]string{}, map[string]string{}
	for _, line := range x.state() {
		f := strings.SplitN(line, " ", 3)
		if key, ok := strings.CutPrefix(f[1], `"back:`); ok {
			got[key] = f[2]
		} else {
			want[strings.TrimPrefix(f[1], `"`)] = f[2]
		}
	}
	if fmt.Sprint(want) != fmt.Sprint(got) || len(want) != len(dumpSamples) {
		t.Errorf("after a round trip\nwant %v\ngot  %v", want, got)
	}
}

// TestRestoreHostile gives RESTORE values that check out but are not sound.
func TestRestoreHostile(t *testing.T) {
	x := newTester(t, 2)
	x.do("SET k v")
	for name, payload := range map[string]string{
		"a member twice":  "\x02\x02\x01a\x01a",
		"a field twice":   "\x04\x02\x01a\x01b\x01a\x01b",
		"empty":           "\x02\x00",
		"a forged length": "\x02\x80\xff\xff\xff\xff",
		"an unknown type": "\x7f",
		"nothing":         "",
		"NaN":             "\x05\x01\x01a\x00\x00\x00\x00\x00\x00\xf8\x7f",
	} {
		v := x.run("RESTORE", "k", "0", string(rdb.SealDump([]byte(payload))), "REPLACE")
		if v.String() != "(error) ERR Bad data format" {
			t.Errorf("%s: %s", name, v)
		}
	}
	if got := x.do("GET k"); got != `"v"` {
		t.Errorf("a refused RESTORE changed the key: %s", got)
	}
}
