package status

import (
	"fmt"
	"time"

	"github.com/dustin/go-humanize"
)

// sizeOf is a number of bytes as people read it.
func sizeOf(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }

// number is a count with its thousands apart.
func number(n int64) string { return humanize.Comma(n) }

// micros is a duration of so many µs, with three digits.
func micros(usec float64) string {
	switch {
	case usec >= 1e6:
		return fmt.Sprintf("%.2f s", usec/1e6)
	case usec >= 1e5:
		return fmt.Sprintf("%.0f ms", usec/1e3)
	case usec >= 1e4:
		return fmt.Sprintf("%.1f ms", usec/1e3)
	case usec >= 1e3:
		return fmt.Sprintf("%.2f ms", usec/1e3)
	case usec >= 100:
		return fmt.Sprintf("%.0f µs", usec)
	case usec >= 10:
		return fmt.Sprintf("%.1f µs", usec)
	}
	return fmt.Sprintf("%.2f µs", usec)
}

// seconds is a duration of so many seconds.
func seconds(s float64) string {
	if s < 60 {
		return micros(s * 1e6)
	}
	return rough(time.Duration(s * float64(time.Second)))
}

// ago is how long ago something was.
func ago(now, at time.Time) string {
	if at.IsZero() {
		return "never"
	}
	if d := now.Sub(at); d >= time.Second {
		return rough(d) + " ago"
	}
	return "just now"
}

// moment is a time as people read it, in their own zone.
func moment(at time.Time) string { return at.Local().Format("2006-01-02 15:04:05") }

// percent is a share of a whole, 0 of nothing.
func percent(part, whole int64) float64 {
	if whole <= 0 {
		return 0
	}
	return float64(part) * 100 / float64(whole)
}
