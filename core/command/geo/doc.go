// Package geo is the geometry behind Redis's geo commands: positions on the earth as
// scores of a sorted set, distances, and the squares of a grid that cover an area.
//
// It owns the arithmetic, and gives to the last bit what Redis 7.0 gives. It refuses
// to know keys, members and replies.
//
// A position is a number of 52 bits, in which those of latitude and longitude take
// turns: positions that are near each other mostly share their first bits, and a
// square of the grid is a range of scores.
//
//	longitude   x25     x24    …    x0          of [-180, 180]
//	latitude       y25     y24   …     y0       of [-85.05112878, 85.05112878]
//	score      x25 y25 x24 y24 … x0 y0
//
// Products are rounded before they are added (the conversions to float64 say so), so
// that all processors agree.
package geo
