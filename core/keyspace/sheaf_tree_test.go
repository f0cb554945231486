package keyspace

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/spillwaydb/spillway/core/keyspace/arena"
)

// checkSheafTree looks into the nodes of a tree: they say truly what is below them, and every
// bound is one.
func checkSheafTree(t testing.TB, tree *sheafTree) {
	t.Helper()
	var last uint64
	var walk func(n *sheafNode) (size, depth int)
	walk = func(n *sheafNode) (size, depth int) {
		if n.count() == 0 || n.count() > sheafFan || n.kids != nil && n.leaves != nil {
			t.Fatalf("a node has %d nodes and %d sheaves", len(n.kids), len(n.leaves))
		}
		for k := n.count(); k < sheafFan; k++ {
			if n.bounds[k] != noBound {
				t.Fatalf("a node of %d children has a bound %x for another one", n.count(), n.bounds[k])
			}
		}
		for k := range n.count() {
			if n.bounds[k] < last {
				t.Fatalf("an order %x is before the bound %x", last, n.bounds[k])
			}
			if first := n.first(k).order(0); first < n.bounds[k] {
				t.Fatalf("an order %x is behind the bound %x", first, n.bounds[k])
			}
			var below int
			if n.kids == nil {
				s := &n.leaves[k]
				below = s.count()
				last = s.order(below - 1)
			} else {
				var d int
				below, d = walk(n.kids[k])
				if k > 0 && d != depth {
					t.Fatalf("leaves are %d and %d deep", d, depth)
				}
				depth = d
			}
			if below != n.sizes[k] {
				t.Fatalf("%d positions below a child, which is said to have %d", below, n.sizes[k])
			}
			size += below
		}
		if size != n.n {
			t.Fatalf("%d positions below a node of %d", size, n.n)
		}
		return size, depth + 1
	}
	if tree.root != nil {
		walk(tree.root)
	}
}

// TestSheafTreeModel makes random changes to a tree of small sheaves and to clones of it, all of which
// live on, are changed themselves, and are read by others meanwhile. There are many
// elements of one order, and times in which more go than come.
func TestSheafTreeModel(t *testing.T) {
	t.Logf("replay with -run TestSheafTreeModel -seed %d -steps %d", *seed, *steps)
	rng := rand.New(rand.NewPCG(*seed, 11))
	type item struct {
		order uint64
		key   string
	}
	compare := func(a, b item) int {
		if a.order != b.order {
			if a.order < b.order {
				return -1
			}
			return 1
		}
		return bytes.Compare([]byte(a.key), []byte(b.key))
	}
	type version struct {
		v     sheaves
		items []item
	}
	check := func(v *sheaves, items []item, rng *rand.Rand) error {
		n := 0
		var wrong error
		v.each(0, false, func(order uint64, e *element) bool {
			if n >= len(items) || order != items[n].order || string(e.key) != items[n].key {
				wrong = fmt.Errorf("element %d of %d is %x %q", n, len(items), order, e.key)
			}
			n++
			return wrong == nil
		})
		if wrong == nil && (n != len(items) || v.size() != n) {
			wrong = fmt.Errorf("%d elements, want %d; it says %d", n, len(items), v.size())
		}
		if wrong != nil || n == 0 {
			return wrong
		}
		at := rng.IntN(n)
		for _, reverse := range []bool{false, true} {
			i, left := at, 100
			v.each(at, reverse, func(order uint64, e *element) bool {
				if order != items[i].order || string(e.key) != items[i].key {
					wrong = fmt.Errorf("from %d on, reverse %v, element %d is %x %q", at, reverse, i, order, e.key)
				}
				i++
				if reverse {
					i -= 2
				}
				left--
				return wrong == nil && left > 0
			})
		}
		return wrong
	}
	pool := arena.NewPool()
	all := []*version{{v: newSheaves(pool)}}
	mem := spares{pool: pool} // of all: what one gives up another takes
	var wg sync.WaitGroup
	defer wg.Wait()
	large := bytes.Repeat([]byte("large"), largeElement/5)
	for i := range *steps {
		v := all[rng.IntN(len(all))]
		want := item{uint64(rng.IntN(1 + len(v.items)/7*(i/1000%2))), fmt.Sprintf("%d", rng.IntN(1000))}
		if rng.IntN(3) == 0 && len(v.items) > 0 {
			want = v.items[rng.IntN(len(v.items))]
		}
		at, found := slices.BinarySearchFunc(v.items, want, compare)
		p := v.v.find(want.order, []byte(want.key))
		if p.found != found || found && v.v.pos(p) != at || v.v.lower(want.order, []byte(want.key), false) != at {
			t.Fatalf("step %d: %x %q is at %d, found %v; want %d, %v", i, want.order, want.key, v.v.pos(p), p.found, at, found)
		}
		grows := i/2000%3 < 2
		switch {
		case found && (!grows || rng.IntN(3) == 0):
			v.v.remove(p, 1, &mem)
			v.items = slices.Delete(v.items, at, at+1)
		default:
			// A large element has a sheaf of its own, so that there are many of them.
			e := element{key: []byte(want.key)}
			var fresh []byte
			if rng.IntN(10) > 0 {
				e.val = large
			} else {
				fresh = appendElement(nil, &e)
			}
			v.v.put(p, want.order, &e, fresh, &mem)
			if !found {
				v.items = slices.Insert(v.items, at, want)
			}
		}
		if rng.IntN(200) == 0 {
			c := &version{v.v.clone(), slices.Clone(v.items)}
			frozen, items, seed := v.v.clone(), slices.Clone(v.items), rng.Uint64()
			if len(all) < 6 {
				all = append(all, c)
			} else {
				at := rng.IntN(len(all))
				all[at].v.tree.free()
				v, all[at] = c, c
			}
			wg.Go(func() {
				defer frozen.tree.free()
				if err := check(&frozen, items, rand.New(rand.NewPCG(seed, 1))); err != nil {
					t.Errorf("a clone changed: %v", err)
				}
			})
		}
		if i%100 == 0 {
			checkSheaves(t, &v.v)
			if err := check(&v.v, v.items, rng); err != nil {
				t.Fatalf("step %d: %v", i, err)
			}
		}
	}
	wg.Wait()
	for _, v := range all {
		checkSheaves(t, &v.v)
		if err := check(&v.v, v.items, rng); err != nil {
			t.Fatal(err)
		}
		v.v.tree.free()
	}
	mem.empty()
	if n := pool.Used(); n != 0 {
		t.Errorf("%d bytes are left of nothing", n)
	}
}
