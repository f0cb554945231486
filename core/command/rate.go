package command

import (
	"sync"
	"time"
)

// Rate is how fast a counter grows at present: the mean of its last 16 samples, as
// Redis has it. The engine takes one ten times a second.
type Rate struct {
	count func() int64

	mu      sync.Mutex
	samples [16]int64 // per second
	next    int
	last    int64
	at      time.Time
}

// Rate returns the rate of a counter.
func (s *Stats) Rate(count func() int64) *Rate {
	r := &Rate{count: count}
	s.mu.Lock()
	s.rates = append(s.rates, r)
	s.mu.Unlock()
	return r
}

// Sample takes a sample of every rate.
func (s *Stats) Sample(now time.Time) {
	s.mu.Lock()
	rates := s.rates // which is only appended to
	s.mu.Unlock()
	for _, r := range rates {
		r.sample(now)
	}
}

func (r *Rate) sample(now time.Time) {
	n := r.count()
	r.mu.Lock()
	defer r.mu.Unlock()
	if passed := now.Sub(r.at); !r.at.IsZero() && passed > 0 {
		r.samples[r.next] = int64(float64(max(0, n-r.last)) / passed.Seconds())
		r.next = (r.next + 1) % len(r.samples)
	}
	r.last, r.at = n, now
}

// PerSecond is how much the counter grows in a second.
func (r *Rate) PerSecond() (n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.samples {
		n += s
	}
	return n / int64(len(r.samples))
}

func (r *Rate) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.samples[:])
	r.last = 0
}
