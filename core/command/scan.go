package command

import (
	"math"
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
// what it would be without its sign, modulo 2 to the power of 64.
func (c *Ctx) parseCursor(arg []byte) (uint64, bool) {
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
	seen := 0
	// Where keys are few a call may find less than it was asked for.
	for range 16 + c.KS.NumShards() {
		shard, pos := c.KS.UnpackCursor(next)
		pos = c.KS.Shard(shard).DB(c.DB).Scan(pos, o.count-seen, func(key []byte, e keyspace.Entry) {
			seen++
			if (o.pattern == nil || GlobMatch(o.pattern, key, false)) &&
				(o.typ == nil || is(o.typ, e.Type().String())) && c.live(e) {
				body.Bulk(key)
				n++
			}
		})
		next = c.KS.PackCursor(shard, pos)
		if next == 0 || seen >= o.count {
			break
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

// eachKey visits every key of the database, past its deadline or not. All
// shards are locked.
func (c *Ctx) eachKey(fn func(key []byte, e keyspace.Entry)) {
	for i := range c.KS.NumShards() {
		d := c.KS.Shard(i).DB(c.DB)
		for pos := uint64(0); ; {
			if pos = d.Scan(pos, math.MaxInt32, fn); pos == 0 {
				break
			}
		}
	}
}

func keysCommand(c *Ctx) {
	pattern := c.Args[1]
	if globAll(pattern) {
		pattern = nil
	}
	n := 0
	body := resp.Writer{Buf: c.scratch[:0]}
	c.eachKey(func(key []byte, e keyspace.Entry) {
		if (pattern == nil || GlobMatch(pattern, key, false)) && c.live(e) {
			body.Bulk(key)
			n++
		}
	})
	c.scratch = body.Buf
	c.Out.Array(n)
	c.Out.Raw(body.Buf)
}

func dbsizeCommand(c *Ctx) { c.Out.Int(int64(c.dbSize())) }

func (c *Ctx) dbSize() int {
	n := 0
	for i := range c.KS.NumShards() {
		n += c.KS.Shard(i).DB(c.DB).Len()
	}
	return n
}

func randomkeyCommand(c *Ctx) {
	for range 100 {
		total := c.dbSize()
		if total == 0 {
			break
		}
		pick, shard := c.Rand.IntN(total), 0
		for pick >= c.KS.Shard(shard).DB(c.DB).Len() {
			pick -= c.KS.Shard(shard).DB(c.DB).Len()
			shard++
		}
		key, ok := c.KS.Shard(shard).DB(c.DB).Random(c.Rand)
		if !ok {
			break
		}
		// The bytes are the store's, and expiry may free them.
		c.scratch = append(c.scratch[:0], key...)
		if _, found := c.lookupWrite(c.scratch); found {
			c.Out.Bulk(c.scratch)
			return
		}
	}
	c.Out.Null()
}
