// Package turn lets work that takes long share Go's processors with those who serve clients.
//
// Go has no priorities, and its scheduler looks at the network when there is nothing to run, or after
// 10 ms. So work that steps back with runtime.Gosched, on a processor where nobody else is ready, goes on at
// once, and a server that waits for its sockets meanwhile is not told that a request has come: on one processor each
// client waited for as long as the work took, up to 10 ms. Who works steps back by Yield instead, which looks at
// those sockets first.
package turn

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// every is how often Yield asks, for each of those to be asked: a question takes a microsecond.
const every = 50 * time.Microsecond

var (
	mu    sync.Mutex                // of who changes asked
	asked atomic.Pointer[[]*func()] // what Watch was given, nil for nothing
	last  atomic.Int64              // when they were asked, from start
	start = time.Now()
)

// Yield lets others have the processor: whoever is ready to run, and whoever Watch has told of that has become so by what
// has come for it. It is for work that serves no client, between two pieces that take a tenth to half of a
// millisecond. Any goroutine, without a lock that others wait for.
func Yield() {
	if watchers := asked.Load(); watchers != nil {
		if now, before := int64(time.Since(start)), last.Load(); now-before >= int64(every)*int64(len(*watchers)) && last.CompareAndSwap(before, now) {
			for _, f := range *watchers {
				(*f)()
			}
		}
	}
	runtime.Gosched()
}

// Watch has Yield call f, which looks whether a goroutine that waits in the runtime for a descriptor has something to do by now,
// and makes it ready then. It must be brief, and may be called by several goroutines, until shortly after stop has been.
func Watch(f func()) (stop func()) {
	p := &f
	change(func(w []*func()) []*func() { return append(w, p) })
	return func() {
		change(func(w []*func()) []*func() { return slices.DeleteFunc(w, func(q *func()) bool { return p == q }) })
	}
}

// change puts another list in the place of that which Yield goes through.
func change(f func([]*func()) []*func()) {
	mu.Lock()
	defer mu.Unlock()
	var w []*func()
	if p := asked.Load(); p != nil {
		w = slices.Clone(*p)
	}
	if w = f(w); len(w) > 0 {
		asked.Store(&w)
	} else {
		asked.Store(nil)
	}
}
