package keyspace

import (
	"encoding/binary"

	"github.com/spillwaydb/spillway/core/keyspace/arena"
)

// recent is where the key lies that was found last. A command looks for its key when it asks for its type, and
// again when it reads or writes the value; and the commands of a pipeline are often about one key. It is good
// until a block is given up or moved (store.drop, store.moveBlock), whichever that is.
type recent struct {
	ref   arena.Ref
	trace uint64 // of the key
	known bool
}

// trace is what tells nearly any two keys apart, their last bytes: keys of a family differ in these.
func trace(key []byte) (t uint64) {
	if n := len(key); n >= 8 {
		return binary.LittleEndian.Uint64(key[n-8:])
	}
	for _, c := range key {
		t = t<<8 | uint64(c)
	}
	return t
}

// lookup finds the blob of key, whatever its deadline.
func (d *DB) lookup(key []byte) (blob, bool) {
	st, t := d.st, trace(key)
	if st.recent.known && st.recent.trace == t {
		if b := st.blobOf(st.recent.ref); string(b.key()) == string(key) {
			return b, true
		}
	}
	b, pl, ok := st.find(d.ks.hash(key), key)
	if ok {
		st.recent = recent{pl.ref(), t, true}
	}
	return b, ok
}
