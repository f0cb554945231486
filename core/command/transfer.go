package command

import (
	"bytes"
	"math"

	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/rdb"
)

// export returns the value and the deadline of a live key as DUMP has them: a
// packed collection as it is, aliasing the store, anything else copied.
func export(d *keyspace.DB, key []byte, e keyspace.Entry) *rdb.Object {
	o := &rdb.Object{ExpireMS: e.Deadline(), LRU: -1, LFU: -1}
	item := func(b []byte) bool {
		o.Items = append(o.Items, bytes.Clone(b))
		return true
	}
	switch e.Type() {
	case keyspace.String:
		o.Type, o.Str = rdb.TypeString, e.Bytes()
	case keyspace.List:
		o.Type, o.Listpack = rdb.TypeList, e.Listpack()
		if o.Listpack == nil {
			d.List(key).Each(0, false, item)
		}
	case keyspace.Set:
		o.Type, o.Intset = rdb.TypeSet, e.Intset()
		if o.Intset == nil {
			d.Set(key).Each(item)
		}
	case keyspace.Hash:
		o.Type, o.Listpack = rdb.TypeHash, e.Listpack()
		if o.Listpack == nil {
			d.Hash(key).Each(func(f, v []byte) bool { return item(f) && item(v) })
		}
	case keyspace.ZSet:
		o.Type, o.Listpack = rdb.TypeZSet, e.Listpack()
		if o.Listpack == nil {
			z := d.ZSet(key)
			z.EachRank(0, z.Len()-1, false, func(m []byte, score float64) bool {
				o.Scores = append(o.Scores, score)
				return item(m)
			})
		}
	}
	return o
}

// wellFormed tells whether a decoded value is one that could have been
// dumped: no member twice, and scores that are numbers.
func wellFormed(o *rdb.Object) bool {
	step := 1
	switch o.Type {
	case rdb.TypeString, rdb.TypeList:
		return true
	case rdb.TypeHash:
		step = 2
	}
	seen := make(map[string]struct{}, o.Len())
	for i := 0; i < len(o.Items); i += step {
		seen[string(o.Items[i])] = struct{}{}
	}
	for _, score := range o.Scores {
		if math.IsNaN(score) {
			return false
		}
	}
	return len(seen) == o.Len()
}
