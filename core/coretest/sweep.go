package coretest

import (
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
)

// long tells whether the long version of everything is asked for.
func long() bool { return os.Getenv("SPILLWAY_LAB") == "long" }

// onlyPoint is the one point to try, 0 for all.
func onlyPoint() int64 {
	n, _ := strconv.ParseInt(os.Getenv("SPILLWAY_LAB_POINT"), 10, 64)
	return n
}

// stride is how far apart the points lie that are tried, 1 for all of them.
func stride() int64 {
	n, _ := strconv.ParseInt(os.Getenv("SPILLWAY_LAB_STRIDE"), 10, 64)
	return max(n, 1)
}

// outcome is what one run at one point has come to.
type outcome struct {
	operations int64 // done in the run
	struck     bool  // it happened at the point
	within     bool  // and that was while the scenario ran
	recoveries int
}

// sweep calls try for the points first, first+step, first+2*step and so on, up to the
// first one at which nothing happens any more, on every processor. It fails the test
// with the error of the lowest point, and tells whether anything happened while the
// scenario ran.
func sweep(t testing.TB, what string, first, step int64, try func(n int64) (outcome, error)) (tried Tried, within bool) {
	t.Helper()
	var (
		mu    sync.Mutex
		next  atomic.Int64
		end   atomic.Bool
		wg    sync.WaitGroup
		worst error
		at    int64
	)
	work := func(n int64) {
		o, err := try(n)
		mu.Lock()
		defer mu.Unlock()
		tried.Recoveries += o.recoveries
		tried.Operations = max(tried.Operations, int(o.operations))
		within = within || o.within
		if o.struck {
			tried.Struck++
		} else {
			end.Store(true)
		}
		if err != nil {
			end.Store(true)
			if worst == nil || n < at {
				worst, at = err, n
			}
		}
	}
	if n := onlyPoint(); n > 0 {
		work(n)
	} else {
		for range runtime.GOMAXPROCS(0) {
			wg.Go(func() {
				for !end.Load() {
					work(first + (next.Add(1)-1)*step)
				}
			})
		}
		wg.Wait()
	}
	if worst != nil {
		t.Fatalf("%s at operation %d: %v\nagain: SPILLWAY_LAB_POINT=%d go test -run '^%s$'", what, at, worst, at, t.Name())
	}
	tried.LeftOut = int(step-1) * tried.Struck
	return tried, within
}

// nothing fails a test whose scenario gave nothing to strike.
func nothing(t testing.TB, what string) {
	t.Helper()
	t.Fatalf("%s not once during the scenario: it does nothing to its disk, the test shows nothing", what)
}
