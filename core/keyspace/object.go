package keyspace

import "encoding/binary"

// A collection is kept in one of two ways: packed into its blob's payload, or,
// when it has grown, as an object whose number the payload holds. What the collections are written on (the caller holds the shard's
// lock; key and payload arguments may alias arena memory):
//
//	b, ok := d.lookup(key)           the blob, whatever its deadline: b.typ() b.enc() b.payload()
//	d.storePayload(key, t, e, p)     makes key hold the packed payload p; keeps the deadline
//	p := d.splice(key, off, cut, p)  replaces cut bytes of the payload by p; the payload, to be written
//	d.newObject(key, t, o)           makes key hold o; keeps the deadline
//	o := d.object(b)                 to read; b.enc() is encObject
//	o := d.writableObject(key)       to write: cloned first when a live view can see it
//	d.account(total, heap)           o.memory() and o.onHeap() have changed by so much
//	d.Delete(key)                    when the last element is gone
//
// A payload or blob that lookup returned must never be written, only what
// splice returned: a live view may be reading the former.

// object is a collection that is not packed. Its nodes are on the Go heap, and what they hold
// may be elsewhere.
type object interface {
	// clone returns a copy in constant time, sharing what neither may write
	// from then on. A view may be reading the receiver meanwhile, without the
	// lock: clone must not write what reading reads.
	clone() object
	// memory is an estimate of the bytes held.
	memory() int64
	// onHeap is how much of that is on the Go heap.
	onHeap() int64
	// size is the number of elements.
	size() int
	// free gives back what is not on the Go heap, but for what clones share. It is called once, by
	// any goroutine, without locks unless freesAtOnce; nobody uses the object any more.
	free()
	// freesAtOnce tells whether that takes next to no time.
	freesAtOnce() bool
}

// onHeapOnly is what an object has whose memory the collector frees.
type onHeapOnly struct{}

func (onHeapOnly) free()             {}
func (onHeapOnly) freesAtOnce() bool { return true }

// heapObject is an entry of a store's object table.
type heapObject struct {
	o     object
	epoch uint32 // a view frozen at this epoch or later may be reading o
}

// addObject puts o into the table and returns its number.
func (st *store) addObject(o object, epoch uint32) uint32 {
	if n := len(st.freeObjects); n > 0 {
		id := st.freeObjects[n-1]
		st.freeObjects = st.freeObjects[:n-1]
		st.objects[id] = heapObject{o, epoch}
		return id
	}
	st.objects = append(st.objects, heapObject{o, epoch})
	return uint32(len(st.objects) - 1) // each is hundreds of bytes
}

// dropObject forgets an object once no view can be reading it. Its memory is
// no longer accounted for.
func (st *store) dropObject(id uint32) {
	h := &st.objects[id]
	st.growObject(-h.o.memory(), -h.o.onHeap())
	st.retireObject(id)
}

// retireObject is dropObject for an object of which a clone goes on being accounted for.
func (st *store) retireObject(id uint32) {
	if st.visible(st.objects[id].epoch) {
		st.retired.add(retiredObject | uint64(id))
		return
	}
	st.freeObject(id)
}

// freeObject frees an object that nobody reads any more.
func (st *store) freeObject(id uint32) {
	st.shard.ks.reaper.take(st.objects[id].o)
	st.forgetObject(id)
}

// forgetObject takes an object out of the table, which another table has now.
func (st *store) forgetObject(id uint32) {
	st.objects[id] = heapObject{}
	st.freeObjects = append(st.freeObjects, id)
}

// objectID reads the payload of a blob of encObject.
func objectID(payload []byte) uint32 { return binary.LittleEndian.Uint32(payload) }

func objectPayload(id uint32) (p [4]byte) {
	binary.LittleEndian.PutUint32(p[:], id)
	return p
}

// storePayload makes key hold a collection of type t packed into payload. It
// creates the key without a deadline, or replaces its value and keeps it.
func (d *DB) storePayload(key []byte, t Type, e enc, payload []byte) {
	h := d.ks.hash(key)
	var deadline int64
	if b, _, ok := d.st.find(h, key); ok {
		deadline = b.deadline()
	}
	d.st.put(h, key, t, e, payload, deadline)
}

// splice replaces cut bytes at off of the payload of key, which must exist and
// not be an object, by data, which must not alias the store, and returns the
// payload for writing. It is valid until the next mutation.
func (d *DB) splice(key []byte, off, cut int, data []byte) []byte {
	return d.st.splice(d.ks.hash(key), key, off, cut, data)
}

// newObject makes key hold o, as storePayload does, and accounts for its memory.
func (d *DB) newObject(key []byte, t Type, o object) {
	id := d.st.addObject(o, d.st.shard.epoch)
	d.st.growObject(o.memory(), o.onHeap())
	p := objectPayload(id)
	d.storePayload(key, t, encObject, p[:])
}

// object returns the object of a blob of encObject, for reading.
func (d *DB) object(b blob) object { return d.st.objects[objectID(b.payload())].o }

// writableObject returns the object of key, which must have one, for writing.
// It is cloned first when a live view can see it.
func (d *DB) writableObject(key []byte) object {
	b, _ := d.lookup(key)
	return d.writable(key, b)
}

// writable is writableObject for who has found the key's blob.
func (d *DB) writable(key []byte, b blob) object {
	id := objectID(b.payload())
	cur := d.st.objects[id]
	if !d.st.visible(cur.epoch) {
		return cur.o
	}
	o := cur.o.clone()
	d.st.growObject(o.memory()-cur.o.memory(), o.onHeap()-cur.o.onHeap())
	p := objectPayload(d.st.addObject(o, d.st.shard.epoch))
	d.st.retireObject(id)
	d.st.resize(d.ks.hash(key), key, len(p), 0, 0, p[:])
	return o
}

// account adds to the memory that objects hold.
func (d *DB) account(total, heap int64) { d.st.growObject(total, heap) }
