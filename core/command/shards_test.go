package command

import (
	"slices"
	"strings"
	"testing"

	"github.com/spillwaydb/spillway/core/keyspace"
)

// TestShards: the shards of several commands come ascending and once each.
func TestShards(t *testing.T) {
	ks := keyspace.New(keyspace.Config{Shards: 8, Databases: 1})
	defer ks.Close()
	of := func(keys ...string) []int {
		var out []int
		for _, k := range keys {
			out = append(out, ks.ShardOf([]byte(k)))
		}
		slices.Sort(out)
		return slices.Compact(out)
	}
	for _, tc := range []struct {
		lines string
		want  []int
		err   bool
	}{
		{"PING", nil, false},
		{"GET a", of("a"), false},
		{"MSET a 1 b 2 c 3 d 4", of("a", "b", "c", "d"), false},
		{"GET b;GET a;GET b;PING;DEL c a", of("a", "b", "c"), false},
		{"OBJECT ENCODING a", of("a"), false},
		{"ZUNIONSTORE d 2 a b", of("a", "b", "d"), false},
		{"GEORADIUS a 1 1 1 m STORE b STOREDIST c STORE d", of("a", "b", "c", "d"), false},
		{"PFMERGE a", of("a"), false},
		{"SORT a ALPHA STORE b", of("a", "b"), false},
		{"SORT_RO a BY nosort", of("a"), false},
		{"SORT a GET w_*", []int{0, 1, 2, 3, 4, 5, 6, 7}, false},
		{"GET a;DBSIZE;GET b", []int{0, 1, 2, 3, 4, 5, 6, 7}, false},
		{"GET", nil, true},
	} {
		var got []int
		var failed error
		for line := range strings.SplitSeq(tc.lines, ";") {
			var args [][]byte
			for _, w := range strings.Fields(line) {
				args = append(args, []byte(w))
			}
			var err error
			if got, err = Shards(Lookup(args[0]), args, ks, got); err != nil {
				failed = err
			}
		}
		if (failed != nil) != tc.err || !tc.err && !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, %v; want %v", tc.lines, got, failed, tc.want)
		}
	}
}
