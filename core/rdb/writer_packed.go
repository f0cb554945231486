package rdb

import (
	"fmt"

	"github.com/spillwaydb/spillway/core/rdb/packed"
)

// containerListpack says that a node of a quicklist is a listpack.
const containerListpack = 2

// Listpack writes a hash (field, value…), a sorted set (member, score…, in
// order) or a list that l is all of. The caller vouches for what is in it; l
// must be valid and not empty, and the type one that [Type.HasListpack].
func (w *Writer) Listpack(t Type, key []byte, l packed.Listpack) {
	code := t.traits().listpack
	if code == 0 || l.Len() == 0 {
		w.misuse(fmt.Sprintf("key %.100q: a %s as a listpack of %d entries", key, t, l.Len()))
		return
	}
	if code == encListQuicklist2 {
		w.BeginQuicklist(key, 1)
		w.Node(l)
		return
	}
	w.packed(code, key, l)
}

// Intset writes a set of integers. s must be valid and not empty.
func (w *Writer) Intset(key []byte, s packed.Intset) {
	if s.Len() == 0 {
		w.misuse(fmt.Sprintf("key %.100q: an empty set", key))
		return
	}
	w.packed(encSetIntset, key, s)
}

func (w *Writer) packed(code byte, key, blob []byte) {
	w.boundary()
	w.buf = append(w.buf, code)
	w.str(key)
	w.str(blob)
}

// BeginQuicklist opens a list in so many nodes; as many Node calls follow,
// head first.
func (w *Writer) BeginQuicklist(key []byte, nodes int) {
	w.begin(traits{items: 1, code: encListQuicklist2}, key, nodes)
}

// Node writes the next node of the open quicklist: a valid listpack that is
// not empty.
func (w *Writer) Node(l packed.Listpack) {
	if w.left <= 0 || w.open.code != encListQuicklist2 {
		w.misuse("a Node nobody announced")
		return
	}
	w.left--
	w.buf = append(w.buf, containerListpack)
	w.str(l)
}
