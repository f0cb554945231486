package keyspace

import (
	"bytes"
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
	if obj.More {
		return fmt.Errorf("keyspace: loading key %.100q: it comes in parts, which a Loader puts together", key)
	}
	switch obj.Type {
	case String:
		d.SetString(key, obj.Str, obj.ExpireMS)
	case Stream:
		if obj.Stream == nil {
			return fmt.Errorf("keyspace: loading key %.100q: a stream without its value", key)
		}
		s := newStream()
		s.load(obj.Stream)
		d.restoreObject(key, obj, s)
	case List, Set, ZSet, Hash:
		d.Delete(key)
		if obj.Len() == 0 {
			return nil
		}
		d.loadCollection(key, obj)
		if obj.ExpireMS != 0 {
			d.SetDeadline(key, obj.ExpireMS)
		}
	default:
		return fmt.Errorf("keyspace: loading key %.100q: %w", key, rdb.UnknownType(obj.Type))
	}
	d.restoreClock(key, obj)
	return nil
}

// restoreObject makes key hold o, with what obj says of it besides its value.
func (d *DB) restoreObject(key []byte, obj *rdb.Object, o object) {
	d.Delete(key)
	if o.size() == 0 && obj.Type != Stream {
		return
	}
	d.newObject(key, obj.Type, o)
	if obj.ExpireMS != 0 {
		d.SetDeadline(key, obj.ExpireMS)
	}
	d.restoreClock(key, obj)
}

// Dump is Restore the other way round: the value and the deadline of e, which is
// what key holds, as they can be written. A collection that is packed as a file has
// it, or a stream, is handed out as it is, and aliases the store, without its Items; of any other
// they are copies. The lock is held.
func (d *DB) Dump(key []byte, e Entry) (*rdb.Object, error) {
	o := &rdb.Object{Type: e.Type(), ExpireMS: e.Deadline(), LRU: -1, LFU: -1}
	item := func(b []byte) bool {
		o.Items = append(o.Items, bytes.Clone(b))
		return true
	}
	if o.Intset = e.Intset(); o.Intset != nil {
		return o, nil
	}
	if e.b.dated() {
		return d.dumpDated(key, e, o), nil
	}
	if o.Type.HasListpack() {
		if o.Listpack = e.Listpack(); o.Listpack != nil {
			return o, nil
		}
	}
	switch o.Type {
	case String:
		o.Str = e.Bytes()
	case Stream:
		o.Stream = d.Stream(key).value()
	case List:
		d.List(key).Each(0, false, item)
	case Set:
		d.Set(key).Each(item)
	case Hash:
		d.dumpHash(key, o)
	case ZSet:
		z := d.ZSet(key)
		z.EachRank(0, z.Len()-1, false, func(m []byte, score float64) bool {
			o.Scores = append(o.Scores, score)
			return item(m)
		})
	default:
		return nil, fmt.Errorf("keyspace: dumping key %.100q: %w", key, rdb.UnknownType(o.Type))
	}
	return o, nil
}

// dumpDated is Dump of a small hash that has a place for deadlines.
func (d *DB) dumpDated(key []byte, e Entry, o *rdb.Object) *rdb.Object {
	if d.st.fieldDeadlineOf(e.b) == 0 {
		d.dumpHash(key, o)
		return o
	}
	o.Listpack, o.Expires = e.b.list(), []int64{}
	return o
}

// dumpHash copies the fields of a hash, with their deadlines if there are any.
func (d *DB) dumpHash(key []byte, o *rdb.Object) {
	h := d.Hash(key)
	dated := h.NextDeadline() != 0
	h.EachField(func(f, v []byte, deadline int64) bool {
		o.Items = append(o.Items, bytes.Clone(f), bytes.Clone(v))
		if dated {
			o.Expires = append(o.Expires, deadline)
		}
		return true
	})
}

// restoreClock sets the access clock as the file says, where it says it in
// the kind of clock that is in use.
func (d *DB) restoreClock(key []byte, obj *rdb.Object) {
	if obj.LRU <= 0 && obj.LFU <= 0 {
		return
	}
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
