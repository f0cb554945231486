package command

import (
	"bytes"
	"math"

	"github.com/spillwaydb/spillway/core/keyspace"
)

// Verbs and words that streams are logged with.
var (
	verbXAdd           = []byte("XADD")
	verbXTrim          = []byte("XTRIM")
	verbXAck           = []byte("XACK")
	verbXClaim         = []byte("XCLAIM")
	verbXGroup         = []byte("XGROUP")
	wordMaxLen         = []byte("MAXLEN")
	wordCreateConsumer = []byte("CREATECONSUMER")
	wordSetID          = []byte("SETID")
	wordEntriesRead    = []byte("ENTRIESREAD")
	wordTime           = []byte("TIME")
	wordRetryCount     = []byte("RETRYCOUNT")
	wordForce          = []byte("FORCE")
	wordJustID         = []byte("JUSTID")
	wordNoID           = []byte("0-0")
	wordZero           = []byte("0")
	wordOne            = []byte("1")
)

const (
	errStreamID      = "ERR Invalid stream ID specified as stream command argument"
	errIntervalStart = "ERR invalid start ID for the interval"
	errIntervalEnd   = "ERR invalid end ID for the interval"
)

var maxStreamID = keyspace.StreamID{MS: math.MaxUint64, Seq: math.MaxUint64}

// parseUint reads an unsigned integer as Redis does: by its own strict rules, or else
// as C's strtoull, which takes blanks and signs before it, and leading zeros.
func parseUint(b []byte) (uint64, bool) {
	if n, ok := parseInt(b); ok {
		return uint64(n), n >= 0
	}
	b = bytes.TrimLeft(b, " \t\n\v\f\r")
	negative := len(b) > 0 && b[0] == '-'
	if negative || len(b) > 0 && b[0] == '+' {
		b = b[1:]
	}
	if len(b) == 0 {
		return 0, false
	}
	var n uint64
	for _, ch := range b {
		d := uint64(ch - '0')
		if d > 9 || n > (math.MaxUint64-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	if negative {
		n = -n // as strtoull does
	}
	return n, true
}

// parseStreamID reads an ID, "ms-number". Where the number is missing it is seq. numbered
// is false for the form "ms-*", which only XADD takes.
func parseStreamID(b []byte, seq uint64, xadd bool) (id keyspace.StreamID, numbered, ok bool) {
	if len(b) > 127 {
		return id, false, false
	}
	ms, number, both := bytes.Cut(clip(b, len(b)), []byte{'-'})
	if id.MS, ok = parseUint(ms); !ok {
		return id, false, false
	}
	switch {
	case !both:
		id.Seq = seq
	case xadd && string(number) == "*":
		return id, false, true
	default:
		id.Seq, ok = parseUint(number)
	}
	return id, true, ok
}

// streamID parses an ID that is none of the range words, or replies that it is no ID.
func (c *Ctx) streamID(arg []byte) (keyspace.StreamID, bool) {
	id, _, ok := parseStreamID(arg, 0, false)
	if !ok {
		c.Out.Error(errStreamID)
	}
	return id, ok
}

// streamIDs is streamID for several.
func (c *Ctx) streamIDs(args [][]byte) ([]keyspace.StreamID, bool) {
	ids := make([]keyspace.StreamID, len(args))
	for i, a := range args {
		var ok bool
		if ids[i], ok = c.streamID(a); !ok {
			return nil, false
		}
	}
	return ids, true
}

// looseID parses an ID, or "-" and "+", the smallest and the largest one.
func (c *Ctx) looseID(arg []byte, seq uint64) (id keyspace.StreamID, ok bool) {
	switch string(clip(arg, len(arg))) {
	case "-":
		return id, true
	case "+":
		return maxStreamID, true
	}
	if id, _, ok = parseStreamID(arg, seq, false); !ok {
		c.Out.Error(errStreamID)
	}
	return id, ok
}

// rangeStart parses where a range begins; with "(" it begins behind that.
func (c *Ctx) rangeStart(arg []byte) (id keyspace.StreamID, ok bool) {
	if len(arg) < 2 || arg[0] != '(' {
		return c.looseID(arg, 0)
	}
	if id, ok = c.streamID(arg[1:]); !ok {
		return id, false
	}
	if id, ok = id.Next(); !ok {
		c.Out.Error(errIntervalStart)
	}
	return id, ok
}

// rangeEnd parses where a range ends; with "(" it ends before that.
func (c *Ctx) rangeEnd(arg []byte) (id keyspace.StreamID, ok bool) {
	if len(arg) < 2 || arg[0] != '(' {
		return c.looseID(arg, math.MaxUint64)
	}
	if id, _, ok = parseStreamID(arg[1:], math.MaxUint64, false); !ok {
		c.Out.Error(errStreamID)
		return id, false
	}
	if id, ok = id.Prev(); !ok {
		c.Out.Error(errIntervalEnd)
	}
	return id, ok
}

// streamOptions are the options of XADD and XTRIM, and the ID of XADD.
type streamOptions struct {
	onlyExisting bool // NOMKSTREAM
	trims        bool
	trim         keyspace.StreamTrim

	given    bool // an ID that is not *
	numbered bool // and not ms-*
	id       keyspace.StreamID
}

// parseStreamOptions parses them. at is the argument of the ID.
func (c *Ctx) parseStreamOptions(xadd bool) (o streamOptions, at int, ok bool) {
	limit, limited, refs := int64(0), false, false
	for at = 2; at < len(c.Args); at++ {
		more := len(c.Args) - 1 - at
		a := c.Args[at]
		if xadd && string(clip(a, len(a))) == "*" {
			break
		}
		if r, is := streamRefs(a); is {
			if refs {
				c.Out.Error(errSyntax)
				return o, 0, false
			}
			o.trim.Refs, refs = r, true
			continue
		}
		switch {
		case is(a, "maxlen") && more > 0, is(a, "minid") && more > 0:
			if at, ok = c.parseTrim(&o, at, is(a, "minid")); !ok {
				return o, 0, false
			}
			continue
		case is(a, "limit") && more > 0:
			at++
			if limit, ok = c.intArg(c.Args[at]); !ok {
				return o, 0, false
			}
			if limit < 0 {
				c.Out.Error("ERR The LIMIT argument must be >= 0.")
				return o, 0, false
			}
			limited = true
			continue
		case xadd && is(a, "nomkstream"):
			o.onlyExisting = true
			continue
		case !xadd:
			c.Out.Error(errSyntax)
			return o, 0, false
		}
		if o.id, o.numbered, ok = parseStreamID(a, 0, true); !ok {
			c.Out.Error(errStreamID)
			return o, 0, false
		}
		o.given = true
		break
	}
	return o, at, c.checkTrim(&o, xadd, limit, limited)
}

// refsWords are the words for what becomes of the references that groups have to an
// entry that is deleted.
var refsWords = [...][]byte{keyspace.KeepRefs: []byte("KEEPREF"), keyspace.DropRefs: []byte("DELREF"), keyspace.RespectRefs: []byte("ACKED")}

// streamRefs parses one of those words.
func streamRefs(arg []byte) (r keyspace.StreamRefs, ok bool) {
	for r, word := range refsWords {
		if bytes.EqualFold(arg, word) {
			return keyspace.StreamRefs(r), true
		}
	}
	return 0, false
}

// parseTrim parses MAXLEN or MINID and what belongs to it, and returns its last argument.
func (c *Ctx) parseTrim(o *streamOptions, at int, byID bool) (last int, ok bool) {
	if o.trims {
		c.Out.Error("ERR syntax error, MAXLEN and MINID options at the same time are not compatible")
		return at, false
	}
	next := c.Args[at+1]
	if how := string(clip(next, len(next))); len(c.Args)-1-at >= 2 && (how == "~" || how == "=") {
		o.trim.Approximate = how == "~"
		at++
	}
	at++
	o.trims, o.trim.ByID = true, byID
	if byID {
		o.trim.MinID, ok = c.streamID(c.Args[at])
		return at, ok
	}
	n, ok := c.intArg(c.Args[at])
	if ok && n < 0 {
		c.Out.Error("ERR The MAXLEN argument must be >= 0.")
		return at, false
	}
	o.trim.MaxLen = uint64(max(n, 0))
	return at, ok
}

// checkTrim checks whether the options go together, and sets the limit of a trim.
func (c *Ctx) checkTrim(o *streamOptions, xadd bool, limit int64, limited bool) bool {
	switch {
	case limit > 0 && !o.trims:
		c.Out.Error("ERR syntax error, LIMIT cannot be used without specifying a trimming strategy")
	case !xadd && !o.trims:
		c.Out.Error("ERR syntax error, XTRIM must be called with a trimming strategy")
	case c.Replaying: // what is logged has no limit
		return true
	case limited && !o.trim.Approximate:
		c.Out.Error("ERR syntax error, LIMIT cannot be used without the special ~ option")
	case limited:
		o.trim.Limit = int(min(limit, math.MaxInt))
		return true
	case o.trim.Approximate:
		// As Redis: a hundred runs, so that a trim does not take long.
		limit = 100 * int64(c.KS.Limits().StreamNodeEntries)
		if limit <= 0 {
			limit = 10000
		}
		o.trim.Limit = int(min(limit, 1000000))
		return true
	default:
		return true
	}
	return false
}
