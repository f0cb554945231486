package server

import (
	"runtime"
	"time"
)

// crowd shares a loop's processor with goroutines that serve no client of the loop: those of a
// checkpoint, of the engine, of clients with TLS.
//
// Go has no priorities. A loop that always has something to do is interrupted every 10 ms only, and
// whoever else wants its processor then gets it for a moment: a checkpoint took six times as
// long. And a loop that waits for its sockets while others have work is not told that
// something has come, since the runtime looks at the network when there is nothing to run, or else
// after 10 ms: every client waited for so long. Where a processor is idle neither happens, and
// to step back would only wake a thread that finds nothing.
//
// So a loop that has company gives it, after a turn, half as long as the turn took: it steps
// back again and again, for one slice of theirs each time (sink.yielder and others see to
// it that these are short). And it naps where it would wait, for as long as one of these slices may be.
// It has company when stepping back took longer than it does alone, and looks for it once a
// millisecond.
type crowd struct {
	now  func() time.Time // the machine's time: a processor is shared by it whatever the Clock says
	back func()           // runtime.Gosched
	full func() bool      // no processor is idle

	began  time.Time // the turn
	looked time.Time // when it last stepped back
	until  time.Time // there is company, as far as is known
}

func newCrowd(ls *loops) crowd {
	return crowd{now: time.Now, back: runtime.Gosched, full: ls.full} //nolint:forbidigo // see crowd.now
}

// full tells whether the loops that are at work have all processors.
func (ls *loops) full() bool {
	return len(ls.all)-int(ls.waiting.Load()) >= runtime.GOMAXPROCS(0)
}

const (
	crowdLook  = time.Millisecond
	crowdAlone = 20 * time.Microsecond // it takes less to step back for nobody
	crowdFor   = 20 * time.Millisecond // company that waits for a disk comes back
	crowdNap   = 200 * time.Microsecond
	crowdShare = 2 // the others have one part in so many of what a turn took
)

// begin says that a turn begins.
func (c *crowd) begin() { c.began = c.now() }

// makeWay lets the others have their share behind a turn.
func (c *crowd) makeWay() {
	now := c.now()
	if now.Sub(c.looked) < crowdLook && !now.Before(c.until) {
		return
	}
	if !c.full() {
		c.looked = now
		return
	}
	for share := now.Sub(c.began) / crowdShare; ; {
		c.back()
		back := c.now()
		took := back.Sub(now)
		now = back
		if took < crowdAlone {
			break
		}
		c.until = now.Add(crowdFor)
		if share -= took; share <= 0 {
			break
		}
	}
	c.looked = now
}

// nap is for how long a loop may wait that would wait for patience, 0 for ever.
func (c *crowd) nap(patience time.Duration) time.Duration {
	if (patience == 0 || patience > crowdNap) && c.now().Before(c.until) {
		return crowdNap
	}
	return patience
}
