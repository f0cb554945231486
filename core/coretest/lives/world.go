package lives

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/spillwaydb/spillway/core/sink"
)

// world is everything that one history is about.
type world struct {
	places  []*Place
	daemons []*daemon

	mu     sync.Mutex
	log    []string // what happened, for whoever reads about a failure
	wrong  []error
	seq    int // counts publications, and so says what was before what
	states map[string]*state
	// acknowledged are the checkpoints that are committed.
	acknowledged map[sink.SetID]bool
	cuts         map[sink.SetID]*state // what they hold
	put          map[putAt]string      // digests of what was put
	follows      map[string]map[string]int
}

type putAt struct {
	p    *Place
	id   sink.SetID
	name string
}

// state is what a daemon's keys were at some moment.
type state struct {
	id     string
	before *state // nil: it is the empty one
	keys   map[string]string
}

// from tells whether s is o, or came after it.
func (s *state) from(o *state) bool {
	for ; s != nil; s = s.before {
		if s == o {
			return true
		}
	}
	return false
}

func (s *state) String() string { return fmt.Sprintf("%q", s.id) }

func newWorld(daemons int, stores ...Store) *world {
	w := &world{
		states: map[string]*state{"": {}}, acknowledged: map[sink.SetID]bool{}, cuts: map[sink.SetID]*state{},
		put: map[putAt]string{}, follows: map[string]map[string]int{},
	}
	for i, s := range stores {
		w.places = append(w.places, newPlace(w, fmt.Sprint("place ", i), s))
	}
	for i := range daemons {
		w.daemons = append(w.daemons, newDaemon(w, i))
	}
	return w
}

// note keeps a line for whoever reads about a failure. The caller holds mu.
func (w *world) note(format string, args ...any) { w.log = append(w.log, fmt.Sprintf(format, args...)) }

// accuse records what must not have happened. The caller holds mu.
func (w *world) accuse(format string, args ...any) {
	w.wrong = append(w.wrong, fmt.Errorf(format, args...))
	w.note("WRONG: "+format, args...)
}

// guilty is the first thing that must not have happened. The caller holds mu.
func (w *world) guilty() error {
	if len(w.wrong) > 0 {
		return w.wrong[0]
	}
	return nil
}

// observe looks at every place.
func (w *world) observe() error {
	var errs []error
	for _, p := range w.places {
		errs = append(errs, p.observe())
	}
	return errors.Join(errs...)
}

// recent is what happened last.
func (w *world) recent() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return "what happened last:\n  " + strings.Join(w.log[max(0, len(w.log)-30):], "\n  ")
}

func (w *world) putDigest(p *Place, id sink.SetID, name, sum string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.put[putAt{p, id, name}] = sum
}

// digests are those of the parts of a set. The caller holds mu.
func (w *world) digests(p *Place, id sink.SetID) map[string]string {
	sums := make(map[string]string)
	for at, sum := range w.put {
		if at.p == p && at.id == id {
			sums[at.name] = sum
		}
	}
	return sums
}

// cut is what a checkpoint holds that d is making: d has stood still since the
// cut, see daemon.quiet. The caller holds mu.
func (w *world) cut(d *daemon, id sink.SetID) *state {
	if w.cuts[id] == nil {
		w.cuts[id] = d.state
	}
	return w.cuts[id]
}

// committed takes in that a checkpoint counts: nobody takes it back any more.
func (w *world) committed(d *daemon, id sink.SetID) *state {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.acknowledged[id] = true
	for _, p := range w.places {
		if r := p.sets[id]; r != nil {
			r.settled = true
		}
	}
	return w.cut(d, id)
}

// ended takes in that a process is no more.
func (w *world) ended(pr *process) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.places {
		for _, r := range p.sets {
			r.settled = r.settled || r.by == pr
		}
	}
}

// descends takes in that a lineage goes on from all that is at a place now. The
// caller holds mu.
func (w *world) descends(lineage string, p *Place) {
	if w.follows[lineage] == nil {
		w.follows[lineage] = map[string]int{}
	}
	for _, r := range p.sets {
		if l := r.set.Lineage(); l != lineage {
			w.follows[lineage][l] = w.seq
		}
	}
}
