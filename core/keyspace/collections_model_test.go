package keyspace

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core/rdb/packed"
)

// collections is a Keyspace of collections and what it should hold.
type collections struct {
	t    *testing.T
	k    *Keyspace
	dbs  []map[string]*plain
	rng  *rand.Rand
	wg   sync.WaitGroup
	mu   sync.Mutex
	bad  error
	encs map[string]int // encodings met
}

func (m *collections) item() []byte {
	switch m.rng.IntN(10) {
	case 0, 1, 2:
		return strconv.AppendInt(nil, m.rng.Int64()>>m.rng.IntN(64), 10)
	case 3:
		return strconv.AppendInt(nil, -m.rng.Int64N(1<<40)>>m.rng.IntN(40), 10)
	case 4:
		return bytes.Repeat([]byte{'x'}, m.rng.IntN(100))
	case 5:
		if m.rng.IntN(20) == 0 {
			return bytes.Repeat([]byte{'y'}, m.rng.IntN(20_000))
		}
	}
	return fmt.Appendf(nil, "m%d", m.rng.IntN(60))
}

// member is often one that is there.
func (m *collections) member(p *plain) []byte {
	if m.rng.IntN(2) == 0 {
		for f := range p.hash {
			return []byte(f)
		}
		for f := range p.scores {
			return []byte(f)
		}
		if n := len(p.list); n > 0 {
			return []byte(p.list[m.rng.IntN(n)])
		}
	}
	return m.item()
}

func (m *collections) score() float64 {
	switch m.rng.IntN(12) {
	case 0:
		return []float64{math.Inf(1), math.Inf(-1), math.Copysign(0, -1), math.MaxFloat64, math.SmallestNonzeroFloat64, 1 << 62}[m.rng.IntN(6)]
	case 1, 2:
		return m.rng.NormFloat64()
	}
	return float64(m.rng.IntN(12) - 5)
}

func (m *collections) fail(key []byte, format string, args ...any) {
	m.t.Helper()
	m.t.Fatalf("%s: %s", key, fmt.Sprintf(format, args...))
}

// on runs fn under the lock of the key's shard.
func (m *collections) on(key []byte, n int, fn func(d *DB)) {
	s := m.k.Shard(m.k.ShardOf(key))
	s.Lock()
	defer s.Unlock()
	fn(s.DB(n))
}

// types of keys, by the number in their name.
var keyTypes = []Type{List, Set, ZSet, Hash}

func (m *collections) step() {
	n, i := m.rng.IntN(len(m.dbs)), m.rng.IntN(24)
	key := fmt.Appendf(nil, "key:%d", i)
	t := keyTypes[i%len(keyTypes)]
	p := m.dbs[n][string(key)]
	if p == nil {
		p = newPlain(t)
		m.dbs[n][string(key)] = p
	}
	// A run of changes of one kind makes collections grow and shrink.
	grow := m.rng.IntN(2) == 0
	m.on(key, n, func(d *DB) {
		for range 1 + m.rng.IntN(12) {
			switch t {
			case List:
				m.listStep(d.List(key), p, grow)
			case Set:
				m.setStep(d.Set(key), p, grow)
			case ZSet:
				m.zsetStep(d.ZSet(key), p, grow)
			case Hash:
				m.hashStep(d.Hash(key), p, grow)
			}
		}
		e, status := d.Get(key, 0)
		if (status == Live) != (p.size() > 0) {
			m.fail(key, "there: %v, and should have %d elements", status == Live, p.size())
		}
		if status == Live {
			m.encs[t.String()+" "+e.Encoding()]++
		}
	})
	switch m.rng.IntN(60) {
	case 0, 5, 6, 7:
		m.on(key, n, func(d *DB) { d.Delete(key) })
		delete(m.dbs[n], string(key))
	case 1:
		m.k.SetLimits(Limits{
			HashEntries: m.rng.IntN(40), HashValue: m.rng.IntN(120), ZSetEntries: m.rng.IntN(40), ZSetValue: m.rng.IntN(120),
			IntsetEntries: m.rng.IntN(30), SetEntries: m.rng.IntN(40), SetValue: m.rng.IntN(120), ListSize: m.rng.IntN(45) - 5,
		})
	case 2:
		m.freeze()
	case 3, 4:
		m.move(n, key, p)
	}
}

func (m *collections) move(n int, key []byte, p *plain) {
	to := m.rng.IntN(len(m.dbs))
	dst := fmt.Appendf(nil, "key:%d", slices.Index(keyTypes, p.t)+len(keyTypes)*m.rng.IntN(6))
	cp := m.rng.IntN(2) == 0
	i, j := m.k.ShardOf(key), m.k.ShardOf(dst)
	m.k.Shard(min(i, j)).Lock()
	defer m.k.Shard(min(i, j)).Unlock()
	if i != j {
		m.k.Shard(max(i, j)).Lock()
		defer m.k.Shard(max(i, j)).Unlock()
	}
	a, b := m.k.Shard(i).DB(n), m.k.Shard(j).DB(to)
	op := a.Move
	if cp {
		op = a.Copy
	}
	if op(key, dst, b) != (p.size() > 0) {
		m.fail(key, "Move or Copy is wrong")
	}
	if p.size() > 0 {
		if !cp {
			delete(m.dbs[n], string(key))
		}
		m.dbs[to][string(dst)] = p.clone()
	}
}

func (m *collections) hashStep(h HashRef, p *plain, grow bool) {
	f := m.member(p)
	old, exists := p.hash[string(f)]
	if v, ok := h.Get(f); ok != exists || string(v) != old {
		m.fail(h.key, "Get(%q) is %q, %v", f, v, ok)
	}
	switch {
	case grow:
		v := m.item()
		if h.Set(f, v) == exists {
			m.fail(h.key, "Set(%q) is wrong", f)
		}
		p.hash[string(f)] = string(v)
	default:
		if h.Del(f) != exists {
			m.fail(h.key, "Del(%q) is wrong", f)
		}
		delete(p.hash, string(f))
	}
	if h.Len() != len(p.hash) {
		m.fail(h.key, "Len is %d, want %d", h.Len(), len(p.hash))
	}
	if h.Len() > 0 {
		if f, v := h.Random(m.rng); p.hash[string(f)] != string(v) {
			m.fail(h.key, "Random gives %q, %q", f, v)
		}
	}
}

func (m *collections) setStep(s SetRef, p *plain, grow bool) {
	v := m.member(p)
	if b := s.find(); (b == nil || b.enc() == encIntset) && m.rng.IntN(12) > 0 {
		if _, ok := packed.ParseInt(v); !ok { // sets of integers stay so for a while
			v = strconv.AppendInt(nil, m.rng.Int64()>>m.rng.IntN(64), 10)
		}
	}
	_, exists := p.scores[string(v)]
	if s.Has(v) != exists {
		m.fail(s.key, "Has(%q) is wrong", v)
	}
	switch {
	case grow:
		if s.Add(v) == exists {
			m.fail(s.key, "Add(%q) is wrong", v)
		}
		p.scores[string(v)] = 0
	default:
		if s.Remove(v) != exists {
			m.fail(s.key, "Remove(%q) is wrong", v)
		}
		delete(p.scores, string(v))
	}
	n := s.Len()
	if n != len(p.scores) {
		m.fail(s.key, "Len is %d, want %d", n, len(p.scores))
	}
	if n > 0 {
		if _, ok := p.scores[string(s.At(m.rng.IntN(n)))]; !ok {
			m.fail(s.key, "At gives no member")
		}
	}
}

func (m *collections) zsetStep(z ZSetRef, p *plain, grow bool) {
	v := m.member(p)
	old, exists := p.scores[string(v)]
	if s, ok := z.Score(v); ok != exists || s != old {
		m.fail(z.key, "Score(%q) is %v, %v, want %v", v, s, ok, old)
	}
	switch {
	case grow:
		score := m.score()
		if added, changed := z.Add(v, score); added == exists || changed != (exists && old != score) {
			m.fail(z.key, "Add(%q) gives %v, %v", v, added, changed)
		}
		p.scores[string(v)] = plusZero(score)
	case p.size() > 0 && m.rng.IntN(2) == 0:
		order := p.ranked()
		last := m.rng.IntN(2) == 0
		want := order[0]
		if last {
			want = order[len(order)-1]
		}
		got, s := z.Pop(last)
		if string(got) != want || s != p.scores[want] || s == 0 && math.Signbit(s) {
			m.fail(z.key, "Pop(%v) is %q %v, want %q %v", last, got, s, want, p.scores[want])
		}
		delete(p.scores, want)
	default:
		if z.Remove(v) != exists {
			m.fail(z.key, "Remove(%q) is wrong", v)
		}
		delete(p.scores, string(v))
	}
	order := p.ranked()
	if z.Len() != len(order) {
		m.fail(z.key, "Len is %d, want %d", z.Len(), len(order))
	}
	rank, ok := z.Rank(v)
	if want := slices.Index(order, string(v)); ok != (want >= 0) || ok && rank != want {
		m.fail(z.key, "Rank(%q) is %d, want %d", v, rank, want)
	}
	at, excl := m.score(), m.rng.IntN(2) == 0
	below := 0
	for _, s := range p.scores {
		if s < at || excl && s == at {
			below++
		}
	}
	if got := z.LowerScore(at, excl); got != below {
		m.fail(z.key, "LowerScore(%v, %v) is %d, want %d", at, excl, got, below)
	}
	if len(order) == 0 {
		return
	}
	from := m.rng.IntN(len(order))
	to := from + m.rng.IntN(len(order)-from)
	want := slices.Clone(order[from : to+1])
	reverse := m.rng.IntN(2) == 0
	if reverse {
		slices.Reverse(want)
	}
	var got []string
	z.EachRank(from, to, reverse, func(v []byte, s float64) bool {
		if p.scores[string(v)] != s || s == 0 && math.Signbit(s) {
			m.fail(z.key, "EachRank gives %q %v, want %v", v, s, p.scores[string(v)])
		}
		got = append(got, string(v))
		return true
	})
	if !slices.Equal(got, want) {
		m.fail(z.key, "ranks %d to %d are %q, want %q", from, to, got, want)
	}
}

func (m *collections) listStep(l ListRef, p *plain, grow bool) {
	v, n := m.member(p), len(p.list)
	if grow {
		switch op := m.rng.IntN(5); {
		case op == 0:
			p.list = slices.Insert(p.list, 0, string(v))
			if n := l.PushFront(v); n != len(p.list) {
				m.fail(l.key, "PushFront makes it %d, want %d", n, len(p.list))
			}
		case op == 1:
			i := m.rng.IntN(n + 1)
			l.InsertAt(i, v)
			p.list = slices.Insert(p.list, i, string(v))
		case op == 2 && n > 0:
			i := m.rng.IntN(n)
			l.SetAt(i, v)
			p.list[i] = string(v)
		default:
			p.list = append(p.list, string(v))
			if n := l.PushBack(v); n != len(p.list) {
				m.fail(l.key, "PushBack makes it %d, want %d", n, len(p.list))
			}
		}
	} else {
		m.shrinkList(l, p, v)
	}
	n = len(p.list)
	if l.Len() != n {
		m.fail(l.key, "Len is %d, want %d", l.Len(), n)
	}
	if n == 0 {
		return
	}
	i, reverse := m.rng.IntN(n), m.rng.IntN(2) == 0
	if got := l.At(i); string(got) != p.list[i] {
		m.fail(l.key, "At(%d) is %.80q, want %.80q", i, got, p.list[i])
	}
	want := slices.Clone(p.list[i:])
	if reverse {
		want = slices.Clone(p.list[:i+1])
		slices.Reverse(want)
	}
	var got []string
	l.Each(i, reverse, func(v []byte) bool {
		got = append(got, string(v))
		return len(got) < 100
	})
	if !slices.Equal(got, want[:min(len(want), 100)]) {
		m.fail(l.key, "from %d, reverse %v, it is %.300q, want %.300q", i, reverse, got, want)
	}
}

func (m *collections) shrinkList(l ListRef, p *plain, v []byte) {
	n := len(p.list)
	switch op := m.rng.IntN(16); {
	case op == 0:
		start, stop := m.rng.IntN(3), n-1-m.rng.IntN(3)
		if m.rng.IntN(20) == 0 && n > 0 {
			start, stop = m.rng.IntN(n), m.rng.IntN(n)
		}
		l.Trim(start, stop)
		if start > stop || start >= n {
			p.list = nil
		} else {
			p.list = slices.Clone(p.list[start : stop+1])
		}
	case op < 8:
		count := m.rng.IntN(5) - 2
		var at []int
		for i, s := range p.list {
			if s == string(v) {
				at = append(at, i)
			}
		}
		switch {
		case count > 0:
			at = at[:min(len(at), count)]
		case count < 0:
			at = at[max(0, len(at)+count):]
		}
		if got := l.Remove(v, count); got != len(at) {
			m.fail(l.key, "Remove(%.80q, %d) is %d, want %d", v, count, got, len(at))
		}
		for i := len(at) - 1; i >= 0; i-- {
			p.list = slices.Delete(p.list, at[i], at[i]+1)
		}
	default:
		pop, i := l.PopFront, 0
		if op < 12 {
			pop, i = l.PopBack, n-1
		}
		got, ok := pop()
		if ok != (n > 0) || ok && string(got) != p.list[i] {
			m.fail(l.key, "a pop gives %.80q, %v", got, ok)
		}
		if ok {
			p.list = slices.Delete(p.list, i, i+1)
		}
	}
}

// freeze takes a view of a shard, reads it while the model goes on, and takes
// it through a file into a keyspace with another number of shards, and through
// commands.
func (m *collections) freeze() {
	i := m.rng.IntN(m.k.NumShards())
	s := m.k.Shard(i)
	s.Lock()
	v, err := s.Freeze()
	s.Unlock()
	if err != nil {
		return // one lives
	}
	want := make([]map[string]string, len(m.dbs))
	for n, db := range m.dbs {
		want[n] = map[string]string{}
		for key, p := range db {
			if m.k.ShardOf([]byte(key)) == i && p.size() > 0 {
				want[n][key] = p.String()
			}
		}
	}
	limits := m.k.Limits()
	if m.rng.IntN(2) == 0 {
		limits = DefaultLimits()
	}
	pause := time.Duration(m.rng.IntN(300)) * time.Microsecond
	m.wg.Go(func() {
		defer v.Release()
		err := readView(v, want, pause)
		if err == nil {
			err = reload(v, want, limits)
		}
		if err == nil {
			err = rebuild(v, want)
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		m.bad = errors.Join(m.bad, err)
	})
}

func (m *collections) check() {
	m.t.Helper()
	m.mu.Lock()
	bad := m.bad
	m.mu.Unlock()
	if bad != nil {
		m.t.Fatal(bad)
	}
	for n, want := range m.dbs {
		got := map[string]string{}
		for i := range m.k.NumShards() {
			s := m.k.Shard(i)
			s.Lock()
			checkStore(m.t, s.DB(n).st)
			checkCollections(m.t, s.DB(n))
			maps.Copy(got, contents(s.DB(n)))
			s.Unlock()
		}
		for key, p := range want {
			if p.size() > 0 && got[key] != p.String() {
				m.t.Fatalf("db %d key %s: %.1000s, want %.1000s", n, key, got[key], p)
			}
			if p.size() > 0 {
				delete(got, key)
			}
		}
		if len(got) > 0 {
			m.t.Fatalf("db %d has %d keys too many: %.300v", n, len(got), got)
		}
	}
}

// TestCollectionsModel makes random changes to collections, packed and not,
// under limits that change, while views are taken, read, written out, loaded
// and released.
func TestCollectionsModel(t *testing.T) {
	for _, tt := range []struct{ shards, dbs int }{{1, 1}, {1, 3}, {3, 2}} {
		t.Run(fmt.Sprintf("%d_shards_%d_dbs", tt.shards, tt.dbs), func(t *testing.T) {
			t.Logf("replay with -run TestCollectionsModel -seed %d -steps %d", *seed, *steps)
			m := &collections{
				t: t, k: New(Config{Shards: tt.shards, Databases: tt.dbs}), encs: map[string]int{},
				rng: rand.New(rand.NewPCG(*seed, uint64(tt.shards*10+tt.dbs))), // positive
			}
			for range tt.dbs {
				m.dbs = append(m.dbs, map[string]*plain{})
			}
			n := *steps / 5
			for i := range n {
				m.step()
				if i%(n/20+1) == 0 {
					m.check()
				}
			}
			m.wg.Wait()
			m.check()
			for _, e := range []string{"list quicklist", "set intset", "set listpack", "set hashtable", "zset listpack", "zset skiplist", "hash listpack", "hash hashtable"} {
				if m.encs[e] < n/300 {
					t.Errorf("%s was met %d times in %d steps", e, m.encs[e], n)
				}
			}
			for n, db := range m.dbs {
				for key := range db {
					m.on([]byte(key), n, func(d *DB) { d.Delete([]byte(key)) })
				}
			}
			checkDrained(t, m.k)
		})
	}
}
