package keyspace

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spillwaydb/spillway/core/rdb"
	"github.com/spillwaydb/spillway/core/rdb/packed"
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

// TestLoadNodes: the pieces of a list in a file are kept as they are where that is allowed and sensible, and else
// made anew.
func TestLoadNodes(t *testing.T) {
	node := func(from, n int) []byte { return listpackOf(numbers(from + n)[from:]...) }
	many := func(n, each int) (nodes [][]byte) {
		for i := range n {
			nodes = append(nodes, node(i*each, each))
		}
		return nodes
	}
	odd := packed.SealList(append(packed.AppendListHeader(nil), "\x8212\x03"...), 1) // "12" as a string
	for name, c := range map[string]struct {
		nodes [][]byte
		size  int // list-max-listpack-size
		want  int // chunks
	}{
		"as they are":      {many(5, 1500), -2, 5},
		"crumbs":           {many(2000, 2), -2, 2},
		"too long":         {many(5, 1500), -1, 8},
		"too many":         {many(3, 200), 100, 6},
		"empty among them": {append(many(5, 1500), listpackOf()), -2, 4},
		"not canonical":    {append(many(5, 1500), odd), -2, 4},
	} {
		value := []byte{codeQuicklist2, byte(0x40 | len(c.nodes)>>8), byte(len(c.nodes))}
		var want []string
		for _, n := range c.nodes {
			value = append(append(value, 2), payloadOf(0, n)[1:]...)
			for l, at := packed.Listpack(n), packed.ListHeader; at < l.End(); at = l.Next(at) {
				want = append(want, string(l.Entry(at).Text(nil)))
			}
		}
		obj, err := rdb.DecodeObject(value)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		_, d := oneDB(t)
		d.ks.SetLimits(Limits{ListSize: c.size})
		if err := d.Restore([]byte("k"), obj); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		checkCollections(t, d)
		b, _ := d.lookup([]byte("k"))
		if got := d.object(b).(*chunks); got.n != c.want || contents(d)["k"] != fmt.Sprintf("list %q", want) {
			t.Errorf("%s: %d chunks, want %d: %.100s", name, got.n, c.want, contents(d)["k"])
		}
	}
}
