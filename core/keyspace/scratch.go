package keyspace

import (
	"strconv"

	"github.com/spillwaydb/spillway/core/rdb/packed"
)

// scratch is a shard's memory for what does not outlive its lock: listpacks
// hold integers, and callers want text.
type scratch struct {
	build  []byte      // entries and payloads that are about to be copied into the store
	texts  texts       // of iterations that are under way
	last   [2][20]byte // of the last element handed out otherwise
	taken  []byte      // the last element that was removed and handed out
	hashes []uint64    // of members, to find one that is there twice
}

// scratchKept bounds what stays allocated between uses.
const scratchKept = 64 << 10

// entries begins a listpack: entries may be appended and either be spliced in
// without the header or make a listpack of their own.
func (s *scratch) entries() []byte {
	if cap(s.build) > scratchKept {
		s.build = nil
	}
	return packed.AppendListHeader(s.build[:0])
}

// text is the element as a string, valid until the next call with that i.
func (s *scratch) text(i int, e packed.Entry) []byte { return e.Text(s.last[i][:0]) }

// take copies the element, valid until the next call.
func (s *scratch) take(e packed.Entry) []byte {
	if cap(s.taken) > scratchKept {
		s.taken = nil
	}
	if e.IsInt {
		s.taken = e.Text(s.taken[:0])
	} else {
		s.taken = append(s.taken[:0], e.Str...)
	}
	return s.taken
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
