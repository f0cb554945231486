package coretest

import "slices"

// shrinkTries is how often a shorter history is played before it counts as a
// good one: what two goroutines do in the same instant is not up to the seed.
const shrinkTries = 3

// shrink looks for a short history that fails, by delta debugging: it leaves
// out halves, then quarters, and so on down to single steps, as long as what is
// left fails. It returns the shortest it has found and its error.
func shrink(steps []step, err error, play func([]step) error) ([]step, error) {
	fails := func(s []step) bool {
		for range shrinkTries {
			if e := play(s); e != nil {
				err = e
				return true
			}
		}
		return false
	}
	for size := len(steps) / 2; size >= 1; {
		shorter := false
		for at := 0; at < len(steps); {
			without := slices.Delete(slices.Clone(steps), at, min(at+size, len(steps)))
			if fails(without) {
				steps, shorter = without, true
			} else {
				at += size
			}
		}
		if !shorter || size > len(steps) {
			size /= 2
		}
	}
	return steps, err
}
