package command

import (
	"math"

	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/resp"
)

// streamRange is XRANGE and XREVRANGE.
func (c *Ctx) streamRange(reverse bool) {
	startArg, endArg := c.Args[2], c.Args[3]
	if reverse {
		startArg, endArg = endArg, startArg
	}
	start, ok := c.rangeStart(startArg)
	if !ok {
		return
	}
	end, ok := c.rangeEnd(endArg)
	if !ok {
		return
	}
	count := -1
	for i := 4; i < len(c.Args); i += 2 {
		if !is(c.Args[i], "count") || i+1 == len(c.Args) {
			c.Out.Error(errSyntax)
			return
		}
		n, ok := c.intArg(c.Args[i+1])
		if !ok {
			return
		}
		count = int(min(max(n, 0), math.MaxInt))
	}
	s, ok := c.streamRead(c.Args[1])
	switch {
	case !ok:
	case s == nil:
		c.Out.Array(0)
	case count == 0:
		c.Out.NullArray()
	case (count < 0 || count >= detachFrom) && c.detach(s.Count(start, end, detachFrom), c.Args[1]):
	default:
		c.replyEntries(s, start, end, max(count, 0), reverse, nil)
	}
}

// replyEntries replies with the entries from start to end, count at most unless that is
// 0. each, which may be nil, is called for every one.
func (c *Ctx) replyEntries(s *keyspace.StreamValue, start, end keyspace.StreamID, count int, reverse bool, each func(id keyspace.StreamID)) {
	if count <= 0 {
		count = math.MaxInt
	}
	if count <= fewEntries {
		c.replyFew(s, start, end, count, reverse, each)
		return
	}
	n := s.Count(start, end, count)
	c.Out.Array(n)
	if n == 0 {
		return
	}
	s.Each(start, end, reverse, func(it *keyspace.StreamItem) bool {
		replyEntry(c.Out, it)
		if each != nil {
			each(it.ID)
		}
		n--
		return n > 0
	})
}

// fewEntries is how many entries are looked up before they are replied with, so that they
// need not be counted first.
const fewEntries = 16

// replyFew is replyEntries for up to fewEntries.
func (c *Ctx) replyFew(s *keyspace.StreamValue, start, end keyspace.StreamID, count int, reverse bool, each func(id keyspace.StreamID)) {
	if c.entries == nil {
		c.entries = make([]keyspace.StreamItem, fewEntries)
	}
	items := c.entries[:count]
	items = items[:s.Take(start, end, reverse, items)]
	c.Out.Array(len(items))
	for i := range items {
		replyEntry(c.Out, &items[i])
		if each != nil {
			each(items[i].ID)
		}
	}
	clear(items) // they keep what they are of
}

// replyEntry writes an entry: its ID, and an array of fields and values.
func replyEntry(w *resp.Writer, it *keyspace.StreamItem) {
	w.Array(2)
	replyFields(w, it)
}

// replyFields writes the elements of an entry.
func replyFields(w *resp.Writer, it *keyspace.StreamItem) {
	replyID(w, it.ID)
	w.Array(2 * it.Len)
	it.Fields(func(field, value []byte) bool {
		w.Bulk(field)
		w.Bulk(value)
		return true
	})
}

// replyOne writes the entry of an ID, and tells whether there is one.
func replyOne(w *resp.Writer, s *keyspace.StreamValue, id keyspace.StreamID) (found bool) {
	s.Each(id, id, false, func(it *keyspace.StreamItem) bool {
		replyEntry(w, it)
		found = true
		return false
	})
	return found
}

// replyID writes an ID.
func replyID(w *resp.Writer, id keyspace.StreamID) {
	var text [41]byte
	w.BulkString(string(id.Append(text[:0]))) // which is not kept: the text stays on the stack
}

// body begins a reply of which it is not known yet how many elements it will have;
// replyBody ends it.
func (c *Ctx) body() resp.Writer { return resp.Writer{Buf: c.scratch[:0], Proto: c.Out.Proto} }

// replyBody replies with an array of n elements that were written to w.
func (c *Ctx) replyBody(n int, w *resp.Writer) {
	c.scratch = w.Buf
	c.Out.Array(n)
	c.Out.Raw(w.Buf)
}
