package keyspace

// Detach returns a database that belongs to no keyspace and no shard, with copies of
// keys as they are now: it is read without a lock, by one goroutine, while the keys go
// on changing. d is where each key is. Their shards are locked; a large collection takes
// constant time, since both share what neither has changed. Keys that are not there are
// left out. Close ends it.
func (k *Keyspace) Detach(d func(key []byte) *DB, keys ...[]byte) *DB {
	s := &Shard{ks: k, epoch: 1}
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
