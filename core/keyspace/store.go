package keyspace

import (
	"fmt"
	"math"
	"math/bits"

	"github.com/spillwaydb/spillway/core/keyspace/arena"
)

// store is the contents of one database in one shard: an index of pages over
// an arena, and the table of collections that are not packed. Flushing a
// database puts a new store in its place.
type store struct {
	shard *Shard
	arena *arena.Arena
	dir   directory // root is nil before the first key

	objects     []heapObject
	freeObjects []uint32

	keys, expires int
	dated         int    // hashes with a field that has a deadline
	ttlHi, ttlLo  uint64 // sum of all deadlines
	used          int64  // bytes of what the index reaches
	heap          int64  // of used: those of objects on the Go heap
	expireAt      uint64 // where in hash order ExpireCycle goes on
	compaction    compaction
	recent        recent
	retired       refList
	draining      refList // retired for views that are gone
	dead          bool    // flushed: what it retired goes with it
}

func newStore(s *Shard) *store { return &store{shard: s} }

// visible tells whether a live view may be reading what was last written in
// this epoch.
func (st *store) visible(epoch uint32) bool { return epoch <= st.shard.frozen }

// growObject accounts for memory of objects, and how much of it is on the Go heap.
func (st *store) growObject(total, heap int64) {
	st.heap += heap
	st.shard.heap += heap
	st.grow(total)
}

// grow accounts for memory of the store.
func (st *store) grow(n int64) {
	st.used += n
	st.shard.used += n
}

func (st *store) alloc(size int) arena.Ref {
	st.grow(int64(arena.Size(size)))
	return st.arena.Alloc(size)
}

// drop frees a block that was last written in the given epoch, or leaves that
// to the release of the view that can see it.
func (st *store) drop(r arena.Ref, epoch uint32) {
	st.recent.known = false
	st.grow(-int64(st.arena.BlockSize(r)))
	if st.visible(epoch) {
		st.retired.add(uint64(r))
		return
	}
	st.arena.Free(r)
}

// start makes the empty index.
func (st *store) start() {
	st.arena = arena.New()
	l := &leaf{epoch: st.shard.epoch}
	r := st.alloc(arena.PageSize)
	initPage(st.arena.Page(r), st.shard.epoch, 0, 0)
	l.pages[0] = uint64(r)
	st.dir = directory{root: []*leaf{l}, epoch: st.shard.epoch}
}

// blobAt returns the blob of a slot.
func (st *store) blobAt(s uint64) blob { return readBlob(&st.arena.Reader, s) }

func readBlob(r *arena.Reader, s uint64) blob {
	ref := slotRef(s)
	return r.Bytes(ref, headerSize(r.Header(ref)))
}

// blobOf returns the blob in a block.
func (st *store) blobOf(r arena.Ref) blob { return readBlob(&st.arena.Reader, uint64(r)) }

// place is where find found a key: slot i of a page, which may have to be
// copied before it is written.
type place struct {
	p *page
	i int
}

func (pl place) ref() arena.Ref { return slotRef(pl.p[pl.i]) }

// find returns the blob of the key with hash h.
func (st *store) find(h uint64, key []byte) (blob, place, bool) {
	if st.keys == 0 {
		return nil, place{}, false
	}
	p := st.arena.Page(arena.Ref(st.dir.pageAt(h)))
	// The home does not wait for the page's header to come from memory.
	i := home(h << (64 - printBits))
	for want := tag(h, pageBase(p)); p[i] != 0; i = nextSlot(i) {
		if (p[i]^want)>>tagShift == 0 {
			if b := st.blobAt(p[i]); string(b.key()) == string(key) {
				return b, place{p, i}, true
			}
		}
	}
	return nil, place{}, false
}

// newBlob writes a blob into a block with room for slack more bytes.
func (st *store) newBlob(key []byte, t Type, e enc, payload []byte, n, slack int, deadline int64, clock uint32) arena.Ref {
	if len(key) > math.MaxUint32 || n > math.MaxUint32 {
		panic(fmt.Sprintf("keyspace: a key of %d and a value of %d bytes: neither may have 4 GiB", len(key), n))
	}
	size := blobSize(len(key), n, deadline)
	r := st.alloc(size + slack)
	b := blob(st.arena.Bytes(r, size))
	b.setHeader(st.shard.epoch, len(key), n, blobFlags(t, e, deadline), deadline)
	b.setClock(clock)
	at := b.keyAt()
	copy(b[at:], key)
	copy(b[at+len(key):], payload)
	return r
}

// put makes key hold a value, whatever it held before, and returns where. Key
// and payload may alias the blob that is replaced.
func (st *store) put(h uint64, key []byte, t Type, e enc, payload []byte, deadline int64) arena.Ref {
	deadline = normal(deadline)
	due := st.fieldDeadline(t, e, payload)
	b, pl, ok := st.find(h, key)
	if !ok {
		if st.dir.root == nil {
			st.start()
		}
		r := st.newBlob(key, t, e, payload, len(payload), 0, deadline, st.shard.newClock())
		st.enter(h, key, r, deadline, due)
		return r
	}
	st.countDated(st.fieldDeadlineOf(b), due)
	if b.enc() == encObject && (e != encObject || objectID(b.payload()) != objectID(payload)) {
		st.dropObject(objectID(b.payload()))
	}
	st.sumDeadline(b.deadline(), deadline)
	r := pl.ref()
	size := blobSize(len(key), len(payload), deadline)
	if !st.visible(b.epoch()) && b.hasDeadline() == (deadline != 0) && fits(st.arena.BlockSize(r), size) && !st.arena.Lent(r) {
		b = st.arena.Bytes(r, size)
		copy(b[b.keyAt()+len(key):], payload)
		b.setHeader(st.shard.epoch, len(key), len(payload), blobFlags(t, e, deadline), deadline)
		b.setClock(st.shard.overwriteClock(b.clock()))
		st.mark(h, pl, sooner(deadline, due))
		return r
	}
	n := st.newBlob(key, t, e, payload, len(payload), 0, deadline, st.shard.overwriteClock(b.clock()))
	st.replace(h, pl, b, n, sooner(deadline, due))
	return n
}

// enter is insert of a key that commands have made, and tells of it.
func (st *store) enter(h uint64, key []byte, r arena.Ref, deadline, due int64) {
	st.insert(h, r, deadline, due)
	if st.shard.inserted != nil {
		st.shard.tellInserted(st, key)
	}
}

// adopt is put of a string whose value lies in a buffer, which becomes its block: see
// arena.Adopt. The blob that it returns is nil, and nothing has happened, where it does not.
func (st *store) adopt(h uint64, key, val []byte, deadline int64, from *arena.Buffer) blob {
	deadline = normal(deadline)
	b, pl, found := st.find(h, key)
	if st.dir.root == nil {
		st.start()
	}
	size := blobSize(len(key), len(val), deadline)
	r, ok := st.arena.Adopt(from, val, size-len(val))
	if !ok {
		return nil
	}
	st.grow(int64(st.arena.BlockSize(r)))
	n := blob(st.arena.Bytes(r, size))
	copy(n[size-len(val)-len(key):], key) // first, as it may lie where the header will
	n.setHeader(st.shard.epoch, len(key), len(val), blobFlags(String, encRaw, deadline), deadline)
	if !found {
		n.setClock(st.shard.newClock())
		st.enter(h, n.key(), r, deadline, 0)
		return n
	}
	n.setClock(st.shard.overwriteClock(b.clock()))
	st.supersede(h, pl, b, r, deadline)
	return n
}

// supersede puts the blob of a string in the place of b, a value of any type.
func (st *store) supersede(h uint64, pl place, b blob, r arena.Ref, deadline int64) {
	st.countDated(st.fieldDeadlineOf(b), 0)
	if b.enc() == encObject {
		st.dropObject(objectID(b.payload()))
	}
	st.sumDeadline(b.deadline(), deadline)
	st.replace(h, pl, b, r, deadline)
}

// fits tells whether a value of size bytes may stay in a block without wasting
// much of it.
func fits(block, size int) bool {
	return size <= block && (size >= block-block/4 || arena.Size(size) == block)
}

// replace puts a new blob, which is due at a deadline of its own or of a field, in
// the place of b, which it drops.
func (st *store) replace(h uint64, pl place, b blob, r arena.Ref, due int64) {
	old, epoch := pl.ref(), b.epoch()
	p := st.writablePage(h)
	s := p[pl.i]&^(refMask|ttlBit) | uint64(r)
	if due != 0 {
		s |= ttlBit
		noteDeadline(p, due)
	}
	setSlot(p, pl.i, s)
	st.drop(old, epoch)
}

// insert adds the blob of a key that is not there. due is the first deadline of the
// fields of a hash.
func (st *store) insert(h uint64, r arena.Ref, deadline, due int64) {
	for pageKeys(st.arena.Page(arena.Ref(st.dir.pageAt(h)))) >= pageFull {
		st.splitPage(h)
	}
	p := st.writablePage(h)
	s := tag(h, pageBase(p)) | uint64(r)
	if deadline != 0 {
		st.expires++
		st.addTTL(deadline)
	}
	st.countDated(0, due)
	if due = sooner(deadline, due); due != 0 {
		s |= ttlBit
		noteDeadline(p, due)
	}
	addSlot(p, s)
	st.keys++
}

// resize makes the payload of key, which must exist, n bytes long, and writes data
// at off. What lies between its old end and off
// becomes zero. With slack it is a string that grows: a new block has room for
// so many more bytes. data and key may alias what is replaced.
func (st *store) resize(h uint64, key []byte, n, slack, off int, data []byte) {
	b, pl, _ := st.find(h, key)
	old, deadline, e := b.payload(), b.deadline(), b.enc()
	if slack > 0 {
		e = encGrown
	}
	r := pl.ref()
	size := blobSize(b.keyLen(), n, deadline)
	block := st.arena.BlockSize(r)
	inPlace := !st.visible(b.epoch()) && size <= block && (slack > 0 || fits(block, size)) && !st.arena.Lent(r)
	if !inPlace {
		r = st.newBlob(b.key(), b.typ(), e, old[:min(len(old), n)], n, slack, deadline, b.clock())
	}
	c := blob(st.arena.Bytes(r, size))
	c.setHeader(st.shard.epoch, b.keyLen(), n, blobFlags(b.typ(), e, deadline), deadline)
	p := c.payload()
	if len(old) < off {
		clear(p[len(old):off])
	}
	copy(p[off:], data)
	if !inPlace {
		st.replace(h, pl, b, r, sooner(deadline, st.fieldDeadlineOf(c)))
	}
}

// splice replaces cut bytes at off of the payload of key, which must exist, by
// data, which must not alias it, and returns the payload for writing.
func (st *store) splice(h uint64, key []byte, off, cut int, data []byte) []byte {
	b, pl, _ := st.find(h, key)
	old, deadline := b.payload(), b.deadline()
	n := len(old) - cut + len(data)
	size := blobSize(b.keyLen(), n, deadline)
	r := pl.ref()
	inPlace := !st.visible(b.epoch()) && fits(st.arena.BlockSize(r), size) && !st.arena.Lent(r)
	if !inPlace {
		r = st.newBlob(b.key(), b.typ(), b.enc(), old[:off], n, 0, deadline, b.clock())
	}
	c := blob(st.arena.Bytes(r, size))
	p := c[c.keyAt()+b.keyLen() : size : size]
	if !inPlace || cut != len(data) {
		// In place, a payload that shrinks reads beyond p: old does not end there.
		copy(p[off+len(data):], old[off+cut:])
	}
	copy(p[off:], data)
	if inPlace {
		c.setHeader(st.shard.epoch, b.keyLen(), n, b[offFlags], deadline)
	} else {
		st.replace(h, pl, b, r, sooner(deadline, st.fieldDeadlineOf(c)))
	}
	return p
}

// remove deletes a key, and its object unless that lives on elsewhere.
func (st *store) remove(h uint64, key []byte, keepObject bool) bool {
	b, pl, ok := st.find(h, key)
	if !ok {
		return false
	}
	st.removeAt(h, pl, b, keepObject)
	if pageKeys(st.arena.Page(arena.Ref(st.dir.pageAt(h)))) <= pageMerge {
		st.mergePage(h)
	}
	return true
}

// removeAt is remove without joining pages.
func (st *store) removeAt(h uint64, pl place, b blob, keepObject bool) {
	r, epoch := pl.ref(), b.epoch()
	st.countDated(st.fieldDeadlineOf(b), 0)
	if b.enc() == encObject && !keepObject {
		st.dropObject(objectID(b.payload()))
	}
	if b.hasDeadline() {
		st.expires--
		st.subTTL(b.deadline())
	}
	removeSlot(st.writablePage(h), pl.i)
	st.keys--
	st.drop(r, epoch)
}

// sumDeadline keeps count of keys with a deadline and of the deadlines' sum
// when a key's changes.
func (st *store) sumDeadline(before, after int64) {
	if before == after {
		return
	}
	if before != 0 {
		st.expires--
		st.subTTL(before)
	}
	if after != 0 {
		st.expires++
		st.addTTL(after)
	}
}

func (st *store) addTTL(deadline int64) {
	var carry uint64
	st.ttlLo, carry = bits.Add64(st.ttlLo, uint64(deadline), 0) // normal is positive
	st.ttlHi += carry
}

func (st *store) subTTL(deadline int64) {
	var borrow uint64
	st.ttlLo, borrow = bits.Sub64(st.ttlLo, uint64(deadline), 0) // normal is positive
	st.ttlHi -= borrow
}

// normal maps deadlines before 1970, which have all passed, to one that is not
// mistaken for none.
func normal(deadline int64) int64 {
	if deadline < 0 {
		return 1
	}
	return deadline
}
