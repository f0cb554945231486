package main

import "time"

// bin is the time that a point of a timeline stands for.
const bin = 50 * time.Millisecond

// timeline is what a prober saw around a BGSAVE, the one of a server whose p99.9 is in
// the middle of its rounds.
type timeline struct {
	Server string `json:"server"`
	Keys   int    `json:"keys"`
	Load   string `json:"load"`
	// Seconds is how long the BGSAVE took, which began at 0.
	Seconds float64 `json:"seconds"`
	Before  float64 `json:"p99_9_before_ms"`
	During  float64 `json:"p99_9_during_ms"`
	Points  []point `json:"points"`
}

// point is the requests that were due within a bin.
type point struct {
	At      float64 `json:"at"` // seconds since the BGSAVE began, where the bin begins
	Median  float64 `json:"median_ms"`
	Longest float64 `json:"longest_ms"`
}

func (one saved) timeline(name string, keys int, load string) timeline {
	t := timeline{
		Server: name, Keys: keys, Load: load, Seconds: one.end.Sub(one.start).Seconds(),
		Before: one.before.quantile(0.999), During: one.during.quantile(0.999), Points: []point{},
	}
	samples := one.probes.samples
	first, last := samples[0].due, samples[len(samples)-1].due
	at := one.start.Add(-one.start.Sub(first).Truncate(bin)) // a bin begins with the BGSAVE
	for ; at.Before(last); at = at.Add(bin) {
		if in, err := one.probes.between(at, at.Add(bin)); err == nil { // none were due: no point
			t.Points = append(t.Points, point{at.Sub(one.start).Seconds(), in.quantile(0.5), in.quantile(1)})
		}
	}
	return t
}
