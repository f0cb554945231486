package command

import (
	"bytes"
	"math"
	"slices"
	"strings"

	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/rdb"
)

// scored is one operand of a sorted set operation: a sorted set, a set whose
// members all score 1, or nothing.
type scored struct {
	zset   keyspace.ZSetRef
	set    keyspace.SetRef
	typ    keyspace.Type // String: the key is missing
	weight float64
}

func (s *scored) len() int {
	switch s.typ {
	case keyspace.ZSet:
		return s.zset.Len()
	case keyspace.Set:
		return s.set.Len()
	case keyspace.String:
		return 0
	default:
		panic(rdb.UnknownType(s.typ))
	}
}

func (s *scored) score(m []byte) (float64, bool) {
	switch s.typ {
	case keyspace.ZSet:
		return s.zset.Score(m)
	case keyspace.Set:
		return 1, s.set.Has(m)
	case keyspace.String:
		return 0, false
	default:
		panic(rdb.UnknownType(s.typ))
	}
}

func (s *scored) each(fn func(m []byte, score float64) bool) {
	switch s.typ {
	case keyspace.ZSet:
		s.zset.EachRank(0, s.zset.Len()-1, false, fn)
	case keyspace.Set:
		s.set.Each(func(m []byte) bool { return fn(m, 1) })
	case keyspace.String:
	default:
		panic(rdb.UnknownType(s.typ))
	}
}

// weighted multiplies a score by the operand's weight; infinity times zero is 0.
func (s *scored) weighted(score float64) float64 {
	if score *= s.weight; math.IsNaN(score) {
		return 0
	}
	return score
}

// aggregate joins the scores a member has in two operands.
type aggregate func(a, b float64) float64

func aggregateSum(a, b float64) float64 {
	if a += b; math.IsNaN(a) {
		return 0 // inf and -inf
	}
	return a
}

// The smaller and the larger score; b, which may be infinity times zero, loses
// to a when it is no number.
func aggregateMin(a, b float64) float64 {
	if b < a {
		return b
	}
	return a
}

func aggregateMax(a, b float64) float64 {
	if b > a {
		return b
	}
	return a
}

// zalgebraOp says which operation it is.
type zalgebraOp uint8

const (
	opUnion zalgebraOp = iota
	opInter
	opDiff
)

// zoperation is a parsed operation on sorted sets.
type zoperation struct {
	op         zalgebraOp
	operands   []scored
	join       aggregate
	withScores bool
	limit      int64
}

// scoredOperands looks up the keys of an operation, or replies that one of
// them is neither a sorted set nor a set. Every key is looked up before any is
// read, for looking up may change the store.
func (c *Ctx) scoredOperands(keys [][]byte) ([]scored, bool) {
	out := make([]scored, len(keys))
	for i, key := range keys {
		e, found := c.lookup(key)
		if !found {
			continue
		}
		if out[i].typ = e.Type(); out[i].typ != keyspace.ZSet && out[i].typ != keyspace.Set {
			c.Out.Error(errWrongType)
			return nil, false
		}
	}
	for i, key := range keys {
		out[i].weight = 1
		switch out[i].typ {
		case keyspace.ZSet:
			out[i].zset = c.db(key).ZSet(key)
		case keyspace.Set:
			out[i].set = c.db(key).Set(key)
		case keyspace.String:
		default:
			panic(rdb.UnknownType(out[i].typ))
		}
	}
	return out, true
}

// parseOperation parses what follows the command, or its destination: args is
// "numkeys key [key …] [option …]". card is for ZINTERCARD.
func (c *Ctx) parseOperation(op zalgebraOp, args [][]byte, store, card bool) (o zoperation, ok bool) {
	o.op, o.join = op, aggregateSum
	n, ok := c.intArg(args[0])
	if !ok {
		return o, false
	}
	if n < 1 {
		c.Out.Error("ERR at least 1 input key is needed for '" + strings.ToLower(string(c.Args[0])) + "' command")
		return o, false
	}
	if n > int64(len(args)-1) {
		c.Out.Error(errSyntax)
		return o, false
	}
	if o.operands, ok = c.scoredOperands(args[1 : 1+n]); !ok {
		return o, false
	}
	rest := args[1+n:]
	for len(rest) > 0 {
		var used int
		switch opt := rest[0]; {
		case op != opDiff && !card && len(rest) >= 1+int(n) && is(opt, "weights"):
			for i := range o.operands {
				if o.operands[i].weight, ok = parseFloat(rest[1+i]); !ok {
					c.Out.Error("ERR weight value is not a float")
					return o, false
				}
			}
			used = 1 + int(n)
		case op != opDiff && !card && len(rest) >= 2 && is(opt, "aggregate"):
			switch how := rest[1]; {
			case is(how, "sum"):
				o.join = aggregateSum
			case is(how, "min"):
				o.join = aggregateMin
			case is(how, "max"):
				o.join = aggregateMax
			default:
				c.Out.Error(errSyntax)
				return o, false
			}
			used = 2
		case !store && !card && is(opt, "withscores"):
			o.withScores, used = true, 1
		case card && len(rest) >= 2 && is(opt, "limit"):
			if o.limit, ok = c.atLeast(rest[1], 0, errLimit); !ok {
				return o, false
			}
			used = 2
		default:
			c.Out.Error(errSyntax)
			return o, false
		}
		rest = rest[used:]
	}
	return o, true
}

// detaches is detach for an operation that changes nothing. args are as for
// parseOperation, which has accepted them.
func (o *zoperation) detaches(c *Ctx, args [][]byte) bool {
	return c.detach(o.size(), args[1:1+len(o.operands)]...)
}

// size is how many members the operands have together.
func (o *zoperation) size() (n int) {
	for i := range o.operands {
		n += o.operands[i].len()
	}
	return n
}

// each calls emit for every member of the result, once and in no order, until
// emit returns false. What it emits is the store's.
func (o *zoperation) each(emit func(m []byte, score float64) bool) {
	ops := o.operands
	if o.op != opDiff {
		// The smallest first makes the least work of an intersection. Sums of
		// floats depend on the order too, so that it is Redis's.
		slices.SortStableFunc(ops, func(a, b scored) int { return a.len() - b.len() })
	}
	switch o.op {
	case opUnion:
		for i := range ops {
			more := true
			ops[i].each(func(m []byte, score float64) bool {
				if inAny(ops[:i], m) {
					return true
				}
				score = ops[i].weighted(score)
				for j := i + 1; j < len(ops); j++ {
					if s, found := ops[j].score(m); found {
						score = o.join(score, ops[j].weighted(s))
					}
				}
				more = emit(m, score)
				return more
			})
			if !more {
				return
			}
		}
	case opInter:
		ops[0].each(func(m []byte, score float64) bool {
			score = ops[0].weighted(score)
			for j := 1; j < len(ops); j++ {
				s, found := ops[j].score(m)
				if !found {
					return true
				}
				score = o.join(score, s*ops[j].weight) // as in Redis, NaN is join's affair here
			}
			return emit(m, score)
		})
	case opDiff:
		ops[0].each(func(m []byte, score float64) bool { return inAny(ops[1:], m) || emit(m, score) })
	}
}

// inAny tells whether a member is in any of the operands.
func inAny(ops []scored, m []byte) bool {
	for i := range ops {
		if _, found := ops[i].score(m); found {
			return true
		}
	}
	return false
}

// result copies the result out of the store.
func (o *zoperation) result() *members {
	out := new(members)
	o.each(func(m []byte, score float64) bool {
		out.addScored(m, score)
		return true
	})
	return out
}

func zunionCommand(c *Ctx) { c.zoperate(opUnion) }
func zinterCommand(c *Ctx) { c.zoperate(opInter) }
func zdiffCommand(c *Ctx)  { c.zoperate(opDiff) }

func (c *Ctx) zoperate(op zalgebraOp) {
	o, ok := c.parseOperation(op, c.Args[1:], false, false)
	if !ok || o.detaches(c, c.Args[1:]) {
		return
	}
	result := o.result()
	order := make([]int, result.len())
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		switch x, y := result.scores[a], result.scores[b]; {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return bytes.Compare(result.at(a), result.at(b))
	})
	c.openPairs(int64(len(order)), o.withScores)
	for _, i := range order {
		c.replyPair(result.at(i), result.scores[i], o.withScores)
	}
}

func zunionstoreCommand(c *Ctx) { c.zoperateStore(opUnion, eventZUnionStore) }
func zinterstoreCommand(c *Ctx) { c.zoperateStore(opInter, eventZInterStore) }
func zdiffstoreCommand(c *Ctx)  { c.zoperateStore(opDiff, eventZDiffStore) }

func (c *Ctx) zoperateStore(op zalgebraOp, ev Event) {
	o, ok := c.parseOperation(op, c.Args[2:], true, false)
	if !ok {
		return
	}
	dst, keys := c.Args[1], c.Args[3:3+len(o.operands)]
	if c.detachToStore(o.size(), keys...) {
		return
	}
	if aside := c.result(); aside != nil {
		z := aside.ZSet(dst)
		o.each(func(m []byte, score float64) bool {
			z.Add(m, score)
			return true
		})
		return
	}
	if !c.putMade(dst, keyspace.ZSet, keys, ev) {
		c.storeScored(dst, o.result(), ev)
	}
}

func zintercardCommand(c *Ctx) {
	o, ok := c.parseOperation(opInter, c.Args[1:], false, true)
	if !ok || o.detaches(c, c.Args[1:]) {
		return
	}
	n := int64(0)
	o.each(func([]byte, float64) bool {
		n++
		return n != o.limit
	})
	c.Out.Int(n)
}
