package keyspace

import (
	"fmt"

	"github.com/spillwaydb/spillway/core/rdb"
)

// Load puts one object of an RDB file into its shard, which it locks, in place
// of whatever the key holds. An empty collection only removes the key. It is
// safe for concurrent use.
func (k *Keyspace) Load(obj *rdb.Object) error {
	if err := k.checkDB(obj.DB); err != nil {
		return fmt.Errorf("loading key %.100q: %w", obj.Key, err)
	}
	s := k.shards[k.ShardOf(obj.Key)]
	s.Lock()
	defer s.Unlock()
	return s.dbs[obj.DB].Restore(obj.Key, obj)
}

// Restore makes key what obj describes, whatever it was: its value, deadline
// and, when obj has one, access clock. obj's own key and database do not
// matter. The lock is held.
func (d *DB) Restore(key []byte, obj *rdb.Object) error {
	switch obj.Type {
	case rdb.TypeString:
		d.SetString(key, obj.Str, obj.ExpireMS)
	case rdb.TypeList, rdb.TypeSet, rdb.TypeZSet, rdb.TypeHash:
		d.Delete(key)
		if obj.Len() == 0 {
			return nil
		}
		d.loadCollection(key, obj)
		if obj.ExpireMS != 0 {
			d.SetDeadline(key, obj.ExpireMS)
		}
	default:
		return fmt.Errorf("keyspace: loading key %.100q: unknown type %s", key, obj.Type)
	}
	if obj.LRU > 0 || obj.LFU > 0 {
		d.restoreClock(key, obj)
	}
	return nil
}

// restoreClock sets the access clock as the file says, where it says it in
// the kind of clock that is in use.
func (d *DB) restoreClock(key []byte, obj *rdb.Object) {
	b, _, ok := d.st.find(d.ks.hash(key), key)
	if !ok {
		return
	}
	s := d.st.shard
	switch lfu := d.ks.lfu.Load(); {
	case lfu && obj.LFU > 0:
		b.setClock(minuteAt(s.now)<<8 | uint32(min(obj.LFU, 255))) // 1 to 255
	case !lfu && obj.LRU > 0:
		b.setClock((clockAt(s.now) - uint32(min(obj.LRU, clockMask))) & clockMask) // fits
	}
}
