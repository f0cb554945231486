package core_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/spillwaydb/spillway/core/coretest"
)

// TestKeysizes: INFO keysizes is what a Redis 8.0 with the same keys shows, and only
// whoever asks for it by name gets it.
func TestKeysizes(t *testing.T) {
	h := coretest.New(t)
	if got := string(h.Value("INFO", "keysizes").Str); got != "# Keysizes\r\n" {
		t.Errorf("of no keys: %q", got)
	}
	for i := 1; i <= 100; i++ {
		h.Do("SET", fmt.Sprint("s", i), strings.Repeat("x", i))
		h.Do("RPUSH", fmt.Sprint("l", i), "1", "2", "3")
	}
	h.Do("SET", "number", "12345")
	h.Do("SET", "K", strings.Repeat("x", 1500))
	h.Do("SET", "M", strings.Repeat("x", 3<<20))
	h.Do("SADD", "set", "1", "2", "3", "4", "5")
	h.Do("SADD", "large", strings.Repeat("y", 100), "b")
	h.Do("HSET", "h", "1", "2")
	h.Do("ZADD", "z", "1", "2")
	h.Do("XADD", "stream", "*", "a", "b")
	h.Do("PFADD", "hll", "a")
	h.Do("SELECT", "2")
	h.Do("SET", "empty", "")
	h.Do("SELECT", "0")
	const want = "# Keysizes\r\n" +
		"db0_distrib_strings_sizes:1=1,2=2,4=5,8=8,16=17,32=32,64=37,1K=1,2M=1\r\n" +
		"db0_distrib_lists_items:2=100\r\n" +
		"db0_distrib_sets_items:2=1,4=1\r\n" +
		"db0_distrib_zsets_items:1=1\r\n" +
		"db0_distrib_hashes_items:1=1\r\n" +
		"db2_distrib_strings_sizes:0=1\r\n"
	if got := string(h.Value("INFO", "keysizes").Str); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	h.Do("MULTI")
	h.Do("INFO", "Keysizes")
	if got := string(h.Value("EXEC").Elems[0].Str); got != want {
		t.Errorf("in a transaction\n%s", got)
	}
	for _, section := range []string{"default", "all", "everything"} {
		if strings.Contains(string(h.Value("INFO", section).Str), "distrib") {
			t.Errorf("INFO %s looks at every key", section)
		}
	}
}
