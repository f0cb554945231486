package keyspace

import (
	"strconv"

	"github.com/spillwaydb/spillway/core/rdb/packed"
)

// scratch is a shard's memory for what does not outlive its lock: listpacks
// hold integers, and callers want text.
type scratch struct {
	build         []byte      // entries and payloads that are about to be copied into the store
	texts         texts       // of iterations that are under way
	last          [2][20]byte // of the last element handed out otherwise
	taken         []byte      // the last element that was removed and handed out
	element, rank []byte      // that is about to be copied into a sheaf of a collection
	hashes        []uint64    // of members, to find one that is there twice
	spares        spares      // for sheaves of collections
	looked        looked      // for what commands look for in a collection
}

// scratchKept bounds what stays allocated between uses.
const scratchKept = 64 << 10

// entries begins a listpack in build: entries may be appended and either be
// spliced in without the header or make a listpack of their own.
func (s *scratch) entries() []byte { return packed.AppendListHeader(s.build[:0]) }

// keep keeps the memory of what was built for the next time, and returns it.
func (s *scratch) keep(b []byte) []byte {
	if s.build = nil; cap(b) <= scratchKept {
		s.build = b
	}
	return b
}

// text is the element as a string, valid until the next call with that i.
func (s *scratch) text(i int, e packed.Entry) []byte { return e.Text(s.last[i][:0]) }

// take copies an element that is to be removed: it is valid until the next call
// of take or text.
func (s *scratch) take(e packed.Entry) []byte {
	if e.IsInt {
		return e.Text(s.last[0][:0])
	}
	return s.takeBytes(e.Str)
}

// takeBytes is take of an element that is no integer.
func (s *scratch) takeBytes(e []byte) []byte {
	b := s.taken[:0]
	b = append(b, e...)
	if cap(b) <= scratchKept {
		s.taken = b
	}
	return b
}

// texts is a stack of integers' texts. What was pushed stays valid until it is
// popped and something is pushed in its place.
type texts []byte

// push returns an element as a string.
func (t *texts) push(e packed.Entry) []byte {
	if !e.IsInt {
		return e.Str
	}
	return t.pushInt(e.Int)
}

func (t *texts) pushInt(v int64) []byte {
	start := len(*t)
	*t = strconv.AppendInt(*t, v, 10)
	return (*t)[start:len(*t):len(*t)]
}
