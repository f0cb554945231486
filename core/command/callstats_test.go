package command

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/internal/testutil"
)

// TestBuckets: each duration lies in its bucket, buckets follow on each other without
// a gap, and are as wide as two significant digits allow.
func TestBuckets(t *testing.T) {
	for b := 1; b < bucketPages*bucketsPerPage; b++ {
		if bucketStart(b) != bucketEnd(b-1)+1 {
			t.Fatalf("bucket %d begins at %d, the one before it ends at %d", b, bucketStart(b), bucketEnd(b-1))
		}
		if start := bucketStart(b); start <= longestCounted && (bucketOf(start) != b || bucketOf(min(bucketEnd(b), longestCounted)) != b) {
			t.Fatalf("bucket %d: %d to %d", b, start, bucketEnd(b))
		}
		if width := bucketEnd(b) - bucketStart(b); width > bucketStart(b)/100 {
			t.Fatalf("bucket %d is %d wide at %d", b, width, bucketStart(b))
		}
	}
	if bucketOf(-1) != 1 || bucketOf(0) != 1 || bucketOf(time.Hour) != bucketOf(time.Second) {
		t.Error("what lies outside of the bounds is not counted at them")
	}
}

// TestDurations: percentiles and cumulative counts are those of the durations.
func TestDurations(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	var h histogram
	var all []time.Duration
	for range 5000 {
		d := time.Duration(1) << r.IntN(30)
		d += time.Duration(r.Int64N(int64(d)))
		d = min(d, longestCounted)
		all = append(all, d)
		h.add([]uint16{uint16(bucketOf(d))})
	}
	slices.Sort(all)
	d := h.addTo(nil)
	for _, p := range []float64{0.1, 50, 90, 99, 99.9, 100} {
		exact := all[max(0, int(p/100*float64(len(all))+0.5)-1)]
		if got := d.Percentile(p); got != bucketEnd(bucketOf(exact)) {
			t.Errorf("p%v is %v, not that of %v", p, got, exact)
		}
	}
	var limits []time.Duration
	for l := time.Duration(2); l <= MostWithin; l *= 2 {
		limits = append(limits, l)
	}
	twice := new(Durations)
	twice.Merge(d)
	twice.Merge(d)
	for i, n := range twice.Within(limits) {
		if want, _ := slices.BinarySearch(all, limits[i]); n != int64(2*want) {
			t.Errorf("%d calls took less than %v, not %d", 2*want, limits[i], n)
		}
	}
	last := int64(0)
	for _, c := range d.Cumulative() {
		n, _ := slices.BinarySearch(all, c.Up+1)
		if int64(n) != c.Calls || c.Calls <= last {
			t.Errorf("%d calls took %v at most, not %d", n, c.Up, c.Calls)
		}
		last = c.Calls
	}
	if last != int64(len(all)) {
		t.Errorf("%d of %d are counted", last, len(all))
	}
}

// TestTally: what sessions count at the same time, of any commands, adds up.
func TestTally(t *testing.T) {
	s := NewStats()
	names := []string{"get", "set", "ping", "hset", "lpush", "zadd", "config|get"}
	byName := func(name string) *Command {
		return every[slices.IndexFunc(every, func(c *Command) bool { return c.Name == name })]
	}
	sessions, rounds := 40, 10*testutil.Rounds(50)
	var wg sync.WaitGroup
	for id := range int64(sessions) {
		wg.Go(func() {
			var tally Tally
			for i := range rounds {
				cmd := byName(names[(i*i+int(id))%len(names)])
				switch {
				case i%10 == 0:
					tally.Rejected(s, id, cmd)
				case i%10 == 1:
					tally.Blocked(s, id, cmd, time.Microsecond)
					tally.Ended(s, id, cmd, time.Microsecond, false, false)
				default:
					tally.Ended(s, id, cmd, 2*time.Microsecond, i%10 == 2, true)
				}
				if i%7 == 0 {
					tally.Flush(s, id)
					_ = s.Calls()
				}
			}
			tally.Flush(s, id)
		})
	}
	wg.Wait()
	var sum CallStats
	durations := int64(0)
	for _, c := range s.Calls() {
		if !slices.Contains(names, c.Command.Name) {
			t.Errorf("%s was not called", c.Command.Name)
		}
		sum.Calls += c.Calls
		sum.Rejected += c.Rejected
		sum.Failed += c.Failed
		sum.Took += c.Took
		durations += c.Durations.Count
	}
	all := int64(sessions * rounds)
	if sum.Calls != all*9/10 || sum.Rejected != all/10 || sum.Failed != all/10 || durations != all*9/10 ||
		sum.Took != time.Duration(all*9/10*2)*time.Microsecond || s.Commands() != sum.Calls {
		t.Errorf("counted %+v, %d durations, %d commands", sum, durations, s.Commands())
	}
	s.Reset()
	if got := s.Calls(); len(got) > 0 {
		t.Errorf("behind Reset: %+v", got)
	}
}

// TestErrorCounts: an error is counted by its first word, and scripts that make words up
// make no more than a bounded number of counters.
func TestErrorCounts(t *testing.T) {
	s := NewStats()
	s.CountErrors([]string{"ERR a", "WRONGTYPE b", "ERR c", "alone", "ACODETHATISLONGERTHANTHIRTYBYTES x"})
	want := []ErrorCount{{"ERR", 4}, {"WRONGTYPE", 1}}
	if got := s.ErrorCounts(); !slices.Equal(got, want) || s.Errors() != 5 {
		t.Errorf("%v, %d in all", got, s.Errors())
	}
	for i := range 1000 {
		s.CountErrors([]string{string(rune('A'+i%26)) + string(rune('A'+i/26)) + " x"})
	}
	if n := len(s.ErrorCounts()); n != maxErrorCodes || s.Errors() != 1005 {
		t.Errorf("%d codes of %d errors", n, s.Errors())
	}
}

// TestRate: the rate is the mean of what the samples say.
func TestRate(t *testing.T) {
	s := NewStats()
	n := int64(0)
	r := s.Rate(func() int64 { return n })
	now := time.Unix(1000, 0)
	for range 20 {
		s.Sample(now)
		n, now = n+5, now.Add(100*time.Millisecond)
	}
	if got := r.PerSecond(); got != 50 {
		t.Errorf("%d a second", got)
	}
	s.Reset()
	if got := r.PerSecond(); got != 0 {
		t.Errorf("behind Reset: %d a second", got)
	}
}
