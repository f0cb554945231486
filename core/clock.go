package core

import "time"

// Clock is where the engine takes time from. The harness gives a manual one.
type Clock interface {
	// Now is the wall-clock time: deadlines, timestamps, durations.
	Now() time.Time
	// NewTicker delivers ticks every d until stop is called.
	NewTicker(d time.Duration) (ticks <-chan time.Time, stop func())
}

// SystemClock is the machine's clock. It is the only place in core that reads it.
type SystemClock struct{}

var _ Clock = SystemClock{}

// Now returns time.Now.
func (SystemClock) Now() time.Time { return time.Now() }

// Since returns time.Since, which costs half as much as Now.
func (SystemClock) Since(t time.Time) time.Duration { return time.Since(t) }

// Machine is true: the processor's own ticks tell how much of this time passes.
func (SystemClock) Machine() bool { return true }

// NewTicker returns a time.Ticker's channel and its Stop.
func (SystemClock) NewTicker(d time.Duration) (<-chan time.Time, func()) {
	t := time.NewTicker(d)
	return t.C, t.Stop
}
