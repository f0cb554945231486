package keyspace

import (
	"github.com/spillwaydb/spillway/core/keyspace/arena"
	"github.com/spillwaydb/spillway/core/rdb/packed"
)

// Entry is a key that was found, with its value. Like every slice it returns,
// it is valid until the next change to the shard or the shard's Unlock.
type Entry struct {
	st *store
	b  blob
}

// Type returns the type of the value.
func (e Entry) Type() Type { return e.b.typ() }

// Key returns the key.
func (e Entry) Key() []byte { return e.b.key() }

// Bytes returns the value of a string. It must not be written.
func (e Entry) Bytes() []byte { return e.b.payload() }

// Stream returns the stream that the key holds, for reading. It is nil for another type.
func (e Entry) Stream() *StreamValue {
	if e.b.typ() != Stream {
		return nil
	}
	return e.st.objects[objectID(e.b.payload())].o.(*StreamValue) //nolint:forcetypeassert // its type says so
}

// Rewrite is SetString with the deadline that the key has, without searching for it again. It has done nothing, and is false, where
// val cannot be written over the value: that has another length or type, was changed by Append, is seen by
// a view, or is so long that it may be on loan.
func (e Entry) Rewrite(val []byte) bool {
	b := e.b
	if b.typ() != String || b.enc() != encRaw || len(val) != len(b.payload()) || e.st.visible(b.epoch()) ||
		arena.MayLend(2*len(b)) { // its block may be longer than it is
		return false
	}
	copy(b.payload(), val)
	b.setClock(e.st.shard.overwriteClock(b.clock()))
	return true
}

// Deadline returns when the key expires, in Unix milliseconds, 0 for never.
func (e Entry) Deadline() int64 { return e.b.deadline() }

// Encoding returns what OBJECT ENCODING replies.
func (e Entry) Encoding() string {
	if e.b.typ() != String {
		return encodingName(e.b.typ(), e.b.enc())
	}
	v := e.b.payload()
	switch {
	case e.b.enc() == encGrown:
		return "raw"
	case isInteger(v):
		return "int"
	case len(v) <= 44:
		return "embstr"
	}
	return "raw"
}

// Parts returns of how many nodes a list is made, and how many elements any other
// collection has that is not packed; 1 for what is packed, and for strings.
func (e Entry) Parts() int {
	if e.b.enc() != encObject {
		return 1
	}
	switch o := e.st.objects[objectID(e.b.payload())].o.(type) {
	case *chunks:
		return o.n
	default:
		return o.size()
	}
}

// isInteger tells whether v is a 64-bit integer in its shortest form.
func isInteger(v []byte) bool {
	_, ok := packed.ParseInt(v)
	return ok
}

// Listpack returns the listpack that a small list, hash, sorted set or set of
// strings is, else nil. It must not be written.
func (e Entry) Listpack() packed.Listpack {
	if e.b.enc() == encPacked {
		return e.b.list()
	}
	return nil
}

// Intset returns the intset that a small set of integers is, else nil. It must
// not be written.
func (e Entry) Intset() packed.Intset {
	if e.b.enc() == encIntset {
		return e.b.ints()
	}
	return nil
}

// Touch advances the access clock to now, in Unix milliseconds.
func (e Entry) Touch(now int64) {
	old := e.b.clock()
	if c := e.st.shard.touched(old, now); c != old {
		e.b.setClock(c)
	}
}

// Idle returns for how many seconds the key was not accessed. It means nothing
// while SetLFU is on.
func (e Entry) Idle(now int64) int64 { return idleSeconds(e.b.clock(), now) }

// Freq returns the logarithmic access counter, 0 to 255. It means nothing
// while SetLFU is off.
func (e Entry) Freq(now int64) int { return int(e.st.shard.ks.lfuScale.Load().count(e.b.clock(), now)) }

// Mem returns how many bytes the key, its value and its place in the index
// take, about.
func (e Entry) Mem() int64 {
	n := int64(arena.Size(len(e.b))) + 8
	if e.b.enc() == encObject {
		n += e.st.objects[objectID(e.b.payload())].o.memory()
	}
	return n
}
