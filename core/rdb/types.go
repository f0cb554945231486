package rdb

import "fmt"

// Type is the kind of value a key holds, whatever its encoding in the file. All
// that are held anywhere are declared here, in the constants and in traits; the
// engine's own number for a type is this one.
type Type uint8

// The types this package reads and writes.
const (
	TypeString Type = iota
	TypeList
	TypeSet
	TypeZSet
	TypeHash
	TypeStream
)

// traits are what sets one type apart from the others where values are written
// and built. A type without any is not known.
type traits struct {
	name     string // as TYPE has it
	verb     []byte // of the command that builds it
	items    int    // how many Items make an element, 0 for what has none
	scored   bool   // an element has a score
	dated    bool   // an element has a deadline
	code     byte   // of the encoding element by element
	listpack byte   // of the one that is a listpack, 0 where version 10 has none
}

var declared = [...]traits{
	TypeString: {name: "string", verb: []byte("SET"), code: encString},
	TypeList:   {name: "list", verb: []byte("RPUSH"), items: 1, code: encList, listpack: encListQuicklist2},
	TypeSet:    {name: "set", verb: []byte("SADD"), items: 1, code: encSet},
	TypeZSet:   {name: "zset", verb: []byte("ZADD"), items: 1, scored: true, code: encZSet2, listpack: encZSetListpack},
	TypeHash:   {name: "hash", verb: []byte("HSET"), items: 2, code: encHash, listpack: encHashListpack},
	TypeStream: {name: "stream", verb: []byte("XADD"), code: encStream2},
}

// Types returns every type there is.
func Types() []Type {
	types := make([]Type, len(declared))
	for i := range types {
		types[i] = Type(i)
	}
	return types
}

func (t Type) traits() traits {
	if int(t) < len(declared) {
		return declared[t]
	}
	return traits{}
}

// String returns the name that the TYPE command uses.
func (t Type) String() string {
	if name := t.traits().name; name != "" {
		return name
	}
	return fmt.Sprintf("type(%d)", uint8(t))
}

// HasListpack tells whether a value of the type can be written as one listpack:
// version 10 of the format has no such encoding of a set.
func (t Type) HasListpack() bool { return t.traits().listpack != 0 }

// BuiltBy returns the type that a command of a rewrite builds, by its verb in
// upper case, and false for a command that builds none.
func BuiltBy(verb string) (Type, bool) {
	for t := range declared {
		if string(declared[t].verb) == verb {
			return Type(t), true
		}
	}
	return 0, false
}

// UnknownType is the error for a type that is not one of [Types], or not one
// that could have come to where it was met.
func UnknownType(t Type) error {
	return fmt.Errorf("a value of the type %s, which is not known here", t)
}
