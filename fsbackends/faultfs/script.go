package faultfs

import (
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/spillwaydb/spillway/core/vfs"
)

// Script is a list of written rules (see the package comment), made by
// ParseScript. It is safe for concurrent use, and every count in it belongs to
// it: parse again for a fresh start.
type Script struct {
	rules    []*rule
	once     sync.Once
	released chan struct{}
}

// rule is one line of a script.
type rule struct {
	text  string // the line, for people
	kinds []OpKind
	glob  string

	// When, counted in operations that match kinds and glob.
	from, to int64 // to 0: no end
	every    int64 // 0: each
	prob     float64
	seed     uint64

	// What.
	waits []wait
	fault error

	seen  atomic.Int64
	fired atomic.Int64
}

// wait is one step that takes time. One field is set.
type wait struct {
	delay time.Duration
	rate  *rate
	hang  bool
}

// rate is a device that handles so many bytes a second, for all who share it.
type rate struct {
	bytes int64
	mu    sync.Mutex
	free  time.Time // when the device is free again
}

// take books n bytes and returns how long they take, queueing included.
func (r *rate) take(n int64) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if r.free.Before(now) {
		r.free = now
	}
	r.free = r.free.Add(time.Duration(float64(n) / float64(r.bytes) * float64(time.Second)))
	return r.free.Sub(now)
}

// Inject is the inject function of the script, for New and Chain. Each rule
// counts the operations that match it, whatever the others do. Rules that fire
// wait in their order, and the first that has a fault decides.
func (s *Script) Inject(op Op) error {
	var fault error
	for _, r := range s.rules {
		if !r.fires(op) {
			continue
		}
		for _, w := range r.waits {
			s.wait(w, op)
		}
		if fault == nil {
			fault = r.fault
		}
	}
	return fault
}

// fires counts op if it matches and tells whether it is its turn.
func (r *rule) fires(op Op) bool {
	if !slices.Contains(r.kinds, op.Kind) || !r.matches(op.Path) && (op.To == "" || !r.matches(op.To)) {
		return false
	}
	n := r.seen.Add(1)
	if n < r.from || r.to > 0 && n > r.to || r.every > 0 && n%r.every != 0 {
		return false
	}
	if r.prob < 1 && rand.New(rand.NewPCG(r.seed, uint64(n))).Float64() >= r.prob {
		return false
	}
	r.fired.Add(1)
	return true
}

func (r *rule) matches(name string) bool {
	p, err := vfs.Clean(name)
	if err != nil {
		p = name // the backend refuses it; a rule may still be meant for it
	}
	return doublestar.MatchUnvalidated(r.glob, p)
}

// wait blocks for one step, or until Release.
func (s *Script) wait(w wait, op Op) {
	d := w.delay
	switch {
	case w.hang:
		<-s.released
		return
	case w.rate != nil && (op.Kind == OpRead || op.Kind == OpWrite):
		d = w.rate.take(op.N)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.released:
	}
}

// Release ends every wait of the script, those under way and all to come; faults
// go on. To let a context end them: context.AfterFunc(ctx, s.Release).
func (s *Script) Release() { s.once.Do(func() { close(s.released) }) }

// Fired returns how many operations each rule was applied to, in their order. A
// test that means to inject something asks it.
func (s *Script) Fired() []int64 {
	out := make([]int64, len(s.rules))
	for i, r := range s.rules {
		out[i] = r.fired.Load()
	}
	return out
}

// String returns the rules, one a line, as they were written.
func (s *Script) String() string {
	var b strings.Builder
	for _, r := range s.rules {
		b.WriteString(r.text + "\n")
	}
	return b.String()
}
