package wal

import "time"

const (
	writeEvery = time.Millisecond
	idleTicks  = 20          // of writeEvery without work, after which the writer sleeps
	flushEvery = time.Second // what nobody commits is handed out after one to two of these
)

// kick wakes the writer if there is something to hand out.
func (o *Order) kick() {
	if o.idle.Load() && o.dirty.Load() && o.idle.CompareAndSwap(true, false) {
		select {
		case o.wake <- struct{}{}:
		default:
		}
	}
}

// writeLoop hands out what was appended while no reply waits for it: at once
// when it was asleep, then at most every millisecond, so that a block holds what
// many commands appended. What nobody commits, such as the removal of an expired
// key, it hands out when it has lain for a second.
func (o *Order) writeLoop() {
	defer o.loops.Done()
	seconds, stop := o.clock.NewTicker(flushEvery)
	defer stop()
	for lain := uint64(0); ; {
		select {
		case <-o.quit:
			return
		case <-seconds:
			gen := o.gen.Load()
			if o.dirty.Load() && gen == lain {
				o.handOutAll()
			}
			lain = gen
		case <-o.wake:
			if !o.writeWhileBusy() {
				return
			}
		}
	}
}

func (o *Order) writeWhileBusy() (goOn bool) {
	o.lead(never, false)
	ticks, stop := o.clock.NewTicker(writeEvery)
	defer stop()
	for quiet := 0; ; {
		select {
		case <-o.quit:
			return false
		case <-ticks:
		}
		// Where replies wait, a client that waits in Commit hands out.
		switch {
		case o.dirty.Load() && !o.awaited():
			quiet = 0
			o.lead(never, false)
		case quiet < idleTicks:
			quiet++
		default:
			o.idle.Store(true)
			if !o.dirty.Load() || o.awaited() || !o.idle.CompareAndSwap(true, false) {
				return true
			}
			quiet = 0
		}
	}
}

// handOutAll hands out what was appended, on behalf of nobody in particular.
func (o *Order) handOutAll() {
	if o.awaited() {
		o.lead(o.Mark(), true)
	} else {
		o.lead(never, false)
	}
}
