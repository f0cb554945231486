package turn

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestYieldAsks: each Yield asks all who have been told to watch, but not more often than there is time for, and nobody
// once he has ended it.
func TestYieldAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		last.Store(int64(time.Since(start))) // which began outside of the bubble
		var a, b int
		stopA := Watch(func() { a++ })
		stopB := Watch(func() { b++ })
		for range 3 {
			time.Sleep(2 * every)
			Yield()
			Yield() // too soon
		}
		stopA()
		time.Sleep(2 * every)
		Yield()
		stopB()
		time.Sleep(2 * every)
		Yield()
		if a != 3 || b != 4 {
			t.Errorf("asked %d and %d times, want 3 and 4", a, b)
		}
		if asked.Load() != nil {
			t.Error("nobody watches, and somebody would be asked")
		}
	})
}

// TestWatchers come and go while others yield.
func TestWatchers(t *testing.T) {
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 1000 {
				stop := Watch(func() {})
				Yield()
				stop()
			}
		})
	}
	wg.Wait()
	if asked.Load() != nil {
		t.Error("somebody is left")
	}
}
