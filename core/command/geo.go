package command

import (
	"math"
	"slices"
	"strconv"

	"github.com/spillwaydb/spillway/core/command/geo"
)

var geoHandlers = handlers{
	"geoadd":               geoaddCommand,
	"geopos":               geoposCommand,
	"geodist":              geodistCommand,
	"geohash":              geohashCommand,
	"geosearch":            func(c *Ctx) { c.geoSearch(geoVariant{search: true}) },
	"geosearchstore":       func(c *Ctx) { c.geoSearch(geoVariant{search: true, stores: true}) },
	"georadius":            func(c *Ctx) { c.geoSearch(geoVariant{mayStore: true}) },
	"georadius_ro":         func(c *Ctx) { c.geoSearch(geoVariant{}) },
	"georadiusbymember":    func(c *Ctx) { c.geoSearch(geoVariant{byMember: true, mayStore: true}) },
	"georadiusbymember_ro": func(c *Ctx) { c.geoSearch(geoVariant{byMember: true}) },
}

var verbZAdd = []byte("ZADD")

// position parses a longitude and a latitude, or replies with what is wrong with
// them.
func (c *Ctx) position(args [][]byte) (p geo.Point, ok bool) {
	for i, to := range []*float64{&p.Lon, &p.Lat} {
		if *to, ok = parseFloat(args[i]); !ok {
			c.Out.Error(errNotFloat)
			return p, false
		}
	}
	if !p.Valid() {
		c.Out.Error("ERR invalid longitude,latitude pair " + formatFixed(p.Lon) + "," + formatFixed(p.Lat))
		return p, false
	}
	return p, true
}

// formatFixed is C's %f.
func formatFixed(f float64) string {
	switch {
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	}
	return strconv.FormatFloat(f, 'f', 6, 64)
}

// unit parses a unit of length and returns how many meters it has, or replies that
// it is none.
func (c *Ctx) unit(arg []byte) (meters float64, ok bool) {
	switch {
	case is(arg, "m"):
		return 1, true
	case is(arg, "km"):
		return 1000, true
	case is(arg, "ft"):
		return 0.3048, true
	case is(arg, "mi"):
		return 1609.34, true
	}
	c.Out.Error("ERR unsupported unit provided. please use M, KM, FT, MI")
	return 0, false
}

// geoaddCommand is a ZADD of the positions' scores, and logged as such.
func geoaddCommand(c *Ctx) {
	at := 2
	nx, xx := false, false
	for ; at < len(c.Args); at++ {
		isNX, isXX := is(c.Args[at], "nx"), is(c.Args[at], "xx")
		if !isNX && !isXX && !is(c.Args[at], "ch") {
			break
		}
		nx, xx = nx || isNX, xx || isXX
	}
	places := c.Args[at:]
	if len(places)%3 != 0 || nx && xx {
		c.Out.Error(errSyntax)
		return
	}
	args := slices.Clone(c.Args[:at])
	args[0] = verbZAdd
	for ; len(places) > 0; places = places[3:] {
		p, ok := c.position(places)
		if !ok {
			return
		}
		args = append(args, strconv.AppendUint(nil, p.Score(), 10), places[2])
	}
	asSent, before := c.Args, c.dirty
	c.Args = args
	c.zadd(zaddOptions{})
	c.Args = asSent
	if c.dirty > before {
		c.LogAs(args...)
	}
}

// replyDistance replies with four digits after the point, as Redis rounds them.
func (c *Ctx) replyDistance(d float64) {
	n := int64(math.MinInt64) // what is no number becomes in C
	if d *= 10_000; math.Abs(d) < 1<<63 {
		n = int64(math.RoundToEven(d))
	}
	digits := strconv.FormatUint(uint64(max(n, -n)), 10) // the least has no positive counterpart, and needs none
	for len(digits) < 5 {
		digits = "0" + digits
	}
	if n < 0 {
		digits = "-" + digits
	}
	c.Out.BulkString(digits[:len(digits)-4] + "." + digits[len(digits)-4:])
}

// replyPosition replies with a longitude and a latitude.
func (c *Ctx) replyPosition(p geo.Point) {
	c.Out.Array(2)
	for _, f := range []float64{p.Lon, p.Lat} {
		c.Out.Decimal(f)
	}
}

// eachPlace replies with an array of one element for each member that the arguments
// name, as found or missing says.
func (c *Ctx) eachPlace(found func(p geo.Point), missing func()) {
	z, exists, ok := c.zsetRead(c.Args[1])
	if !ok {
		return
	}
	c.Out.Array(len(c.Args) - 2)
	for _, m := range c.Args[2:] {
		score, known := 0.0, false
		if exists {
			score, known = z.Score(m)
		}
		if known {
			found(geo.FromScore(score))
		} else {
			missing()
		}
	}
}

func geoposCommand(c *Ctx) {
	c.eachPlace(c.replyPosition, c.Out.NullArray)
}

func geohashCommand(c *Ctx) {
	c.eachPlace(func(p geo.Point) { c.Out.BulkString(p.Hash()) }, c.Out.Null)
}

func geodistCommand(c *Ctx) {
	meters := 1.0
	switch n := len(c.Args); {
	case n == 5:
		var ok bool
		if meters, ok = c.unit(c.Args[4]); !ok {
			return
		}
	case n > 5:
		c.Out.Error(errSyntax)
		return
	}
	z, found, ok := c.zsetRead(c.Args[1])
	if !ok {
		return
	}
	var at [2]geo.Point
	for i := range at {
		score, known := 0.0, false
		if found {
			score, known = z.Score(c.Args[2+i])
		}
		if !known {
			c.Out.Null()
			return
		}
		at[i] = geo.FromScore(score)
	}
	c.replyDistance(geo.Distance(at[0], at[1]) / meters)
}
