package keyspace

import "bytes"

// Detach returns a database that belongs to no keyspace and no shard, with copies of
// keys as they are now: it is read without a lock, by one goroutine, while the keys go
// on changing. d is where each key is. Their shards are locked; a large collection takes
// constant time, since both share what neither has changed. Keys that are not there are
// left out. Close ends it.
func (k *Keyspace) Detach(d func(key []byte) *DB, keys ...[]byte) *DB {
	s := &Shard{ks: k, epoch: 1}
	s.spares.pool = k.pool
	own := &DB{ks: k, st: newStore(s)}
	s.dbs = []*DB{own}
	for _, key := range keys {
		from := d(key)
		s.now = from.st.shard.now
		from.Copy(key, key, own)
	}
	return own
}

// Close gives up what Detach has returned.
func (d *DB) Close() { d.st.close() }

// Unchanged tells whether key holds in d what it held when Detach copied it to copies,
// or is in neither. It takes constant time for a large collection: what was shared is still
// shared, since a change copies the path from the root. Deadlines do not count. The lock
// of d's shard is held.
func (d *DB) Unchanged(key []byte, copies *DB) bool {
	now, there := d.lookup(key)
	before, was := copies.lookup(key)
	if !there || !was {
		return there == was
	}
	if now.typ() != before.typ() || now.enc() != before.enc() {
		return false
	}
	if now.enc() != encObject {
		return bytes.Equal(now.payload(), before.payload())
	}
	switch a := d.object(now).(type) {
	case *collection:
		b, ok := copies.object(before).(*collection)
		return ok && a.items.tree.root == b.items.tree.root && a.ranks.tree.root == b.ranks.tree.root
	case *chunks:
		b, ok := copies.object(before).(*chunks)
		return ok && a.tree.root == b.tree.root
	}
	return false
}
