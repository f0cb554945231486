package session

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
)

// alarms knows when tickets are to be tried again without an event of their keys: see
// [command.Ctx.Retry].
type alarms struct {
	next atomic.Int64 // the earliest of them, or one that was; 0 for none

	mu sync.Mutex // no lock is taken under it
	at map[*ticket]int64
}

// set has a ticket be tried again at a time, in Unix milliseconds, unless that is 0 or it is
// to be tried before. Any goroutine.
func (a *alarms) set(t *ticket, at int64) {
	if at == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if old, set := a.at[t]; set && old <= at {
		return
	}
	if a.at == nil {
		a.at = make(map[*ticket]int64)
	}
	a.at[t] = at
	if next := a.next.Load(); next == 0 || at < next {
		a.next.Store(at)
	}
}

// cancel forgets a ticket, which may not be known. Any goroutine.
func (a *alarms) cancel(t *ticket) {
	if a.next.Load() == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.at, t)
}

// due tells whether the time of a ticket may have come.
func (a *alarms) due(now int64) bool {
	next := a.next.Load()
	return next != 0 && next <= now
}

// take takes the tickets out whose time has come, those whose came first before the
// others.
func (a *alarms) take(now int64) (due []*ticket) {
	if !a.due(now) {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	next := int64(0)
	for t, at := range a.at {
		switch {
		case at <= now:
			due = append(due, t)
		case next == 0 || at < next:
			next = at
		}
	}
	slices.SortFunc(due, func(x, y *ticket) int { return cmp.Compare(a.at[x], a.at[y]) })
	for _, t := range due {
		delete(a.at, t)
	}
	a.next.Store(next)
	return due
}
