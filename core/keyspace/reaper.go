package keyspace

import (
	"sync"

	"github.com/spillwaydb/spillway/internal/turn"
)

// reaper frees what collections that are gone have outside of the Go heap: at once for those of a few
// sheaves, and else by a goroutine that is there while there is something to do, so that a
// collection of any size goes in constant time.
type reaper struct {
	mu      sync.Mutex
	waiting []object
	running bool
}

// take frees o, or has it freed. Nobody uses it any more.
func (r *reaper) take(o object) {
	if o.freesAtOnce() {
		o.free()
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting = append(r.waiting, o)
	if !r.running {
		r.running = true
		go r.run()
	}
}

func (r *reaper) run() {
	for {
		r.mu.Lock()
		objects := r.waiting
		r.waiting = nil
		r.running = len(objects) > 0
		r.mu.Unlock()
		if len(objects) == 0 {
			return
		}
		for _, o := range objects {
			o.free()
			turn.Yield()
		}
	}
}
