package keyspace

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestHints looks ahead at what a sorted set is going to be asked for, does that and something else in between, with views
// and without: a hint that is no longer good leads nobody to a wrong place.
func TestHints(t *testing.T) {
	t.Logf("replay with -run TestHints -seed %d", *seed)
	rng := rand.New(rand.NewPCG(*seed, 51))
	k := New(Config{Shards: 1, Databases: 1})
	defer k.Close()
	s := k.Shard(0)
	s.Lock()
	defer s.Unlock()
	d, key := s.DB(0), []byte("zset")
	const n = 60_000
	seekSet(d, key, n)
	z := d.ZSet(key)
	want := map[string]float64{}
	for i := range n {
		want[fmt.Sprintf("member:%d", i)] = float64(i)
	}
	h := &s.looked.items
	var view *View
	for step := range 1000 {
		switch {
		case view == nil && rng.IntN(10) == 0:
			v, err := s.Freeze()
			if err != nil {
				t.Fatal(err)
			}
			view = v
		case view != nil && rng.IntN(10) == 0:
			s.Unlock() // which Release takes
			view.Release()
			s.Lock()
			view = nil
		}
		var seeks []Seek
		for range AheadMax * 3 / 2 {
			m := fmt.Appendf(nil, "member:%d", rng.IntN(2*n)) // half of them are there
			seeks = append(seeks, Seek{Kind: []SeekKind{SeekMember, SeekPlace, SeekFirst, SeekLast}[rng.IntN(4)], Member: m})
		}
		if step%2 == 0 { // as a batch of pops has them
			for i := range seeks {
				seeks[i].Kind = SeekFirst
			}
		}
		d.PrefetchElements(key, seeks)
		if step%50 == 0 {
			checkHints(t, k, &z.heap(z.find()).items, h, seeks)
		}
		for i, sk := range seeks {
			if rng.IntN(20) == 0 {
				m := fmt.Sprintf("other:%d", rng.IntN(1000))
				if _, there := want[m]; there {
					z.Remove([]byte(m))
					delete(want, m)
				} else {
					z.Add([]byte(m), float64(i))
					want[m] = float64(i)
				}
			}
			switch sk.Kind {
			case SeekMember:
				got, ok := z.Score(sk.Member)
				if score, there := want[string(sk.Member)]; ok != there || got != score {
					t.Fatalf("step %d: %q has %v, %v, want %v, %v", step, sk.Member, got, ok, score, there)
				}
			case SeekPlace:
				score := float64(rng.IntN(2 * n))
				z.Add(sk.Member, score)
				want[string(sk.Member)] = score
			default:
				last := sk.Kind == SeekLast
				m, score := z.Pop(last)
				if w, there := want[string(m)]; !there || w != score {
					t.Fatalf("step %d: popped %q with %v, want %v, %v", step, m, score, w, there)
				}
				delete(want, string(m))
			}
		}
		if z.Len() != len(want) {
			t.Fatalf("step %d: %d members, want %d", step, z.Len(), len(want))
		}
		if len(want) < n*9/10 { // it is large all the while
			seekSet(d, key, n)
			for i := range n {
				want[fmt.Sprintf("member:%d", i)] = float64(i)
			}
		}
		if step%100 == 0 {
			checkCollections(t, d)
		}
	}
	checkCollections(t, d)
	if view != nil {
		s.Unlock()
		view.Release()
		s.Lock()
	}
}

// checkHints: before anything is written there is a hint for each member that is looked for, which says what a search does.
func checkHints(t *testing.T, k *Keyspace, v *sheaves, h *hints, seeks []Seek) {
	t.Helper()
	if h.in != v || h.shape != v.tree.shape || len(h.list) != len(seeks) {
		t.Fatalf("%d hints for %d searches", len(h.list), len(seeks))
	}
	for _, sk := range seeks {
		want := v.find(k.memberHash(sk.Member), sk.Member)
		i := slices.IndexFunc(h.list, func(at hint) bool { return at.order == k.memberHash(sk.Member) })
		if sk.Kind == SeekFirst || sk.Kind == SeekLast || !want.found {
			continue
		}
		p := spot{s: v.tree.leaf(h.list[i].way), way: h.list[i].way, i: h.list[i].i}
		if !p.holds(k.memberHash(sk.Member), sk.Member) || p != want {
			t.Fatalf("%q is sought at %d of %p, and is at %d of %p", sk.Member, p.i, p.s, want.i, want.s)
		}
	}
}
