package keyspace

// DB is one logical database's share of one shard. Its methods are called with
// the shard's lock held. Slices and Entries they return alias the store: they
// are valid until the next change or the Unlock, and must not be written.
// Arguments are copied, and may alias the store too.
type DB struct {
	ks *Keyspace
	st *store
}

// Status tells what Get found.
type Status uint8

// What Get finds.
const (
	Missing Status = iota // no such key
	Live                  // a key
	Expired               // a key whose deadline has passed; it is still there
)

// Get finds a key. Its deadline is judged at now, in Unix milliseconds; at 0
// nothing has expired.
func (d *DB) Get(key []byte, now int64) (Entry, Status) {
	if now != 0 {
		d.st.shard.now = now
	}
	b, ok := d.lookup(key)
	if !ok {
		return Entry{}, Missing
	}
	e := Entry{d.st, b}
	if now != 0 && b.hasDeadline() && b.deadline() <= now {
		return e, Expired
	}
	return e, Live
}

// Clock returns the latest time that Get was given: what time it is for who has none.
func (d *DB) Clock() int64 { return d.st.shard.now }

// Touch advances the access clock of a key to now. Who has its Entry at hand
// calls Entry.Touch and saves the search.
func (d *DB) Touch(key []byte, now int64) {
	if b, _, ok := d.st.find(d.ks.hash(key), key); ok {
		Entry{d.st, b}.Touch(now)
	}
}

// Delete removes a key and tells whether it was there.
func (d *DB) Delete(key []byte) bool { return d.st.remove(d.ks.hash(key), key, false) }

// Len returns how many keys there are, those whose deadline has passed included.
func (d *DB) Len() int { return d.st.keys }

// Expires returns how many keys have a deadline.
func (d *DB) Expires() int { return d.st.expires }

// Dated returns how many hashes have a field with a deadline.
func (d *DB) Dated() int { return d.st.dated }

// Flush removes every key, in constant time: the memory is given back in the
// background, or when the live view is released.
func (d *DB) Flush() {
	s := d.st.shard
	old := d.st
	if old.dir.root == nil {
		return
	}
	d.st = newStore(s)
	s.used -= old.used
	s.heap -= old.heap
	old.dead = true
	if s.frozen != 0 {
		s.dead = append(s.dead, old)
		return
	}
	go old.close()
}

// Move makes dst, in database to, what src is: its value, deadline and access
// clock; src is gone then and what dst was is lost. It returns false when src
// does not exist. Both shards' locks are held. A large collection is moved,
// everything else is copied.
func (d *DB) Move(src, dst []byte, to *DB) bool {
	h := d.ks.hash(src)
	b, _, ok := d.st.find(h, src)
	if !ok {
		return false
	}
	if d.st == to.st && string(src) == string(dst) {
		return true
	}
	clock := b.clock()
	isObject := b.enc() == encObject
	if isObject && d.st != to.st {
		id := objectID(b.payload())
		cur := d.st.objects[id]
		o, seen := cur.o, d.st.visible(cur.epoch)
		if seen {
			o = o.clone()
		}
		d.st.growObject(-cur.o.memory(), -cur.o.onHeap())
		to.st.growObject(o.memory(), o.onHeap())
		p := objectPayload(to.st.addObject(o, to.st.shard.epoch))
		to.place(dst, b, p[:], clock)
		d.st.remove(h, src, true)
		if seen {
			d.st.retireObject(id)
		} else {
			d.st.forgetObject(id)
		}
		return true
	}
	to.place(dst, b, b.payload(), clock)
	d.st.remove(h, src, isObject)
	return true
}

// Copy makes dst, in database to, a copy of src, and returns false when src
// does not exist. It replaces what dst was. Both shards' locks are held.
// Large collections share memory until one of them is changed.
func (d *DB) Copy(src, dst []byte, to *DB) bool {
	b, _, ok := d.st.find(d.ks.hash(src), src)
	if !ok {
		return false
	}
	if d.st == to.st && string(src) == string(dst) {
		return true
	}
	if b.enc() == encObject {
		o := d.object(b).clone()
		p := objectPayload(to.st.addObject(o, to.st.shard.epoch))
		to.st.growObject(o.memory(), o.onHeap())
		to.place(dst, b, p[:], to.st.shard.newClock())
		return true
	}
	to.place(dst, b, b.payload(), to.st.shard.newClock())
	return true
}

// place makes dst what the blob b of another key is, but for its payload.
func (d *DB) place(dst []byte, b blob, payload []byte, clock uint32) {
	r := d.st.put(d.ks.hash(dst), dst, b.typ(), b.enc(), payload, b.deadline())
	d.st.blobAt(uint64(r)).setClock(clock)
}
