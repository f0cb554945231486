package keyspace

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spillwaydb/spillway/core/rdb"
)

// TestBuildCollection: a large collection of a file is what setting element by element makes, in whatever
// order they come, how long they are, and how often.
func TestBuildCollection(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 7))
		n := 1 + rng.IntN(1<<rng.IntN(14))
		members, scores, long := 1+rng.IntN(2*n), 1+rng.IntN(2*n), rng.IntN(3)
		order, dated := rng.IntN(3), rng.IntN(3)
		obj := &rdb.Object{Key: []byte("k"), Type: []Type{Set, ZSet, Hash}[rng.IntN(3)], LRU: -1, LFU: -1}
		_, one := oneDB(t)
		_, whole := oneDB(t)
		for _, d := range []*DB{one, whole} {
			d.ks.SetLimits(Limits{ListSize: -2})
		}
		text := func(m int) []byte {
			b := fmt.Appendf(nil, "m%d", m)
			if rng.IntN(100) < long {
				b = append(b, bytes.Repeat([]byte("x"), rng.IntN(3*sheafSize))...)
			}
			return b
		}
		for i := range n {
			m := []byte(fmt.Sprint(rng.IntN(members)))
			if long > 0 && m[0] == '7' {
				m = append(m, bytes.Repeat(m, sheafSize/len(m)/2)...)
			}
			obj.Items = append(obj.Items, m)
			switch obj.Type {
			case ZSet:
				score := float64([]int{i, -i, rng.IntN(scores) - scores/2}[order]) / float64(1+rng.IntN(2)*dated)
				obj.Scores = append(obj.Scores, score)
				one.ZSet(obj.Key).Add(m, score)
			case Hash:
				v := text(i)
				obj.Items = append(obj.Items, v)
				one.Hash(obj.Key).Set(m, v)
				if dated == 0 {
					break
				}
				deadline := max(0, int64([]int{i, n - i, rng.IntN(scores)}[order])) * rng.Int64N(2)
				obj.Expires = append(obj.Expires, deadline)
				one.Hash(obj.Key).SetDeadline(m, deadline)
			default:
				one.Set(obj.Key).Add(m)
			}
		}
		if err := whole.Restore(obj.Key, obj); err != nil {
			t.Fatal(err)
		}
		checkCollections(t, whole)
		if want, got := contents(one), contents(whole); len(want) != 1 || !cmp.Equal(want, got) {
			t.Fatalf("seed %d, %d elements of a %v: %s", seed, n, obj.Type, cmp.Diff(want, got))
		}
		if h := whole.Hash([]byte("k")); obj.Type == Hash && h.NextDeadline() != one.Hash([]byte("k")).NextDeadline() {
			t.Fatalf("seed %d: the first deadline is %d", seed, h.NextDeadline())
		}
	}
}
