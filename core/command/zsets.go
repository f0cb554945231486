package command

import (
	"strings"

	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/resp"
)

var zsetHandlers = handlers{
	"zadd":             zaddCommand,
	"zincrby":          zincrbyCommand,
	"zrem":             zremCommand,
	"zscore":           zscoreCommand,
	"zmscore":          zmscoreCommand,
	"zcard":            zcardCommand,
	"zcount":           zcountCommand,
	"zlexcount":        zlexcountCommand,
	"zrank":            zrankCommand,
	"zrevrank":         zrevrankCommand,
	"zpopmin":          zpopminCommand,
	"zpopmax":          zpopmaxCommand,
	"zmpop":            zmpopCommand,
	"zrandmember":      zrandmemberCommand,
	"zscan":            zscanCommand,
	"zrange":           zrangeCommand,
	"zrangestore":      zrangestoreCommand,
	"zrevrange":        zrevrangeCommand,
	"zrangebyscore":    zrangebyscoreCommand,
	"zrevrangebyscore": zrevrangebyscoreCommand,
	"zrangebylex":      zrangebylexCommand,
	"zrevrangebylex":   zrevrangebylexCommand,
	"zremrangebyrank":  zremrangebyrankCommand,
	"zremrangebyscore": zremrangebyscoreCommand,
	"zremrangebylex":   zremrangebylexCommand,
	"zunion":           zunionCommand,
	"zinter":           zinterCommand,
	"zdiff":            zdiffCommand,
	"zunionstore":      zunionstoreCommand,
	"zinterstore":      zinterstoreCommand,
	"zdiffstore":       zdiffstoreCommand,
	"zintercard":       zintercardCommand,
}

// zsetRead returns a sorted set for reading. found is false when the key is
// missing, ok when it holds another type, which it has replied.
func (c *Ctx) zsetRead(key []byte) (z keyspace.ZSetRef, found, ok bool) {
	return read(c, key, keyspace.ZSet, (*keyspace.DB).ZSet)
}

// zsetWrite is zsetRead for a sorted set about to be changed, which exists as
// soon as it has a member.
func (c *Ctx) zsetWrite(key []byte) (z keyspace.ZSetRef, found, ok bool) {
	return write(c, key, keyspace.ZSet, (*keyspace.DB).ZSet)
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

// zrank is ZRANK or ZREVRANK, with the score of the member if that is asked for.
func (c *Ctx) zrank(reverse bool) {
	if len(c.Args) > 4 {
		c.Out.Error("ERR wrong number of arguments for '" + strings.ToLower(string(c.Args[0])) + "' command")
		return
	}
	withScore := len(c.Args) == 4
	if withScore && !is(c.Args[3], "withscore") {
		c.Out.Error(errSyntax)
		return
	}
	z, found, ok := c.zsetRead(c.Args[1])
	if !ok {
		return
	}
	rank := 0
	if found {
		rank, found = z.Rank(c.Args[2])
	}
	if !found {
		if withScore {
			c.Out.NullArray()
		} else {
			c.Out.Null()
		}
		return
	}
	if reverse {
		rank = z.Len() - 1 - rank
	}
	if withScore {
		c.Out.Array(2)
	}
	c.Out.Int(int64(rank))
	if withScore {
		score, _ := z.Score(c.Args[2])
		c.Out.Double(score)
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
	if !ok || found && c.detachRandom(count, z.Len()) {
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
