package core_test

import (
	"context"
	"strconv"
	"strings"
	"testing"

	"github.com/spillwaydb/spillway/core/coretest"
)

// TestLimitParameters: the limits of packed collections go by Redis's names,
// old and new, refuse what Redis refuses, and take effect at once.
func TestLimitParameters(t *testing.T) {
	h := coretest.New(t)
	c := h.DB.Admin().Config()
	for _, tt := range []struct{ name, alias, def string }{
		{"hash-max-listpack-entries", "hash-max-ziplist-entries", "512"},
		{"hash-max-listpack-value", "hash-max-ziplist-value", "64"},
		{"zset-max-listpack-entries", "zset-max-ziplist-entries", "128"},
		{"zset-max-listpack-value", "zset-max-ziplist-value", "64"},
		{"list-max-listpack-size", "list-max-ziplist-size", "-2"},
		{"set-max-intset-entries", "set-max-intset-entries", "512"},
		{"set-max-listpack-entries", "set-max-listpack-entries", "128"},
		{"set-max-listpack-value", "set-max-listpack-value", "64"},
	} {
		get := func(name, want string) {
			t.Helper()
			if got := c.Get(name); len(got) != 1 || got[0] != [2]string{name, want} {
				t.Errorf("%s is %q, want %s", name, got, want)
			}
		}
		get(tt.name, tt.def)
		get(tt.alias, tt.def)
		set(t, h, tt.alias, "77")
		get(tt.name, "77")
		for _, bad := range []string{"x", "", "99999999999999999999"} {
			err := c.Set([2]string{tt.name, bad})
			if err == nil || !strings.HasPrefix(err.Error(), "CONFIG SET failed (possibly related to argument '"+tt.name+"') - argument ") {
				t.Errorf("%s %q: %v", tt.name, bad, err)
			}
		}
		get(tt.name, "77")
		set(t, h, tt.name, tt.def)
	}
	err := c.Set([2]string{"hash-max-listpack-value", "1kb"}, [2]string{"zset-max-listpack-entries", "-1"})
	if err == nil || !strings.HasSuffix(err.Error(), "argument must be between 0 and 9223372036854775807 inclusive") {
		t.Errorf("a negative limit: %v", err)
	}
	if got := c.Get("hash-max-listpack-value"); got[0][1] != "64" {
		t.Errorf("half of what was refused stays: %q", got)
	}
	set(t, h, "hash-max-listpack-value", "1kb")
	set(t, h, "hash-max-listpack-entries", "2")
	h.Do("HSET", "h", "a", strings.Repeat("v", 1024), "b", "2")
	if got := encoding(h, "h"); got != "listpack" {
		t.Errorf("two fields are a %s", got)
	}
	h.Do("HSET", "h", "c", "3")
	if got := encoding(h, "h"); got != "hashtable" {
		t.Errorf("three fields are a %s", got)
	}
}

func set(t *testing.T, h *coretest.Harness, name, value string) {
	t.Helper()
	if got := h.Do("CONFIG", "SET", name, value); got != `"OK"` {
		t.Errorf("CONFIG SET %s %s: %s", name, value, got)
	}
}

func encoding(h *coretest.Harness, key string) string {
	return strings.Trim(h.Do("OBJECT", "ENCODING", key), `"`)
}

// TestPackedSurvives: packed collections come back packed and whole, from a
// snapshot and from the log, with the power lost in between.
func TestPackedSurvives(t *testing.T) {
	h := coretest.New(t)
	want := map[string]string{"h": "listpack", "l": "quicklist", "s": "listpack", "i": "intset", "z": "listpack", "H": "hashtable"}
	add := func(i int) {
		n := strconv.Itoa(i)
		h.Do("HSET", "h", "f"+n, n)
		h.Do("RPUSH", "l", n, "x"+n)
		h.Do("SADD", "s", "m"+n, n)
		h.Do("SADD", "i", n)
		h.Do("ZADD", "z", n+".5", "m"+n)
		h.Do("HSET", "H", "f"+n, strings.Repeat("v", 65))
	}
	check := func(n int) {
		t.Helper()
		for key, enc := range want {
			if got := encoding(h, key); got != enc {
				t.Errorf("%s is a %s, want %s", key, got, enc)
			}
		}
		for _, cmd := range []string{"HLEN h", "SCARD i", "ZCARD z", "HLEN H"} {
			if got := h.Value(strings.Fields(cmd)...).Int; got != int64(n) {
				t.Errorf("%s is %d, want %d", cmd, got, n)
			}
		}
		for i := range n {
			s := strconv.Itoa(i)
			for _, tt := range [][2]string{
				{"HGET h f" + s, `"` + s + `"`}, {"LINDEX l " + strconv.Itoa(2*i), `"` + s + `"`}, {"SISMEMBER s " + s, "1"},
				{"SISMEMBER i " + s, "1"}, {"ZSCORE z m" + s, `"` + s + `.5"`}, {"ZRANK z m" + s, s},
			} {
				if got := h.Do(strings.Fields(tt[0])...); got != tt[1] {
					t.Fatalf("%s: %s", tt[0], got)
				}
			}
		}
	}
	for i := range 20 {
		add(i)
	}
	if err := h.DB.Save(context.Background()); err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		add(20 + i)
	}
	check(30)
	h.Crash(1)
	check(30)
	if got := h.Do("DEBUG", "RELOAD"); got != `"OK"` {
		t.Fatal(got)
	}
	check(30)
	h.Do("BGREWRITEAOF")
	h.Reopen()
	check(30)
}
