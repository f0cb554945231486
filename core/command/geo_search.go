package command

import (
	"cmp"
	"slices"

	"github.com/spillwaydb/spillway/core/command/geo"
	"github.com/spillwaydb/spillway/core/keyspace"
)

// geoVariant is what one of the searching commands has of its own.
type geoVariant struct {
	search   bool // GEOSEARCH and GEOSEARCHSTORE, which name their center and shape
	byMember bool // GEORADIUSBYMEMBER, whose center is a member
	mayStore bool // takes STORE and STOREDIST with a key
	stores   bool // GEOSEARCHSTORE
}

// geoQuery is what is searched, and what becomes of it.
type geoQuery struct {
	shape                         geo.Shape
	fromMember, fromPosition      bool
	byRadius, byBox               bool
	withDist, withHash, withCoord bool
	sort                          int // 1 nearest first, -1 farthest first, 0 as found
	count                         int64
	any                           bool
	store                         []byte // nil: reply
	storeDist                     bool
}

// found is a member in the shape.
type found struct {
	member   []byte
	at       geo.Point
	score    float64
	distance float64 // in meters
}

func (c *Ctx) geoSearch(v geoVariant) {
	var q geoQuery
	source := c.Args[1]
	if v.stores {
		q.store, source = c.Args[1], c.Args[2]
	}
	z, exists, ok := c.zsetRead(source)
	if !ok || !c.parseGeoQuery(v, &q, z, exists) {
		return
	}
	if !exists {
		c.replyNothingFound(&q)
		return
	}
	if q.count > 0 && q.sort == 0 && !q.any {
		q.sort = 1
	}
	if c.detachFor(q.store, q.candidates(z), source) {
		return
	}
	ev := eventGeoRadiusStore
	if v.search {
		ev = eventGeoSearchStore
	}
	if q.store != nil && c.putMadeLogged(q.store, keyspace.ZSet, [][]byte{source}, ev) {
		return
	}
	all := q.collect(z)
	if len(all) == 0 && q.store == nil {
		c.Out.Array(0)
		return
	}
	if q.sort != 0 {
		slices.SortStableFunc(all, func(a, b found) int { return q.sort * cmp.Compare(a.distance, b.distance) })
	}
	if q.count > 0 && int64(len(all)) > q.count {
		all = all[:q.count]
	}
	switch {
	case q.store != nil:
		c.storeFound(&q, all, ev)
	default:
		c.replyFound(&q, all)
	}
}

// parseGeoQuery parses the arguments, or replies with what is wrong with them. Some
// of it is only wrong where the sorted set is there, as in Redis.
func (c *Ctx) parseGeoQuery(v geoVariant, q *geoQuery, z keyspace.ZSetRef, exists bool) (ok bool) {
	rest := c.Args[2:]
	switch {
	case v.stores:
		rest = c.Args[3:]
	case v.search:
	case v.byMember:
		rest = c.Args[5:]
		if exists {
			if !c.centerOn(q, z, c.Args[2]) || !c.circle(q, c.Args[3:]) {
				return false
			}
		}
	default:
		rest = c.Args[6:]
		if q.shape.Center, ok = c.position(c.Args[2:]); !ok || !c.circle(q, c.Args[4:]) {
			return false
		}
	}
	for len(rest) > 0 {
		taken, ok := c.geoOption(v, q, z, exists, rest)
		if !ok {
			return false
		}
		rest = rest[taken:]
	}
	return c.checkGeoQuery(v, q)
}

// geoOption parses the option at the beginning of args and tells how many arguments
// it has, or replies with what is wrong with it.
func (c *Ctx) geoOption(v geoVariant, q *geoQuery, z keyspace.ZSetRef, exists bool, args [][]byte) (taken int, ok bool) {
	more := len(args) - 1
	switch a := args[0]; {
	case is(a, "withdist"):
		q.withDist = true
	case is(a, "withhash"):
		q.withHash = true
	case is(a, "withcoord"):
		q.withCoord = true
	case is(a, "any"):
		q.any = true
	case is(a, "asc"):
		q.sort = 1
	case is(a, "desc"):
		q.sort = -1
	case is(a, "count") && more >= 1:
		if q.count, ok = c.intArg(args[1]); !ok {
			return 0, false
		}
		if q.count <= 0 {
			c.Out.Error("ERR COUNT must be > 0")
			return 0, false
		}
		return 2, true
	case v.mayStore && more >= 1 && (is(a, "store") || is(a, "storedist")):
		q.store, q.storeDist = args[1], is(a, "storedist")
		return 2, true
	case v.stores && is(a, "storedist"):
		q.storeDist = true
	case v.search && is(a, "frommember") && more >= 1 && !q.fromPosition:
		q.fromMember = true
		return 2, !exists || c.centerOn(q, z, args[1])
	case v.search && is(a, "fromlonlat") && more >= 2 && !q.fromMember:
		q.fromPosition = true
		q.shape.Center, ok = c.position(args[1:])
		return 3, ok
	case v.search && is(a, "byradius") && more >= 2 && !q.byBox:
		q.byRadius = true
		return 3, c.circle(q, args[1:])
	case v.search && is(a, "bybox") && more >= 3 && !q.byRadius:
		q.byBox = true
		return 4, c.box(q, args[1:])
	default:
		c.Out.Error(errSyntax)
		return 0, false
	}
	return 1, true
}

// checkGeoQuery replies with what is missing or does not go together.
func (c *Ctx) checkGeoQuery(v geoVariant, q *geoQuery) bool {
	switch {
	case q.store != nil && (q.withDist || q.withHash || q.withCoord):
		name := "STORE option in GEORADIUS"
		if v.stores {
			name = "GEOSEARCHSTORE"
		}
		c.Out.Error("ERR " + name + " is not compatible with WITHDIST, WITHHASH and WITHCOORD options")
	case v.search && !q.fromMember && !q.fromPosition:
		c.Out.Errorf("ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for %s", c.Args[0])
	case v.search && !q.byRadius && !q.byBox:
		c.Out.Errorf("ERR exactly one of BYRADIUS and BYBOX can be specified for %s", c.Args[0])
	case q.any && q.count == 0:
		c.Out.Error("ERR the ANY argument requires COUNT argument")
	default:
		return true
	}
	return false
}

// centerOn makes a member the center, or replies that there is none.
func (c *Ctx) centerOn(q *geoQuery, z keyspace.ZSetRef, member []byte) bool {
	score, ok := z.Score(member)
	if !ok {
		c.Out.Error("ERR could not decode requested zset member")
		return false
	}
	q.shape.Center = geo.FromScore(score)
	return true
}

// circle parses a radius and its unit.
func (c *Ctx) circle(q *geoQuery, args [][]byte) (ok bool) {
	radius, ok := parseFloat(args[0])
	if !ok {
		c.Out.Error("ERR need numeric radius")
		return false
	}
	if radius < 0 {
		c.Out.Error("ERR radius cannot be negative")
		return false
	}
	q.shape.Box, q.shape.Radius = false, radius
	q.shape.Unit, ok = c.unit(args[1])
	return ok
}

// box parses a width, a height and their unit.
func (c *Ctx) box(q *geoQuery, args [][]byte) (ok bool) {
	width, ok := parseFloat(args[0])
	if !ok {
		c.Out.Error("ERR need numeric width")
		return false
	}
	height, ok := parseFloat(args[1])
	if !ok {
		c.Out.Error("ERR need numeric height")
		return false
	}
	if width < 0 || height < 0 {
		c.Out.Error("ERR height or width cannot be negative")
		return false
	}
	q.shape.Box, q.shape.Width, q.shape.Height = true, width, height
	q.shape.Unit, ok = c.unit(args[2])
	return ok
}

// candidates is how many members collect looks at, or with ANY may look at, if they may
// be enough for detach, and no fewer otherwise.
func (q *geoQuery) candidates(z keyspace.ZSetRef) (n int) {
	if n = z.Len(); n < detachFrom {
		return n
	}
	n = 0
	q.shape.Ranges(func(from, to uint64) bool {
		n += z.LowerScore(float64(to), false) - z.LowerScore(float64(from), false)
		return true
	})
	return n
}

// collect returns the members in the shape, with ANY no more than are asked for.
func (q *geoQuery) collect(z keyspace.ZSetRef) (all []found) {
	enough := func() bool { return q.any && int64(len(all)) >= q.count }
	q.shape.Ranges(func(from, to uint64) bool {
		first, last := z.LowerScore(float64(from), false), z.LowerScore(float64(to), false)-1
		z.EachRank(first, last, false, func(m []byte, score float64) bool {
			at := geo.FromScore(score)
			if d, in := q.shape.Distance(at); in {
				all = append(all, found{slices.Clone(m), at, score, d})
			}
			return !enough()
		})
		return !enough()
	})
	return all
}

func (c *Ctx) replyNothingFound(q *geoQuery) {
	if q.store == nil {
		c.Out.Array(0)
		return
	}
	if _, there := c.lookupWrite(q.store); there {
		c.remove(q.store)
		c.LogAs(verbDel, q.store)
	}
	c.Out.Int(0)
}

func (c *Ctx) replyFound(q *geoQuery, all []found) {
	extras := 0
	for _, with := range []bool{q.withDist, q.withHash, q.withCoord} {
		if with {
			extras++
		}
	}
	c.Out.Array(len(all))
	for _, f := range all {
		if extras > 0 {
			c.Out.Array(1 + extras)
		}
		c.Out.Bulk(f.member)
		if q.withDist {
			c.replyDistance(f.distance / q.shape.Unit)
		}
		if q.withHash {
			c.Out.Int(int64(f.score)) // a position has 52 bits
		}
		if q.withCoord {
			c.replyPosition(f.at)
		}
	}
}

// storeFound writes what was found to a key. Logged is the sorted set, for what is
// in it depends on how sines are computed.
func (c *Ctx) storeFound(q *geoQuery, all []found, ev Event) {
	stored := q.scores(all)
	c.storeLogged(q.store, stored.len(), ev, func(d *keyspace.DB) { stored.addTo(d.ZSet(q.store)) }, func() { c.logScored(q.store, stored) })
}

// scores are the members that were found with the scores that they are stored with.
func (q *geoQuery) scores(all []found) *members {
	stored := new(members)
	for _, f := range all {
		score := f.score
		if q.storeDist {
			score = f.distance / q.shape.Unit
		}
		stored.addScored(f.member, score)
	}
	return stored
}
