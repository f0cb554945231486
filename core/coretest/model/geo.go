package model

import (
	"maps"
	"math"
	"slices"
)

// The world of a geohash: longitudes, and the latitudes that Mercator shows.
const (
	longitudes = 180.0
	latitudes  = 85.05112878
	cells      = 1 << 26 // along each axis
)

// place is the score of a position: the bits of the column between those of the row.
func place(lon, lat float64) float64 {
	column := uint64((lon + longitudes) / (2 * longitudes) * cells)
	row := uint64((lat + latitudes) / (2 * latitudes) * cells)
	n := uint64(0)
	for i := range 26 {
		n |= column>>i&1<<(2*i+1) | row>>i&1<<(2*i)
	}
	return float64(n)
}

// centre is the middle of the cell that a score stands for.
func centre(score float64) (lon, lat float64) {
	n := uint64(score)
	var column, row uint64
	for i := range 26 {
		column |= n >> (2*i + 1) & 1 << i
		row |= n >> (2 * i) & 1 << i
	}
	return (float64(column)+0.5)/cells*2*longitudes - longitudes, (float64(row)+0.5)/cells*2*latitudes - latitudes
}

// metres is how far two positions are from each other.
func metres(lon1, lat1, lon2, lat2 float64) float64 {
	rad := func(d float64) float64 { return d * math.Pi / 180 }
	u, v := math.Sin((rad(lat2)-rad(lat1))/2), math.Sin((rad(lon2)-rad(lon1))/2)
	return 2 * 6372797.560856 * math.Asin(math.Sqrt(u*u+math.Cos(rad(lat1))*math.Cos(rad(lat2))*v*v))
}

func geoCommands() map[string]command {
	return map[string]command{
		"geoadd": {5, true, func(k *call) Reply { // key longitude latitude member
			v := k.edit(k.args[1], kindZSet)
			_, there := v.zset[k.args[4]]
			v.zset[k.args[4]] = place(k.float(k.args[2]), k.float(k.args[3]))
			k.put(k.args[1], v)
			return truth(!there)
		}},
		"geosearchstore": {8, true, geosearchstore},
	}
}

// geosearchstore is destination source FROMLONLAT longitude latitude BYRADIUS km "km".
func geosearchstore(k *call) Reply {
	from := k.read(k.args[2], kindZSet)
	lon, lat, radius := k.float(k.args[4]), k.float(k.args[5]), k.float(k.args[7])*1000
	found := newValue(kindZSet)
	if from != nil {
		for _, m := range slices.Sorted(maps.Keys(from.zset)) {
			score := from.zset[m]
			if score < 0 {
				continue // no place
			}
			if x, y := centre(score); metres(lon, lat, x, y) <= radius {
				found.zset[m] = score
			}
		}
	}
	k.put(k.args[1], found)
	return count(len(found.zset))
}
