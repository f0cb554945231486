package keyspace

// Type is the kind of value a key holds.
type Type uint8

// The types. Their numbers are internal: no file holds them.
const (
	String Type = iota
	List
	Set
	ZSet
	Hash
)

// String returns the name that the TYPE command replies with.
func (t Type) String() string {
	switch t {
	case String:
		return "string"
	case List:
		return "list"
	case Set:
		return "set"
	case ZSet:
		return "zset"
	case Hash:
		return "hash"
	}
	return "none"
}

// enc says how a blob's payload represents its value.
type enc uint8

const (
	encRaw    enc = iota // string: the bytes themselves
	encGrown             // string: the same, after APPEND or SETRANGE; Redis calls it raw at any length
	encPacked            // collection: its elements, packed into the payload
	encIntset            // set: integers, packed into the payload
	encObject            // collection: the payload is the number of an object on the Go heap
)

// encodingName returns what OBJECT ENCODING replies for a collection.
func encodingName(t Type, e enc) string {
	switch {
	case e == encIntset:
		return "intset"
	case t == List:
		return "quicklist"
	case e == encPacked:
		return "listpack"
	case t == ZSet:
		return "skiplist"
	default:
		return "hashtable"
	}
}
