package testutil

import (
	"slices"
	"sync"
	"time"
)

// Clock stands still until it is moved. It is safe for concurrent use; the zero
// value shows the zero time.
type Clock struct {
	mu      sync.Mutex
	now     time.Time
	made    int       // tickers, since the beginning
	tickers []*ticker // that have not been stopped
	changed chan struct{}
}

type ticker struct {
	c     chan time.Time
	every time.Duration
	next  time.Time
	real  *time.Timer // of one that ticks in real time too; nil otherwise
}

// NewClock returns a clock that shows now.
func NewClock(now time.Time) *Clock { return &Clock{now: now} }

// Now is the time that the clock shows.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Set makes the clock show now. No ticker ticks.
func (c *Clock) Set(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = now
}

// Advance moves the clock forward. Tickers that are due tick once, as those of
// package time do for somebody who is slow.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	for _, t := range c.tickers {
		if !t.next.After(c.now) {
			t.next = c.now.Add(t.every)
			t.tick(c.now)
		}
	}
}

// NewTicker delivers a tick when the clock has been moved by d, again and again,
// until stop is called.
func (c *Clock) NewTicker(d time.Duration) (ticks <-chan time.Time, stop func()) {
	return c.newTicker(d, false)
}

// NewRealTicker is NewTicker that ticks when d has passed in real time too.
func (c *Clock) NewRealTicker(d time.Duration) (ticks <-chan time.Time, stop func()) {
	return c.newTicker(d, true)
}

func (c *Clock) newTicker(d time.Duration, real bool) (ticks <-chan time.Time, stop func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &ticker{c: make(chan time.Time, 1), every: d, next: c.now.Add(d)}
	c.tickers = append(c.tickers, t)
	c.made++
	if c.changed != nil {
		close(c.changed)
		c.changed = nil
	}
	if real {
		t.real = time.AfterFunc(d, func() { c.realTick(t) })
	}
	return t.c, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.tickers = slices.DeleteFunc(c.tickers, func(o *ticker) bool { return o == t })
		if t.real != nil {
			t.real.Stop()
			t.real = nil
		}
	}
}

// AwaitTicker returns when n tickers have been made since the beginning: what the
// test wants to drive waits by then.
func (c *Clock) AwaitTicker(n int) {
	for {
		c.mu.Lock()
		if c.made >= n {
			c.mu.Unlock()
			return
		}
		if c.changed == nil {
			c.changed = make(chan struct{})
		}
		changed := c.changed
		c.mu.Unlock()
		<-changed
	}
}

func (c *Clock) realTick(t *ticker) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.real != nil {
		t.tick(c.now)
		t.real.Reset(t.every)
	}
}

func (t *ticker) tick(now time.Time) {
	select {
	case t.c <- now:
	default:
	}
}
