package ticks

import (
	"math/bits"
	"sync"
	"sync/atomic"
	"time"
)

// A Watch tells how much time has passed since it was started. The zero Watch does not know. It is
// for one goroutine at a time, on whichever processor.
type Watch struct {
	from uint64 // the counter, 0: not started
}

// Most is from when on a Watch does not know how much time has passed, half a millisecond: to ask a
// clock costs nothing beside it. It is less than deadlines are counted in, so that a clock
// that stands still, as a test's may, stands still for them.
const Most = 1 << 19 * time.Nanosecond

// Usable tells whether this machine has such a counter.
func Usable() bool { return usable() }

// Start has the watch begin at now, which a clock has just told. The length of a tick is learned from
// these, so whoever uses watches starts one for each batch of what is to be timed.
func (w *Watch) Start(now time.Time) {
	if !usable() {
		return
	}
	w.from = count()
	if tick.due(w.from) {
		tick.learn(w.from, now)
	}
}

// Passed returns the time since Start. It is not ok where that is not known, or Most and more.
func (w *Watch) Passed() (d time.Duration, ok bool) {
	length := tick.length.Load()
	if length == 0 || w.from == 0 {
		return 0, false
	}
	// A counter that has gone back is far beyond Most.
	hi, lo := bits.Mul64(count()-w.from, length)
	d = time.Duration(lo >> 32) // 32 bits
	return d, hi == 0 && d < Most
}

// tick is how long a tick of this machine is.
var tick lesson

// lesson learns how long a tick is from what a clock and the counter have said, twice. It asks no clock itself: to
// have the kernel tell the time by a system call, a hundred times a second, woke the runtime's watcher of
// system calls, and a request took a fifth more.
//
// Two lessons are believed where they agree. One is wrong where the goroutine was held up between the clock
// and the counter, where the machine was suspended or was moved to another whose counter runs at another speed, and where
// the clock is a test's.
type lesson struct {
	length atomic.Uint64 // nanoseconds, in units of 2^-32 of them; 0: not known
	last   atomic.Uint64 // the counter at the last look

	mu    sync.Mutex
	begun bool
	now   time.Time // of the last look
	found uint64    // length, that time
}

const (
	// lessonTicks is how many ticks a tick's length is learned from: tens of milliseconds, of which
	// what is between a look at the clock and one at the counter is a millionth.
	lessonTicks = 1 << 26
	// lessonAgree is by what part two lessons that are believed may differ.
	lessonAgree = 1 << 10
)

// due tells whether it is time for a lesson.
func (l *lesson) due(ticks uint64) bool { return ticks-l.last.Load() >= lessonTicks }

// learn takes in that the counter was at ticks when the clock said now. Whoever comes while somebody else
// is here leaves it to them.
func (l *lesson) learn(ticks uint64, now time.Time) {
	if !l.mu.TryLock() {
		return
	}
	defer l.mu.Unlock()
	length := uint64(0)
	past, since := ticks-l.last.Load(), uint64(max(now.Sub(l.now), 0))
	if l.begun && since>>32 < past {
		length, _ = bits.Div64(since>>32, since<<32, past)
	}
	differ := max(length, l.found) - min(length, l.found)
	l.begun, l.now, l.found = true, now, length
	l.last.Store(ticks)
	if differ > length/lessonAgree {
		length = 0
	}
	l.length.Store(length)
}
