package geo

import "math"

// Shape is what is searched: a circle around Center, or a box. Sizes are in units of
// Unit meters.
type Shape struct {
	Center        Point
	Unit          float64
	Box           bool
	Radius        float64 // of a circle
	Width, Height float64 // of a box
}

// Distance returns how many meters a position is from the center; ok tells whether
// it is in the shape.
func (s *Shape) Distance(p Point) (meters float64, ok bool) {
	if !s.Box {
		if s.Radius*s.Unit < roughly(s.Center, p) {
			return 0, false
		}
		meters = Distance(s.Center, p)
		return meters, !(meters > s.Radius*s.Unit)
	}
	if latDistance(p.Lat, s.Center.Lat) > s.Height*s.Unit/2 {
		return 0, false
	}
	if Distance(p, Point{s.Center.Lon, p.Lat}) > s.Width*s.Unit/2 {
		return 0, false
	}
	return Distance(s.Center, p), true
}

// bounds is what surely contains the shape.
func (s *Shape) bounds() area {
	width, height := s.Radius, s.Radius
	if s.Box {
		width, height = s.Width/2, s.Height/2
	}
	width, height = width*s.Unit, height*s.Unit
	lat := height / earthRadius / degree
	lon := func(at float64) float64 { return width / earthRadius / cosine(float64(at*degree)) / degree }
	wide := lon(s.Center.Lat + lat)
	if s.Center.Lat < 0 {
		wide = lon(s.Center.Lat - lat)
	}
	return area{west: s.Center.Lon - wide, east: s.Center.Lon + wide, south: s.Center.Lat - lat, north: s.Center.Lat + lat}
}

// step estimates how small the squares may be so that nine of them cover the shape.
func (s *Shape) step() uint {
	const half = 20037726.37 // of the map's width, in meters
	radius := s.Radius
	if s.Box {
		radius = math.Sqrt(float64((s.Width/2)*(s.Width/2)) + float64((s.Height/2)*(s.Height/2)))
	}
	radius *= s.Unit
	if radius == 0 {
		return maxStep
	}
	step := -1
	for ; radius < half; radius *= 2 {
		step++
	}
	switch lat := math.Abs(s.Center.Lat); { // squares are narrower towards the poles
	case lat > 80:
		step -= 2
	case lat > 66:
		step--
	}
	return uint(min(max(step, 1), maxStep)) // at least 1
}

// around are the places of the squares that are searched, in Redis's order.
var around = [9]struct{ east, north int }{{0, 0}, {0, 1}, {0, -1}, {1, 0}, {-1, 0}, {1, 1}, {-1, 1}, {1, -1}, {-1, -1}}

// Ranges calls fn with the ranges of scores [from, to) that cover the shape, until it
// returns false. Of a very large shape a range may come again.
func (s *Shape) Ranges(fn func(from, to uint64) bool) {
	last, processed := none, false
	for i, q := range s.squares() {
		if q == none || processed && q == last {
			continue
		}
		from, to := q.scores()
		if !fn(from, to) {
			return
		}
		last, processed = q, i > 0
	}
}

// squares are the nine squares, none where one is not needed.
func (s *Shape) squares() (out [9]square) {
	b := s.bounds()
	step := s.step()
	center := encode(s.Center, MaxLatitude, step)
	tooSmall := center.neighbor(0, 1).area().north < b.north || center.neighbor(0, -1).area().south > b.south ||
		center.neighbor(1, 0).area().east < b.east || center.neighbor(-1, 0).area().west > b.west
	if step > 1 && tooSmall {
		step--
		center = encode(s.Center, MaxLatitude, step)
	}
	a := center.area()
	for i, to := range around {
		useless := to.north < 0 && a.south < b.south || to.north > 0 && a.north > b.north ||
			to.east < 0 && a.west < b.west || to.east > 0 && a.east > b.east
		if step < 2 || !useless {
			out[i] = center.neighbor(to.east, to.north)
		}
	}
	return out
}
