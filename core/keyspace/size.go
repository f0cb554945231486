package keyspace

import "github.com/spillwaydb/spillway/core/rdb"

// Size is how many elements the value of a key has, which is of type t: 1 for a string.
func (d *DB) Size(key []byte, t Type) int {
	switch t {
	case String:
		return 1
	case List:
		return d.List(key).Len()
	case Set:
		return d.Set(key).Len()
	case ZSet:
		return d.ZSet(key).Len()
	case Hash:
		return d.Hash(key).Len()
	case Stream:
		return int(d.Stream(key).Info().Length)
	default:
		panic(rdb.UnknownType(t))
	}
}
