package keyspace

import "github.com/spillwaydb/spillway/core/rdb"

// eachElement calls fn for every element of a collection until it returns
// false: item (list, in order), member (set), member and score (sorted set, by
// score), field and value (hash). o is frozen: a view calls this without the lock.
func eachElement(o object, fn func(a, b []byte, score float64) bool) {
	c := o.(*collection)
	t := &c.items
	if c.ranked {
		t = &c.ranks
	}
	t.each(0, false, func(e *element) bool { return fn(e.key, e.val, e.score) })
}

// elementCount is how many elements eachElement delivers.
func elementCount(o object) int { return o.(*collection).items.size() }

// loadCollection fills the absent key with the elements of obj, a collection
// that is not empty. The lock is held; obj's bytes are valid during the call.
func (d *DB) loadCollection(key []byte, obj *rdb.Object) {
	switch obj.Type {
	case rdb.TypeList:
		l := d.List(key)
		for _, v := range obj.Items {
			l.PushBack(v)
		}
	case rdb.TypeSet:
		s := d.Set(key)
		for _, m := range obj.Items {
			s.Add(m)
		}
	case rdb.TypeHash:
		h := d.Hash(key)
		for i := 0; i+1 < len(obj.Items); i += 2 {
			h.Set(obj.Items[i], obj.Items[i+1])
		}
	case rdb.TypeZSet:
		z := d.ZSet(key)
		for i, m := range obj.Items {
			z.Add(m, obj.Scores[i])
		}
	}
}
