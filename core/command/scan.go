package command

import (
	"strconv"

	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/resp"
)

var scanHandlers = handlers{
	"scan":      scanCommand,
	"keys":      keysCommand,
	"randomkey": randomkeyCommand,
	"dbsize":    dbsizeCommand,
}

// scanOptions are the options of SCAN, HSCAN, SSCAN and ZSCAN.
type scanOptions struct {
	pattern []byte // nil: everything
	count   int
	typ     []byte // nil: any
}

// scanCount bounds how many elements one call looks at, whatever COUNT asks.
const scanCount = 1 << 20

// parseCursor parses a cursor, or replies with what is wrong with it. It takes
// what C's strtoul takes, as Redis does: nothing is 0, and a negative number is
// what it would be without its sign, modulo 2 to the power of 64; behind a zero
// byte nothing is read.
func (c *Ctx) parseCursor(arg []byte) (uint64, bool) {
	arg = clip(arg, len(arg))
	digits, negative := arg, false
	if len(arg) > 1 && (arg[0] == '-' || arg[0] == '+') {
		digits, negative = arg[1:], arg[0] == '-'
	}
	n, err := strconv.ParseUint(string(digits), 10, 64)
	switch {
	case len(arg) == 0:
	case err != nil:
		c.Out.Error("ERR invalid cursor")
		return 0, false
	case negative:
		n = -n
	}
	return n, true
}

// parseScanOptions parses what follows the cursor, or replies with what is
// wrong with it. TYPE is for SCAN alone.
func (c *Ctx) parseScanOptions(args [][]byte, withType bool) (o scanOptions, ok bool) {
	o.count = 10
	for i := 0; i < len(args); i += 2 {
		if i+1 == len(args) {
			c.Out.Error(errSyntax)
			return o, false
		}
		val := args[i+1]
		switch {
		case is(args[i], "match"):
			o.pattern = val
			if globAll(val) {
				o.pattern = nil
			}
		case is(args[i], "count"):
			n, ok := c.intArg(val)
			if !ok {
				return o, false
			}
			if n < 1 {
				c.Out.Error(errSyntax)
				return o, false
			}
			o.count = int(min(n, scanCount))
		case withType && is(args[i], "type"):
			o.typ = val
		default:
			c.Out.Error(errSyntax)
			return o, false
		}
	}
	return o, true
}

// live tells whether an entry met by a scan has not expired; 0 never expires.
func (c *Ctx) live(e keyspace.Entry) bool {
	deadline := e.Deadline()
	return c.Now == 0 || deadline == 0 || deadline > c.Now
}

func scanCommand(c *Ctx) {
	cursor, ok := c.parseCursor(c.Args[1])
	if !ok {
		return
	}
	o, ok := c.parseScanOptions(c.Args[2:], true)
	if !ok {
		return
	}
	n, next := 0, cursor
	body := resp.Writer{Buf: c.scratch[:0]}
	// Where keys are few a call may find less than it was asked for.
	for seen, idle := 0, 16+c.KS.NumShards(); idle > 0; {
		before := seen
		shard, pos := c.KS.UnpackCursor(next)
		visited := c.visit(shard, func(s *keyspace.Shard) {
			pos = s.DB(c.DB).Scan(pos, min(o.count-seen, visitStep), func(key []byte, e keyspace.Entry) {
				seen++
				if (o.pattern == nil || GlobMatch(o.pattern, key, false)) &&
					(o.typ == nil || is(o.typ, e.Type().String())) && c.live(e) {
					body.Bulk(key)
					n++
				}
			})
		})
		if !visited {
			return
		}
		next = c.KS.PackCursor(shard, pos)
		if next == 0 || seen >= o.count {
			break
		}
		if seen == before {
			idle--
		}
	}
	c.scratch = body.Buf
	c.replyScan(next, n, body.Buf)
}

// replyScan replies with a cursor and n elements, encoded already, as every
// SCAN does.
func (c *Ctx) replyScan(next uint64, n int, elements []byte) {
	c.Out.Array(2)
	var tmp [20]byte
	c.Out.Bulk(strconv.AppendUint(tmp[:0], next, 10))
	c.Out.Array(n)
	c.Out.Raw(elements)
}

func keysCommand(c *Ctx) {
	pattern := c.Args[1]
	if globAll(pattern) {
		pattern = nil
	}
	n := 0
	body := resp.Writer{Buf: c.scratch[:0]}
	for shard := range c.KS.NumShards() {
		ended := c.walk(shard, func(key []byte, e keyspace.Entry) {
			if (pattern == nil || GlobMatch(pattern, key, false)) && c.live(e) {
				body.Bulk(key)
				n++
			}
		})
		if !ended {
			return
		}
	}
	c.scratch = body.Buf
	c.Out.Array(n)
	c.Out.Raw(body.Buf)
}

func dbsizeCommand(c *Ctx) {
	n := 0
	if c.sizes(func(_, keys int) { n += keys }) {
		c.Out.Int(int64(n))
	}
}

func randomkeyCommand(c *Ctx) {
	for range 100 {
		// Each shard's keys are counted at its own moment: the shard is chosen by what
		// there was, and may be empty now.
		total, shard := 0, -1
		if !c.sizes(func(n, keys int) {
			if total += keys; keys > 0 && c.Rand.IntN(total) < keys {
				shard = n
			}
		}) {
			return
		}
		if shard < 0 {
			break
		}
		live := false
		if !c.visit(shard, func(s *keyspace.Shard) {
			key, ok := s.DB(c.DB).Random(c.Rand)
			if !ok {
				return
			}
			// The bytes are the store's, and expiry may free them.
			c.scratch = append(c.scratch[:0], key...)
			_, live = c.see(c.scratch)
		}) {
			return
		}
		if live {
			c.Out.Bulk(c.scratch)
			return
		}
	}
	c.Out.Null()
}
