package command

import (
	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/resp"
)

var zsetCommands = []*Command{
	{
		Name: "zadd", Arity: -4, Flags: Write | DenyOOM | Fast, First: 1, Last: 1, Step: 1, Handler: zaddCommand,
		ACLCats: "sortedset", Group: zsetGroup, Since: "1.2.0", Complexity: "O(log(N)) for each item added, where N is the number of elements in the sorted set.",
		Summary: "Add one or more members to a sorted set, or update its score if it already exists",
	},
	{
		Name: "zincrby", Arity: 4, Flags: Write | DenyOOM | Fast, First: 1, Last: 1, Step: 1, Handler: zincrbyCommand,
		ACLCats: "sortedset", Group: zsetGroup, Since: "1.2.0", Complexity: "O(log(N)) where N is the number of elements in the sorted set.",
		Summary: "Increment the score of a member in a sorted set",
	},
	{
		Name: "zrem", Arity: -3, Flags: Write | Fast, First: 1, Last: 1, Step: 1, Handler: zremCommand,
		ACLCats: "sortedset", Group: zsetGroup, Since: "1.2.0", Complexity: "O(M*log(N)) with N being the number of elements in the sorted set and M the number of elements to be removed.",
		Summary: "Remove one or more members from a sorted set",
	},
	{
		Name: "zscore", Arity: 3, Flags: ReadOnly | Fast, First: 1, Last: 1, Step: 1, Handler: zscoreCommand,
		ACLCats: "sortedset", Group: zsetGroup, Since: "1.2.0", Complexity: o1,
		Summary: "Get the score associated with the given member in a sorted set",
	},
	{
		Name: "zmscore", Arity: -3, Flags: ReadOnly | Fast, First: 1, Last: 1, Step: 1, Handler: zmscoreCommand,
		ACLCats: "sortedset", Group: zsetGroup, Since: "6.2.0", Complexity: "O(N) where N is the number of members being requested.",
		Summary: "Get the score associated with the given members in a sorted set",
	},
	{
		Name: "zcard", Arity: 2, Flags: ReadOnly | Fast, First: 1, Last: 1, Step: 1, Handler: zcardCommand,
		ACLCats: "sortedset", Group: zsetGroup, Since: "1.2.0", Complexity: o1,
		Summary: "Get the number of members in a sorted set",
	},
	{
		Name: "zcount", Arity: 4, Flags: ReadOnly | Fast, First: 1, Last: 1, Step: 1, Handler: zcountCommand,
		ACLCats: "sortedset", Group: zsetGroup, Since: "2.0.0", Complexity: "O(log(N)) with N being the number of elements in the sorted set.",
		Summary: "Count the members in a sorted set with scores within the given values",
	},
	{
		Name: "zlexcount", Arity: 4, Flags: ReadOnly | Fast, First: 1, Last: 1, Step: 1, Handler: zlexcountCommand,
		ACLCats: "sortedset", Group: zsetGroup, Since: "2.8.9", Complexity: "O(log(N)) with N being the number of elements in the sorted set.",
		Summary: "Count the number of members in a sorted set between a given lexicographical range",
	},
	{
		Name: "zrank", Arity: 3, Flags: ReadOnly | Fast, First: 1, Last: 1, Step: 1, Handler: zrankCommand,
		ACLCats: "sortedset", Group: zsetGroup, Since: "2.0.0", Complexity: "O(log(N))",
		Summary: "Determine the index of a member in a sorted set",
	},
	{
		Name: "zrevrank", Arity: 3, Flags: ReadOnly | Fast, First: 1, Last: 1, Step: 1, Handler: zrevrankCommand,
		ACLCats: "sortedset", Group: zsetGroup, Since: "2.0.0", Complexity: "O(log(N))",
		Summary: "Determine the index of a member in a sorted set, with scores ordered from high to low",
	},
	{
		Name: "zpopmin", Arity: -2, Flags: Write | Fast, First: 1, Last: 1, Step: 1, Handler: zpopminCommand,
		ACLCats: "sortedset", Group: zsetGroup, Since: "5.0.0", Complexity: "O(log(N)*M) with N being the number of elements in the sorted set, and M being the number of elements popped.",
		Summary: "Remove and return members with the lowest scores in a sorted set",
	},
	{
		Name: "zpopmax", Arity: -2, Flags: Write | Fast, First: 1, Last: 1, Step: 1, Handler: zpopmaxCommand,
		ACLCats: "sortedset", Group: zsetGroup, Since: "5.0.0", Complexity: "O(log(N)*M) with N being the number of elements in the sorted set, and M being the number of elements popped.",
		Summary: "Remove and return members with the highest scores in a sorted set",
	},
	{
		Name: "zmpop", Arity: -4, Flags: Write | MovableKeys | Rewritten, Keys: keysAt(1), Handler: zmpopCommand,
		ACLCats: "sortedset", Group: zsetGroup, Since: "7.0.0", Complexity: "O(K) + O(M*log(N)) where K is the number of provided keys, N being the number of elements in the sorted set, and M being the number of elements popped.",
		Summary: "Remove and return members with scores in a sorted set",
	},
	{
		Name: "zrandmember", Arity: -2, Flags: ReadOnly, First: 1, Last: 1, Step: 1, Handler: zrandmemberCommand,
		ACLCats: "sortedset", Group: zsetGroup, Since: "6.2.0", Complexity: "O(N) where N is the number of elements returned",
		Summary: "Get one or multiple random elements from a sorted set",
	},
	{
		Name: "zscan", Arity: -3, Flags: ReadOnly, First: 1, Last: 1, Step: 1, Handler: zscanCommand,
		ACLCats: "sortedset", Group: zsetGroup, Since: "2.8.0", Complexity: "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to return back to 0. N is the number of elements inside the collection..",
		Summary: "Incrementally iterate sorted sets elements and associated scores",
	},
	{
		Name: "zrange", Arity: -4, Flags: ReadOnly, First: 1, Last: 1, Step: 1, Handler: zrangeCommand,
		ACLCats: "sortedset", Group: zsetGroup, Since: "1.2.0", Complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements returned.",
		Summary: "Return a range of members in a sorted set",
	},
	{
		Name: "zrangestore", Arity: -5, Flags: Write | DenyOOM, First: 1, Last: 2, Step: 1, Handler: zrangestoreCommand,
		ACLCats: "sortedset", Group: zsetGroup, Since: "6.2.0", Complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements stored into the destination key.",
		Summary: "Store a range of members from sorted set into another key",
	},
	{
		Name: "zrevrange", Arity: -4, Flags: ReadOnly, First: 1, Last: 1, Step: 1, Handler: zrevrangeCommand,
		ACLCats: "sortedset", Group: zsetGroup, Since: "1.2.0", Complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements returned.",
		Summary: "Return a range of members in a sorted set, by index, with scores ordered from high to low",
	},
	{
		Name: "zrangebyscore", Arity: -4, Flags: ReadOnly, First: 1, Last: 1, Step: 1, Handler: zrangebyscoreCommand,
		ACLCats: "sortedset", Group: zsetGroup, Since: "1.0.5", Complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements being returned. If M is constant (e.g. always asking for the first 10 elements with LIMIT), you can consider it O(log(N)).",
		Summary: "Return a range of members in a sorted set, by score",
	},
	{
		Name: "zrevrangebyscore", Arity: -4, Flags: ReadOnly, First: 1, Last: 1, Step: 1, Handler: zrevrangebyscoreCommand,
		ACLCats: "sortedset", Group: zsetGroup, Since: "2.2.0", Complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements being returned. If M is constant (e.g. always asking for the first 10 elements with LIMIT), you can consider it O(log(N)).",
		Summary: "Return a range of members in a sorted set, by score, with scores ordered from high to low",
	},
	{
		Name: "zrangebylex", Arity: -4, Flags: ReadOnly, First: 1, Last: 1, Step: 1, Handler: zrangebylexCommand,
		ACLCats: "sortedset", Group: zsetGroup, Since: "2.8.9", Complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements being returned. If M is constant (e.g. always asking for the first 10 elements with LIMIT), you can consider it O(log(N)).",
		Summary: "Return a range of members in a sorted set, by lexicographical range",
	},
	{
		Name: "zrevrangebylex", Arity: -4, Flags: ReadOnly, First: 1, Last: 1, Step: 1, Handler: zrevrangebylexCommand,
		ACLCats: "sortedset", Group: zsetGroup, Since: "2.8.9", Complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements being returned. If M is constant (e.g. always asking for the first 10 elements with LIMIT), you can consider it O(log(N)).",
		Summary: "Return a range of members in a sorted set, by lexicographical range, ordered from higher to lower strings.",
	},
	{
		Name: "zremrangebyrank", Arity: 4, Flags: Write, First: 1, Last: 1, Step: 1, Handler: zremrangebyrankCommand,
		ACLCats: "sortedset", Group: zsetGroup, Since: "2.0.0", Complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements removed by the operation.",
		Summary: "Remove all members in a sorted set within the given indexes",
	},
	{
		Name: "zremrangebyscore", Arity: 4, Flags: Write, First: 1, Last: 1, Step: 1, Handler: zremrangebyscoreCommand,
		ACLCats: "sortedset", Group: zsetGroup, Since: "1.2.0", Complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements removed by the operation.",
		Summary: "Remove all members in a sorted set within the given scores",
	},
	{
		Name: "zremrangebylex", Arity: 4, Flags: Write, First: 1, Last: 1, Step: 1, Handler: zremrangebylexCommand,
		ACLCats: "sortedset", Group: zsetGroup, Since: "2.8.9", Complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements removed by the operation.",
		Summary: "Remove all members in a sorted set between the given lexicographical range",
	},
	{
		Name: "zunion", Arity: -3, Flags: ReadOnly | MovableKeys, Keys: keysAt(1), Handler: zunionCommand,
		ACLCats: "sortedset", Group: zsetGroup, Since: "6.2.0", Complexity: "O(N)+O(M*log(M)) with N being the sum of the sizes of the input sorted sets, and M being the number of elements in the resulting sorted set.",
		Summary: "Add multiple sorted sets",
	},
	{
		Name: "zinter", Arity: -3, Flags: ReadOnly | MovableKeys, Keys: keysAt(1), Handler: zinterCommand,
		ACLCats: "sortedset", Group: zsetGroup, Since: "6.2.0", Complexity: "O(N*K)+O(M*log(M)) worst case with N being the smallest input sorted set, K being the number of input sorted sets and M being the number of elements in the resulting sorted set.",
		Summary: "Intersect multiple sorted sets",
	},
	{
		Name: "zdiff", Arity: -3, Flags: ReadOnly | MovableKeys, Keys: keysAt(1), Handler: zdiffCommand,
		ACLCats: "sortedset", Group: zsetGroup, Since: "6.2.0", Complexity: "O(L + (N-K)log(N)) worst case where L is the total number of elements in all the sets, N is the size of the first set, and K is the size of the result set.",
		Summary: "Subtract multiple sorted sets",
	},
	{
		Name: "zunionstore", Arity: -4, Flags: Write | DenyOOM | MovableKeys, First: 1, Last: 1, Step: 1, Keys: keysAt(2), Handler: zunionstoreCommand,
		ACLCats: "sortedset", Group: zsetGroup, Since: "2.0.0", Complexity: "O(N)+O(M log(M)) with N being the sum of the sizes of the input sorted sets, and M being the number of elements in the resulting sorted set.",
		Summary: "Add multiple sorted sets and store the resulting sorted set in a new key",
	},
	{
		Name: "zinterstore", Arity: -4, Flags: Write | DenyOOM | MovableKeys, First: 1, Last: 1, Step: 1, Keys: keysAt(2), Handler: zinterstoreCommand,
		ACLCats: "sortedset", Group: zsetGroup, Since: "2.0.0", Complexity: "O(N*K)+O(M*log(M)) worst case with N being the smallest input sorted set, K being the number of input sorted sets and M being the number of elements in the resulting sorted set.",
		Summary: "Intersect multiple sorted sets and store the resulting sorted set in a new key",
	},
	{
		Name: "zdiffstore", Arity: -4, Flags: Write | DenyOOM | MovableKeys, First: 1, Last: 1, Step: 1, Keys: keysAt(2), Handler: zdiffstoreCommand,
		ACLCats: "sortedset", Group: zsetGroup, Since: "6.2.0", Complexity: "O(L + (N-K)log(N)) worst case where L is the total number of elements in all the sets, N is the size of the first set, and K is the size of the result set.",
		Summary: "Subtract multiple sorted sets and store the resulting sorted set in a new key",
	},
	{
		Name: "zintercard", Arity: -3, Flags: ReadOnly | MovableKeys, Keys: keysAt(1), Handler: zintercardCommand,
		ACLCats: "sortedset", Group: zsetGroup, Since: "7.0.0", Complexity: "O(N*K) worst case with N being the smallest input sorted set, K being the number of input sorted sets.",
		Summary: "Intersect multiple sorted sets and return the cardinality of the result",
	},
}

// zsetRead returns a sorted set for reading. found is false when the key is
// missing, ok when it holds another type, which it has replied.
func (c *Ctx) zsetRead(key []byte) (z keyspace.ZSetRef, found, ok bool) {
	if _, found, ok = c.typed(key, keyspace.ZSet); found && ok {
		z = c.db(key).ZSet(key)
	}
	return z, found, ok
}

// zsetWrite is zsetRead for a sorted set about to be changed, which exists as
// soon as it has a member.
func (c *Ctx) zsetWrite(key []byte) (z keyspace.ZSetRef, found, ok bool) {
	if _, found, ok = c.typedWrite(key, keyspace.ZSet); ok {
		z = c.db(key).ZSet(key)
	}
	return z, found, ok
}

func zremCommand(c *Ctx) {
	z, found, ok := c.zsetWrite(c.Args[1])
	if !ok {
		return
	}
	n := 0
	if found {
		for _, m := range c.Args[2:] {
			if z.Remove(m) {
				n++
			}
		}
	}
	if n > 0 {
		c.Shrunk(c.Args[1], eventZRem, n)
	}
	c.Out.Int(int64(n))
}

func (c *Ctx) replyScore(z keyspace.ZSetRef, found bool, m []byte) {
	if found {
		if score, exists := z.Score(m); exists {
			c.Out.Double(score)
			return
		}
	}
	c.Out.Null()
}

func zscoreCommand(c *Ctx) {
	if z, found, ok := c.zsetRead(c.Args[1]); ok {
		c.replyScore(z, found, c.Args[2])
	}
}

func zmscoreCommand(c *Ctx) {
	z, found, ok := c.zsetRead(c.Args[1])
	if !ok {
		return
	}
	c.Out.Array(len(c.Args) - 2)
	for _, m := range c.Args[2:] {
		c.replyScore(z, found, m)
	}
}

func zcardCommand(c *Ctx) {
	z, found, ok := c.zsetRead(c.Args[1])
	switch {
	case !ok:
	case found:
		c.Out.Int(int64(z.Len()))
	default:
		c.Out.Int(0)
	}
}

func zrankCommand(c *Ctx)    { c.zrank(false) }
func zrevrankCommand(c *Ctx) { c.zrank(true) }

func (c *Ctx) zrank(reverse bool) {
	z, found, ok := c.zsetRead(c.Args[1])
	if !ok {
		return
	}
	rank := 0
	if found {
		rank, found = z.Rank(c.Args[2])
	}
	switch {
	case !found:
		c.Out.Null()
	case reverse:
		c.Out.Int(int64(z.Len() - 1 - rank))
	default:
		c.Out.Int(int64(rank))
	}
}

// replyPair replies with a member and, if asked, its score: flat in RESP2, a
// pair in RESP3.
func (c *Ctx) replyPair(m []byte, score float64, withScore bool) {
	if !withScore {
		c.Out.Bulk(m)
		return
	}
	if c.Out.Proto >= 3 {
		c.Out.Array(2)
	}
	c.Out.Bulk(m)
	c.Out.Double(score)
}

func zrandmemberCommand(c *Ctx) {
	count, withScores, single := int64(1), false, len(c.Args) == 2
	if !single {
		var ok bool
		if count, withScores, ok = c.randomArgs("withscores"); !ok {
			return
		}
	}
	z, found, ok := c.zsetRead(c.Args[1])
	if !ok {
		return
	}
	at := func(i int) {
		z.EachRank(i, i, false, func(m []byte, score float64) bool {
			c.replyPair(m, score, withScores)
			return false
		})
	}
	random := func() { at(c.Rand.IntN(z.Len())) }
	start := c.Out.Len()
	switch {
	case !found && single:
		c.Out.Null()
	case single:
		random()
	case !found || count == 0:
		c.Out.Array(0)
	case count < 0:
		c.openPairs(-count, withScores)
		c.repeat(start, -count, random)
	case count >= int64(z.Len()):
		c.openPairs(int64(z.Len()), withScores)
		z.EachRank(0, z.Len()-1, false, func(m []byte, score float64) bool {
			c.replyPair(m, score, withScores)
			return true
		})
	default:
		c.openPairs(count, withScores)
		for _, i := range distinct(c.Rand, z.Len(), int(count)) {
			at(i)
		}
	}
}

func zscanCommand(c *Ctx) {
	c.scanElements(keyspace.ZSet, func(cursor uint64, count int, match func([]byte) bool, w *resp.Writer) (next uint64, n int) {
		var tmp [32]byte
		next = c.db(c.Args[1]).ZSet(c.Args[1]).Scan(cursor, count, func(m []byte, score float64) {
			if match(m) {
				w.Bulk(m)
				w.Bulk(resp.AppendDouble(tmp[:0], score))
				n += 2
			}
		})
		return next, n
	})
}
