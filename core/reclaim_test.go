package core

import (
	"testing"
	"time"
)

// TestReclaimPause: memory that deleted keys leave comes back within half a minute, also where
// giving back took long the last time, and what has only grown does not take the processor
// from others.
func TestReclaimPause(t *testing.T) {
	for _, c := range []struct {
		took   time.Duration
		shrunk bool
		want   time.Duration
	}{
		{0, false, reclaimEvery},
		{0, true, reclaimEvery},
		{50 * time.Millisecond, false, 5 * time.Second},
		{50 * time.Millisecond, true, reclaimEvery},
		{2500 * time.Millisecond, false, 250 * time.Second},
		{2500 * time.Millisecond, true, 25 * time.Second},
	} {
		if got := reclaimPause(c.took, c.shrunk); got != c.want {
			t.Errorf("after %v, smaller %v: %v, want %v", c.took, c.shrunk, got, c.want)
		}
	}
}
