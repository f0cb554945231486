package command

import (
	"math"

	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/rdb"
)

// encode returns the value of a live key as DUMP has it, without its footer.
func encode(d *keyspace.DB, key []byte, e keyspace.Entry) ([]byte, error) {
	o, err := d.Dump(key, e)
	if err != nil {
		return nil, err
	}
	return rdb.EncodeObject(nil, o)
}

// wellFormed tells whether a decoded value is one that could have been
// dumped: no member twice, and scores that are numbers.
func wellFormed(o *rdb.Object) bool {
	step := 1
	switch o.Type {
	case rdb.TypeString, rdb.TypeList, rdb.TypeStream:
		return true
	case rdb.TypeHash:
		step = 2
	case rdb.TypeSet, rdb.TypeZSet:
	default:
		panic(rdb.UnknownType(o.Type))
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
