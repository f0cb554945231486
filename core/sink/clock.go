package sink

import (
	"sync"
	"time"
)

// Clock is where a pipeline takes time from: what it waits for ends, and what it
// measures passes, as this clock says.
type Clock interface {
	Now() time.Time
	// NewTicker delivers ticks every d until stop is called.
	NewTicker(d time.Duration) (ticks <-chan time.Time, stop func())
}

// unmeasured is the clock of a pipeline that was given none: it waits in real time,
// and no duration is measured.
type unmeasured struct{}

func (unmeasured) Now() time.Time { return time.Time{} }

func (unmeasured) NewTicker(d time.Duration) (<-chan time.Time, func()) {
	t := time.NewTicker(d)
	return t.C, t.Stop
}

// after calls f when d has passed, unless stop is called before that.
func after(c Clock, d time.Duration, f func()) (stop func()) {
	ticks, stopTicks := c.NewTicker(max(d, 1))
	stopped := make(chan struct{})
	go func() {
		defer stopTicks()
		select {
		case <-ticks:
			f()
		case <-stopped:
		}
	}()
	return sync.OnceFunc(func() { close(stopped) })
}
