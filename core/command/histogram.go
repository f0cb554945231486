package command

import (
	"math/bits"
	"time"
)

// Durations are counted in the buckets of an HdrHistogram of two significant
// digits from 1 ns to 1 s, as Redis counts them: 128 buckets of equal width for
// each power of two.
const (
	bucketsPerPage = 128
	bucketPages    = 24
	longestCounted = time.Second
)

// bucketOf is the bucket that a duration is counted in.
func bucketOf(d time.Duration) int {
	return bucketAt(min(max(d, 1), longestCounted))
}

// bucketAt is bucketOf without a bound.
func bucketAt(d time.Duration) int {
	power := bits.Len64(uint64(d)|(2*bucketsPerPage-1)) - 8
	return power<<7 + int(d>>power)
}

// bucketEnd is the longest duration that a bucket counts.
func bucketEnd(bucket int) time.Duration {
	power := max(0, bucket>>7-1)
	return time.Duration((bucket-power<<7+1)<<power - 1)
}

// bucketStart is the shortest.
func bucketStart(bucket int) time.Duration {
	power := max(0, bucket>>7-1)
	return time.Duration((bucket - power<<7) << power)
}

// histogram counts durations. Pages of buckets are made when they are needed: the
// calls of a command are seldom on more than a few.
type histogram struct {
	pages [bucketPages]*[bucketsPerPage]int64
}

func (h *histogram) add(buckets []uint16) {
	for _, b := range buckets {
		at := &h.pages[b/bucketsPerPage]
		if *at == nil {
			*at = new([bucketsPerPage]int64)
		}
		(*at)[b%bucketsPerPage]++
	}
}

// addTo adds what h counts to d, which is made when it is nil.
func (h *histogram) addTo(d *Durations) *Durations {
	if d == nil {
		d = new(Durations)
	}
	for i, page := range h.pages {
		if page == nil {
			continue
		}
		for j, n := range page {
			d.counts[i*bucketsPerPage+j] += n
			d.Count += n
		}
	}
	return d
}

// Durations are how long the calls of a command took.
type Durations struct {
	Count  int64
	counts [bucketPages * bucketsPerPage]int64
}

// Percentile is the duration that p percent of the calls did not exceed.
func (d *Durations) Percentile(p float64) time.Duration {
	want := max(1, int64(min(p, 100)/100*float64(d.Count)+0.5))
	sum := int64(0)
	for bucket, n := range d.counts {
		if sum += n; sum >= want {
			if p == 0 {
				return bucketStart(bucket)
			}
			return bucketEnd(bucket)
		}
	}
	return 0
}

// Merge adds what o counts.
func (d *Durations) Merge(o *Durations) {
	d.Count += o.Count
	for i, n := range o.counts {
		d.counts[i] += n
	}
}

// Within returns how many calls took less than each of limits, which rise and are
// powers of two, of nanoseconds, up to [MostWithin]: those are the bounds of buckets.
func (d *Durations) Within(limits []time.Duration) []int64 {
	out := make([]int64, len(limits))
	sum, bucket := int64(0), 0
	for i, limit := range limits {
		for ; bucket < len(d.counts) && bucketEnd(bucket) < limit; bucket++ {
			sum += d.counts[bucket]
		}
		out[i] = sum
	}
	return out
}

// MostWithin is the greatest power of two below the longest duration that is told
// from longer ones.
const MostWithin = 1 << 29 * time.Nanosecond

// CumulativeCount says that so many calls took Up at most.
type CumulativeCount struct {
	Up    time.Duration
	Calls int64
}

// Cumulative returns how many calls took 1.024 µs at most, how many twice that,
// and so on, without those that are no more than the one before.
func (d *Durations) Cumulative() (out []CumulativeCount) {
	level, sum, before := 1024*time.Nanosecond, int64(0), int64(0)
	for bucket, n := range d.counts {
		sum += n
		if bucket < bucketAt(level) {
			continue
		}
		level *= 2
		if sum > before {
			out = append(out, CumulativeCount{bucketEnd(bucket), sum})
			before = sum
		}
	}
	if sum > before {
		out = append(out, CumulativeCount{bucketEnd(len(d.counts) - 1), sum})
	}
	return out
}
