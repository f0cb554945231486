package model

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// streamID is the ID of an entry.
type streamID struct{ ms, seq uint64 }

func (a streamID) compare(b streamID) int {
	if c := cmp.Compare(a.ms, b.ms); c != 0 {
		return c
	}
	return cmp.Compare(a.seq, b.seq)
}

func (a streamID) String() string { return fmt.Sprintf("%d-%d", a.ms, a.seq) }

// stream is the value of a stream. The zero value is empty.
type stream struct {
	entries    []streamEntry
	last       streamID
	maxDeleted streamID
	added      int64
	groups     map[string]*streamGroup
}

type streamEntry struct {
	id    streamID
	pairs []string
}

func (s *stream) copy() *stream {
	if s == nil {
		return nil
	}
	c := *s
	c.entries = slices.Clone(s.entries)
	c.groups = map[string]*streamGroup{}
	for name, g := range s.groups {
		c.groups[name] = &streamGroup{g.last, g.read, maps.Clone(g.pending), maps.Clone(g.consumers)}
	}
	return &c
}

// text is all of a stream, for value.text.
func (s *stream) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, " last=%s deleted=%s added=%d", s.last, s.maxDeleted, s.added)
	for _, e := range s.entries {
		fmt.Fprintf(&b, " %s=%q", e.id, e.pairs)
	}
	for _, name := range slices.Sorted(maps.Keys(s.groups)) {
		g := s.groups[name]
		fmt.Fprintf(&b, " group %q %s %d", name, g.last, g.read)
		for _, c := range slices.Sorted(maps.Keys(g.consumers)) {
			fmt.Fprintf(&b, " consumer %q@%d,%d", c, g.consumers[c].seen, g.consumers[c].active)
		}
		for _, id := range g.ids() {
			fmt.Fprintf(&b, " %s:%+v", id, g.pending[id])
		}
	}
	return b.String()
}

func (s *stream) find(id streamID) (int, bool) {
	return slices.BinarySearchFunc(s.entries, id, func(e streamEntry, id streamID) int { return e.id.compare(id) })
}

func (s *stream) first() (id streamID) {
	if len(s.entries) > 0 {
		id = s.entries[0].id
	}
	return id
}

// trim keeps the entries from a position on.
func (s *stream) trim(from int) int {
	s.entries = s.entries[from:]
	return from
}

// streamID parses "ms-seq"; "0" is 0-0.
func (k *call) streamID(arg string) (id streamID) {
	ms, seq, both := strings.Cut(arg, "-")
	var err, errSeq error
	id.ms, err = strconv.ParseUint(ms, 10, 64)
	if both {
		id.seq, errSeq = strconv.ParseUint(seq, 10, 64)
	}
	k.require(err == nil && errSeq == nil, "ERR Invalid stream ID specified as stream command argument")
	return id
}

func (k *call) streamIDs(args []string) (ids []streamID) {
	for _, a := range args {
		ids = append(ids, k.streamID(a))
	}
	return ids
}

func (e streamEntry) reply() Reply {
	return array(text(e.id.String()), texts(e.pairs, inOrder))
}

func streamCommands() map[string]command {
	return map[string]command{
		"xadd":       {5, true, xadd},
		"xtrim":      {4, true, xtrim},
		"xdel":       {3, true, xdel},
		"xdelex":     {5, true, xdelex},
		"xackdel":    {6, true, xackdel},
		"xsetid":     {3, true, xsetid},
		"xgroup":     {4, true, xgroup},
		"xreadgroup": {7, true, xreadgroup},
		"xack":       {4, true, xack},
		"xclaim":     {6, true, xclaim},
		"xautoclaim": {8, true, xautoclaim},
		"xlen": {2, false, func(k *call) Reply {
			return count(len(k.edit(k.args[1], kindStream).stream.entries))
		}},
		"xrange": {4, false, func(k *call) Reply { // - +
			r := array()
			for _, e := range k.edit(k.args[1], kindStream).stream.entries {
				r.elems = append(r.elems, e.reply())
			}
			return r
		}},
		"xpending": {3, false, xpending},
	}
}

// xadd knows NOMKSTREAM or MAXLEN, in this order, and IDs that are given, "ms-*" among them.
func xadd(k *call) Reply {
	key, at, maxLen := k.args[1], 2, int64(-1)
	there := k.read(key, kindStream) != nil
	mayMake := true
	if strings.EqualFold(k.args[at], "nomkstream") {
		mayMake = false
		at++
	}
	if strings.EqualFold(k.args[at], "maxlen") {
		maxLen = k.int(k.args[at+1])
		at += 2
	}
	v := k.edit(key, kindStream)
	s := v.stream
	ms, seq, _ := strings.Cut(k.args[at], "-")
	var id streamID
	if seq == "*" {
		id = k.streamID(ms)
		if id.ms == s.last.ms {
			id.seq = s.last.seq + 1
		}
	} else if id = k.streamID(k.args[at]); id == (streamID{}) {
		k.fail("ERR The ID specified in XADD must be greater than 0-0")
	}
	if !there && !mayMake {
		return nul
	}
	k.require(id.compare(s.last) > 0, "ERR The ID specified in XADD is equal or smaller than the target stream top item")
	s.entries = append(s.entries, streamEntry{id, slices.Clone(k.args[at+1:])})
	s.last = id
	s.added++
	if maxLen >= 0 {
		s.trim(max(0, len(s.entries)-int(maxLen)))
	}
	k.put(key, v)
	return text(id.String())
}

// xtrim knows MAXLEN and MINID, and one of KEEPREF, DELREF and ACKED behind them.
func xtrim(k *call) Reply {
	if len(k.args) > 4 {
		return xtrimRefs(k)
	}
	var keep func(s *stream) int
	if strings.EqualFold(k.args[2], "maxlen") {
		n := int(k.int(k.args[3]))
		keep = func(s *stream) int { return max(0, len(s.entries)-n) }
	} else {
		id := k.streamID(k.args[3])
		keep = func(s *stream) int { i, _ := s.find(id); return i }
	}
	v := k.read(k.args[1], kindStream)
	if v == nil {
		return integer(0)
	}
	v = v.copy()
	n := v.stream.trim(keep(v.stream))
	k.put(k.args[1], v)
	return count(n)
}

func xdel(k *call) Reply {
	v := k.read(k.args[1], kindStream)
	if v == nil {
		return integer(0)
	}
	ids, n := k.streamIDs(k.args[2:]), 0
	v = v.copy()
	for _, id := range ids {
		if i, is := v.stream.find(id); is {
			v.stream.entries = slices.Delete(v.stream.entries, i, i+1)
			if v.stream.maxDeleted.compare(id) < 0 {
				v.stream.maxDeleted = id
			}
			n++
		}
	}
	k.put(k.args[1], v)
	return count(n)
}

func xsetid(k *call) Reply {
	id := k.streamID(k.args[2])
	v := k.read(k.args[1], kindStream)
	k.require(v != nil, "ERR no such key")
	v = v.copy()
	if n := len(v.stream.entries); n > 0 {
		k.require(v.stream.entries[n-1].id.compare(id) <= 0, "ERR The ID specified in XSETID is smaller than the target stream top item")
	}
	v.stream.last = id
	k.put(k.args[1], v)
	return ok
}
