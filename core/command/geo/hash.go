package geo

import "math"

// The positions that there are, those of EPSG:3857.
const (
	MaxLongitude = 180.0
	MaxLatitude  = 85.05112878
)

// maxStep is how many bits of each coordinate a score has.
const maxStep = 26

// Point is a position in degrees.
type Point struct{ Lon, Lat float64 }

// Valid tells whether a position can be stored. The poles cannot.
func (p Point) Valid() bool {
	return !(p.Lon < -MaxLongitude || p.Lon > MaxLongitude || p.Lat < -MaxLatitude || p.Lat > MaxLatitude)
}

// Score returns the score of a valid position.
func (p Point) Score() uint64 { return encode(p, MaxLatitude, maxStep).bits }

// FromScore returns the position of a score: the middle of its square. Every score
// has one.
func FromScore(score float64) Point {
	a := square{toUint64(score), maxStep}.area()
	return Point{
		min(max((a.west+a.east)/2, -MaxLongitude), MaxLongitude),
		min(max((a.south+a.north)/2, -MaxLatitude), MaxLatitude),
	}
}

// toUint64 is what becomes of a floating-point number in C on a 64-bit Intel
// processor, out of range too: any score may be in a sorted set.
func toUint64(f float64) uint64 {
	const half = 1 << 63
	switch {
	case f >= 2*half:
		return 0
	case f >= half:
		return uint64(int64(f-half)) ^ half
	case f < -half:
		return half
	default:
		return uint64(int64(f)) // two's complement
	}
}

// Hash returns a position as a standard geohash of 11 characters, of whose last one
// there are no bits.
func (p Point) Hash() string {
	const alphabet = "0123456789bcdefghjkmnpqrstuvwxyz"
	bits := encode(p, 90, maxStep).bits
	var out [11]byte
	for i := range 10 {
		out[i] = alphabet[bits>>(47-5*i)&31]
	}
	out[10] = alphabet[0]
	return string(out[:])
}

// square is a square of the grid: the positions that share the first bits.
type square struct {
	bits uint64
	step uint // bits of each coordinate
}

// none is no square.
var none = square{}

// encode returns the square of a position, where latitudes reach up to maxLat.
func encode(p Point, maxLat float64, step uint) square {
	lat := (p.Lat + maxLat) / (2 * maxLat)
	lon := (p.Lon + MaxLongitude) / (2 * MaxLongitude)
	cells := float64(uint64(1) << step)
	return square{spread(uint32(lat*cells)) | spread(uint32(lon*cells))<<1, step}
}

// scores returns the range of scores [from, to) in the square.
func (s square) scores() (from, to uint64) {
	shift := 2 * (maxStep - s.step)
	return s.bits << shift, (s.bits + 1) << shift
}

// area is a part of the map, in degrees.
type area struct{ west, east, south, north float64 }

func (s square) area() area {
	lat, lon := gather(s.bits), gather(s.bits>>1)
	cells := float64(uint64(1) << s.step)
	at := func(low, size float64, n uint32) float64 { return low + float64(float64(n)/cells*size) }
	return area{
		west: at(-MaxLongitude, 2*MaxLongitude, lon), east: at(-MaxLongitude, 2*MaxLongitude, lon+1),
		south: at(-MaxLatitude, 2*MaxLatitude, lat), north: at(-MaxLatitude, 2*MaxLatitude, lat+1),
	}
}

// spread puts a zero bit before every bit of x.
func spread(x uint32) uint64 {
	v := uint64(x)
	v = (v | v<<16) & 0x0000FFFF0000FFFF
	v = (v | v<<8) & 0x00FF00FF00FF00FF
	v = (v | v<<4) & 0x0F0F0F0F0F0F0F0F
	v = (v | v<<2) & 0x3333333333333333
	return (v | v<<1) & 0x5555555555555555
}

// gather takes every other bit of v, beginning with the lowest.
func gather(v uint64) uint32 {
	v &= 0x5555555555555555
	v = (v | v>>1) & 0x3333333333333333
	v = (v | v>>2) & 0x0F0F0F0F0F0F0F0F
	v = (v | v>>4) & 0x00FF00FF00FF00FF
	v = (v | v>>8) & 0x0000FFFF0000FFFF
	return uint32(v | v>>16) // the upper half is what was shifted out
}

// neighbor returns the square that is so many to the east and to the north. The map
// has no edges for it.
func (s square) neighbor(east, north int) square {
	const lonBits, latBits = 0xaaaaaaaaaaaaaaaa, 0x5555555555555555
	all := uint64(math.MaxUint64) >> (64 - 2*s.step)
	move := func(own, other uint64, by int) uint64 {
		own, gaps := s.bits&own, other&all
		switch { // With the bits in between set, a carry passes over them.
		case by > 0:
			return (own + gaps + 1) & ^other & all
		case by < 0:
			return ((own | gaps) - (gaps + 1)) & ^other & all
		}
		return own // with the bit beyond all that the edge of the map has
	}
	return square{move(lonBits, latBits, east) | move(latBits, lonBits, north), s.step}
}
