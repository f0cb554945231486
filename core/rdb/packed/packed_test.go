package packed

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// edges are integers at the ends of every width.
var edges = []int64{
	0, 1, 127, 128, -1, -128, 4095, 4096, -4096, -4097, math.MaxInt16, math.MaxInt16 + 1, math.MinInt16, math.MinInt16 - 1,
	1<<23 - 1, 1 << 23, -1 << 23, -1<<23 - 1, math.MaxInt32, math.MaxInt32 + 1, math.MinInt32, math.MinInt32 - 1, math.MaxInt64, math.MinInt64,
}

// samples are one string for every form of an entry, and some that look like
// integers and are none.
func samples() []string {
	out := []string{"", "-", "-0", "00", "01", "+1", " 1", "1 ", "1x", "9223372036854775808", "-9223372036854775809", "99999999999999999999", "\xff", "\x00"}
	for _, v := range edges {
		out = append(out, strconv.FormatInt(v, 10))
	}
	for _, n := range []int{1, 62, 63, 64, 125, 126, 127, 4094, 4095, 4096, 16377, 16378, 16379, 1 << 20, 1<<21 - 7, 1<<21 - 6} {
		out = append(out, strings.Repeat("x", n))
	}
	return out
}

func build(items ...string) Listpack {
	b := AppendListHeader(nil)
	for _, it := range items {
		b = AppendEntry(b, []byte(it))
	}
	return SealList(b, len(items))
}

func texts(l Listpack) (out []string) {
	for at := l.First(); at < l.End(); at = l.Next(at) {
		out = append(out, string(l.Entry(at).Text(nil)))
	}
	return out
}

func TestParseInt(t *testing.T) {
	for _, s := range samples() {
		n, err := strconv.ParseInt(s, 10, 64)
		want := err == nil && strconv.FormatInt(n, 10) == s
		if got, ok := ParseInt([]byte(s)); ok != want || ok && got != n {
			t.Errorf("ParseInt(%.30q) = %d, %v", s, got, ok)
		}
	}
}

// TestListpackEntries takes every form of an entry there and back, forwards
// and backwards.
func TestListpackEntries(t *testing.T) {
	items := samples()
	l := build(items...)
	if n, canonical, err := CheckListpack(l); n != len(items) || !canonical || err != nil {
		t.Fatalf("%d entries, canonical %v, error %v", n, canonical, err)
	}
	if got := texts(l); !slices.Equal(got, items) {
		t.Fatalf("%.200q", got)
	}
	at := l.End()
	for i := len(items); i >= 0; i-- {
		if got := l.Seek(i); got != at {
			t.Fatalf("Seek(%d) is %d, want %d", i, got, at)
		}
		if i > 0 {
			at = l.Prev(at)
		}
	}
	if at != l.First() {
		t.Fatalf("walking back ends at %d", at)
	}
	for i, it := range items {
		n := NewNeedle([]byte(it))
		if at, index := l.Find(&n, 1); index != i || at != l.Seek(i) {
			t.Errorf("Find(%.30q) is %d at %d, want %d", it, index, at, i)
		}
	}
	n := NewNeedle([]byte("1y"))
	if at, index := l.Find(&n, 1); at != -1 || index != len(items) {
		t.Errorf("what is not there is found at %d, %d", at, index)
	}
	pairs := build("a", "b", "b", "a", "c", "c")
	n = NewNeedle([]byte("b"))
	if at, index := pairs.Find(&n, 2); index != 1 || at != pairs.Seek(2) {
		t.Errorf("Find by pairs is %d at %d", index, at)
	}
}

// TestListpackSplice inserts and removes at random places and compares with a
// slice of strings.
func TestListpackSplice(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	items, l := []string{}, build()
	for range 5000 {
		i := rng.IntN(len(items) + 1)
		at := l.Seek(i)
		if i < len(items) && rng.IntN(9) >= 4 {
			l = slices.Delete(l, at, l.Next(at))
			l.Spliced(-1)
			items = slices.Delete(items, i, i+1)
			continue
		}
		v := strings.Repeat("v", rng.IntN(200))
		if rng.IntN(2) == 0 {
			v = strconv.FormatInt(edges[rng.IntN(len(edges))]+int64(rng.IntN(3)-1), 10)
		}
		l = slices.Insert(l, at, AppendEntry(nil, []byte(v))...)
		l.Spliced(1)
		items = slices.Insert(items, i, v)
		if n, canonical, err := CheckListpack(l); n != len(items) || l.Len() != n || !canonical || err != nil {
			t.Fatalf("%d entries of %d, canonical %v, error %v", n, len(items), canonical, err)
		}
	}
	if !slices.Equal(texts(l), items) {
		t.Fatal("the entries differ")
	}
}

func TestListpackOfMany(t *testing.T) {
	for _, n := range []int{unknown - 1, unknown, unknown + 1} {
		l := build(slices.Repeat([]string{"1"}, n)...)
		if got, _, err := CheckListpack(l); got != n || l.Len() != n || err != nil {
			t.Errorf("%d entries: %d, %d, %v", n, got, l.Len(), err)
		}
		l = slices.Insert(l, l.End(), 2, 1)
		l.Spliced(1)
		if l.Len() != n+1 {
			t.Errorf("%d entries and one more are %d", n, l.Len())
		}
		l = slices.Delete(l, l.First(), l.First()+4)
		l.Spliced(-2)
		if got, _, err := CheckListpack(l); got != n-1 || l.Len() != n-1 || err != nil {
			t.Errorf("%d entries less one: %d, %d, %v", n, got, l.Len(), err)
		}
	}
}

// TestNotCanonical knows entries that Redis would have written otherwise.
func TestNotCanonical(t *testing.T) {
	for _, entry := range []string{
		"\x8212\x03",                // a string that is the text of an integer
		"\xc0\x05\x02",              // 13 bits for 5
		"\xf1\x05\x00\x03",          // 16 bits for 5
		"\xf1\xff\xff\x03",          // 16 bits for -1
		"\xe0\x01x\x03",             // 12 bits of length for 1
		"\xf0\x01\x00\x00\x00x\x06", // 32 bits of length for 1
		"\xf4\x00\x00\x00\x00\x00\x00\x00\x00\x09",
	} {
		l := SealList(append(AppendListHeader(nil), entry...), 1)
		if n, canonical, err := CheckListpack(l); n != 1 || canonical || err != nil {
			t.Errorf("%q: %d entries, canonical %v, error %v", entry, n, canonical, err)
		}
	}
}

func TestFloat(t *testing.T) {
	for s, want := range map[string]float64{"1": 1, "-3": -3, "0.1": 0.1, "inf": math.Inf(1), "-inf": math.Inf(-1), "1e999": math.Inf(1), "9007199254740993": 9007199254740992} {
		l := build(s)
		if f, ok := l.Entry(l.First()).Float(); !ok || f != want {
			t.Errorf("%s: %v, %v", s, f, ok)
		}
	}
	for _, s := range []string{"", "x", "nan", "1x"} {
		l := build(s)
		if f, ok := l.Entry(l.First()).Float(); ok {
			t.Errorf("%s is %v", s, f)
		}
	}
}

// TestIntset adds and removes at random and compares with a map.
func TestIntset(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for round := range 50 {
		s := Intset(AppendIntset(nil, int64(rng.IntN(100))))
		want := map[int64]bool{s.At(0): true}
		for i := range 300 {
			v := int64(rng.IntN(100))
			if i > round*6 {
				v = edges[rng.IntN(len(edges))]
			}
			pos, found := s.Find(v)
			switch {
			case found != want[v]:
				t.Fatalf("Find(%d) is %v", v, found)
			case found && rng.IntN(2) == 0:
				s = slices.Delete(s, s.Offset(pos), s.Offset(pos+1))
				s.Spliced(-1)
				delete(want, v)
			case found:
			case s.Fits(v):
				s = slices.Insert(s, s.Offset(pos), s.AppendValue(nil, v)...)
				s.Spliced(1)
				want[v] = true
			default:
				s = s.AppendWidened(nil, v)
				want[v] = true
			}
			if err := CheckIntset(s); err != nil || s.Len() != len(want) {
				t.Fatalf("%d integers, want %d, error %v", s.Len(), len(want), err)
			}
		}
		for v := range want {
			if _, found := s.Find(v); !found {
				t.Fatalf("%d is lost", v)
			}
		}
	}
}

// FuzzListpack takes any bytes. What is accepted must read without a panic,
// the same in both directions, and come out as it was when built again, if it
// is canonical.
func FuzzListpack(f *testing.F) {
	for _, s := range samples() {
		if len(s) < 5000 {
			f.Add([]byte(build("a", s, "300")))
		}
	}
	f.Add([]byte(build()))
	f.Fuzz(func(t *testing.T, b []byte) {
		n, canonical, err := CheckListpack(b)
		if len(b) > ListHeader { // also with the size that it really has
			b = bytes.Clone(b)
			binary.LittleEndian.PutUint32(b, uint32(len(b)))
			b[len(b)-1] = endByte
			n, canonical, err = CheckListpack(b)
		}
		if err != nil {
			return
		}
		l := Listpack(b)
		items := texts(l)
		if len(items) != n || l.Len() != n {
			t.Fatalf("%d entries, %d of them read, Len is %d", n, len(items), l.Len())
		}
		at := l.End()
		for i := n - 1; i >= 0; i-- {
			at = l.Prev(at)
			if got := string(l.Entry(at).Text(nil)); got != items[i] {
				t.Fatalf("entry %d is %q forwards and %q backwards", i, items[i], got)
			}
			l.Entry(at).Float()
		}
		again := build(items...)
		if _, c, err := CheckListpack(again); err != nil || !c {
			t.Fatalf("what is built of it: canonical %v, error %v", c, err)
		}
		if canonical != bytes.Equal(again[ListHeader:], l[ListHeader:]) {
			t.Fatalf("canonical is %v:\n%x\n%x", canonical, l, again)
		}
		if !canonical {
			return
		}
		for i, s := range items {
			needle := NewNeedle([]byte(s))
			if _, index := l.Find(&needle, 1); index > i || items[index] != s {
				t.Fatalf("%q is found at %d", s, index)
			}
		}
	})
}

// FuzzIntset takes any bytes. What is accepted holds each of its integers once
// and finds it, and takes another.
func FuzzIntset(f *testing.F) {
	s := Intset(AppendIntset(nil, 5))
	f.Add([]byte(s), int64(70000))
	f.Add(s.AppendWidened(nil, math.MinInt64), int64(6))
	f.Fuzz(func(t *testing.T, b []byte, v int64) {
		if CheckIntset(b) != nil {
			return
		}
		s := Intset(b)
		seen := map[int64]bool{}
		for i := range s.Len() {
			seen[s.At(i)] = true
			if pos, found := s.Find(s.At(i)); !found || pos != i {
				t.Fatalf("integer %d is found at %d", i, pos)
			}
		}
		pos, found := s.Find(v)
		if len(seen) != s.Len() || found != seen[v] {
			t.Fatalf("%d different integers of %d, %d found: %v", len(seen), s.Len(), v, found)
		}
		if found {
			return
		}
		var more Intset
		if s.Fits(v) {
			more = slices.Insert(slices.Clone(s), s.Offset(pos), s.AppendValue(nil, v)...)
			more.Spliced(1)
		} else {
			more = s.AppendWidened(nil, v)
		}
		if err := CheckIntset(more); err != nil || more.Len() != s.Len()+1 {
			t.Fatalf("with %d: %d integers, error %v", v, more.Len(), err)
		}
	})
}

func BenchmarkFind(b *testing.B) {
	for _, n := range []int{10, 128, 512} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			var items []string
			for i := range n {
				items = append(items, fmt.Sprintf("field:%d", i), "value of 16 byte")
			}
			l := build(items...)
			needle := NewNeedle([]byte(items[2*n-2]))
			for b.Loop() {
				if at, _ := l.Find(&needle, 2); at < 0 {
					b.Fatal("not found")
				}
			}
		})
	}
}

// TestCheckListpackMutated: whatever is done to a listpack, it is canonical exactly when packing its entries again gives
// the same bytes.
func TestCheckListpackMutated(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	accepted, canonicals := 0, 0
	for range 200_000 {
		b := AppendListHeader(nil)
		n := rng.IntN(4)
		for range n {
			switch v := rng.IntN(1 << rng.IntN(20)); rng.IntN(4) {
			case 0:
				b = AppendInt(b, int64(v))
			case 1:
				b = AppendEntry(b, fmt.Append(nil, "-", v))
			case 2:
				b = AppendEntry(b, bytes.Repeat([]byte("x"), rng.IntN(80)))
			default:
				start := len(b)
				text := strconv.Itoa(v)
				b = appendBacklen(append(appendStringHead(b, len(text)), text...), len(b)) // may be wrong
				b[len(b)-1] = byte(len(b) - 1 - start)
			}
		}
		b = SealList(b, n)
		if rng.IntN(2) == 0 && len(b) > ListHeader+1 {
			b[ListHeader+rng.IntN(len(b)-ListHeader-1)] ^= 1 << rng.IntN(8)
		}
		count, canonical, err := CheckListpack(b)
		if err != nil {
			continue
		}
		accepted++
		again := AppendListHeader(nil)
		for l, at := Listpack(b), ListHeader; at < l.End(); at = l.Next(at) {
			again = AppendEntry(again, l.Entry(at).Text(nil))
		}
		if same := bytes.Equal(SealList(again, count), b); same != canonical {
			t.Fatalf("%x: canonical %v, packed again %x", b, canonical, again)
		}
		if canonical {
			canonicals++
		}
	}
	if accepted-canonicals < 1000 || canonicals < 1000 {
		t.Errorf("%d were accepted, %d of them canonical", accepted, canonicals)
	}
}
