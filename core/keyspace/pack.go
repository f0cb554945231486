package keyspace

import (
	"bytes"
	"cmp"
	"math"
	"math/bits"
	"slices"

	"github.com/spillwaydb/spillway/core/rdb"
	"github.com/spillwaydb/spillway/core/rdb/packed"
)

// loadCollection makes the absent key hold obj, a collection that is not
// empty: packed if the Limits allow it. The lock is held; obj's bytes are
// valid during the call. Nothing is taken for granted of obj: a member may be
// there twice, in which case the last one counts, and in any place.
func (d *DB) loadCollection(key []byte, obj *rdb.Object) {
	p := packer{obj, d.ks, d.ks.limits.Load(), &d.st.shard.scratch}
	t := obj.Type
	if payload, e := p.pack(t); payload != nil {
		d.storePayload(key, t, e, payload)
		return
	}
	switch t {
	case List:
		c := newChunks(p.ks.pool)
		p.addChunks(c)
		d.newObject(key, t, c)
	case Set, ZSet, Hash:
		d.newObject(key, t, p.collection(t))
	default:
		panic(rdb.UnknownType(t))
	}
}

// packer makes a payload of an object of a file.
type packer struct {
	obj *rdb.Object
	ks  *Keyspace
	lim *Limits
	s   *scratch
}

// pack returns nil for what is not to be packed: it is too large, or has a
// member twice.
func (p packer) pack(t Type) (payload []byte, e enc) {
	if payload, e = p.asItLies(t); payload != nil {
		return payload, e
	}
	if len(p.obj.Nodes) > 0 {
		size := packed.ListHeader + 1
		for _, n := range p.obj.Nodes {
			size += len(n) - packed.ListHeader - 1
		}
		if size > p.lim.list().bytes {
			return nil, 0
		}
	}
	p.obj.Unpack()
	switch items := p.obj.Items; t {
	case List:
		if m := p.lim.list(); len(items) <= m.items {
			return p.listpack(m.bytes), encPacked
		}
	case Hash:
		if len(items)/2 <= p.lim.HashEntries && longest(items) <= p.lim.HashValue && p.distinct(2) {
			if p.obj.Expires != nil {
				return p.datedListpack(), encDated
			}
			return p.listpack(packed.MaxListpack), encPacked
		}
	case ZSet:
		if len(items) <= p.lim.ZSetEntries && longest(items) <= p.lim.ZSetValue && p.distinct(1) {
			return p.scores(), encPacked
		}
	case Set:
		if len(items) > max(p.lim.IntsetEntries, p.lim.SetEntries) || p.obj.Intset == nil && !p.distinct(1) {
			break
		}
		if ints := p.intset(); ints != nil {
			if len(items) <= p.lim.IntsetEntries {
				return ints, encIntset
			}
			break
		}
		if len(items) <= p.lim.SetEntries && longest(items) <= p.lim.SetValue {
			return p.listpack(packed.MaxListpack), encPacked
		}
	default:
		panic(rdb.UnknownType(t))
	}
	return nil, 0
}

// asItLies is what came as one listpack or intset, if it may be kept as it is. To find that out it is walked over
// once, and takes no memory for its items.
func (p packer) asItLies(t Type) (payload []byte, e enc) {
	o, l := p.obj, packed.Listpack(p.obj.Listpack)
	switch {
	case o.Intset != nil:
		if packed.Intset(o.Intset).Len() <= p.lim.IntsetEntries {
			return o.Intset, encIntset
		}
		return nil, 0
	case l == nil || o.Expires != nil:
		return nil, 0
	}
	may := false
	switch n := l.Len(); t {
	case List:
		m := p.lim.list()
		may = n <= m.items && len(l) <= m.bytes
	case Hash:
		may = n/2 <= p.lim.HashEntries && p.fits(l, 2, p.lim.HashValue)
	case ZSet:
		may = n/2 <= p.lim.ZSetEntries && p.fits(l, 2, p.lim.ZSetValue) && p.ordered(l)
	case Set: // might have to be an intset
	default:
		panic(rdb.UnknownType(t))
	}
	if !may {
		return nil, 0
	}
	return l, encPacked
}

// fits tells whether no entry of a canonical listpack is longer than so many bytes, and every step-th is there once. It
// is sure of both if it says so. What is equal looks alike, so that nothing is decoded.
func (p packer) fits(l packed.Listpack, step, longest int) bool {
	if longest < len(p.s.last[0]) { // an integer's text may be too long
		return false
	}
	seen := p.seen(l.Len() / step)
	for at, i := l.First(), 0; at < l.End(); i++ {
		next := l.Next(at)
		if next-at-minEntry > longest && len(l.Entry(at).Str) > longest {
			return false
		}
		if i%step == 0 && !seen.add(p.ks.hash(l[at:next])) {
			return false
		}
		at = next
	}
	return true
}

// minEntry is by how much the entry of a string is longer than that at least.
const minEntry = 2

// ordered tells whether the members of a sorted set lie in their order, with scores of which none is minus zero.
func (p packer) ordered(l packed.Listpack) bool {
	last := 0
	for i, at := 0, l.First(); at < l.End(); i++ {
		score := p.obj.Scores[i]
		if score == 0 && math.Signbit(score) {
			return false
		}
		if i > 0 && (score < p.obj.Scores[i-1] || score == p.obj.Scores[i-1] &&
			bytes.Compare(p.s.text(0, l.Entry(last)), p.s.text(1, l.Entry(at))) > 0) {
			return false
		}
		last, at = at, l.Next(l.Next(at))
	}
	return true
}

// addChunks adds all items of a list to its end.
func (p packer) addChunks(c *chunks) {
	m := p.lim.list()
	if p.nodesAreChunks(m) {
		for _, n := range p.obj.Nodes {
			l := packed.Listpack(n)
			c.add(c.size(), l[l.First():l.End()], l.Len())
		}
		return
	}
	m = m.inPool()
	p.obj.Unpack()
	build := p.s.build[:0]
	count := 0
	for _, it := range p.obj.Items {
		old := len(build)
		build = packed.AppendEntry(build, it)
		if count > 0 && !m.fits(packed.ListHeader+len(build)+1, count+1) {
			c.add(c.size(), build[:old], count)
			build, count = append(build[:0], build[old:]...), 0
		}
		count++
	}
	if count > 0 {
		c.add(c.size(), build, count)
	}
	p.s.keep(build)
}

// nodesAreChunks tells whether a list came in pieces that it may be kept in, which a file of this engine or of Redis
// with the same limit is: none is too long, and they are no more than twice as many as they have to be.
func (p packer) nodesAreChunks(m chunkLimit) bool {
	size := 0
	for _, n := range p.obj.Nodes {
		l := packed.Listpack(n)
		if l.Len() == 0 || !m.fits(len(l), l.Len()) && l.Len() > 1 {
			return false
		}
		size += len(l)
	}
	least := max(size/m.bytes, p.obj.Len()/m.items)
	return len(p.obj.Nodes) > 0 && len(p.obj.Nodes) <= 2*(least+1)
}

// longest is the length of the longest item.
func longest(items [][]byte) (n int) {
	for _, it := range items {
		n = max(n, len(it))
	}
	return n
}

// distinct tells whether every step-th item is there once. It is sure of that if it says so.
func (p packer) distinct(step int) bool {
	seen := p.seen(len(p.obj.Items) / step)
	for i := 0; i < len(p.obj.Items); i += step {
		if !seen.add(p.ks.hash(p.obj.Items[i])) {
			return false
		}
	}
	return true
}

// hashTable is a table of hashes. Its length is a power of two.
type hashTable []uint64

// seen is an empty table for n hashes.
func (p packer) seen(n int) hashTable {
	size := 1 << bits.Len(uint(2*n)) // positive
	t := slices.Grow(p.s.hashes[:0], size)[:size]
	p.s.hashes = t
	clear(t)
	return t
}

// add adds a hash, and tells whether it is new.
func (t hashTable) add(hash uint64) bool {
	hash = max(hash, 1)        // 0 is none
	mask := uint64(len(t) - 1) // positive
	at := hash & mask
	for ; t[at] != 0; at = (at + 1) & mask {
		if t[at] == hash {
			return false
		}
	}
	t[at] = hash
	return true
}

// listpack is all items in a listpack of no more than so many bytes.
func (p packer) listpack(atMost int) []byte {
	build := p.s.entries()
	for _, it := range p.obj.Items {
		if len(build)+len(it) > atMost {
			return nil
		}
		build = packed.AppendEntry(build, it)
	}
	build = p.s.keep(packed.SealList(build, len(p.obj.Items)))
	if len(build) > atMost {
		return nil
	}
	return build
}

// datedListpack is all fields with their values and deadlines, the next to expire
// first.
func (p packer) datedListpack() []byte {
	o := p.obj
	if o.Listpack != nil {
		return o.Listpack
	}
	order := make([]int, len(o.Expires))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		x, y := o.Expires[a], o.Expires[b]
		if (x == 0) != (y == 0) {
			return cmp.Compare(y, x) // none comes last
		}
		return cmp.Compare(x, y)
	})
	build := p.s.entries()
	for _, i := range order {
		build = packed.AppendEntry(packed.AppendEntry(build, o.Items[2*i]), o.Items[2*i+1])
		build = packed.AppendInt(build, o.Expires[i])
	}
	build = p.s.keep(packed.SealList(build, 3*len(order)))
	if len(build) > packed.MaxListpack {
		return nil
	}
	return build
}

// intset is all members in an intset, nil if one is no integer.
func (p packer) intset() []byte {
	ints := make([]int64, 0, 16)
	for _, it := range p.obj.Items {
		v, ok := packed.ParseInt(it)
		if !ok {
			return nil
		}
		ints = append(ints, v)
	}
	slices.Sort(ints)
	return p.s.keep(packed.AppendIntset(p.s.build[:0], ints...))
}

// scores is all members and scores, in their order, in a listpack.
func (p packer) scores() []byte {
	o := p.obj
	byScore := func(a, b int) int {
		if c := cmp.Compare(o.Scores[a], o.Scores[b]); c != 0 {
			return c
		}
		return bytes.Compare(o.Items[a], o.Items[b])
	}
	sorted := true
	for i := range o.Scores {
		sorted = sorted && (i == 0 || byScore(i-1, i) <= 0)
	}
	order := make([]int, len(o.Items))
	for i := range order {
		order[i] = i
	}
	if !sorted {
		slices.SortFunc(order, byScore)
	}
	build := p.s.entries()
	for _, i := range order {
		build = appendScore(packed.AppendEntry(build, o.Items[i]), o.Scores[i])
	}
	return p.s.keep(packed.SealList(build, 2*len(order)))
}

// plusZero turns minus zero into zero.
func plusZero(score float64) float64 {
	if score == 0 {
		return 0
	}
	return score
}
