package command

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/spillwaydb/spillway/internal/testutil"
)

// scanned is something that is iterated in steps.
type scanned struct {
	scan        []string // the command up to its cursor
	step        int      // elements of the reply for each that is iterated
	add, remove func(element string) []string
}

// TestScanGuarantee iterates keys, hashes, sets and sorted sets that grow and shrink
// between the calls, from packed ones to large ones and back to a few elements: what
// is there all the while is returned, what never was is not, and the end is reached.
func TestScanGuarantee(t *testing.T) {
	w := words{rand.New(rand.NewPCG(seedOf(t), 12))}
	for name, s := range map[string]scanned{
		"SCAN": {[]string{"SCAN"}, 1,
			func(e string) []string { return []string{"SET", e, "v"} }, func(e string) []string { return []string{"DEL", e} }},
		"HSCAN": {[]string{"HSCAN", "h"}, 2,
			func(e string) []string { return []string{"HSET", "h", e, "v"} }, func(e string) []string { return []string{"HDEL", "h", e} }},
		"SSCAN": {[]string{"SSCAN", "s"}, 1,
			func(e string) []string { return []string{"SADD", "s", e} }, func(e string) []string { return []string{"SREM", "s", e} }},
		"ZSCAN": {[]string{"ZSCAN", "z"}, 2,
			func(e string) []string { return []string{"ZADD", "z", strconv.Itoa(len(e)), e} }, func(e string) []string { return []string{"ZREM", "z", e} }},
	} {
		t.Run(name, func(t *testing.T) {
			outer := t
			for _, size := range []int{1, 5, 100, 12 * testutil.Rounds(125)} {
				x := newTester(outer, 3)
				stay := map[string]bool{}
				for i := range size {
					e := fmt.Sprint("stay", i)
					stay[e] = true
					x.run(s.add(e)...)
				}
				for round := range 4 {
					s.iterate(t, w, x, stay, round%2 == 0)
				}
			}
		})
	}
}

// iterate iterates once, while elements come or go, of a thousand others.
func (s *scanned) iterate(t *testing.T, w words, x *tester, stay map[string]bool, grows bool) {
	t.Helper()
	count := strconv.Itoa(1 + w.rng.IntN(50))
	left := make(map[string]bool, len(stay))
	for e := range stay {
		left[e] = true
	}
	cursor := "0"
	for calls := 0; ; calls++ {
		if calls > 200_000 {
			t.Fatal("the iteration does not end")
		}
		v := x.run(append(append([]string{}, s.scan...), cursor, "COUNT", count)...)
		if v.Err() != nil {
			t.Fatal(v.Err())
		}
		for i := 0; i < len(v.Elems[1].Elems); i += s.step {
			e := string(v.Elems[1].Elems[i].Str)
			delete(left, e)
			if !stay[e] && e[:2] != "v:" {
				t.Fatalf("%q was never there", e)
			}
		}
		if cursor = string(v.Elems[0].Str); cursor == "0" {
			break
		}
		for range w.rng.IntN(30) {
			e := fmt.Sprint("v:", w.rng.IntN(1000))
			if grows {
				x.run(s.add(e)...)
			} else {
				x.run(s.remove(e)...)
			}
		}
	}
	for e := range left {
		t.Fatalf("%q was there all the while, and is not among what was returned (%d are not, of %d)", e, len(left), len(stay))
	}
	// Between iterations all of them come, or go.
	for i := range 1000 {
		if e := fmt.Sprint("v:", i); grows {
			x.run(s.add(e)...)
		} else {
			x.run(s.remove(e)...)
		}
	}
}
