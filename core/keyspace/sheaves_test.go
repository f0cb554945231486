package keyspace

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/spillwaydb/spillway/core/keyspace/arena"
)

// TestScoreOrder: scores are in the order of their numbers, and come back.
func TestScoreOrder(t *testing.T) {
	scores := []float64{math.Inf(-1), -math.MaxFloat64, -1.5, -1, -math.SmallestNonzeroFloat64, 0, math.SmallestNonzeroFloat64, 1, 1.5, 1 << 47, math.MaxFloat64, math.Inf(1)}
	for i, s := range scores {
		if got := orderScore(scoreOrder(s)); got != s {
			t.Errorf("%v comes back as %v", s, got)
		}
		if i > 0 && scoreOrder(s) <= scoreOrder(scores[i-1]) {
			t.Errorf("%v is not behind %v", s, scores[i-1])
		}
	}
}

// held is an element of the model of sheaves.
type held struct {
	order    uint64
	key, val string
	score    float64
}

func (h held) compare(o held) int {
	switch {
	case h.order < o.order:
		return -1
	case h.order > o.order:
		return 1
	}
	return strings.Compare(h.key, o.key)
}

// sheavesModel is sheaves and what they should hold.
type sheavesModel struct {
	v   sheaves
	els []held
	mem *spares // of all models: what one gives up another takes
}

// put is what a collection does.
func (m *sheavesModel) put(h held) {
	e := element{[]byte(h.key), []byte(h.val), h.score}
	var fresh []byte
	if elementSize(&e) < largeElement {
		fresh = appendElement(nil, &e)
	}
	m.v.admit(h.order, m.mem)
	m.v.put(m.v.find(h.order, e.key), h.order, &e, fresh, m.mem)
	if at, found := slices.BinarySearchFunc(m.els, h, held.compare); found {
		m.els[at] = h
	} else {
		m.els = slices.Insert(m.els, at, h)
	}
}

func (m *sheavesModel) clone() *sheavesModel {
	return &sheavesModel{m.v.clone(), slices.Clone(m.els), m.mem}
}

// read compares sheaves with what they should hold, also from the middle and backwards.
func (m *sheavesModel) read(rng *rand.Rand) error {
	if m.v.size() != len(m.els) {
		return fmt.Errorf("%d elements, want %d", m.v.size(), len(m.els))
	}
	if len(m.els) == 0 {
		return nil
	}
	from := rng.IntN(len(m.els))
	for _, reverse := range []bool{false, true} {
		want := slices.Clone(m.els[from:])
		if reverse {
			want = slices.Clone(m.els[:from+1])
			slices.Reverse(want)
		}
		var got []held
		m.v.each(from, reverse, func(order uint64, e *element) bool {
			got = append(got, held{order, string(e.key), string(e.val), e.score})
			return true
		})
		if !slices.Equal(got, want) {
			return fmt.Errorf("from %d, backwards %v: %d elements are not the %d they should be", from, reverse, len(got), len(want))
		}
	}
	h := m.els[from]
	if p := m.v.find(h.order, []byte(h.key)); !p.found || m.v.pos(p) != m.v.gone.front+from {
		return fmt.Errorf("%v is at %d, found %v, want %d", h, m.v.pos(p), p.found, m.v.gone.front+from)
	}
	if n := m.v.lower(h.order, []byte(h.key), true); n != from+1 {
		return fmt.Errorf("%d elements up to %d", n, from)
	}
	if p := m.v.spotAt(from); string(p.s.key(p.i, p.s.count())) != h.key {
		return fmt.Errorf("at %d is not %v", from, h)
	}
	if n, want := m.v.lower(h.order, nil, false), slices.IndexFunc(m.els, func(o held) bool { return o.order == h.order }); n != want {
		return fmt.Errorf("%d elements before order %d, want %d", n, h.order, want)
	}
	return nil
}

// TestSheavesModel makes random changes to sheaves, with elements of all sizes and with many of
// one order, and to clones, all of which live on and are read by others meanwhile.
func TestSheavesModel(t *testing.T) {
	t.Logf("replay with -run TestSheavesModel -seed %d -steps %d", *seed, *steps)
	rng := rand.New(rand.NewPCG(*seed, 21))
	pool := arena.NewPool()
	mem := &spares{pool: pool}
	all := []*sheavesModel{{v: newSheaves(pool), mem: mem}}
	var wg sync.WaitGroup
	defer wg.Wait()
	text := func() string {
		n := rng.IntN(30)
		switch rng.IntN(60) {
		case 0:
			n = rng.IntN(8 << 10)
		case 1:
			n = 100 + rng.IntN(1200)
		}
		return string(bytes.Repeat([]byte{byte('a' + rng.IntN(26))}, n))
	}
	for i := range *steps / 4 {
		m := all[rng.IntN(len(all))]
		grow := i/500%3 != 2
		switch op := rng.IntN(100); {
		case len(m.els) == 0, op < 60 && grow, op < 20:
			h := held{order: uint64(rng.IntN(50)), key: fmt.Sprint(rng.IntN(3000)) + text()} // positive
			if rng.IntN(2) == 0 {
				h.val, h.score = text(), float64(rng.IntN(3))
			}
			m.put(h)
		case op < 85 && (!grow || op < 70):
			at := rng.IntN(len(m.els))
			m.v.remove(m.v.spotAt(at), 1, m.mem)
			m.els = slices.Delete(m.els, at, at+1)
		case op < 90 && i/1500%2 == 0:
			at, last := 0, rng.IntN(3) == 0
			if last {
				at = len(m.els) - 1
			}
			m.v.pop(m.v.spotAt(at), last, m.mem)
			m.els = slices.Delete(m.els, at, at+1)
		case op < 97:
			h := m.els[rng.IntN(len(m.els))]
			h.val, h.score = text(), float64(rng.IntN(3))
			m.put(h)
		case op == 97 && rng.IntN(10) == 0:
			c, frozen := m.clone(), m.clone()
			if len(all) < 6 {
				all = append(all, c)
			} else {
				at := rng.IntN(len(all))
				all[at].v.tree.free()
				m, all[at] = c, c
			}
			seed := rng.Uint64()
			wg.Go(func() {
				defer frozen.v.tree.free()
				if err := frozen.read(rand.New(rand.NewPCG(seed, 1))); err != nil {
					t.Errorf("a clone changed: %v", err)
				}
			})
		}
		if i%100 == 0 {
			checkSheaves(t, &m.v)
			if err := m.read(rng); err != nil {
				t.Fatal(err)
			}
		}
	}
	wg.Wait()
	for _, m := range all {
		checkSheaves(t, &m.v)
		if err := m.read(rng); err != nil {
			t.Fatal(err)
		}
		m.v.tree.free()
	}
	mem.empty()
	if n := pool.Used(); n != 0 {
		t.Errorf("%d bytes are left of nothing", n)
	}
}

// TestSheavesAreFull: what comes in order fills sheaves, what comes in no order fills
// them by half at least, and when most has gone few are left.
func TestSheavesAreFull(t *testing.T) {
	rng := rand.New(rand.NewPCG(*seed, 22))
	const n = 20_000
	numbers := make([]uint64, n)
	for i := range numbers {
		numbers[i] = uint64(i) // positive
	}
	random := slices.Clone(numbers)
	rng.Shuffle(n, func(i, j int) { random[i], random[j] = random[j], random[i] })
	back := slices.Clone(numbers)
	slices.Reverse(back)
	least := int64(n * (sheafPlace + 2 + 1 + 16)) // numbers of two bytes: they are near each other
	for name, c := range map[string]struct {
		order []uint64
		most  int64
	}{"ascending": {numbers, least * 115 / 100}, "descending": {back, least * 5 / 4}, "random": {random, least * 14 / 10}} {
		pool := arena.NewPool()
		v, mem := newSheaves(pool), spares{pool: pool}
		for _, i := range c.order {
			e := element{key: fmt.Appendf(nil, "%016d", i)}
			v.put(v.find(i, e.key), i, &e, appendElement(nil, &e), &mem)
		}
		checkSheaves(t, &v)
		if v.bytes > c.most {
			t.Errorf("%s: %d bytes, want at most %d", name, v.bytes, c.most)
		}
		for v.size() > n/100 {
			v.remove(v.spotAt(rng.IntN(v.size())), 1, &mem)
		}
		checkSheaves(t, &v)
		if most := least / 100 * 5; v.bytes > most {
			t.Errorf("%s: %d bytes are left of %d elements, want at most %d", name, v.bytes, v.size(), most)
		}
	}
}

// TestLargeElementIsAlone: a large value has a sheaf of its own, so that writing it copies no
// neighbour, wherever it comes from.
func TestLargeElementIsAlone(t *testing.T) {
	_, d := oneDB(t)
	h := d.Hash([]byte("h"))
	big := bytes.Repeat([]byte("x"), 1<<20)
	for i := range 1000 {
		h.Set(fmt.Append(nil, i), []byte("small"))
	}
	for i := 0; i < 1000; i += 100 {
		h.Set(fmt.Append(nil, i), big)
	}
	for i := range 1000 { // between large ones too
		h.Set(fmt.Append(nil, "more", i), []byte("small"))
	}
	c := h.heap(h.find())
	checkSheaves(t, &c.items)
	lone := 0
	c.items.tree.each(0, false, func(s *sheaf) bool {
		if len(s.Data) > sheafSize {
			lone++
		}
		return true
	})
	if lone != 10 {
		t.Errorf("%d sheaves of large elements, want 10", lone)
	}
	for i := range 1000 {
		want := "small"
		if i%100 == 0 {
			want = string(big)
		}
		if v, _ := h.Get(fmt.Append(nil, i)); string(v) != want {
			t.Fatalf("field %d has %d bytes, want %d", i, len(v), len(want))
		}
	}
	// What is stored may alias what it replaces.
	v, _ := h.Get([]byte("0"))
	h.Set([]byte("0"), v[1:])
	v, _ = h.Get([]byte("100"))
	h.Set([]byte("100"), v[:10])
	h.SetDeadline([]byte("200"), 1<<40)
	for field, want := range map[string]int{"0": 1<<20 - 1, "100": 10, "200": 1 << 20} {
		if v, _ := h.Get([]byte(field)); string(v) != string(big[:want]) {
			t.Errorf("field %s has %d bytes, want %d", field, len(v), want)
		}
	}
	checkCollections(t, d)
}
