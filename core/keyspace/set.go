package keyspace

import (
	"strconv"

	"github.com/spillwaydb/spillway/core/rdb/packed"
)

// SetRef is the set at a key. It is valid while the shard's lock is held.
// Slices it hands out must not be written. What a call returns is valid until
// the next call of a handle that returns slices, or changes anything; what a
// callback gets is valid during the callback, which may read other handles.
//
// A small set is an intset while all its members are integers, else a listpack
// of members in the order they were added.
type SetRef struct{ ref }

// Set returns the set at key, which must be absent or a set. A member added to
// an absent key creates it; a set without members does not exist.
func (d *DB) Set(key []byte) SetRef { return SetRef{ref{d, key, Set}} }

// Len is the number of members, 0 when the key is absent.
func (s SetRef) Len() int {
	b := s.find()
	switch {
	case b == nil:
		return 0
	case b.enc() == encIntset:
		return b.ints().Len()
	case b.packed():
		return b.list().Len()
	}
	return s.heap(b).items.size()
}

// Has tells whether a member is there.
func (s SetRef) Has(member []byte) bool { return s.has(s.find(), member) }

func (s SetRef) has(b blob, member []byte) bool {
	switch {
	case b == nil:
		return false
	case b.enc() == encIntset:
		v, ok := packed.ParseInt(member)
		if ok {
			_, ok = b.ints().Find(v)
		}
		return ok
	case b.packed():
		n := packed.NewNeedle(member)
		at, _ := b.list().Find(&n, 1)
		return at >= 0
	}
	_, ok := s.get(b, member)
	return ok
}

// Add adds a member and tells whether it is new.
func (s SetRef) Add(member []byte) bool {
	b := s.find()
	if !b.packed() {
		hash, p := s.seek(s.heap(b), member)
		if !p.found {
			s.putAt(b, p, hash, member, nil, 0)
		}
		return !p.found
	}
	if s.has(b, member) {
		return false
	}
	if b == nil || b.enc() == encIntset {
		if v, ok := packed.ParseInt(member); ok {
			s.addInt(b, v)
			return true
		}
		if b != nil && s.listable(b.ints(), member) {
			s.storeList(b.ints(), member)
			return true
		}
	}
	lim := s.limits()
	switch {
	case b != nil && b.enc() == encIntset, len(member) > lim.SetValue || b.list().Len() >= lim.SetEntries || !fitsList(b.list(), len(member), 0):
		s.put(s.unpack(b), member, nil, 0)
	default:
		s.edit(b, b.list().End(), 0, packed.AppendEntry(s.scratch().entries(), member), 1)
	}
	return true
}

// addInt adds an integer that is not there to an intset or an absent key.
func (s SetRef) addInt(b blob, v int64) {
	most := s.limits().IntsetEntries
	build := s.scratch().build[:0]
	switch {
	case b == nil && most < 1, b != nil && b.ints().Len() >= most:
		s.put(s.unpack(b), strconv.AppendInt(build, v, 10), nil, 0)
	case b == nil:
		build = packed.AppendIntset(build, v)
		s.d.storePayload(s.key, Set, encIntset, build)
	case b.ints().Fits(v):
		ints := b.ints()
		pos, _ := ints.Find(v)
		build = ints.AppendValue(build, v)
		packed.Intset(s.d.splice(s.key, ints.Offset(pos), 0, build)).Spliced(1)
	default:
		build = b.ints().AppendWidened(build, v)
		s.d.storePayload(s.key, Set, encIntset, build)
	}
	s.scratch().keep(build)
}

// listable tells whether an intset may become a listpack with a member that is
// no integer.
func (s SetRef) listable(ints packed.Intset, member []byte) bool {
	lim := s.limits()
	var text [20]byte
	longest := max(len(strconv.AppendInt(text[:0], ints.At(0), 10)), len(strconv.AppendInt(text[:0], ints.At(ints.Len()-1), 10)), len(member))
	return ints.Len() < lim.SetEntries && longest <= lim.SetValue && fitsList(emptyList, ints.Len()*packed.EntrySize(longest), len(member))
}

// storeList makes the set a listpack of integers and a member.
func (s SetRef) storeList(ints packed.Intset, member []byte) {
	build := s.scratch().entries()
	for i := range ints.Len() {
		build = packed.AppendInt(build, ints.At(i))
	}
	build = packed.SealList(packed.AppendEntry(build, member), ints.Len()+1)
	s.d.storePayload(s.key, Set, encPacked, build)
	s.scratch().keep(build)
}

// Remove removes a member and tells whether it was there.
func (s SetRef) Remove(member []byte) bool {
	b := s.find()
	switch {
	case b == nil:
		return false
	case b.enc() == encIntset:
		return s.removeInt(b.ints(), member)
	case !b.packed():
		return s.del(b, member)
	}
	l := b.list()
	n := packed.NewNeedle(member)
	at, _ := l.Find(&n, 1)
	if at < 0 {
		return false
	}
	s.cut(b, at, l.Next(at), 1)
	return true
}

func (s SetRef) removeInt(ints packed.Intset, member []byte) bool {
	v, ok := packed.ParseInt(member)
	if !ok {
		return false
	}
	pos, ok := ints.Find(v)
	switch {
	case !ok:
	case ints.Len() == 1:
		s.d.Delete(s.key)
	default:
		from, to := ints.Offset(pos), ints.Offset(pos+1)
		packed.Intset(s.d.splice(s.key, from, to-from, nil)).Spliced(-1)
	}
	return ok
}

// At returns the member at a position of an order that lasts until the next
// change. It must exist.
func (s SetRef) At(i int) []byte {
	b := s.find()
	switch {
	case b.enc() == encIntset:
		return s.scratch().text(0, packed.Entry{Int: b.ints().At(i), IsInt: true})
	case b.packed():
		l := b.list()
		return s.scratch().text(0, l.Entry(l.Seek(i)))
	}
	p := s.heap(b).items.spotAt(i)
	return p.element().key
}

// Each calls fn for every member until it returns false. fn must not change the set.
func (s SetRef) Each(fn func(member []byte) bool) {
	b := s.find()
	if b.packed() {
		s.eachPacked(b, func(m, _ []byte, _ float64) bool { return fn(m) })
		return
	}
	s.heap(b).eachItem(func(e *element) bool { return fn(e.key) })
}

// Scan visits about count members from a cursor on and returns the next
// cursor, 0 at the end. Members present all the while are visited at least
// once. A small set is visited whole.
func (s SetRef) Scan(cursor uint64, count int, fn func(member []byte)) (next uint64) {
	if b := s.find(); !b.packed() {
		return s.heap(b).scan(cursor, count, func(e *element) { fn(e.key) })
	}
	s.Each(func(m []byte) bool {
		fn(m)
		return true
	})
	return 0
}
