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

// outcome is what one run at one point has come to.
type outcome struct {
	operations int64 // done in the run
	struck     bool  // it happened at the point
	within     bool  // and that was while the scenario ran
	recoveries int
}

// sweep calls try for every point, from 1 up to the first at which nothing
// happens any more, on every processor. It fails the test with the error of the
// lowest point, or when nothing ever happened.
func sweep(t testing.TB, what string, try func(n int64) (outcome, error)) Tried {
	t.Helper()
	var (
		tried  Tried
		mu     sync.Mutex
		next   atomic.Int64
		end    atomic.Bool
		wg     sync.WaitGroup
		worst  error
		at     int64
		within bool
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
					work(next.Add(1))
				}
			})
		}
		wg.Wait()
	}
	if worst != nil {
		t.Fatalf("%s at operation %d: %v\nagain: SPILLWAY_LAB_POINT=%d go test -run '^%s$'", what, at, worst, at, t.Name())
	}
	if !within {
		t.Fatalf("%s not once during the scenario: it does nothing to its disk, the test shows nothing", what)
	}
	return tried
}
