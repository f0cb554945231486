package keyspace

import (
	"github.com/spillwaydb/spillway/core/rdb/packed"
)

// ref is what the handles have in common: a key and the type it is to hold. A
// small collection is packed into its blob, and unpacked into an object when
// it outgrows the Limits. Methods of handles ask which it is each time, for
// any write may have changed it.
type ref struct {
	d   *DB
	key []byte
	typ Type
}

func (r ref) scratch() *scratch { return &r.d.st.shard.scratch }

func (r ref) limits() *Limits { return r.d.ks.limits.Load() }

// find returns the key's blob, nil when it is absent.
func (r ref) find() blob {
	b, _ := r.d.lookup(r.key)
	return b
}

// packed tells whether b, which may be nil, holds no object: what it holds is
// in its payload then.
func (b blob) packed() bool { return b == nil || b.enc() != encObject }

// list is the listpack in b.
func (b blob) list() packed.Listpack {
	if b == nil {
		return emptyList
	}
	return packed.Listpack(b.payload())
}

var emptyList = packed.SealList(packed.AppendListHeader(nil), 0)

// ints is the intset in b.
func (b blob) ints() packed.Intset { return packed.Intset(b.payload()) }

// heap is the object of b, for reading; a list's are chunks.
func (r ref) heap(b blob) *collection { return r.d.object(b).(*collection) }

// change lets fn change the object of b, which is the key's blob, and accounts for what it does to
// memory. The key goes with the last element.
func (r ref) change(b blob, fn func(o object)) {
	o := r.d.writable(r.key, b)
	total, heap := o.memory(), o.onHeap()
	fn(o)
	r.d.account(o.memory()-total, o.onHeap()-heap)
	if o.size() == 0 {
		r.d.Delete(r.key)
	}
}

// hash is the hash that orders members.
func (r ref) hash(member []byte) uint64 { return r.d.ks.memberHash(member) }

func (k *Keyspace) memberHash(member []byte) uint64 { return k.hash(member) >> (64 - hashBits) }

// seek finds a member of an object, or where it belongs.
func (r ref) seek(c *collection, member []byte) (hash uint64, p spot) {
	hash = r.hash(member)
	return hash, r.scratch().looked.items.find(&c.items, hash, member)
}

// get finds a member of an object.
func (r ref) get(b blob, member []byte) (e element, ok bool) {
	_, p := r.seek(r.heap(b), member)
	if !p.found {
		return element{}, false
	}
	return p.element(), true
}

// put stores a member in the object of b, copying what it is given, and tells
// whether it is new.
func (r ref) put(b blob, member, val []byte, score float64) (created bool) {
	hash, p := r.seek(r.heap(b), member)
	r.putAt(b, p, hash, member, val, score)
	return !p.found
}

// putAt is put of a member where it was found, or belongs.
func (r ref) putAt(b blob, p spot, hash uint64, member, val []byte, score float64) {
	r.change(b, func(o object) {
		o.(*collection).put(p, hash, element{member, val, score}, r.scratch())
	})
}

// del removes a member of an object, and tells whether it was there.
func (r ref) del(b blob, member []byte) bool {
	_, p := r.seek(r.heap(b), member)
	if p.found {
		r.change(b, func(o object) { o.(*collection).remove(p, r.scratch()) })
	}
	return p.found
}

// unpack makes the key, which may be absent, hold an object, and returns its blob.
func (r ref) unpack(b blob) blob {
	c := newCollection(r.typ, r.d.ks.pool)
	r.eachPacked(b, func(a, v []byte, score float64) bool {
		hash := r.hash(a)
		c.put(c.items.find(hash, a), hash, element{a, v, score}, r.scratch())
		return true
	})
	r.d.newObject(r.key, r.typ, c)
	return r.find()
}

// eachPacked calls fn for every element in b, which may be nil, until it
// returns false. What fn gets is valid until it returns.
func (r ref) eachPacked(b blob, fn func(a, b []byte, score float64) bool) {
	if b == nil {
		return
	}
	t := &r.scratch().texts
	mark := len(*t)
	eachPacked(b, t, func(a, v []byte, score float64) bool {
		more := fn(a, v, score)
		*t = (*t)[:mark]
		return more
	})
}

// edit replaces cut bytes at a place of the listpack in b, the key's blob, by
// what fresh holds behind a header of scratch.entries. added entries come, or
// go if negative. An absent key is made to hold them.
func (r ref) edit(b blob, at, cut int, fresh []byte, added int) {
	if b == nil {
		fresh = packed.SealList(fresh, added)
		r.d.storePayload(r.key, r.typ, encPacked, fresh)
	} else {
		r.splice(at, cut, fresh[packed.ListHeader:], added)
	}
	r.scratch().keep(fresh)
}

// splice replaces cut bytes at a place of the key's listpack.
func (r ref) splice(at, cut int, entries []byte, added int) {
	packed.Listpack(r.d.splice(r.key, at, cut, entries)).Spliced(added)
}

// cut removes so many entries, from one place of the listpack in b to another,
// and the key with the last of them.
func (r ref) cut(b blob, from, to, entries int) {
	if l := b.list(); from == l.First() && to == l.End() {
		r.d.Delete(r.key)
		return
	}
	r.splice(from, to-from, nil, -entries)
}
