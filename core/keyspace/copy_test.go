package keyspace

import (
	"fmt"
	"testing"
)

// TestCopyIsIndependent changes a large collection and its copy in turn: each
// sees its own changes only.
func TestCopyIsIndependent(t *testing.T) {
	_, d := oneDB(t)
	a, b := d.Hash([]byte("a")), d.Hash([]byte("b"))
	for i := range 1000 {
		a.Set(fmt.Append(nil, i), []byte("old"))
	}
	if !d.Copy([]byte("a"), []byte("b"), d) {
		t.Fatal("not copied")
	}
	for i := range 1000 {
		h, other := a, b
		if i%2 == 1 {
			h, other = b, a
		}
		h.Set(fmt.Append(nil, i), []byte("new"))
		if v, _ := other.Get(fmt.Append(nil, i)); string(v) != "old" {
			t.Fatalf("field %d of the other is %q", i, v)
		}
	}
}

// TestUnchanged: what Detach has copied is known to be unchanged until it is changed, small
// or large, even back to what it was; or to be no more.
func TestUnchanged(t *testing.T) {
	k, d := oneDB(t)
	for _, n := range []int{3, 5000} {
		key := []byte("key")
		for name, typ := range map[string]struct {
			add    func(i int)
			change func()
			undo   func()
		}{
			"set":  {func(i int) { d.Set(key).Add(fmt.Append(nil, i)) }, func() { d.Set(key).Add([]byte("new")) }, func() { d.Set(key).Remove([]byte("new")) }},
			"zset": {func(i int) { d.ZSet(key).Add(fmt.Append(nil, i), 1) }, func() { d.ZSet(key).Add([]byte("0"), 7) }, func() { d.ZSet(key).Add([]byte("0"), 1) }},
			"list": {func(i int) { d.List(key).PushBack(fmt.Append(nil, i)) }, func() { d.List(key).PushBack([]byte("new")) }, func() { d.List(key).PopBack() }},
		} {
			d.Delete(key)
			copies := k.Detach(func([]byte) *DB { return d }, key)
			if !d.Unchanged(key, copies) {
				t.Errorf("%s: a key that there was not, and is not", name)
			}
			for i := range n {
				typ.add(i)
			}
			if d.Unchanged(key, copies) {
				t.Errorf("%s: a key that is new counts as unchanged", name)
			}
			copies.Close()
			copies = k.Detach(func([]byte) *DB { return d }, key)
			d.SetDeadline(key, 1<<50)
			if !d.Unchanged(key, copies) {
				t.Errorf("%d elements of a %s: unchanged, and not known to be", n, name)
			}
			typ.change()
			if d.Unchanged(key, copies) {
				t.Errorf("%d elements of a %s: changed, and counts as unchanged", n, name)
			}
			typ.undo()
			if got := d.Unchanged(key, copies); got && n > 3 {
				t.Errorf("%d elements of a %s: changed twice, and counts as unchanged", n, name)
			}
			d.Delete(key)
			if d.Unchanged(key, copies) {
				t.Errorf("%s: a key that is gone counts as unchanged", name)
			}
			copies.Close()
		}
	}
}
