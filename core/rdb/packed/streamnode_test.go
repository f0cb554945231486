package packed

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// modelEntry is an entry as a test expects it.
type modelEntry struct {
	id      StreamID
	deleted bool
	pairs   [][]byte
}

// entriesOf reads a node forwards, and fails when it reads otherwise backwards.
func entriesOf(t *testing.T, n StreamNode) (out []modelEntry) {
	t.Helper()
	read := func(e *StreamEntry) modelEntry {
		m := modelEntry{id: e.ID, deleted: e.Deleted}
		n.Fields(e, func(f, v Entry) bool {
			m.pairs = append(m.pairs, bytes.Clone(f.Text(nil)), bytes.Clone(v.Text(nil)))
			return true
		})
		if e.Len*2 != len(m.pairs) {
			t.Fatalf("%s has %d fields, and says %d", e.ID, len(m.pairs)/2, e.Len)
		}
		return m
	}
	for e, ok := n.First(); ok; e, ok = n.Next(&e) {
		unread := e
		out = append(out, read(&e))
		if a, okA := n.Next(&unread); true {
			if b, okB := n.Next(&e); okA != okB || a.ID != b.ID {
				t.Fatalf("behind %s there is %s or %s", e.ID, a.ID, b.ID)
			}
		}
	}
	i := len(out)
	for e, ok := n.Last(); ok; e, ok = n.Prev(&e) {
		i--
		if got := read(&e); i < 0 || fmt.Sprint(got) != fmt.Sprint(out[i]) {
			t.Fatalf("backwards entry %d is %v, forwards %v", i, got, out)
		}
	}
	if i != 0 {
		t.Fatalf("%d entries are missing backwards", i)
	}
	return out
}

func sameEntries(t *testing.T, n StreamNode, want []modelEntry) {
	t.Helper()
	if got := entriesOf(t, n); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("the node holds\n%v\nwant\n%v", got, want)
	}
	sum, err := CheckStreamNode(n.Master, n.Items)
	if err != nil {
		t.Fatal(err)
	}
	deleted, last := 0, StreamID{}
	for _, e := range want {
		live := slices.IndexFunc(want, func(m modelEntry) bool { return !m.deleted && !m.id.Less(e.id) })
		switch got, ok := n.Seek(e.id); {
		case ok != (live >= 0):
			t.Fatalf("an entry of %s or behind it is there: %v", e.id, ok)
		case ok:
			if end, more := n.Next(&got); got.ID != want[live].id || got.Deleted || more != (live < len(want)-1) || more && end.ID != want[live+1].id {
				t.Fatalf("the first from %s on is %+v, then %s", e.id, got, end.ID)
			}
		}
		if e.deleted {
			deleted++
		} else {
			last = e.id
		}
	}
	if sum.Deleted != deleted || sum.Live+sum.Deleted != len(want) || sum.Last != last {
		t.Fatalf("%+v, want %d entries, %d of them deleted", sum, len(want), deleted)
	}
}

// TestStreamNode adds and deletes entries at random.
func TestStreamNode(t *testing.T) {
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 1))
		word := func() []byte {
			return []byte([]string{"", "f", "g", "12", "-70000", "007", strings.Repeat("x", rng.IntN(5000))}[rng.IntN(7)])
		}
		pairs := func() (out [][]byte) {
			if rng.IntN(2) == 0 {
				return [][]byte{[]byte("f"), word(), []byte("5"), word()}
			}
			for range 1 + rng.IntN(3) {
				out = append(out, word(), word())
			}
			return out
		}
		id := StreamID{rng.Uint64() >> rng.IntN(64), rng.Uint64() >> rng.IntN(64)}
		if id.MS > math.MaxUint64/2 {
			id.MS = math.MaxUint64 / 2
		}
		first := pairs()
		n, want := NewStreamNode(nil, id, first), []modelEntry(nil)
		for i := range 1 + rng.IntN(160) {
			p := first
			if i > 0 {
				p = pairs()
				if rng.IntN(2) == 0 {
					id = StreamID{id.MS + 1 + rng.Uint64()>>rng.IntN(64)/1000, rng.Uint64() >> rng.IntN(64)}
				} else {
					id, _ = id.Next()
				}
			}
			n = n.Append(id, p)
			want = append(want, modelEntry{id, false, p})
		}
		sameEntries(t, n, want)
		var gone []StreamEntry
		i := 0
		for e, ok := n.First(); ok; e, ok = n.Next(&e) {
			if rng.IntN(3) == 0 {
				gone = append(gone, e)
				want[i].deleted = true
			}
			i++
		}
		if len(gone) > 0 {
			n = n.Delete(gone...)
		}
		sameEntries(t, n, want)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func TestStreamIDs(t *testing.T) {
	top := uint64(math.MaxUint64)
	ids := []StreamID{{0, 0}, {0, 1}, {0, top}, {1, 0}, {1, 1}, {top, 0}, {top, top}}
	for i, a := range ids {
		for k, b := range ids {
			if got := a.Compare(b); got != min(1, max(-1, i-k)) || a.Less(b) != (i < k) || bytes.Compare(a.AppendKey(nil), b.AppendKey(nil)) != got {
				t.Errorf("%s and %s compare as %d", a, b, got)
			}
		}
		if StreamIDOf(a.AppendKey(nil)) != a {
			t.Errorf("%s is read back as %s", a, StreamIDOf(a.AppendKey(nil)))
		}
		if next, ok := a.Next(); ok != (a != MaxStreamID) || ok && !a.Less(next) {
			t.Errorf("behind %s comes %s, %v", a, next, ok)
		} else if prev, back := next.Prev(); ok && (!back || prev != a) {
			t.Errorf("before %s comes %s, %v", next, prev, back)
		}
	}
	if _, ok := (StreamID{}).Prev(); ok {
		t.Error("something comes before 0-0")
	}
}

// FuzzStreamNode takes any bytes for a node: what is accepted can be read, and changed.
func FuzzStreamNode(f *testing.F) {
	pairs := func(words ...string) (out [][]byte) {
		for _, w := range words {
			out = append(out, []byte(w))
		}
		return out
	}
	n := NewStreamNode(nil, StreamID{5, 1}, pairs("f", "v")).Append(StreamID{5, 1}, pairs("f", "v")).Append(StreamID{6, 0}, pairs("g", "1", "", "-700"))
	f.Add(uint64(5), uint64(1), []byte(n.Items))
	e, _ := n.Last()
	f.Add(uint64(5), uint64(1), []byte(StreamNode{n.Master, slices.Clone(n.Items)}.Delete(e).Items))
	f.Fuzz(func(t *testing.T, ms, seq uint64, items []byte) {
		n := StreamNode{StreamID{ms, seq}, slices.Clone(items)}
		sum, err := CheckStreamNode(n.Master, n.Items)
		if err != nil {
			return
		}
		want := entriesOf(t, n)
		if next, ok := sum.Last.Next(); ok {
			p := pairs("f", "v", "g", "700")
			n = n.Append(next, p)
			want = append(want, modelEntry{next, false, p})
		}
		sameEntries(t, n, want)
		for e, ok := n.First(); ok; e, ok = n.Next(&e) {
			if !e.Deleted {
				n = n.Delete(e)
				i := slices.IndexFunc(want, func(m modelEntry) bool { return m.id == e.ID })
				want[i].deleted = true
				break
			}
		}
		sameEntries(t, n, want)
	})
}
