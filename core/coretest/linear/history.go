package linear

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/spillwaydb/spillway/core/resp"
)

// Doer is a client: a core.Session, or a connection. An error means that nobody
// knows whether the command was executed, and that the client is of no more use.
type Doer interface {
	Do(args ...string) (resp.Value, error)
}

// History is what clients did and were told. Its methods may be called from any
// goroutine.
type History struct {
	clock  atomic.Int64 // of calls and replies, nothing else: only the order counts
	values atomic.Int64 // no value is written twice
	dark   atomic.Bool  // the power is going: nothing is begun any more

	mu    sync.Mutex
	life  int // index of the first operation of this life of the engine
	ops   []porcupine.Operation
	looks []look
}

// look is when somebody read every key while nobody else did anything: from there
// on it is all that counts of what was before.
type look struct {
	end  int // index of the first operation behind it
	seen state
}

// New returns an empty history, of empty data.
func New() *History { return new(History) }

// open is the reply time of what has no reply.
const open = math.MaxInt64

// Client runs random operations until the power goes; it calls each before each.
func (h *History) Client(id int, d Doer, rng *rand.Rand, each func()) {
	for !h.dark.Load() {
		each()
		if !h.one(id, d, rng) {
			return
		}
	}
}

// Look reads every key, one after the other, while no client runs.
func (h *History) Look(d Doer) error {
	seen := newState()
	for i, key := range Keys {
		v, err := d.Do("GET", key)
		if err != nil {
			return fmt.Errorf("GET %s: %w", key, err)
		}
		h.record(0, h.clock.Add(1), h.clock.Add(1), call{cmds: [][]string{{"GET", key}}}, answer{replies: []string{v.String()}})
		if v.Kind != resp.KindNull {
			seen[i] = string(v.Str)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.looks = append(h.looks, look{len(h.ops), seen})
	return nil
}

// Power takes the power away, by calling pull. What was acknowledged before it
// must survive; what is in flight may. Clients begin nothing more. The caller then
// waits for them to end and calls Settle.
func (h *History) Power(pull func()) (lost *Lost) {
	h.dark.Store(true)
	lost = &Lost{h: h, from: h.clock.Add(1)}
	pull()
	lost.to = h.clock.Add(1)
	return lost
}

// Lost is a loss of power.
type Lost struct {
	h        *History
	from, to int64
}

// Settle ends the life that the power loss has ended. All its clients have
// returned, and the next life has not begun.
func (l *Lost) Settle() {
	h := l.h
	h.mu.Lock()
	defer h.mu.Unlock()
	over := h.clock.Add(1)
	kept := h.ops[:h.life]
	for _, op := range h.ops[h.life:] {
		if op.Call > l.to {
			continue // on an engine whose disk nobody has
		}
		if op.Return > l.from {
			op.Output, op.Return = answer{unknown: true}, over
		}
		kept = append(kept, op)
	}
	h.ops, h.life = kept, len(kept)
	h.dark.Store(false)
}

// Len is how many operations there are, and how many of them nobody knows the
// outcome of.
func (h *History) Len() (all, unknown int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, op := range h.ops {
		if op.Output.(answer).unknown {
			unknown++
		}
	}
	return len(h.ops), unknown
}

// stretch is the part of a history between two looks, the second one included,
// and what there was before it.
type stretch struct {
	from state
	ops  []porcupine.Operation
}

// stretches cuts the history where everything is known: it is linearizable if
// each stretch is.
func (h *History) stretches() (out []stretch) {
	s := stretch{from: newState()}
	begin := 0
	for _, l := range h.looks {
		s.ops = h.ops[begin:l.end]
		out = append(out, s)
		s, begin = stretch{from: l.seen}, l.end
	}
	s.ops = h.ops[begin:]
	return append(out, s)
}

// Linearizable asks porcupine. An error says that it did not find out in time.
func (h *History) Linearizable() (bool, error) {
	_, err := h.bad()
	if errors.Is(err, errIllegal) {
		return false, nil
	}
	return err == nil, err
}

var errIllegal = errors.New("not linearizable")

// bad finds the first stretch that is not linearizable.
func (h *History) bad() (s stretch, err error) {
	for _, s = range h.stretches() {
		switch porcupine.CheckOperationsTimeout(model(s.from), s.ops, patience) {
		case porcupine.Illegal:
			return s, errIllegal
		case porcupine.Unknown:
			return s, fmt.Errorf("porcupine has not decided on %d operations after %s", len(s.ops), patience)
		}
	}
	return s, nil
}

// patience is for porcupine: stretches like these take it milliseconds.
const patience = time.Minute

// Check fails the test unless the history is linearizable, and leaves a page that
// shows it.
func (h *History) Check(t testing.TB) {
	t.Helper()
	s, err := h.bad()
	if err == nil {
		return
	}
	_, info := porcupine.CheckOperationsVerbose(model(s.from), s.ops, patience)
	page := filepath.Join(os.TempDir(), fmt.Sprintf("linear-%d.html", time.Now().UnixNano()))
	if verr := porcupine.VisualizePath(model(s.from), info, page); verr != nil {
		page = verr.Error()
	}
	t.Errorf("a life of %d operations: %v; see %s", len(s.ops), err, page)
}

// do runs one operation and records it. It tells whether the client is still of
// use.
func (h *History) do(id int, d Doer, c call) bool {
	called, returned := h.clock.Add(1), int64(open)
	a, err := perform(d, c)
	if err == nil {
		returned = h.clock.Add(1)
	}
	h.record(id, called, returned, c, a)
	return err == nil
}

func (h *History) record(id int, called, returned int64, c call, a answer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, porcupine.Operation{ClientId: id, Input: c, Call: called, Output: a, Return: returned})
}

// perform runs the commands of an operation.
func perform(d Doer, c call) (answer, error) {
	if !c.tx {
		v, err := d.Do(c.cmds[0]...)
		return answer{replies: []string{v.String()}, unknown: err != nil}, err
	}
	lost := answer{unknown: true}
	if _, err := d.Do("MULTI"); err != nil {
		return lost, err
	}
	for _, cmd := range c.cmds {
		if _, err := d.Do(cmd...); err != nil {
			return lost, err
		}
	}
	v, err := d.Do("EXEC")
	if err != nil {
		return lost, err
	}
	if v.Kind == resp.KindNull {
		return answer{aborted: true}, nil
	}
	var a answer
	for _, e := range v.Elems {
		a.replies = append(a.replies, e.String())
	}
	if len(a.replies) != len(c.cmds) {
		a.replies = make([]string, len(c.cmds)) // none of them can have been said
		a.replies[0] = v.String()
	}
	return a, nil
}

// one makes up an operation and runs it.
func (h *History) one(id int, d Doer, rng *rand.Rand) bool {
	switch n := rng.IntN(10); {
	case n < 6:
		return h.do(id, d, call{cmds: [][]string{h.command(rng)}})
	case n < 8:
		c := call{tx: true}
		for range 2 + rng.IntN(2) {
			c.cmds = append(c.cmds, h.command(rng))
		}
		return h.do(id, d, c)
	}
	return h.optimistic(id, d, rng)
}

// optimistic reads a key under a WATCH and writes what it makes of it.
func (h *History) optimistic(id int, d Doer, rng *rand.Rand) bool {
	key := Keys[rng.IntN(len(Keys))]
	if _, err := d.Do("WATCH", key); err != nil {
		return false
	}
	called := h.clock.Add(1)
	v, err := d.Do("GET", key)
	if err != nil {
		return false // a read of which nothing is known tells nothing
	}
	h.record(id, called, h.clock.Add(1), call{cmds: [][]string{{"GET", key}}}, answer{replies: []string{v.String()}})
	return h.do(id, d, call{
		tx: true, watched: key, saw: v.String(),
		cmds: [][]string{{"SET", key, h.value()}, h.command(rng)},
	})
}

// value is one that was never written.
func (h *History) value() string { return fmt.Sprint(".", h.values.Add(1)) }

// command makes up a command.
func (h *History) command(rng *rand.Rand) []string {
	key := Keys[rng.IntN(len(Keys))]
	switch rng.IntN(8) {
	case 0, 1:
		return []string{"SET", key, h.value()}
	case 2:
		return []string{"APPEND", key, h.value()}
	case 3:
		return []string{"INCR", Keys[4+rng.IntN(2)]}
	case 4:
		return []string{"RENAME", key, Keys[rng.IntN(len(Keys))]}
	case 5:
		return []string{"SET", Keys[4+rng.IntN(2)], fmt.Sprint(1000 * h.values.Add(1))}
	}
	return []string{"GET", key}
}
