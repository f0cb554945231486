package backup

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// At is a moment to go back to. The zero value is the latest there is.
type At struct {
	// Generation asks for exactly the cut of this checkpoint.
	Generation uint64
	// Time asks for everything that was written up to then, and nothing later.
	Time time.Time
	// Lineage asks for a state of this life of a data directory, of whose name
	// the first digits do. Without it the source decides, where it can: see
	// ErrLineages.
	Lineage string
}

// Latest tells whether a is the latest there is.
func (a At) Latest() bool { return a.Generation == 0 && a.Time.IsZero() }

// String is a as ParseAt reads it, the lineage left out.
func (a At) String() string {
	switch {
	case a.Generation != 0:
		return strconv.FormatUint(a.Generation, 10)
	case !a.Time.IsZero():
		return a.Time.Format(time.RFC3339Nano)
	}
	return "latest"
}

// firstUnix is where numbers begin to be Unix seconds (in 2001) and cease to be
// generations: a checkpoint every second takes 31 years to get there.
const firstUnix = 1_000_000_000

// ParseAt reads "latest", a generation, a time in RFC 3339, "2006-01-02
// 15:04:05" or "2006-01-02" in loc, or Unix seconds, with or without a fraction.
func ParseAt(s string, loc *time.Location) (At, error) {
	s = strings.TrimSpace(s)
	if s == "" || s == "latest" {
		return At{}, nil
	}
	if n, err := strconv.ParseUint(s, 10, 64); err == nil && n < firstUnix {
		if n == 0 {
			return At{}, fmt.Errorf("%q is no moment: generations begin at 1", s)
		}
		return At{Generation: n}, nil
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil && f >= firstUnix && f < 1e11 {
		sec, frac := math.Modf(f)
		return At{Time: time.Unix(int64(sec), int64(math.Round(frac*1e6))*1000)}, nil
	}
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return At{Time: t}, nil
	}
	for _, layout := range []string{"2006-01-02 15:04:05.999999999", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, s, loc); err == nil {
			return At{Time: t}, nil
		}
	}
	return At{}, fmt.Errorf("%q is no moment: want latest, the generation of a checkpoint, or a time "+
		"(2006-01-02T15:04:05Z, \"2006-01-02 15:04:05\", or Unix seconds)", s)
}
