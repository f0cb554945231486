package server

import (
	"slices"
	"testing"
)

// TestBriefFirst: those that sent few commands are executed first, in the order in which they were reported,
// and the turn is parted behind them where there are others.
func TestBriefFirst(t *testing.T) {
	for _, c := range []struct {
		name            string
		asked, executed []int // the commands of each, as reported and as executed
		bulky           int
	}{
		{"both", []int{64, 1, 16, 0, briefMost, 17}, []int{1, 0, briefMost, 64, 16, 17}, 3},
		{"few of all", []int{1, 0, 2}, []int{1, 0, 2}, 0},
		{"many of all", []int{16, 64}, []int{16, 64}, 0},
		{"none", nil, nil, 0},
	} {
		l := &loop{bulky: 1}
		s := &sitter{loop: l}
		for range 2 { // with the same storage
			l.ready = nil
			for _, n := range slices.Backward(c.asked) { // the last of ready is executed first
				l.ready = append(l.ready, &conn{asked: n})
			}
			s.briefFirst()
			var executed []int
			for _, one := range slices.Backward(l.ready) {
				executed = append(executed, one.asked)
			}
			if !slices.Equal(executed, c.executed) || l.bulky != c.bulky {
				t.Errorf("%s: %v are executed, %d of them in the second part; want %v, %d", c.name, executed, l.bulky, c.executed, c.bulky)
			}
		}
	}
}
