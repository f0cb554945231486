package rdb

import (
	"encoding/binary"
	"fmt"

	"github.com/spillwaydb/spillway/core/rdb/packed"
)

// A stream is
//
//	n (id:16 listpack)*n                                       its nodes
//	length last.ms last.seq                                    how many entries, the last ID
//	first.ms first.seq deleted.ms deleted.seq added            not in version 1
//	n (name last.ms last.seq read                              its groups; read is not in version 1
//	   n (id:16 delivered:int64le count)*n                     what is pending of a group
//	   n (name seen:int64le [active:int64le] n (id:16)*n)*n    its consumers; active is in version 3 only
//	  )*n
//
// where what has no size is a length, or a string. It is version 2 that is written, that of Redis 7.0.

// streamSink takes the parts of a value in their order.
type streamSink interface {
	str(s []byte)
	count(n uint64)
	fixed(b []byte) // few bytes, as they are
	failed() bool
}

// Stream writes a stream.
func (w *Writer) Stream(key []byte, s *Stream) {
	if s == nil {
		w.misuse(fmt.Sprintf("key %.100q: a stream that is not there", key))
		return
	}
	w.boundary()
	if times := activeTimes(s); times != nil {
		w.aux(auxActive, string(times))
	}
	w.buf = append(w.buf, encStream2)
	w.str(key)
	if err := writeStream(w, s); err != nil {
		w.fail(fmt.Errorf("key %.100q: %w", key, err))
	}
}

func (w *Writer) count(n uint64) {
	w.room()
	w.buf = appendLen(w.buf, n)
}

func (w *Writer) fixed(b []byte) {
	w.room()
	w.buf = append(w.buf, b...)
}

func (w *Writer) failed() bool { return w.err != nil }

// appender is a streamSink in memory.
type appender struct{ dst []byte }

func (a *appender) str(s []byte)   { a.dst = appendString(a.dst, s) }
func (a *appender) count(n uint64) { a.dst = appendLen(a.dst, n) }
func (a *appender) fixed(b []byte) { a.dst = append(a.dst, b...) }
func (a *appender) failed() bool   { return false }

var (
	_ streamSink = (*Writer)(nil)
	_ streamSink = (*appender)(nil)
)

// writeStream writes a stream behind its type and key. The error is of a stream whose
// sequences do not have the lengths that they are said to have.
func writeStream(w streamSink, s *Stream) error {
	n := 0
	w.count(uint64(s.NumNodes))
	for node := range s.Nodes {
		var id [packed.StreamIDSize]byte
		w.str(node.Master.AppendKey(id[:0]))
		w.str(node.Items)
		if n++; w.failed() {
			return nil
		}
	}
	if n != s.NumNodes {
		return fmt.Errorf("%d nodes of a stream that were said to be %d", n, s.NumNodes)
	}
	w.count(s.Length)
	for _, id := range [...]packed.StreamID{s.Last, s.First, s.MaxDeleted} {
		writeID(w, id)
	}
	w.count(s.EntriesAdded)
	w.count(uint64(s.NumGroups))
	n = 0
	for g := range s.Groups {
		if err := writeGroup(w, &g); err != nil || w.failed() {
			return err
		}
		n++
	}
	if n != s.NumGroups {
		return fmt.Errorf("%d groups of a stream that were said to be %d", n, s.NumGroups)
	}
	return nil
}

func writeID(w streamSink, id packed.StreamID) {
	w.count(id.MS)
	w.count(id.Seq)
}

func writeGroup(w streamSink, g *StreamGroup) error {
	var buf [packed.StreamIDSize + 8]byte
	w.str(g.Name)
	writeID(w, g.Last)
	w.count(uint64(g.EntriesRead)) // -1 becomes the largest length
	w.count(uint64(g.NumPending))
	pending, owned, consumers := 0, 0, 0
	for p := range g.Pending {
		w.fixed(binary.LittleEndian.AppendUint64(p.ID.AppendKey(buf[:0]), uint64(p.Delivered)))
		w.count(p.Count)
		if pending++; w.failed() {
			return nil
		}
	}
	w.count(uint64(g.NumConsumers))
	for c := range g.Consumers {
		w.str(c.Name)
		w.fixed(binary.LittleEndian.AppendUint64(buf[:0], uint64(c.Seen)))
		w.count(uint64(c.NumPending))
		owned += c.NumPending
		left := c.NumPending
		for id := range c.Pending {
			w.fixed(id.AppendKey(buf[:0]))
			if left--; w.failed() {
				return nil
			}
		}
		if consumers++; left != 0 {
			return fmt.Errorf("consumer %.100q has %d entries more, or fewer, than were said", c.Name, left)
		}
	}
	if pending != g.NumPending || owned != pending || consumers != g.NumConsumers {
		return fmt.Errorf("group %.100q: %d pending entries, %d of them owned, and %d consumers; %d and %d were said",
			g.Name, pending, owned, consumers, g.NumPending, g.NumConsumers)
	}
	return nil
}
