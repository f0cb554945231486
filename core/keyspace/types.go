package keyspace

import "github.com/spillwaydb/spillway/core/rdb"

// Type is the kind of value a key holds. The types are declared in package rdb.
type Type = rdb.Type

// The types there are, under the names of this package.
const (
	String = rdb.TypeString
	List   = rdb.TypeList
	Set    = rdb.TypeSet
	ZSet   = rdb.TypeZSet
	Hash   = rdb.TypeHash
	Stream = rdb.TypeStream
)

// enc says how a blob's payload represents its value.
type enc uint8

const (
	encRaw    enc = iota // string: the bytes themselves
	encGrown             // string: the same, after APPEND or SETRANGE; Redis calls it raw at any length
	encPacked            // collection: its elements, packed into the payload
	encIntset            // set: integers, packed into the payload
	encObject            // collection: the payload is the number of an object on the Go heap
	encDated             // hash: its fields, each with a value and a deadline, packed into the payload
)

// encodingName returns what OBJECT ENCODING replies for a collection.
func encodingName(t Type, e enc) string {
	if e == encIntset {
		return "intset"
	}
	if e == encDated {
		return "listpackex"
	}
	switch t {
	case List:
		return "quicklist"
	case ZSet:
		if e != encPacked {
			return "skiplist"
		}
	case Set, Hash:
		if e != encPacked {
			return "hashtable"
		}
	case Stream:
		return "stream"
	default:
		panic(rdb.UnknownType(t))
	}
	return "listpack"
}
