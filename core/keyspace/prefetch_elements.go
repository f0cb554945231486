package keyspace

import "github.com/spillwaydb/spillway/core/keyspace/arena"

// prefetchBytes is from how many bytes on a collection is taken not to fit a cache.
const prefetchBytes = 1 << 20

// SeekKind is what a command looks for in a collection.
type SeekKind uint8

// The kinds.
const (
	SeekNothing SeekKind = iota
	SeekMember           // a member or a field
	SeekPlace            // a member of a sorted set, which is to have a score
	SeekFirst            // the member with the lowest score, which is to go
	SeekLast             // the member with the highest score, which is to go
)

// Seek is an element that a command is going to look for in the collection at its key.
type Seek struct {
	Kind   SeekKind
	Member []byte  // of SeekMember and SeekPlace
	Score  float64 // of SeekPlace
}

// descent is one search for an element, of which each step is taken when what it reads has been fetched.
type descent struct {
	n     *sheafNode // the last node, from which a sheaf hangs
	way   way        // to the sheaf
	level uint8      // of n
	s     *sheaf     // in the leaf
	i     int        // in the sheaf: the element, or the one before which it belongs
	order uint64
	key   []byte
	goes  bool // it is to be removed
	place bool // in items, of a member that gets another place in ranks if it has one
}

// hint is what a search has found.
func (p *descent) hint() hint { return hint{p.order, p.way, p.i} }

// PrefetchElements looks ahead at what several commands are going to look for in the large collection at one key, which may
// be none, or anything else. d's shard is locked, and should stay so until they are executed.
//
// A search reads a node of the tree, the sheaf's entry in it, the head of the sheaf and the element, one
// after the other, and nearly each is a miss where a collection is large. All searches take
// one step before any takes the next:
//
//	the nodes above the last are few, and in a cache
//	Fetch   the last node of each          Fetch   the sheaf's entry there
//	Fetch   the sheaf's head and table     Fetch   the element, and what is moved with it
//	        and, of an element to be removed, the end of the sheaf
//
// Where elements are found, or belong, is kept as hints.
// An element whose order is that of many others, as with members that all have one score, may be looked for beside its place.
func (d *DB) PrefetchElements(key []byte, seeks []Seek) {
	b, ok := d.lookup(key)
	if !ok || b.packed() {
		return
	}
	c, ok := d.object(b).(*collection)
	if !ok || c.memory() < prefetchBytes {
		return
	}
	l := &d.st.shard.looked
	l.items.begin(&c.items)
	if c.ranked {
		l.ranks.begin(&c.ranks)
	}
	for len(seeks) > 0 {
		n := min(len(seeks), AheadMax)
		l.seek(d.ks, c, seeks[:n])
		seeks = seeks[n:]
	}
}

// looked is what PrefetchElements has found last.
type looked struct {
	items hints
	ranks hints // of each SeekPlace two: of the place that the member has, if any, and of the one that it is to have
}

// seek is PrefetchElements for at most AheadMax of them.
func (l *looked) seek(ks *Keyspace, c *collection, seeks []Seek) {
	var all [2 * AheadMax]descent
	ds := all[:0]
	var ends [2]int // how many come from each end
	for i := range seeks {
		switch s := &seeks[i]; s.Kind {
		case SeekNothing:
		case SeekMember:
			ds = append(ds, descent{order: ks.memberHash(s.Member), key: s.Member})
		case SeekPlace:
			ds = append(ds, descent{order: ks.memberHash(s.Member), key: s.Member, place: true})
		case SeekFirst:
			ends[0]++
		case SeekLast:
			ends[1]++
		}
	}
	if c.ranked {
		for last, n := range ends {
			ds = c.ranks.appendEnd(ds, ks, last == 1, n)
		}
	}
	approach(ds, &c.items.tree)
	items := len(ds)
	if c.ranked {
		for i := range seeks {
			if s := &seeks[i]; s.Kind == SeekPlace {
				ds = append(ds, descent{order: scoreOrder(plusZero(s.Score)), key: s.Member})
			}
		}
		approach(ds[items:], &c.ranks.tree)
	}
	descend(ds)
	for i := range ds[:items] {
		l.items.list = append(l.items.list, ds[i].hint())
	}
	if fresh := ds[items:]; len(fresh) > 0 {
		l.places(ds[:items], fresh, &c.ranks)
	}
}

// places looks ahead at the places that members have in the second order: of those among items that are to get
// another one, which is in fresh. The memory of fresh is used again.
func (l *looked) places(items, fresh []descent, ranks *sheaves) {
	old, list := fresh[:0], l.ranks.list
	var notes [AheadMax]int // in list, of old
	for i := range items {
		p := &items[i]
		if !p.place {
			continue
		}
		if p.i < p.s.count() {
			if e := readElement(p.s.at(p.i, p.s.count())); string(e.key) == string(p.key) {
				order := scoreOrder(e.score)
				if order == fresh[0].order {
					fresh = fresh[1:] // it stays
					continue
				}
				notes[len(old)] = len(list)
				list = append(list, hint{})
				list = append(list, fresh[0].hint())
				old, fresh = append(old, descent{order: order, key: p.key}), fresh[1:]
				continue
			}
		}
		list = append(list, fresh[0].hint())
		fresh = fresh[1:]
	}
	approach(old, &ranks.tree)
	descend(old)
	for i := range old {
		list[notes[i]] = old[i].hint()
	}
	l.ranks.list = list
}

// approach finds the last node of each search in a tree that is not empty, and does not look into it.
func approach(ds []descent, t *sheafTree) {
	levels := 0 // above the last, as many everywhere
	for n := t.root; n.kids != nil; n = n.kids[0] {
		levels++
	}
	for i := range ds {
		p := &ds[i]
		n := t.root
		for level := range levels {
			k := n.nearby(p.order)
			n, p.way[level] = n.kids[k], uint8(k) // below sheafFan
		}
		p.n, p.level = n, uint8(levels) // below len(way)
		begin, _ := arena.PlaceOf(n)
		bounds, size := arena.PlaceOf(&n.bounds)
		arena.FetchSpan(begin, int(bounds-begin)+size) // of a node
	}
}

// descend takes the other steps of searches.
func descend(ds []descent) {
	for i := range ds {
		p := &ds[i]
		k := p.n.nearby(p.order)
		p.s, p.way[p.level] = &p.n.leaves[k], uint8(k) // below sheafFan
		arena.FetchSpan(arena.PlaceOf(p.s))
	}
	for i := range ds {
		if data := ds[i].s.Data; len(data) > 0 {
			at, _ := arena.PlaceOf(&data[0])
			arena.FetchSpan(at, min(len(data), 3*arena.Line))
			if ds[i].goes { // half of what moving all behind it back waited for was the end, which is read first
				end := min(len(data), 2*arena.Line)
				arena.FetchSpan(at+arena.Place(len(data)-end), end)
			}
		}
	}
	for i := range ds {
		p := &ds[i]
		f := p.s.frame()
		if p.order > f.base {
			p.i = p.s.below(f, f.number(p.order))
		}
		if from := p.s.offset(p.i, p.s.count()); from < len(p.s.Data) {
			at, _ := arena.PlaceOf(&p.s.Data[from])
			arena.FetchSpan(at, 2*arena.Line)
		}
	}
}

// appendEnd appends the searches by hash for so many elements from one end of ranks on, none of which has one yet.
func (v *sheaves) appendEnd(ds []descent, ks *Keyspace, last bool, n int) []descent {
	pos, step := v.gone.front, 1
	if last {
		pos, step = v.gone.front+v.size()-1, -1
	}
	var s *sheaf
	var first, count int
	for n = min(n, v.size()); n > 0; n, pos = n-1, pos+step {
		if s == nil || pos < first || pos >= first+count {
			s, first, _ = v.tree.seek(pos)
			count = s.count()
		}
		key := s.key(pos-first, count)
		ds = append(ds, descent{order: ks.memberHash(key), key: key, goes: true})
	}
	return ds
}
