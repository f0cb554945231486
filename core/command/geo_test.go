package command

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/spillwaydb/spillway/core/resp"
)

// geo makes random commands on a few sorted sets of positions, all over the world
// and near each other.
func (w words) geo() (line []string, unordered bool) {
	key := func() string { return pick(w, "world", "world", "town", "town", "stored", "odd", "nosuch") }
	number := func(most float64) string {
		if w.rng.IntN(150) == 0 {
			return pick(w, "x", "", "nan", "inf", "-inf", "1e10", "-1", "0")
		}
		return strconv.FormatFloat((w.rng.Float64()-0.5)*2*most, 'g', 3+w.rng.IntN(15), 64)
	}
	member := func() string { return "m" + strconv.Itoa(w.rng.IntN(60)) }
	place := func(key string) []string {
		if key == "town" {
			return []string{fmt.Sprintf("13.%d", w.rng.IntN(1000)), fmt.Sprintf("38.%d", w.rng.IntN(1000))}
		}
		return []string{number(180), number(85.06)}
	}
	unit := func() string { return pick(w, "m", "km", "km", "FT", "mi", "Km", "mi", "m", "km", "ft", "yd") }
	size := func() string {
		if w.rng.IntN(60) == 0 {
			return pick(w, "x", "-1", "0", "inf", "nan")
		}
		return strconv.FormatFloat(w.rng.Float64()*pick(w, 1.0, 100, 5000, 20000, 1e6), 'g', -1, 64)
	}
	shape := func() []string {
		if w.rng.IntN(2) == 0 {
			return []string{"BYRADIUS", size(), unit()}
		}
		return []string{"BYBOX", size(), size(), unit()}
	}
	options := func(line []string, more ...string) []string {
		for _, o := range append(more, "WITHDIST", "WITHHASH", "WITHCOORD") {
			line = w.maybe(line, 25, o)
		}
		// Redis sorts what is as far away in an order of its own if COUNT cuts it off.
		line = w.maybe(line, 60, pick(w, "ASC", "DESC"))
		line = w.maybe(line, 10, "COUNT", pick(w, "1", "3", "100", "0", "-1", "x"), "ANY")
		return w.maybe(line, 2, pick(w, "ANY", "NOSUCH", "COUNT", "STORE", "STOREDIST"))
	}
	k := key()
	switch w.rng.IntN(16) {
	case 0, 1, 2, 3:
		line := []string{"GEOADD", k}
		line = w.maybe(line, 15, pick(w, "NX", "XX", "CH"))
		line = w.maybe(line, 15, pick(w, "NX", "XX", "CH", "ch"))
		for range 1 + w.rng.IntN(3) {
			line = append(append(line, place(k)...), member())
		}
		return line, false
	case 4:
		return []string{"GEOPOS", k, member(), member()}, false
	case 5, 6, 7:
		return w.maybe([]string{"GEODIST", k, member(), member()}, 60, unit()), false
	case 8:
		return []string{"GEOHASH", k, member(), member()}, false
	case 9:
		return options(append(append([]string{"GEOSEARCH", k, "FROMLONLAT"}, place(k)...), shape()...)), false
	case 10:
		return options(append([]string{"GEOSEARCH", k, "FROMMEMBER", member()}, shape()...)), false
	case 11:
		line := append([]string{"GEOSEARCHSTORE", "stored", pick(w, "town", "nosuch", "world"), "FROMMEMBER", member()}, shape()...)
		line = w.maybe(line, 40, "STOREDIST")
		return w.maybe(line, 5, "WITHDIST"), false
	case 12:
		line := options(append(append([]string{pick(w, "GEORADIUS", "GEORADIUS_RO"), k}, place(k)...), size(), unit()))
		return w.maybe(line, 10, pick(w, "STORE", "STOREDIST"), "stored"), false
	case 13:
		line := options([]string{pick(w, "GEORADIUSBYMEMBER", "GEORADIUSBYMEMBER_RO"), k, member(), size(), unit()})
		return w.maybe(line, 10, pick(w, "STORE", "STOREDIST"), "stored"), false
	case 14:
		return pick(w, []string{"ZADD", "odd", pick(w, "-1", "1e17", "1e19", "1e300", "-inf", "inf", "0.5", "4503599627370496"), member()},
			[]string{"SET", "nosuch", "x"}, []string{"DEL", "nosuch"}, []string{"ZREM", "odd", member()}, []string{"DEL", key()}), false
	}
	if k == "stored" { // a distance has 17 digits, of which C libraries do not agree about the last
		return []string{"ZRANGE", k, "0", "-1"}, false
	}
	return []string{"ZRANGE", k, "0", "-1", "WITHSCORES"}, false
}

func TestGeoAgainstRedis(t *testing.T) {
	is := func(name, reply string) func([]string, resp.Value) bool {
		return func(line []string, v resp.Value) bool { return line[0] == name && strings.Contains(v.String(), reply) }
	}
	many := func(name string) func([]string, resp.Value) bool {
		return func(line []string, v resp.Value) bool { return line[0] == name && (len(v.Elems) > 3 || v.Int > 3) }
	}
	(&compared{
		rounds:  12_000,
		command: words.geo,
		met: map[string]func([]string, resp.Value) bool{
			"found":           many("GEOSEARCH"),
			"found by radius": many("GEORADIUS"),
			"found by member": many("GEORADIUSBYMEMBER_RO"),
			"stored":          many("GEOSEARCHSTORE"),
			"a distance":      is("GEODIST", "."),
			"no distance":     is("GEODIST", "(nil)"),
			"a hash":          is("GEOHASH", `0"`),
			"beyond":          is("GEOADD", "invalid longitude,latitude pair"),
			"another type":    is("GEOPOS", "WRONGTYPE"),
		},
	}).compare(t)
}
