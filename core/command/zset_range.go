package command

import "github.com/spillwaydb/spillway/core/keyspace"

// zrangeArgs are the arguments of a command of ZRANGE's kind.
type zrangeArgs struct {
	zrange
	reverse, withScores bool
	offset, count       int64 // LIMIT
}

// rangeStyle is what a command's name says already of its arguments.
type rangeStyle struct {
	kind    rangeKind
	any     bool // ZRANGE: BYSCORE, BYLEX and REV may follow
	reverse bool
	store   bool
}

func zrangeCommand(c *Ctx)           { c.zrangeReply(rangeStyle{any: true}) }
func zrevrangeCommand(c *Ctx)        { c.zrangeReply(rangeStyle{reverse: true}) }
func zrangebyscoreCommand(c *Ctx)    { c.zrangeReply(rangeStyle{kind: byScore}) }
func zrevrangebyscoreCommand(c *Ctx) { c.zrangeReply(rangeStyle{kind: byScore, reverse: true}) }
func zrangebylexCommand(c *Ctx)      { c.zrangeReply(rangeStyle{kind: byLex}) }
func zrevrangebylexCommand(c *Ctx)   { c.zrangeReply(rangeStyle{kind: byLex, reverse: true}) }

// parseZRange parses "min max [option …]", or replies with what is wrong.
func (c *Ctx) parseZRange(args [][]byte, style rangeStyle) (a zrangeArgs, ok bool) {
	a.reverse, a.count = style.reverse, -1
	kind := style.kind
	for i := 2; i < len(args); i++ {
		switch opt := args[i]; {
		case !style.store && is(opt, "withscores"):
			a.withScores = true
		case is(opt, "limit") && len(args)-i-1 >= 2:
			if a.offset, ok = c.intArg(args[i+1]); !ok {
				return a, false
			}
			if a.count, ok = c.intArg(args[i+2]); !ok {
				return a, false
			}
			i += 2
		case style.any && !a.reverse && is(opt, "rev"):
			a.reverse = true
		case style.any && kind == byRank && is(opt, "bylex"):
			kind = byLex
		case style.any && kind == byRank && is(opt, "byscore"):
			kind = byScore
		default:
			c.Out.Error(errSyntax)
			return a, false
		}
	}
	if a.count != -1 && kind == byRank {
		c.Out.Error("ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX")
		return a, false
	}
	if a.withScores && kind == byLex {
		c.Out.Error("ERR syntax error, WITHSCORES not supported in combination with BYLEX")
		return a, false
	}
	lo, hi := args[0], args[1]
	if a.reverse && kind != byRank {
		lo, hi = hi, lo
	}
	a.zrange, ok = c.parseRange(kind, lo, hi)
	return a, ok
}

// ranks finds the members asked for, LIMIT included.
func (a *zrangeArgs) ranks(z keyspace.ZSetRef) (lo, hi int) {
	lo, hi = a.zrange.ranks(z, a.reverse)
	if a.kind == byRank {
		return lo, hi
	}
	return limit(lo, hi, a.offset, a.count, a.reverse)
}

func (c *Ctx) zrangeReply(style rangeStyle) {
	a, ok := c.parseZRange(c.Args[2:], style)
	if !ok {
		return
	}
	z, found, ok := c.zsetRead(c.Args[1])
	if !ok {
		return
	}
	lo, hi := 0, 0
	if found {
		lo, hi = a.ranks(z)
	}
	if c.detach(hi-lo, c.Args[1]) {
		return
	}
	c.openPairs(int64(hi-lo), a.withScores)
	if lo == hi {
		return
	}
	z.EachRank(lo, hi-1, a.reverse, func(m []byte, score float64) bool {
		c.replyPair(m, score, a.withScores)
		return true
	})
}

func zrangestoreCommand(c *Ctx) {
	dst, src := c.Args[1], c.Args[2]
	a, ok := c.parseZRange(c.Args[3:], rangeStyle{any: true, store: true})
	if !ok {
		return
	}
	z, found, ok := c.zsetRead(src)
	if !ok {
		return
	}
	lo, hi := 0, 0
	if found {
		lo, hi = a.ranks(z)
	}
	if c.detachToStore(hi-lo, src) {
		return
	}
	each := func(fn func(m []byte, score float64)) {
		if lo < hi {
			z.EachRank(lo, hi-1, false, func(m []byte, score float64) bool {
				fn(m, score)
				return true
			})
		}
	}
	if aside := c.result(); aside != nil {
		to := aside.ZSet(dst)
		each(func(m []byte, score float64) { to.Add(m, score) })
		return
	}
	if c.putMade(dst, keyspace.ZSet, c.Args[2:3], eventZRangeStore) {
		return
	}
	var result members
	each(result.addScored)
	c.storeScored(dst, &result, eventZRangeStore)
}

// storeScored makes dst a sorted set of the result, or removes it when there
// is none, and replies with how many there are.
func (c *Ctx) storeScored(dst []byte, result *members, ev Event) {
	replaced := c.makeRoom(dst)
	result.addTo(c.db(dst).ZSet(dst))
	c.stored(dst, replaced, result.len(), ev)
	c.Out.Int(int64(result.len()))
}

func zcountCommand(c *Ctx)    { c.countRange(byScore) }
func zlexcountCommand(c *Ctx) { c.countRange(byLex) }

func (c *Ctx) countRange(kind rangeKind) {
	r, ok := c.parseRange(kind, c.Args[2], c.Args[3])
	if !ok {
		return
	}
	z, found, ok := c.zsetRead(c.Args[1])
	if !ok {
		return
	}
	lo, hi := 0, 0
	if found {
		lo, hi = r.ranks(z, false)
	}
	c.Out.Int(int64(hi - lo))
}

func zremrangebyrankCommand(c *Ctx)  { c.removeRange(byRank, eventZRemRangeByRank) }
func zremrangebyscoreCommand(c *Ctx) { c.removeRange(byScore, eventZRemRangeByScore) }
func zremrangebylexCommand(c *Ctx)   { c.removeRange(byLex, eventZRemRangeByLex) }

func (c *Ctx) removeRange(kind rangeKind, ev Event) {
	r, ok := c.parseRange(kind, c.Args[2], c.Args[3])
	if !ok {
		return
	}
	key := c.Args[1]
	z, found, ok := c.zsetWrite(key)
	if !ok {
		return
	}
	lo, hi := 0, 0
	if found {
		lo, hi = r.ranks(z, false)
	}
	switch {
	case lo == hi:
	case hi-lo == z.Len():
		c.db(key).Delete(key)
		c.Shrunk(key, ev, hi-lo)
	default:
		gone := new(members)
		z.EachRank(lo, hi-1, false, func(m []byte, _ float64) bool {
			gone.add(m)
			return true
		})
		for i := range gone.len() {
			z.Remove(gone.at(i))
		}
		c.Shrunk(key, ev, gone.len())
	}
	c.Out.Int(int64(hi - lo))
}
