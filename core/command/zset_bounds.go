package command

import "github.com/spillwaydb/spillway/core/keyspace"

const (
	errScoreRange = "ERR min or max is not a float"
	errLexRange   = "ERR min or max not valid string range item"
)

// zrange is a range of a sorted set: by rank, by score or by member. Whatever
// the kind, it amounts to the ranks from lo to hi.
type zrange struct {
	kind rangeKind

	start, stop int64 // ranks, negative ones from the end

	min, max scoreBound

	least, greatest lexBound
}

type rangeKind uint8

const (
	byRank rangeKind = iota
	byScore
	byLex
)

// scoreBound is one end of a range of scores.
type scoreBound struct {
	score float64
	excl  bool
}

// lexBound is one end of a range of members: a member, or -1 or 1 for before
// or after every member.
type lexBound struct {
	member []byte
	excl   bool
	end    int
}

func parseScoreBound(arg []byte) (b scoreBound, ok bool) {
	if len(arg) > 0 && arg[0] == '(' {
		b.excl, arg = true, arg[1:]
	}
	b.score, ok = parseBound(arg)
	return b, ok
}

func parseLexBound(arg []byte) (b lexBound, ok bool) {
	if len(arg) == 0 {
		return b, false
	}
	switch arg[0] {
	case '-':
		b.end = -1
		return b, len(arg) == 1
	case '+':
		b.end = 1
		return b, len(arg) == 1
	case '(':
		b.excl = true
	case '[':
	default:
		return b, false
	}
	b.member = arg[1:]
	return b, true
}

// parseRange parses the ends of a range, or replies with what is wrong.
func (c *Ctx) parseRange(kind rangeKind, lo, hi []byte) (r zrange, ok bool) {
	r.kind = kind
	ok1, ok2 := false, false
	switch kind {
	case byRank:
		if r.start, ok1 = c.intArg(lo); !ok1 {
			return r, false
		}
		r.stop, ok2 = c.intArg(hi)
		return r, ok2
	case byScore:
		r.min, ok1 = parseScoreBound(lo)
		r.max, ok2 = parseScoreBound(hi)
		if !ok1 || !ok2 {
			c.Out.Error(errScoreRange)
		}
	case byLex:
		r.least, ok1 = parseLexBound(lo)
		r.greatest, ok2 = parseLexBound(hi)
		if !ok1 || !ok2 {
			c.Out.Error(errLexRange)
		}
	}
	return r, ok1 && ok2
}

// ranks finds the range in z: the ranks from lo up to, not including, hi,
// counted from the end when reverse (which only ranges by rank care for).
// An empty range has lo == hi.
func (r *zrange) ranks(z keyspace.ZSetRef, reverse bool) (lo, hi int) {
	n := z.Len()
	switch r.kind {
	case byRank:
		if lo, hi = span(r.start, r.stop, n); reverse && lo < hi {
			lo, hi = n-hi, n-lo
		}
	case byScore:
		lo = z.LowerScore(r.min.score, r.min.excl)
		hi = z.LowerScore(r.max.score, !r.max.excl)
	case byLex:
		lo = r.least.rank(z, n, r.least.excl)
		hi = r.greatest.rank(z, n, !r.greatest.excl)
	}
	if lo >= hi {
		return 0, 0
	}
	return lo, hi
}

// rank counts the members before the bound, and with after the bound's own.
func (b *lexBound) rank(z keyspace.ZSetRef, n int, after bool) int {
	switch {
	case b.end < 0:
		return 0
	case b.end > 0:
		return n
	}
	return z.LowerLex(b.member, after)
}

// limit applies LIMIT: offset members of the range are left out and at most
// count kept, from the far end when reverse. A negative count keeps all, a
// negative offset none.
func limit(lo, hi int, offset, count int64, reverse bool) (from, to int) {
	n := int64(hi - lo)
	if offset < 0 || offset >= n {
		return 0, 0
	}
	n -= offset
	if count >= 0 {
		n = min(n, count)
	}
	if reverse {
		hi -= int(offset)
		return hi - int(n), hi
	}
	lo += int(offset)
	return lo, lo + int(n)
}
