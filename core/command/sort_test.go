package command

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spillwaydb/spillway/core/resp"
)

// sorts makes random SORTs, and commands on what they sort and read.
func (w words) sorts() (line []string, unordered bool) {
	element := func() string {
		return pick(w, strconv.Itoa(w.rng.IntN(30)), strconv.Itoa(w.rng.IntN(30)), "1.5", "-2e3", pick(w, "x", "X", "", " 7", "0x1F", "inf", "1_0", "a\x00b", "\xff", "nan", "7 "))
	}
	plain := func() string { return strconv.Itoa(w.rng.IntN(30)) }
	key := func() string { return pick(w, "l", "s", "z", "l", "s", "z", "n", "d", "nosuch", "w_1") }
	switch w.rng.IntN(12) {
	case 0:
		return []string{pick(w, "RPUSH", "RPUSH", "LREM"), pick(w, "l", "d", "d"), pick(w, "0", "1", element()), element()}, false
	case 1:
		return []string{pick(w, "SADD", "SADD", "SREM"), "s", plain()}, false
	case 2:
		return []string{"ZADD", "z", strconv.Itoa(w.rng.IntN(20)), pick(w, plain(), element())}, false
	case 3:
		return []string{"RPUSH", "n", plain()}, false
	case 4:
		return []string{"SET", "w_" + plain(), element()}, false
	case 5:
		return []string{"HSET", "h_" + plain(), "f", plain()}, false
	case 6:
		return []string{"DEL", pick(w, "w_"+plain(), "h_"+plain(), key())}, false
	}
	k := key()
	line = []string{pick(w, "SORT", "SORT", "SORT", "SORT_RO"), k}
	by := pick(w, "", "", "w_*", "h_*->f", "nosort", "*", "h_*->", "h_*", "nosuch_*")
	// What is sorted by the same has the order that the hash of a set or Redis's
	// qsort gives it: so sorting is by numbers, which elements decide, or total.
	alpha := by == "" && w.rng.IntN(2) == 0
	if by != "" {
		line = append(line, "BY", by)
	}
	if alpha {
		line = append(line, "ALPHA")
	}
	line = w.maybe(line, 40, "LIMIT", pick(w, "0", "1", "5", "-1", "100"), pick(w, "0", "3", "-1", "10", "100"))
	line = w.maybe(line, 40, pick(w, "ASC", "DESC"))
	line = w.maybe(line, 30, "GET", pick(w, "#", "w_*", "h_*->f", "h_*", "w_", "*"))
	line = w.maybe(line, 30, "GET", pick(w, "#", "w_*", "h_*->f", "nosuch_*"))
	line = w.maybe(line, 2, pick(w, "GET", "BY", "LIMIT", "STORE", "NOSUCH"))
	line = w.maybe(line, 2, "LIMIT", "x", "1")
	store := w.rng.IntN(4) == 0
	if store {
		line = append(line, "STORE", "d")
	}
	if k == "s" && by == "nosort" && !store {
		return []string{"SORT", k, "BY", "nosort"}, true
	}
	return line, false
}

func TestSortAgainstRedis(t *testing.T) {
	(&compared{
		rounds:  12_000,
		command: words.sorts,
		met: map[string]func([]string, resp.Value) bool{
			"sorted":     func(l []string, v resp.Value) bool { return l[0] == "SORT" && len(v.Elems) > 5 },
			"read only":  func(l []string, v resp.Value) bool { return l[0] == "SORT_RO" && len(v.Elems) > 5 },
			"stored":     func(l []string, v resp.Value) bool { return l[0] == "SORT" && v.Int > 5 },
			"no numbers": func(_ []string, v resp.Value) bool { return strings.Contains(v.String(), "converted into double") },
			"missing":    func(l []string, v resp.Value) bool { return l[0] == "SORT" && strings.Contains(v.String(), "(nil)") },
		},
	}).compare(t)
}

// TestSortLeast: the least of many are those that are first when all are sorted.
func TestSortLeast(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		q := &sortQuery{desc: rng.IntN(2) == 0, alpha: rng.IntN(2) == 0}
		all := make([]sorted, rng.IntN(60))
		for i := range all {
			all[i] = sorted{element: []byte{'a' + byte(rng.IntN(3))}, score: float64(rng.IntN(4)), by: []byte{'a' + byte(rng.IntN(5))}, at: i}
		}
		k := rng.IntN(len(all) + 1)
		places := func(part []sorted) (at []int) {
			slices.SortFunc(part, q.compare())
			for _, s := range part {
				at = append(at, s.at)
			}
			return at
		}
		got, want := places(least(all, k, q.compare())), places(slices.Clone(all))[:k]
		if !slices.Equal(got, want) {
			t.Fatalf("the least %d of %d, %+v: %v, want %v", k, len(all), *q, got, want)
		}
	}
}
