package persist

import "sync"

// background is what runs beside the engine: goroutines that its end waits for.
type background struct {
	mu     sync.Mutex
	closed bool
	all    sync.WaitGroup
}

// run runs f in a goroutine, and tells whether it will: after close it does not.
func (b *background) run(f func()) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false
	}
	b.all.Go(f)
	return true
}

// close begins no goroutine any more and waits for those that run.
func (b *background) close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.all.Wait()
}
