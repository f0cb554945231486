package command

import (
	"math"

	"github.com/spillwaydb/spillway/core/keyspace"
)

const errScoreNaN = "ERR resulting score is not a number (NaN)"

// zaddOptions are the options of ZADD.
type zaddOptions struct{ nx, xx, gt, lt, ch, incr bool }

// parse reads options from the start of args and returns the rest.
func (o *zaddOptions) parse(args [][]byte) [][]byte {
	for len(args) > 0 {
		switch a := args[0]; {
		case is(a, "nx"):
			o.nx = true
		case is(a, "xx"):
			o.xx = true
		case is(a, "gt"):
			o.gt = true
		case is(a, "lt"):
			o.lt = true
		case is(a, "ch"):
			o.ch = true
		case is(a, "incr"):
			o.incr = true
		default:
			return args
		}
		args = args[1:]
	}
	return args
}

// conflict returns the error reply for options that exclude each other, or "".
func (o *zaddOptions) conflict(pairs int) string {
	switch {
	case o.nx && o.xx:
		return "ERR XX and NX options at the same time are not compatible"
	case o.gt && o.nx, o.lt && o.nx, o.gt && o.lt:
		return "ERR GT, LT, and/or NX options at the same time are not compatible"
	case o.incr && pairs > 1:
		return "ERR INCR option supports a single increment-element pair"
	}
	return ""
}

func zaddCommand(c *Ctx)    { c.zadd(zaddOptions{}) }
func zincrbyCommand(c *Ctx) { c.zadd(zaddOptions{incr: true}) }

func (c *Ctx) zadd(o zaddOptions) {
	key := c.Args[1]
	pairs := o.parse(c.Args[2:])
	if len(pairs) == 0 || len(pairs)%2 != 0 {
		c.Out.Error(errSyntax)
		return
	}
	if msg := o.conflict(len(pairs) / 2); msg != "" {
		c.Out.Error(msg)
		return
	}
	// All scores are checked before anything is changed; one is kept.
	var score float64
	for i := 0; i < len(pairs); i += 2 {
		var ok bool
		if score, ok = parseFloat(pairs[i]); !ok {
			c.Out.Error(errNotFloat)
			return
		}
	}
	z, found, ok := c.zsetWrite(key)
	if !ok {
		return
	}
	if !found && o.xx {
		pairs = nil
	}
	added, updated, processed := 0, 0, false
	for i := 0; i < len(pairs); i += 2 {
		if len(pairs) > 2 {
			score, _ = parseFloat(pairs[i])
		}
		out := o.apply(z, pairs[i+1], score)
		if out.nan {
			c.Out.Error(errScoreNaN) // only INCR, which takes one pair: nothing was changed
			return
		}
		score, processed = out.score, !out.skipped
		if out.added {
			added++
		}
		if out.updated {
			updated++
		}
	}
	if added+updated > 0 {
		ev := eventZAdd
		if o.incr {
			ev = eventZIncr
		}
		c.ChangedN(key, ev, added+updated)
	}
	switch {
	case o.incr && processed:
		c.Out.Double(score)
	case o.incr:
		c.Out.Null()
	case o.ch:
		c.Out.Int(int64(added + updated))
	default:
		c.Out.Int(int64(added))
	}
}

// zaddOutcome is what became of one pair.
type zaddOutcome struct {
	score                        float64
	added, updated, skipped, nan bool
}

// apply adds one member, or changes its score, as the options say.
func (o *zaddOptions) apply(z keyspace.ZSetRef, m []byte, score float64) (out zaddOutcome) {
	out.score = score
	if *o == (zaddOptions{ch: o.ch}) { // nobody asks what it was, so that one search does
		out.added, out.updated = z.Add(m, score)
		return out
	}
	old, exists := z.Score(m)
	if o.nx && exists || o.xx && !exists {
		out.skipped = true
		return out
	}
	if exists && o.incr {
		if out.score = old + score; math.IsNaN(out.score) {
			out.nan = true
			return out
		}
	}
	if exists && (o.lt && out.score >= old || o.gt && out.score <= old) {
		out.skipped = true
		return out
	}
	if !exists || out.score != old {
		out.added, out.updated = !exists, exists
		z.Add(m, out.score)
	}
	return out
}
