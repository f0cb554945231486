package keyspace

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spillwaydb/spillway/core/rdb"
	"github.com/spillwaydb/spillway/core/rdb/packed"
)

// plainStream is a stream as simply as it can be kept.
type plainStream struct {
	info    rdb.StreamInfo
	entries []plainEntry
	groups  map[string]*plainGroup
}

type plainEntry struct {
	id    StreamID
	pairs string // the fields and values, quoted
}

type plainGroup struct {
	last      StreamID
	read      int64
	pending   map[StreamID]StreamPending
	consumers map[string]int64
}

// clone returns a copy.
func (p *plainStream) clone() *plainStream {
	c := &plainStream{p.info, slices.Clone(p.entries), map[string]*plainGroup{}}
	for name, g := range p.groups {
		c.groups[name] = &plainGroup{g.last, g.read, maps.Clone(g.pending), maps.Clone(g.consumers)}
	}
	return c
}

// text is all of it.
func (p *plainStream) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%+v\n", p.info)
	for _, e := range p.entries {
		fmt.Fprintf(&b, "%s %s\n", e.id, e.pairs)
	}
	for _, name := range slices.Sorted(maps.Keys(p.groups)) {
		g := p.groups[name]
		fmt.Fprintf(&b, "group %q %s %d\n", name, g.last, g.read)
		owned := map[string][]StreamID{}
		for _, id := range slices.SortedFunc(maps.Keys(g.pending), StreamID.Compare) {
			e := g.pending[id]
			owned[string(e.Consumer)] = append(owned[string(e.Consumer)], id)
			fmt.Fprintf(&b, " %s %d %d\n", id, e.Delivered, e.Count)
		}
		for _, c := range slices.Sorted(maps.Keys(g.consumers)) {
			fmt.Fprintf(&b, " %q %d %v\n", c, g.consumers[c], owned[c])
		}
	}
	return b.String()
}

// streamText is the same of a stream that is written.
func streamText(s *rdb.Stream) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%+v\n", s.StreamInfo)
	s.Entries(func(n packed.StreamNode, e *packed.StreamEntry) bool {
		fmt.Fprintf(&b, "%s ", e.ID)
		n.Fields(e, func(f, v packed.Entry) bool {
			fmt.Fprintf(&b, "%q=%q ", f.Text(nil), v.Text(nil))
			return true
		})
		b.WriteString("\n")
		return true
	})
	for g := range s.Groups {
		fmt.Fprintf(&b, "group %q %s %d\n", g.Name, g.Last, g.EntriesRead)
		for p := range g.Pending {
			fmt.Fprintf(&b, " %s %d %d\n", p.ID, p.Delivered, p.Count)
		}
		for c := range g.Consumers {
			fmt.Fprintf(&b, " %q %d %v\n", c.Name, c.Seen, slices.Collect(c.Pending))
		}
	}
	return b.String()
}

// streams is a Keyspace of streams and what it should hold.
type streams struct {
	t    *testing.T
	k    *Keyspace
	rng  *rand.Rand
	want map[string]*plainStream
	met  map[string]int
	time int64
}

func (m *streams) key() []byte { return fmt.Appendf(nil, "key:%d", m.rng.IntN(6)) }

// allKeys are the names that keys have.
func (m *streams) allKeys() map[string]bool {
	keys := map[string]bool{}
	for i := range 6 {
		keys[fmt.Sprint("key:", i)] = true
	}
	return keys
}

func (m *streams) on(key []byte, fn func(d *DB)) {
	s := m.k.Shard(m.k.ShardOf(key))
	s.Lock()
	defer s.Unlock()
	fn(s.DB(0))
}

// entry returns the ID of an entry, one that is there mostly.
func (m *streams) entry(p *plainStream) StreamID {
	if len(p.entries) > 0 && m.rng.IntN(5) > 0 {
		return p.entries[m.rng.IntN(len(p.entries))].id
	}
	return StreamID{MS: uint64(m.rng.IntN(50)), Seq: 1 + uint64(m.rng.IntN(50))}
}

func (m *streams) add(d *DB, key []byte, p *plainStream) {
	var pairs [][]byte
	var text strings.Builder
	n := 1
	if m.rng.IntN(3) == 0 {
		n = 1 + m.rng.IntN(4)
	}
	for range n {
		f := fmt.Appendf(nil, "field%d", m.rng.IntN(1+m.rng.IntN(3)))
		v := bytes.Repeat([]byte{'7'}, m.rng.IntN(1+m.rng.IntN(200)))
		pairs = append(pairs, f, v)
		fmt.Fprintf(&text, "%q=%q ", f, v)
	}
	id, _ := p.info.Last.Next()
	if m.rng.IntN(4) == 0 {
		id = StreamID{MS: id.MS + uint64(m.rng.IntN(1000)), Seq: id.Seq + uint64(m.rng.IntN(3))}
	}
	d.AddEntry(key, id, pairs)
	p.entries = append(p.entries, plainEntry{id, text.String()})
	p.info.Length++
	p.info.EntriesAdded++
	p.info.Last = id
	m.first(p)
}

func (m *streams) first(p *plainStream) {
	p.info.First = StreamID{}
	if len(p.entries) > 0 {
		p.info.First = p.entries[0].id
	}
	p.info.Length = uint64(len(p.entries))
}

func (m *streams) remove(s *StreamValue, p *plainStream) {
	id := m.entry(p)
	i := slices.IndexFunc(p.entries, func(e plainEntry) bool { return e.id == id })
	if got := s.Delete(id); got != (i >= 0) {
		m.t.Fatalf("Delete %s: %v", id, got)
	}
	if i < 0 {
		return
	}
	p.entries = slices.Delete(p.entries, i, i+1)
	if p.info.MaxDeleted.Less(id) {
		p.info.MaxDeleted = id
	}
	m.first(p)
	m.met["deleted"]++
}

func (m *streams) trim(s *StreamValue, p *plainStream) {
	t := StreamTrim{Approximate: m.rng.IntN(2) == 0, ByID: m.rng.IntN(2) == 0, MinID: m.entry(p), MaxLen: uint64(m.rng.IntN(len(p.entries) + 3))}
	if m.rng.IntN(4) > 0 { // mostly a little
		t.MaxLen = uint64(max(0, len(p.entries)-m.rng.IntN(20)))
		t.MinID = StreamID{}
	}
	if t.Approximate && m.rng.IntN(2) == 0 {
		t.Limit = 1 + m.rng.IntN(30)
	}
	n := max(0, len(p.entries)-int(t.MaxLen))
	if t.ByID {
		n = slices.IndexFunc(p.entries, func(e plainEntry) bool { return !e.id.Less(t.MinID) })
		if n < 0 {
			n = len(p.entries)
		}
	}
	got := s.Trim(t)
	if got > n || got < n && !t.Approximate || t.Limit > 0 && got > t.Limit {
		m.t.Fatalf("Trim %+v of %d removes %d, want %d", t, len(p.entries), got, n)
	}
	p.entries = p.entries[got:]
	m.first(p)
	if got > 0 {
		m.met["trimmed"]++
	}
}

// group changes a group.
func (m *streams) group(s *StreamValue, p *plainStream) {
	name := fmt.Sprint("g", m.rng.IntN(3))
	pg := p.groups[name]
	if pg == nil || m.rng.IntN(60) == 0 {
		if made := s.CreateGroup([]byte(name), StreamID{}, 0); made != (pg == nil) {
			m.t.Fatalf("CreateGroup: %v", made)
		}
		if pg == nil {
			p.groups[name] = &plainGroup{pending: map[StreamID]StreamPending{}, consumers: map[string]int64{}}
			return
		}
		s.DestroyGroup([]byte(name))
		delete(p.groups, name)
		return
	}
	s.EditGroup([]byte(name), func(g *StreamGroup) {
		consumer := fmt.Sprint("consumer", m.rng.IntN(4))
		_, there := pg.consumers[consumer]
		m.time++
		if g.CreateConsumer([]byte(consumer), m.time) == there {
			m.t.Fatalf("CreateConsumer of one that is there (%v)", there)
		}
		g.See([]byte(consumer), m.time)
		pg.consumers[consumer] = m.time
		switch m.rng.IntN(12) {
		case 0:
			n := 0
			for id, e := range pg.pending {
				if string(e.Consumer) == consumer {
					delete(pg.pending, id)
					n++
				}
			}
			if got, found := g.DeleteConsumer([]byte(consumer)); got != n || !found {
				m.t.Fatalf("DeleteConsumer: %d pending, want %d", got, n)
			}
			delete(pg.consumers, consumer)
		case 1, 2, 3:
			for range 1 + m.rng.IntN(6) {
				id := m.entry(p)
				_, there := pg.pending[id]
				if g.Ack(id) != there {
					m.t.Fatalf("Ack of %s: it is there: %v", id, there)
				}
				delete(pg.pending, id)
			}
		default:
			for range 1 + m.rng.IntN(30) {
				e := StreamPending{m.entry(p), []byte(consumer), m.rng.Int64N(1e12), m.rng.Uint64N(9)}
				g.Claim(e)
				pg.pending[e.ID] = e
			}
			pg.last, pg.read = m.entry(p), m.rng.Int64N(100)-1
			g.SetLast(pg.last, pg.read)
		}
		m.checkGroup(g, pg)
		m.met["claimed"] += len(pg.pending)
	})
}

// checkGroup reads single entries and ranges of a group.
func (m *streams) checkGroup(g *StreamGroup, pg *plainGroup) {
	ids := slices.SortedFunc(maps.Keys(pg.pending), StreamID.Compare)
	if g.NumPending() != len(ids) || g.NumConsumers() != len(pg.consumers) {
		m.t.Fatalf("%d are pending of %d consumers, want %d and %d", g.NumPending(), g.NumConsumers(), len(ids), len(pg.consumers))
	}
	from := StreamID{MS: uint64(m.rng.IntN(2000))}
	i, _ := slices.BinarySearchFunc(ids, from, StreamID.Compare)
	ids = ids[i:]
	if next, any := g.NextPending(from); any != (len(ids) > 0) || any && next != ids[0] {
		m.t.Fatalf("behind %s there is %s, want %v", from, next, ids)
	}
	k := 0
	g.EachPending(nil, from, func(e StreamPending) bool {
		if want := pg.pending[ids[k]]; fmt.Sprint(e) != fmt.Sprint(want) {
			m.t.Fatalf("%v, want %v", e, want)
		}
		if one, there := g.Pending(e.ID); !there || fmt.Sprint(one) != fmt.Sprint(e) {
			m.t.Fatalf("%v, want %v", one, e)
		}
		k++
		return k < 40
	})
	limit, early := m.rng.Int64N(1e12), 0
	g.EachDelivered(func() int64 { return limit }, func(e StreamPending) bool {
		if early++; e.Delivered > limit || fmt.Sprint(e) != fmt.Sprint(pg.pending[e.ID]) {
			m.t.Fatalf("up to %d there is %v, want %v", limit, e, pg.pending[e.ID])
		}
		return true
	})
	for _, e := range pg.pending {
		if e.Delivered <= limit {
			early--
		}
	}
	if early != 0 {
		m.t.Fatalf("%d too many were delivered up to %d", early, limit)
	}
	g.pending.tree.each(0, false, func(r *run[pendingEntry]) bool {
		if least := leastOf(r.items); r.least != least {
			m.t.Fatalf("a run of which the first was delivered at %d says %d", least, r.least)
		}
		return true
	})
	for name := range pg.consumers {
		c, n := g.Consumer([]byte(name)), 0
		g.EachPending(c, from, func(e StreamPending) bool {
			n++
			return fmt.Sprint(e) == fmt.Sprint(pg.pending[e.ID]) && string(e.Consumer) == name
		})
		if n != c.NumPendingFrom(from) {
			m.t.Fatalf("%s has %d from %s on, and %d are right", name, c.NumPendingFrom(from), from, n)
		}
	}
}

// ranges reads ranges of a stream.
func (m *streams) ranges(s *StreamValue, p *plainStream) {
	from, to := m.entry(p), m.entry(p)
	if m.rng.IntN(4) == 0 {
		from, to = StreamID{}, packed.MaxStreamID
	}
	var want, got []StreamID
	for _, e := range p.entries {
		if !e.id.Less(from) && !to.Less(e.id) {
			want = append(want, e.id)
		}
	}
	for range 5 {
		id := m.entry(p)
		if there := slices.ContainsFunc(p.entries, func(e plainEntry) bool { return e.id == id }); s.Has(id) != there {
			m.t.Fatalf("%s is there: %v", id, there)
		}
	}
	most := 1 + m.rng.IntN(len(p.entries)+2)
	if n := s.Count(from, to, most); n != min(most, len(want)) {
		m.t.Fatalf("from %s to %s there are %d, want %d or %d", from, to, n, most, len(want))
	}
	reverse := m.rng.IntN(2) == 0
	s.Each(from, to, reverse, func(it *StreamItem) bool {
		got = append(got, it.ID)
		return true
	})
	items := make([]StreamItem, m.rng.IntN(len(want)+2))
	items = items[:s.Take(from, to, reverse, items)]
	for i := range items {
		fields := 0
		items[i].Fields(func(_, _ []byte) bool { fields++; return true })
		if i >= len(got) || items[i].ID != got[i] || fields != items[i].Len {
			m.t.Fatalf("from %s to %s (reverse: %v) %s of %d fields is taken, want %v", from, to, reverse, items[i].ID, fields, got)
		}
	}
	if len(items) < min(cap(items), len(got)) {
		m.t.Fatalf("from %s to %s (reverse: %v) %d were taken of %v", from, to, reverse, len(items), got)
	}
	if reverse {
		slices.Reverse(got)
	}
	if !slices.Equal(got, want) {
		m.t.Fatalf("from %s to %s (reverse: %v) there is %v, want %v", from, to, reverse, got, want)
	}
	if id, any := s.LastEntry(); any != (len(p.entries) > 0) || any && id != p.entries[len(p.entries)-1].id {
		m.t.Fatalf("the last is %s", id)
	}
}

func (m *streams) step() {
	key := m.key()
	p := m.want[string(key)]
	switch n := m.rng.IntN(100); {
	case p == nil:
		p = &plainStream{groups: map[string]*plainGroup{}}
		m.want[string(key)] = p
		m.on(key, func(d *DB) { m.add(d, key, p) })
	case n < 2:
		m.on(key, func(d *DB) { d.Delete(key) })
		delete(m.want, string(key))
	case n < 6:
		dst := m.key()
		m.k.LockAll()
		from, to := m.k.Shard(m.k.ShardOf(key)).DB(0), m.k.Shard(m.k.ShardOf(dst)).DB(0)
		if move := m.rng.IntN(4) == 0; move && string(dst) != string(key) {
			from.Move(key, dst, to)
			delete(m.want, string(key))
			m.want[string(dst)] = p
		} else if !move {
			from.Copy(key, dst, to)
			m.want[string(dst)] = p.clone()
		}
		m.k.UnlockAll()
	default:
		m.on(key, func(d *DB) {
			for range 1 + m.rng.IntN(12) {
				if n < 50 {
					m.add(d, key, p)
					continue
				}
				d.EditStream(key, func(s *StreamValue) {
					switch {
					case n < 62:
						m.remove(s, p)
					case n < 66:
						m.trim(s, p)
					default:
						m.group(s, p)
					}
				})
			}
			m.ranges(d.Stream(key), p)
			m.account(d.Stream(key))
		})
	}
}

// account compares what is accounted for with what there is.
func (m *streams) account(s *StreamValue) {
	bytes := int64(streamCost)
	s.nodes.each(0, false, func(n *streamNode) bool {
		bytes += n.cost()
		return true
	})
	s.EachGroup(func(g *StreamGroup) bool {
		bytes += g.cost()
		return true
	})
	if s.bytes != bytes {
		m.t.Fatalf("%d bytes are accounted for, and there are %d", s.bytes, bytes)
	}
}

// TestStreamModel changes streams at random while views of them are read: a view, and
// a copy, keep what they were made of.
func TestStreamModel(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	m := &streams{t: t, k: New(Config{Shards: 2, Databases: 1}), rng: rand.New(rand.NewPCG(seed, 1)), want: map[string]*plainStream{}, met: map[string]int{}}
	defer m.k.Close()
	var reading sync.WaitGroup
	defer reading.Wait()
	for round := range 12 {
		l := DefaultLimits()
		l.StreamNodeEntries = []int{0, 1, 3, 20, 100}[m.rng.IntN(5)]
		l.StreamNodeBytes = []int{0, 100, 1000, 4096}[m.rng.IntN(4)]
		m.k.SetLimits(l)
		views := freezeAll(t, m.k)
		want := map[string]string{}
		for key, p := range m.want {
			want[key] = p.text()
		}
		reading.Add(1)
		go func() {
			defer reading.Done()
			got := map[string]string{}
			for _, v := range views {
				file, err := snapshot(v)
				if err == nil {
					err = rdb.Read(bytes.NewReader(file), rdb.Handler{Object: func(o *rdb.Object) error {
						got[string(o.Key)] = streamText(o.Stream)
						return nil
					}})
				}
				if err != nil {
					t.Errorf("round %d: %v", round, err)
				}
			}
			for key := range m.allKeys() {
				if got[key] != want[key] {
					t.Errorf("round %d: %s in the view (+) is not what was (-):\n%s", round, key, cmp.Diff(strings.Split(want[key], "\n"), strings.Split(got[key], "\n")))
				}
			}
		}()
		for range 50 {
			m.step()
		}
		reading.Wait()
		for _, v := range views {
			v.Release()
		}
		for key, p := range m.want {
			m.on([]byte(key), func(d *DB) {
				if got := streamText(d.Stream([]byte(key)).value()); got != p.text() {
					t.Fatalf("%s holds\n%s\nwant\n%s", key, got, p.text())
				}
			})
		}
		if t.Failed() {
			return
		}
	}
	t.Log(m.met)
	for key := range m.want {
		m.on([]byte(key), func(d *DB) { d.Delete([]byte(key)) })
	}
	if left := m.k.UsedBytes(); left > 2*1<<14 { // the pages of the index
		t.Errorf("%d bytes are accounted for and nothing is left", left)
	}
}

// TestLittleIsLookedAt: who asks for what was delivered long ago looks at a few of many
// that were delivered since, and so does who takes the first of many.
func TestLittleIsLookedAt(t *testing.T) {
	const many = 100_000
	ks := New(Config{Shards: 1, Databases: 1})
	t.Cleanup(ks.Close)
	sh := ks.Shard(0)
	sh.Lock()
	defer sh.Unlock()
	db, key := sh.DB(0), []byte("s")
	db.AddEntry(key, StreamID{MS: 1}, [][]byte{[]byte("f"), []byte("v")})
	db.EditStream(key, func(s *StreamValue) { s.CreateGroup([]byte("g"), StreamID{}, 0) })
	inGroup := func(fn func(g *StreamGroup)) {
		db.EditStream(key, func(s *StreamValue) { s.EditGroup([]byte("g"), fn) })
	}
	inGroup(func(g *StreamGroup) {
		g.CreateConsumer([]byte("c"), 1)
		for i := range uint64(many) {
			delivered := int64(1000)
			if i == many/2 {
				delivered = 5
			}
			g.Claim(StreamPending{StreamID{MS: 1, Seq: i}, []byte("c"), delivered, 1})
		}
		for _, c := range []struct{ limit, found int64 }{{4, 0}, {5, 1}, {1000, many}} {
			asked, found, limit := 0, int64(0), c.limit
			g.EachDelivered(func() int64 { asked++; return limit }, func(StreamPending) bool {
				if found++; c.limit == 1000 && found == 10 {
					limit, c.found = 4, 10 // enough
				}
				return true
			})
			if found != c.found || asked > many/runSize*2+2*runSize {
				t.Errorf("up to %d: %d, want %d; the limit was asked for %d times", c.limit, found, c.found, asked)
			}
		}
	})
}
