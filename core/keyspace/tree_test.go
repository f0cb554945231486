package keyspace

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
)

// heavy is an element of the tree's model: a number, and its weight.
type heavy struct{ id, weight int }

// flat lists the element at every position.
func flat(els []heavy) (ids []int) {
	for _, e := range els {
		for range e.weight {
			ids = append(ids, e.id)
		}
	}
	return ids
}

func treeElements(t *tree[heavy]) (els []heavy) {
	t.each(0, false, func(e *heavy) bool {
		els = append(els, *e)
		return true
	})
	return els
}

// checkTree compares a tree with what it should hold, also piece by piece.
func checkTree(t *tree[heavy], want []heavy, rng *rand.Rand) error {
	if got := treeElements(t); !slices.Equal(got, want) {
		return fmt.Errorf("%v, want %v", got, want)
	}
	ids := flat(want)
	if t.size() != len(ids) {
		return fmt.Errorf("size is %d, want %d", t.size(), len(ids))
	}
	if len(ids) == 0 {
		return nil
	}
	i := rng.IntN(len(ids))
	first, at := 0, 0
	for first+want[at].weight <= i {
		first += want[at].weight
		at++
	}
	if el, f := t.seek(i); *el != want[at] || f != first {
		return fmt.Errorf("at %d is %v from %d on, want %v from %d on", i, *el, f, want[at], first)
	}
	for _, reverse := range []bool{false, true} {
		var got []heavy
		most := 1 + rng.IntN(10)
		t.each(i, reverse, func(e *heavy) bool {
			got = append(got, *e)
			return len(got) < most
		})
		part := slices.Clone(want[at:])
		if reverse {
			part = slices.Clone(want[:at+1])
			slices.Reverse(part)
		}
		if part = part[:min(most, len(part))]; !slices.Equal(got, part) {
			return fmt.Errorf("from %d, reverse %v: %v, want %v", i, reverse, got, part)
		}
	}
	return nil
}

// TestTreeModel makes random changes to a tree and to clones of it, all of
// which live on, are changed themselves, and are read by others meanwhile.
func TestTreeModel(t *testing.T) {
	t.Logf("replay with -run TestTreeModel -seed %d -steps %d", *seed, *steps)
	rng := rand.New(rand.NewPCG(*seed, 9))
	type version struct {
		tree tree[heavy]
		els  []heavy
	}
	all := []*version{{tree: newTree[heavy]()}}
	var wg sync.WaitGroup
	defer wg.Wait()
	id := 0
	for i := range *steps / 2 {
		v := all[rng.IntN(len(all))]
		at := rng.IntN(len(v.els) + 1)
		pos := len(flat(v.els[:at]))
		switch op := rng.IntN(100); {
		case op < 45 || len(v.els) == 0:
			id++
			e := heavy{id, 1 + rng.IntN(3)}
			v.tree.insert(pos, e, e.weight)
			v.els = slices.Insert(v.els, at, e)
		case op < 75 && at < len(v.els):
			if got := v.tree.remove(pos + rng.IntN(v.els[at].weight)); got != v.els[at] {
				t.Fatalf("removed %v, want %v", got, v.els[at])
			}
			v.els = slices.Delete(v.els, at, at+1)
		case op < 95 && at < len(v.els):
			id++
			old := v.els[at].weight
			v.els[at] = heavy{id, 1 + rng.IntN(3)}
			*v.tree.write(pos+rng.IntN(old), v.els[at].weight-old) = v.els[at]
		case op == 95 && rng.IntN(4) == 0:
			from := rng.IntN(at + 1)
			v.tree.cut(len(flat(v.els[:from])), pos)
			v.els = slices.Clone(v.els[from:at])
		case op > 95 && rng.IntN(10) == 0:
			c := &version{v.tree.clone(), slices.Clone(v.els)}
			if len(all) < 8 {
				all = append(all, c)
			} else {
				all[rng.IntN(len(all))] = c
			}
			// What a view does: it goes on reading the tree as it was.
			frozen, want := v.tree.clone(), slices.Clone(v.els)
			seed := rng.Uint64()
			wg.Go(func() {
				if err := checkTree(&frozen, want, rand.New(rand.NewPCG(seed, 1))); err != nil {
					t.Errorf("a clone changed: %v", err)
				}
			})
		}
		if i%50 == 0 {
			if err := checkTree(&v.tree, v.els, rng); err != nil {
				t.Fatal(err)
			}
		}
	}
	wg.Wait()
	for _, v := range all {
		if err := checkTree(&v.tree, v.els, rng); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTreeLower finds places in an ascending tree.
func TestTreeLower(t *testing.T) {
	rng := rand.New(rand.NewPCG(*seed, 10))
	tr := newTree[heavy]()
	for i := range 500 {
		tr.insert(2*i, heavy{i, 2}, 2)
	}
	for range 100 {
		n := rng.IntN(502) - 1
		if got := tr.lower(func(e *heavy) bool { return e.id < n }); got != 2*min(max(n, 0), 500) {
			t.Errorf("%d elements are lower than %d", got, n)
		}
	}
}
