package packed

import (
	"fmt"
	"math"
)

// StreamSummary is what CheckStreamNode finds in a node.
type StreamSummary struct {
	Live, Deleted int
	Last          StreamID // the largest ID of an entry that is not deleted
}

// CheckStreamNode tells whether items are a node that begins at master, and what is
// in it. Any bytes may be given; what is accepted can be read without looking out
// of bounds, has an entry at least, none before master, and the IDs of those that are
// not deleted ascend. Those of deleted entries need not: XSETID may set the last ID
// back behind them, and the next entries get IDs from there on.
func CheckStreamNode(master StreamID, items []byte) (s StreamSummary, err error) {
	if err := checkFrame(items); err != nil {
		return s, err
	}
	c := nodeChecker{l: items, at: ListHeader}
	live, deleted := c.int(), c.int()
	fields := c.fields()
	c.skip(fields)
	if end := c.int(); c.err == nil && end != 0 {
		c.fail("a master entry that does not end")
	}
	for c.err == nil && c.at < c.l.End() {
		c.entry(master, fields, &s)
	}
	if c.err == nil {
		c.err = checkCount(items, c.count)
	}
	switch {
	case c.err != nil:
		return s, c.err
	case s.Live+s.Deleted == 0:
		return s, fmt.Errorf("a stream node without entries")
	case int64(s.Live) != live || int64(s.Deleted) != deleted:
		return s, fmt.Errorf("a stream node of %d entries and %d deleted ones that says %d and %d", s.Live, s.Deleted, live, deleted)
	}
	return s, nil
}

// nodeChecker walks over what is to be a listpack, and makes sure of each piece of it as it gets there: one
// walk finds out both that it is one, and that it is a node.
type nodeChecker struct {
	l     Listpack
	at    int
	count int // of the pieces before
	err   error
}

// next is the place behind the piece at hand, which begins before the end. It counts the piece.
func (c *nodeChecker) next() int {
	c.count++
	if n := plainSize(c.l[c.at:c.l.End()]); n != 0 {
		return c.at + n
	}
	next, err := checkEntry(c.l, c.at)
	if c.err = err; err != nil {
		return c.at
	}
	return next
}

func (c *nodeChecker) fail(what string) {
	if c.err == nil {
		c.err = fmt.Errorf("a stream node with %s at byte %d", what, c.at)
	}
}

// int takes an integer.
func (c *nodeChecker) int() int64 {
	if c.err != nil {
		return 0
	}
	if c.at >= c.l.End() {
		c.fail("its end where an integer belongs,")
		return 0
	}
	if v := c.l[c.at]; v <= int7Max && c.l[c.at+1] == 1 {
		c.at += 2
		c.count++
		return int64(v)
	}
	next := c.next()
	if c.err != nil {
		return 0
	}
	e := c.l.Entry(c.at)
	if !e.IsInt {
		c.fail("a string where an integer belongs,")
		return 0
	}
	c.at = next
	return e.Int
}

// fields takes a number of fields.
func (c *nodeChecker) fields() int {
	n := c.int()
	if n < 0 || n > int64(len(c.l)) {
		c.fail("an impossible number of fields")
		return 0
	}
	return int(n)
}

// skip takes n pieces.
func (c *nodeChecker) skip(n int) {
	for ; n > 0 && c.err == nil; n-- {
		if c.at >= c.l.End() {
			c.fail("its end where a field or a value belongs,")
			return
		}
		c.at = c.next()
	}
}

// entry takes an entry.
func (c *nodeChecker) entry(master StreamID, fields int, s *StreamSummary) {
	flags := c.int()
	id := StreamID{master.MS + uint64(c.int()), master.Seq + uint64(c.int())} // differences wrap around
	pieces := 3 + fields
	if flags&flagSameFields == 0 {
		fields = c.fields()
		pieces = 4 + 2*fields
		fields *= 2
	}
	c.skip(fields)
	if n := c.int(); c.err == nil && n != int64(pieces) {
		c.fail("a wrong number of pieces")
	}
	deleted := flags&flagDeleted != 0
	switch {
	case c.err != nil:
	case flags&^(flagDeleted|flagSameFields) != 0:
		c.fail("unknown flags")
	case id.Less(master) || id.IsZero() || !deleted && s.Live > 0 && !s.Last.Less(id):
		c.fail("IDs out of order")
	case s.Live+s.Deleted == math.MaxInt32:
		c.fail("too many entries")
	}
	if deleted {
		s.Deleted++
	} else {
		s.Live++
		s.Last = id
	}
}
