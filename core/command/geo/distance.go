package geo

import "math"

const (
	// earthRadius in meters, as Redis has it.
	earthRadius = 6372797.560856
	degree      = math.Pi / 180
)

// Distance returns the meters between two positions, on a sphere.
func Distance(a, b Point) float64 {
	v := sine((float64(b.Lon*degree) - float64(a.Lon*degree)) / 2)
	if v == 0 {
		return latDistance(a.Lat, b.Lat)
	}
	lat1, lat2 := float64(a.Lat*degree), float64(b.Lat*degree)
	u := sine((lat2 - lat1) / 2)
	h := float64(u*u) + float64(cosine(lat1)*cosine(lat2)*v*v)
	return 2 * earthRadius * arcSine(math.Sqrt(h))
}

// latDistance is Distance on a meridian.
func latDistance(a, b float64) float64 {
	return earthRadius * math.Abs(float64(b*degree)-float64(a*degree))
}

// roughly is a quick lower bound of Distance, less than a meter below it.
func roughly(a, b Point) float64 {
	u, v := math.Sin((b.Lat-a.Lat)*degree/2), math.Sin((b.Lon-a.Lon)*degree/2)
	h := u*u + math.Cos(a.Lat*degree)*math.Cos(b.Lat*degree)*v*v
	return 2*earthRadius*math.Asin(math.Sqrt(min(h, 1))) - 0.5
}
