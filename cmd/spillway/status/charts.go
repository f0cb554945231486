package status

import (
	"math"
	"time"
)

// bar is one checkpoint in the chart of durations.
type bar struct {
	X, Y, W, H float64
	Failed     bool
	Tip        string
}

// The size of the chart.
const (
	chartWidth, chartHeight = 320, 72
	chartSlots              = 32 // as many as the daemon remembers
)

// durations is the chart of how long checkpoints took, the newest at the right.
func durations(history []Checkpoint) (bars []bar) {
	longest := 0.0
	for _, c := range history {
		longest = max(longest, c.Seconds)
	}
	slot := float64(chartWidth) / chartSlots
	for i, c := range history[:min(len(history), chartSlots)] {
		h := 3.0
		if longest > 0 {
			h = max(h, c.Seconds/longest*(chartHeight-2))
		}
		tip := moment(c.At) + " · " + c.Kind + " · " + seconds(c.Seconds)
		if c.Error != "" {
			tip += " · failed"
		}
		bars = append(bars, bar{X: chartWidth - float64(i+1)*slot, Y: chartHeight - h, W: slot - 2, H: h, Failed: c.Error != "", Tip: tip})
	}
	return bars
}

// latencyBar is a family's line in the chart of latencies: from the median to p99.9,
// on a scale on which each step to the right is ten times as long.
type latencyBar struct {
	Latency
	X50, X99, X999 float64
}

// The scale of latencies, in µs.
const shortest, longest = 0.1, 1e6

func latencyBars(all []Latency) (out []latencyBar) {
	at := func(usec float64) float64 {
		usec = min(max(usec, shortest), longest)
		return math.Log10(usec/shortest) / math.Log10(longest/shortest) * 100
	}
	for _, l := range all {
		out = append(out, latencyBar{l, at(l.P50), at(l.P99), at(l.P999)})
	}
	return out
}

// stretch is a piece of the time line of what can be restored.
type stretch struct {
	X, W float64
	Tip  string
	Gap  string
}

// tick is a moment on it.
type tick struct {
	X      float64
	Label  string
	Anchor string
}

// timeline is the moments that can be had back, from the oldest to now.
type timeline struct {
	Stretches []stretch
	Ticks     []tick
}

const lineWidth = 1000

// line is the time line, empty without a moment.
func (r *Report) line() (t timeline) {
	if r.Restore.Oldest.IsZero() {
		return t
	}
	from, whole := r.Restore.Oldest, r.At.Sub(r.Restore.Oldest)
	if whole <= 0 {
		whole = time.Second
	}
	at := func(m time.Time) float64 { return min(max(float64(m.Sub(from))/float64(whole), 0), 1) * lineWidth }
	for _, w := range r.Restore.Windows {
		x := at(w.From)
		tip := moment(w.From)
		if !w.To.Equal(w.From) {
			tip += " to " + moment(w.To)
		}
		t.Stretches = append(t.Stretches, stretch{X: min(x, lineWidth-6), W: max(6, at(w.To)-x), Tip: tip, Gap: w.Gap})
	}
	layout := "15:04:05"
	if whole > 20*time.Hour {
		layout = "2 Jan 15:04"
	}
	const steps = 4
	for i := range steps {
		m := from.Add(whole / steps * time.Duration(i))
		anchor := "middle"
		if i == 0 {
			anchor = "start"
		}
		t.Ticks = append(t.Ticks, tick{X: lineWidth / steps * float64(i), Label: m.Local().Format(layout), Anchor: anchor})
	}
	t.Ticks = append(t.Ticks, tick{X: lineWidth, Label: "now", Anchor: "end"})
	return t
}
