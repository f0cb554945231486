package coretest_test

import (
	"fmt"
	"testing"

	"github.com/spillwaydb/spillway/core/coretest"
)

// A test of a program that embeds the engine, on a disk that loses power.
func ExampleNew() {
	_ = func(t *testing.T) {
		h := coretest.New(t)
		h.Do("RPUSH", "queue", "a", "b")
		h.Crash(7) // what was not synced is gone, as the seed decides; the engine is open again
		if got := h.Do("LLEN", "queue"); got != "2" {
			t.Errorf("%s are left of 2 that were acknowledged", got)
		}
	}
}

// A scenario is repeated with a power loss at every operation of the disk. That nothing
// acknowledged is lost is checked by itself; what else has to hold is given to Always.
func ExampleEveryCrashPoint() {
	_ = func(t *testing.T) {
		coretest.EveryCrashPoint(t, func(r *coretest.Run) {
			r.Always(func(do func(args ...string) string) error {
				if a, b := do("GET", "a"), do("GET", "b"); a != b {
					return fmt.Errorf("half a transaction: %s and %s", a, b)
				}
				return nil
			})
			r.Do("MSET", "a", "1", "b", "1")
			r.Save()
			r.Do("MSET", "a", "2", "b", "2")
		})
	}
}
