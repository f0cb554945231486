package testutil

import (
	"testing"
	"time"
)

// ticked tells whether a tick is there.
func ticked(c <-chan time.Time) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestClock(t *testing.T) {
	start := time.Unix(1e9, 0)
	c := NewClock(start)
	ticks, stop := c.NewTicker(10 * time.Second)
	c.AwaitTicker(1)
	for i, step := range []struct {
		by   time.Duration
		tick bool
	}{{9 * time.Second, false}, {time.Second, true}, {9 * time.Second, false}, {time.Hour, true}, {0, false}} {
		c.Advance(step.by)
		if got := ticked(ticks); got != step.tick {
			t.Errorf("step %d: ticked %v", i, got)
		}
	}
	stop()
	c.Advance(time.Hour)
	if ticked(ticks) {
		t.Error("it ticks although it was stopped")
	}
	if got := c.Now().Sub(start); got != 2*time.Hour+19*time.Second {
		t.Errorf("moved by %s", got)
	}
	real, stopReal := c.NewRealTicker(time.Millisecond)
	defer stopReal()
	<-real
	<-real
	waiting := make(chan struct{})
	go func() { c.AwaitTicker(3); close(waiting) }()
	_, stop = c.NewTicker(time.Second)
	defer stop()
	<-waiting
}
