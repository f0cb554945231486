package command

import (
	"github.com/spillwaydb/spillway/core/keyspace"
)

var streamHandlers = handlers{
	"xadd":      xaddCommand,
	"xlen":      xlenCommand,
	"xrange":    func(c *Ctx) { c.streamRange(false) },
	"xrevrange": func(c *Ctx) { c.streamRange(true) },
	"xtrim":     xtrimCommand,
	"xsetid":    xsetidCommand,
	"xread":     xreadCommand,
}

// streamRead returns the stream at a key for reading, nil when the key is missing. ok is
// false when it holds another type, which it has replied.
func (c *Ctx) streamRead(key []byte) (s *keyspace.StreamValue, ok bool) {
	e, found, ok := c.typed(key, keyspace.Stream)
	if !found || !ok {
		return nil, ok
	}
	return e.Stream(), true
}

// streamWrite is streamRead for a stream about to be changed, which is done in
// [keyspace.DB.EditStream].
func (c *Ctx) streamWrite(key []byte) (s *keyspace.StreamValue, ok bool) {
	e, found, ok := c.typedWrite(key, keyspace.Stream)
	if !found || !ok {
		return nil, ok
	}
	return e.Stream(), true
}

// streamTime is the time of the command, or about that while the log is applied.
func (c *Ctx) streamTime(key []byte) int64 {
	if c.Now != 0 {
		return c.Now
	}
	return c.db(key).Clock()
}

// nextID returns the ID of an entry that is added to a stream with that last ID, and
// the error reply when it cannot be added.
func (o *streamOptions) nextID(last keyspace.StreamID, now int64) (id keyspace.StreamID, problem string) {
	switch {
	case last == maxStreamID:
		return id, "ERR The stream has exhausted the last possible ID, unable to add more items"
	case o.given:
		id = o.id
	case uint64(now) > last.MS:
		id = keyspace.StreamID{MS: uint64(now)}
	default:
		id, _ = last.Next()
	}
	if o.given && !o.numbered && id.MS == last.MS {
		if id, _ = last.Next(); id.MS != last.MS { // no number is left; Redis blames the entry
			return id, errEntryTooLarge
		}
	}
	if !last.Less(id) {
		return id, "ERR The ID specified in XADD is equal or smaller than the target stream top item"
	}
	return id, ""
}

const errEntryTooLarge = "ERR Elements are too large to be stored"

// maxStreamEntry bounds what an entry may hold, as Redis bounds it.
const maxStreamEntry = 1 << 30

func xaddCommand(c *Ctx) {
	o, at, ok := c.parseStreamOptions(true)
	if !ok {
		return
	}
	if at >= len(c.Args)-2 || (len(c.Args)-at)%2 == 0 {
		c.Out.Error(wrongArity(Lookup(c.Args[0])))
		return
	}
	if o.given && o.numbered && o.id.IsZero() {
		c.Out.Error("ERR The ID specified in XADD must be greater than 0-0")
		return
	}
	key, pairs := c.Args[1], c.Args[at+1:]
	s, ok := c.streamWrite(key)
	if !ok {
		return
	}
	var last keyspace.StreamID
	switch {
	case s != nil:
		last = s.Info().Last
	case o.onlyExisting:
		c.Out.Null()
		return
	}
	id, problem := o.nextID(last, c.streamTime(key))
	size := 0
	for _, p := range pairs {
		size += len(p)
	}
	if problem == "" && size > maxStreamEntry {
		problem = errEntryTooLarge
	}
	if problem != "" {
		c.Out.Error(problem)
		return
	}
	d := c.db(key)
	d.AddEntry(key, id, pairs)
	c.scratch = id.Append(c.scratch[:0])
	name := c.scratch
	c.Out.Bulk(name)
	c.Changed(key, eventXAdd)
	trimmed := 0
	if o.trims {
		d.EditStream(key, func(s *keyspace.StreamValue) { trimmed = s.Trim(o.trim) })
		if trimmed > 0 {
			c.ChangedN(key, eventXTrim, 0)
		}
	}
	if !o.given || !o.numbered || o.trims {
		c.logAdd(d, name, trimmed > 0, o.trim.Refs, pairs)
	}
}

// logAdd logs that an entry was added, under the ID it was given, and that this
// trimmed the stream to what it is now.
func (c *Ctx) logAdd(d *keyspace.DB, id []byte, trimmed bool, refs keyspace.StreamRefs, pairs [][]byte) {
	c.parts = append(c.parts[:0], verbXAdd, c.Args[1])
	if trimmed {
		c.parts = appendTrim(c.parts, d.Stream(c.Args[1]), refs)
	}
	c.parts = append(append(c.parts, id), pairs...)
	c.LogAs(c.parts...)
	clear(c.parts)
}

// appendTrim appends the options of a trim that has come to what the stream is now.
// Which entries went follows from how many are left: the first ones, or with ACKED the
// first ones that no group needed.
func appendTrim(args [][]byte, s *keyspace.StreamValue, refs keyspace.StreamRefs) [][]byte {
	args = append(args, wordMaxLen, []byte{'='}, appendInt(nil, int64(s.Info().Length)))
	if refs != keyspace.KeepRefs {
		args = append(args, refsWords[refs])
	}
	return args
}

func xtrimCommand(c *Ctx) {
	o, _, ok := c.parseStreamOptions(false)
	if !ok {
		return
	}
	key := c.Args[1]
	s, ok := c.streamWrite(key)
	if !ok {
		return
	}
	trimmed := 0
	if s != nil {
		c.db(key).EditStream(key, func(s *keyspace.StreamValue) {
			if trimmed = s.Trim(o.trim); trimmed > 0 && o.trim.Approximate {
				c.LogAs(appendTrim([][]byte{verbXTrim, key}, s, o.trim.Refs)...)
			}
		})
	}
	if trimmed > 0 {
		c.ChangedN(key, eventXTrim, trimmed)
	}
	c.Out.Int(int64(trimmed))
}

func xlenCommand(c *Ctx) {
	s, ok := c.streamRead(c.Args[1])
	switch {
	case !ok:
	case s == nil:
		c.Out.Int(0)
	default:
		c.Out.Int(int64(s.Info().Length))
	}
}

func xsetidCommand(c *Ctx) {
	id, ok := c.streamID(c.Args[2])
	if !ok {
		return
	}
	added, given, maxDeleted := int64(0), false, keyspace.StreamID{}
	for i := 3; i < len(c.Args); i += 2 {
		more := i+1 < len(c.Args)
		switch {
		case is(c.Args[i], "entriesadded") && more:
			if added, ok = c.intArg(c.Args[i+1]); !ok {
				return
			}
			if given = true; added < 0 && !c.Replaying { // what has wrapped around is logged as it is
				c.Out.Error("ERR entries_added must be positive")
				return
			}
		case is(c.Args[i], "maxdeletedid") && more:
			if maxDeleted, ok = c.streamID(c.Args[i+1]); !ok {
				return
			}
			if id.Less(maxDeleted) && !c.Replaying { // Redis's rewrite says it of a stream that was set back
				c.Out.Error("ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id")
				return
			}
		default:
			c.Out.Error(errSyntax)
			return
		}
	}
	key := c.Args[1]
	s, ok := c.streamWrite(key)
	if !ok {
		return
	}
	if s == nil {
		c.Out.Error(errNoSuchKey)
		return
	}
	info := *s.Info()
	if last, there := s.LastEntry(); there {
		if id.Less(last) {
			c.Out.Error("ERR The ID specified in XSETID is smaller than the target stream top item")
			return
		}
		if given && info.Length > uint64(added) {
			c.Out.Error("ERR The entries_added specified in XSETID is smaller than the target stream length")
			return
		}
	}
	if given {
		info.EntriesAdded = uint64(added)
	}
	if !maxDeleted.IsZero() {
		info.MaxDeleted = maxDeleted
	}
	c.db(key).EditStream(key, func(s *keyspace.StreamValue) { s.SetInfo(id, info.EntriesAdded, info.MaxDeleted) })
	c.Changed(key, eventXSetID)
	c.Out.OK()
}
