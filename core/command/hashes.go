package command

import (
	"math"

	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/resp"
)

var hashHandlers = handlers{
	"hset":         hsetCommand,
	"hsetnx":       hsetnxCommand,
	"hget":         hgetCommand,
	"hmget":        hmgetCommand,
	"hmset":        hmsetCommand,
	"hdel":         hdelCommand,
	"hlen":         hlenCommand,
	"hexists":      hexistsCommand,
	"hkeys":        hkeysCommand,
	"hvals":        hvalsCommand,
	"hgetall":      hgetallCommand,
	"hincrby":      hincrbyCommand,
	"hincrbyfloat": hincrbyfloatCommand,
	"hstrlen":      hstrlenCommand,
	"hrandfield":   hrandfieldCommand,
	"hscan":        hscanCommand,
}

// hashRead returns a hash for reading. found is false when the key is missing,
// ok when it holds another type, which it has replied.
func (c *Ctx) hashRead() (h keyspace.HashRef, found, ok bool) {
	return read(c, c.Args[1], keyspace.Hash, (*keyspace.DB).Hash)
}

// hashWrite is hashRead for a hash about to be changed, which exists as soon
// as it has a field.
func (c *Ctx) hashWrite() (h keyspace.HashRef, found, ok bool) {
	return write(c, c.Args[1], keyspace.Hash, (*keyspace.DB).Hash)
}

// hashSetAll sets the fields and values of HSET and HMSET.
func (c *Ctx) hashSetAll() (created int64, ok bool) {
	if len(c.Args)%2 != 0 {
		c.Out.Error(wrongArity(Lookup(c.Args[0])))
		return 0, false
	}
	h, _, ok := c.hashWrite()
	if !ok {
		return 0, false
	}
	for i := 2; i < len(c.Args); i += 2 {
		if h.Set(c.Args[i], c.Args[i+1]) {
			created++
		}
	}
	c.ChangedN(c.Args[1], eventHSet, (len(c.Args)-2)/2)
	return created, true
}

func hsetCommand(c *Ctx) {
	if created, ok := c.hashSetAll(); ok {
		c.Out.Int(created)
	}
}

func hmsetCommand(c *Ctx) {
	if _, ok := c.hashSetAll(); ok {
		c.Out.OK()
	}
}

func hsetnxCommand(c *Ctx) {
	h, found, ok := c.hashWrite()
	if !ok {
		return
	}
	if found {
		if _, exists := c.field(h, c.Args[1], c.Args[2]); exists {
			c.Out.Int(0)
			return
		}
	}
	h.Set(c.Args[2], c.Args[3])
	c.Changed(c.Args[1], eventHSet)
	c.Out.Int(1)
}

func (c *Ctx) replyField(h keyspace.HashRef, found bool, field []byte) {
	if found {
		if v, exists := c.field(h, c.Args[1], field); exists {
			c.Out.Bulk(v)
			return
		}
	}
	c.Out.Null()
}

func hgetCommand(c *Ctx) {
	if h, found, ok := c.hashRead(); ok {
		c.replyField(h, found, c.Args[2])
	}
}

func hmgetCommand(c *Ctx) {
	h, found, ok := c.hashRead()
	if !ok {
		return
	}
	c.Out.Array(len(c.Args) - 2)
	met := meeting{c: c, h: h, key: c.Args[1]}
	for _, field := range c.Args[2:] {
		var val []byte
		exists := false
		if found {
			val, exists = met.field(field)
		}
		if exists {
			c.Out.Bulk(val)
		} else {
			c.Out.Null()
		}
	}
	met.tell()
	if met.expired > 0 {
		c.keyGone(met.key)
	}
}

func hdelCommand(c *Ctx) {
	h, found, ok := c.hashWrite()
	if !ok {
		return
	}
	n := 0
	if found {
		for _, field := range c.Args[2:] {
			if h.Del(field) {
				n++
			}
		}
	}
	if n > 0 {
		c.Shrunk(c.Args[1], eventHDel, n)
	}
	c.Out.Int(int64(n))
}

func hlenCommand(c *Ctx) {
	h, found, ok := c.hashRead()
	switch {
	case !ok:
	case found:
		c.Out.Int(int64(h.Len()))
	default:
		c.Out.Int(0)
	}
}

func hexistsCommand(c *Ctx) {
	h, found, ok := c.hashRead()
	if !ok {
		return
	}
	if found {
		_, found = c.field(h, c.Args[1], c.Args[2])
	}
	c.replyBool(found)
}

func hstrlenCommand(c *Ctx) {
	h, found, ok := c.hashRead()
	if !ok {
		return
	}
	var v []byte
	if found {
		v, _ = c.field(h, c.Args[1], c.Args[2])
	}
	c.Out.Int(int64(len(v)))
}

func hkeysCommand(c *Ctx)   { c.hashAll(true, false) }
func hvalsCommand(c *Ctx)   { c.hashAll(false, true) }
func hgetallCommand(c *Ctx) { c.hashAll(true, true) }

func (c *Ctx) hashAll(fields, values bool) {
	h, found, ok := c.hashRead()
	if !ok {
		return
	}
	n := 0
	if found {
		n = h.LiveFields(c.liveAt())
	}
	if c.detach(n, c.Args[1]) {
		return
	}
	if fields && values {
		c.Out.Map(n)
	} else {
		c.Out.Array(n)
	}
	if !found {
		return
	}
	h.EachField(func(f, v []byte, deadline int64) bool {
		if c.due(deadline) {
			return true
		}
		if fields {
			c.Out.Bulk(f)
		}
		if values {
			c.Out.Bulk(v)
		}
		return true
	})
}

func hincrbyCommand(c *Ctx) {
	by, ok := c.intArg(c.Args[3])
	if !ok {
		return
	}
	h, found, ok := c.hashWrite()
	if !ok {
		return
	}
	n := int64(0)
	if found {
		if v, exists := c.field(h, c.Args[1], c.Args[2]); exists {
			if n, ok = parseInt(v); !ok {
				c.Out.Error("ERR hash value is not an integer")
				return
			}
		}
	}
	sum := n + by
	if by > 0 && sum < n || by < 0 && sum > n {
		c.Out.Error(errOverflow)
		return
	}
	var tmp [20]byte
	h.SetKeeping(c.Args[2], appendInt(tmp[:0], sum))
	c.Changed(c.Args[1], eventHIncrBy)
	c.Out.Int(sum)
}

func hincrbyfloatCommand(c *Ctx) {
	_, inf, ok := parseLongDouble(c.Args[3])
	if !ok {
		c.Out.Error(errNotFloat)
		return
	}
	if inf {
		c.Out.Error("ERR value is NaN or Infinity")
		return
	}
	h, found, ok := c.hashWrite()
	if !ok {
		return
	}
	old := []byte{'0'}
	if found {
		if v, exists := c.field(h, c.Args[1], c.Args[2]); exists {
			if _, _, ok := parseLongDouble(v); !ok {
				c.Out.Error("ERR hash value is not a float")
				return
			}
			old = v
		}
	}
	sum, msg := addDecimals(old, c.Args[3])
	if msg != "" {
		c.Out.Error(msg)
		return
	}
	_, deadline, _ := h.Field(c.Args[2])
	h.SetKeeping(c.Args[2], sum)
	c.Changed(c.Args[1], eventHIncrByFloat)
	// The sum is logged, for it depends on how numbers are printed.
	if deadline != 0 {
		c.logHSetEx(c.Args[1], 0, true, [][]byte{c.Args[2], sum})
	} else {
		c.LogAs(verbHSet, c.Args[1], c.Args[2], sum)
	}
	c.Out.Bulk(sum)
}

func hrandfieldCommand(c *Ctx) {
	if len(c.Args) == 2 {
		h, found, ok := c.hashRead()
		switch {
		case !ok:
		case !found, !c.expireFields(h, c.Args[1]):
			c.Out.Null()
		default:
			f, _ := h.Random(c.Rand)
			c.Out.Bulk(f)
		}
		return
	}
	count, withValues, ok := c.randomArgs("withvalues")
	if !ok {
		return
	}
	h, found, ok := c.hashRead()
	if !ok {
		return
	}
	if !found || count == 0 || !c.expireFields(h, c.Args[1]) {
		c.Out.Array(0)
		return
	}
	if c.detachRandom(count, h.Len()) {
		return
	}
	one := func(f, v []byte) bool {
		if withValues && c.Out.Proto >= 3 {
			c.Out.Array(2)
		}
		c.Out.Bulk(f)
		if withValues {
			c.Out.Bulk(v)
		}
		return true
	}
	start := c.Out.Len()
	switch n := int64(h.Len()); {
	case count < 0:
		c.openPairs(-count, withValues)
		c.repeat(start, -count, func() { one(h.Random(c.Rand)) })
	case count >= n:
		c.openPairs(n, withValues)
		h.Each(one)
	case count > n/3:
		// Each of the fields yet to come is taken with the chance that is
		// left, which makes every choice equally likely.
		c.openPairs(count, withValues)
		h.Each(func(f, v []byte) bool {
			if c.Rand.Int64N(n) < count {
				one(f, v)
				count--
			}
			n--
			return count > 0
		})
	default:
		c.openPairs(count, withValues)
		seen := make(map[string]struct{}, count)
		for int64(len(seen)) < count {
			f, v := h.Random(c.Rand)
			if _, again := seen[string(f)]; !again {
				seen[string(f)] = struct{}{}
				one(f, v)
			}
		}
	}
}

// randomArgs parses the count of HRANDFIELD and ZRANDMEMBER and the word that
// may follow it.
func (c *Ctx) randomArgs(word string) (count int64, with, ok bool) {
	if count, ok = c.anyCount(c.Args[2]); !ok {
		return 0, false, false
	}
	if len(c.Args) > 4 || len(c.Args) == 4 && !is(c.Args[3], word) {
		c.Out.Error(errSyntax)
		return 0, false, false
	}
	with = len(c.Args) == 4
	if with && (count < -math.MaxInt64/2 || count > math.MaxInt64/2) {
		c.Out.Error(errOutOfRange)
		return 0, false, false
	}
	return count, with, true
}

// openPairs opens an array of n elements, or of n pairs: flat in RESP2, an
// array each in RESP3.
func (c *Ctx) openPairs(n int64, pairs bool) {
	if pairs && c.Out.Proto < 3 {
		n *= 2
	}
	c.Out.Array(int(n))
}

func hscanCommand(c *Ctx) {
	c.scanElements(keyspace.Hash, func(cursor uint64, count int, match func([]byte) bool, w *resp.Writer) (next uint64, n int) {
		next = c.db(c.Args[1]).Hash(c.Args[1]).Scan(cursor, count, func(f, v []byte, deadline int64) {
			if match(f) && !c.due(deadline) {
				w.Bulk(f)
				w.Bulk(v)
				n += 2
			}
		})
		return next, n
	})
}
