package rdb

import (
	"strconv"

	"github.com/spillwaydb/spillway/core/rdb/packed"
)

// Verbs and words of the commands that build a stream.
var (
	verbXTrim          = []byte("XTRIM")
	verbXSetID         = []byte("XSETID")
	verbXGroup         = []byte("XGROUP")
	verbXClaim         = []byte("XCLAIM")
	wordCreate         = []byte("CREATE")
	wordCreateConsumer = []byte("CREATECONSUMER")
	wordEntriesRead    = []byte("ENTRIESREAD")
	wordEntriesAdded   = []byte("ENTRIESADDED")
	wordMaxDeletedID   = []byte("MAXDELETEDID")
	wordMaxLen         = []byte("MAXLEN")
	wordTime           = []byte("TIME")
	wordRetryCount     = []byte("RETRYCOUNT")
	wordForce          = []byte("FORCE")
	wordJustID         = []byte("JUSTID")
	wordZero           = []byte("0")
	wordOne            = []byte("1")
	wordNoID           = []byte("0-0")
	wordAny            = []byte("x")
)

// Stream builds a stream: XADD for every entry, XSETID, XGROUP and XCLAIM, as Redis's
// rewrite does. An entry that is pending although it was deleted is added first,
// claimed, and trimmed away. What no command can say, when a consumer was last seen, and was
// active, is in an XCLAIM of 0-0 each, which are without effect in Redis. The second has a
// RETRYCOUNT, 0 for one that was never active.
func (c *Commands) Stream(key []byte, s *Stream) {
	if s == nil {
		c.misuse("build key %.100q: a stream that is not there", key)
		return
	}
	b := streamBuilder{Commands: c, key: key}
	dangling := s.Dangling()
	for _, id := range dangling {
		b.write(declared[TypeStream].verb, key, b.id(id), wordAny, wordAny)
	}
	if len(dangling) > 0 {
		b.groups(s)
		b.claims(s, func(id packed.StreamID) bool { return !s.Has(id) })
		b.write(verbXTrim, key, wordMaxLen, wordZero)
		b.write(verbXSetID, key, wordNoID)
	}
	b.entries(s, len(dangling) == 0)
	b.numbers(s)
	if len(dangling) == 0 {
		b.groups(s)
	}
	b.claims(s, s.Has)
	b.seen(s)
}

// streamBuilder builds one stream.
type streamBuilder struct {
	*Commands
	key []byte
	ids [2][]byte // scratch
}

func (b *streamBuilder) id(id packed.StreamID) []byte {
	b.ids[0] = id.Append(b.ids[0][:0])
	return b.ids[0]
}

// second is id for another ID in the same command.
func (b *streamBuilder) second(id packed.StreamID) []byte {
	b.ids[1] = id.Append(b.ids[1][:0])
	return b.ids[1]
}

// entries adds the entries. A stream without any is made by one that is trimmed at
// once, where it is not there yet.
func (b *streamBuilder) entries(s *Stream, absent bool) {
	if s.Length == 0 && absent {
		b.write(declared[TypeStream].verb, b.key, wordMaxLen, wordZero, []byte("0-1"), wordAny, wordAny)
	}
	var num []byte // texts of the integers in a command
	text := func(e packed.Entry) []byte {
		if !e.IsInt {
			return e.Str
		}
		at := len(num)
		num = strconv.AppendInt(num, e.Int, 10)
		return num[at:len(num):len(num)]
	}
	s.Entries(func(node packed.StreamNode, e *packed.StreamEntry) bool {
		b.boundary()
		num = num[:0]
		b.args = append(b.args[:0], declared[TypeStream].verb, b.key, b.id(e.ID))
		node.Fields(e, func(field, value packed.Entry) bool {
			b.args = append(b.args, text(field), text(value))
			return true
		})
		b.flush()
		return b.err == nil
	})
}

// numbers sets what is counted of the stream. The last ID may have been set back behind
// the last one that was deleted, and XSETID takes both only in their order: it is set
// back once more.
func (b *streamBuilder) numbers(s *Stream) {
	last := s.Last
	if last.Less(s.MaxDeleted) {
		last = s.MaxDeleted
	}
	b.write(verbXSetID, b.key, b.id(last), wordEntriesAdded, b.int(int64(s.EntriesAdded)), wordMaxDeletedID, b.second(s.MaxDeleted))
	if last != s.Last {
		b.write(verbXSetID, b.key, b.id(s.Last))
	}
}

// groups creates the groups and their consumers.
func (b *streamBuilder) groups(s *Stream) {
	for g := range s.Groups {
		b.write(verbXGroup, wordCreate, b.key, g.Name, b.id(g.Last), wordEntriesRead, b.int(g.EntriesRead))
		for c := range g.Consumers {
			b.write(verbXGroup, wordCreateConsumer, b.key, g.Name, c.Name)
			if b.err != nil {
				return
			}
		}
	}
}

// claims makes pending the entries for which is tells so.
func (b *streamBuilder) claims(s *Stream, is func(id packed.StreamID) bool) {
	var count []byte
	for g := range s.Groups {
		for c := range g.Consumers {
			for id := range c.Pending {
				if b.err != nil {
					return
				}
				if !is(id) {
					continue
				}
				p := g.Get(id)
				count = strconv.AppendInt(count[:0], int64(p.Count), 10) // as Redis, which wraps around
				b.write(verbXClaim, b.key, g.Name, c.Name, wordZero, b.id(id), wordTime, b.int(p.Delivered), wordRetryCount, count, wordForce, wordJustID)
			}
		}
	}
}

// seen tells when the consumers were last seen, and active. One that is new, or was given
// something just before, is the one or the other without being told.
func (b *streamBuilder) seen(s *Stream) {
	for g := range s.Groups {
		for c := range g.Consumers {
			b.write(verbXClaim, b.key, g.Name, c.Name, wordZero, wordNoID, wordTime, b.int(c.Seen), wordForce, wordJustID)
			switch {
			case c.Active == NeverActive && c.NumPending == 0:
			case c.Active == NeverActive:
				b.write(verbXClaim, b.key, g.Name, c.Name, wordZero, wordNoID, wordRetryCount, wordZero, wordForce, wordJustID)
			default:
				b.write(verbXClaim, b.key, g.Name, c.Name, wordZero, wordNoID, wordTime, b.int(c.Active), wordRetryCount, wordOne, wordForce, wordJustID)
			}
			if b.err != nil {
				return
			}
		}
	}
}
