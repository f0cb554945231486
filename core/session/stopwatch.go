package session

import (
	"time"

	"github.com/spillwaydb/spillway/core/ticks"
)

// stopwatch times the commands of a batch. The first one looks at the clock; from
// then on it is enough to ask how much time has passed since, once for each
// command: one begins when the one before it ends. A command is not blamed for what
// is not its own: where the session has waited for a lock, or has prepared a batch,
// it is asked again before the next begins.
//
// The processor's ticks tell it, at a fraction of what the clock costs, for as long as that is
// little: what takes half a millisecond is timed by the clock, so that neither a slow log nor a
// deadline depends on the ticks.
type stopwatch struct {
	start time.Time     // when the batch began; zero: it has not
	milli int64         // that in Unix milliseconds
	nanos time.Duration // and what was beyond them
	at    time.Duration // from start: when the last command ended, or the next begins
	stale bool          // something came in between since

	ticks ticks.Watch   // started with the last look at the clock
	asked time.Duration // from start: when that was
}

// began returns when the command that comes now begins, from the beginning of the batch.
func (s *Session) began() time.Duration {
	w := &s.clock
	switch {
	case w.start.IsZero():
		w.start = s.rt.Clock.Now()
		w.milli = w.start.UnixMilli()
		w.nanos = time.Duration(w.start.Nanosecond()) % time.Millisecond
		w.at, w.stale = 0, false
		s.look()
	case w.stale:
		s.ended()
	}
	return w.at
}

// ended returns when the command that ends now has ended.
func (s *Session) ended() time.Duration {
	w := &s.clock
	w.stale = false
	if passed, ok := w.ticks.Passed(); ok {
		w.at = w.asked + passed
		return w.at
	}
	if c := s.rt.sinceClock; c != nil {
		w.at = c.Since(w.start)
	} else {
		w.at = s.rt.Clock.Now().Sub(w.start)
	}
	s.look()
	return w.at
}

// look notes that at is what the clock has just said.
func (s *Session) look() {
	w := &s.clock
	w.asked = w.at
	if s.rt.ticks {
		w.ticks.Start(w.start.Add(w.at))
	}
}

// unixMilli is a time of the batch as keys have it for their deadlines.
func (w *stopwatch) unixMilli(at time.Duration) int64 {
	return w.milli + int64((w.nanos+at)/time.Millisecond)
}

// stop ends the batch.
func (w *stopwatch) stop() { w.start = time.Time{} }
