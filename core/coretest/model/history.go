package model

import (
	"fmt"
	"slices"
	"strings"
)

// History is what a disk may hold: the states that the engine's memory went
// through, from the last one that is promised to survive a crash to the one of
// now. A crash must leave one of them, or one that a command still running at
// that moment leads to. It is for one goroutine.
type History struct {
	states []*State // [0] is promised
	dated  []int64  // when each became the one in memory
	first  int      // the number of states[0] in the whole history
}

// NewHistory starts with an empty keyspace, which any disk has.
func NewHistory() *History { return &History{states: []*State{{}}, dated: []int64{0}} }

// Clone returns an independent copy.
func (h *History) Clone() *History {
	return &History{states: slices.Clone(h.states), dated: slices.Clone(h.dated), first: h.first}
}

// Now is the state in memory.
func (h *History) Now() *State { return h.states[len(h.states)-1] }

// Add makes s, reached at the time now, the state in memory.
func (h *History) Add(s *State, now int64) {
	h.states = append(h.states, s)
	h.dated = append(h.dated, now)
}

// Mark numbers the state in memory, for DurableTo.
func (h *History) Mark() int { return h.first + len(h.states) - 1 }

// Durable notes that the state in memory survives a crash from here on.
func (h *History) Durable() { h.DurableTo(h.Mark()) }

// DurableTo notes that a crash leaves nothing older than the state of mark.
func (h *History) DurableTo(mark int) {
	if n := mark - h.first; n > 0 {
		h.states, h.dated = h.states[n:], h.dated[n:]
		h.first = mark
	}
}

// DurableUntil notes that a crash leaves nothing that had been replaced at the
// time limit.
func (h *History) DurableUntil(limit int64) {
	n := 0
	for n+1 < len(h.states) && h.dated[n+1] <= limit {
		n++
	}
	h.DurableTo(h.first + n)
}

// Uncertain is how many different states a crash may leave, those of a running
// command aside.
func (h *History) Uncertain() int { return len(h.states) }

// Adopt checks what a crash has left, got, at the time now, against what it may
// have left, and goes on from it. running are the states that the command in
// flight may have led to. The error shows the nearest legal state.
func (h *History) Adopt(got *State, now int64, running []Outcome) error {
	legal := append([]*State(nil), h.states...)
	for _, o := range running {
		legal = append(legal, o.State)
	}
	text := got.Text(now)
	for i := len(legal) - 1; i >= 0; i-- {
		if legal[i].Text(now) == text {
			*h = History{states: []*State{legal[i]}, dated: []int64{now}, first: h.Mark() + 1}
			return nil
		}
	}
	best := ""
	for i := len(legal) - 1; i >= 0; i-- {
		d := Diff(got, legal[i], now)
		if best == "" || strings.Count(d, "\n") < strings.Count(best, "\n") {
			best = d
		}
	}
	return fmt.Errorf("the state is none of the %d that are legal; compared with the nearest (+ is there, - is missing):\n%s", len(legal), best)
}
