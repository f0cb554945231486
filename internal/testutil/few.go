package testutil

// Race tells whether the race detector watches this program: all of it is some ten
// times as slow then.
const Race = race

// Rounds is n, or, under the race detector, an eighth of it and at least one: for a
// test that computes by itself, of whose later rounds the detector learns nothing. The
// package runs without the detector too, with all n (core/racelaw_test.go).
func Rounds(n int) int {
	if Race {
		return max(n/8, 1)
	}
	return n
}

// OneUnderRace returns cases, or, under the race detector, the named one of them: for a
// test of what has nothing to do with races, whose package runs without the detector
// too. It panics if there is no case of that name.
func OneUnderRace[T any](cases map[string]T, name string) map[string]T {
	one, ok := cases[name]
	if !ok {
		panic("no case is named " + name)
	}
	if !Race {
		return cases
	}
	return map[string]T{name: one}
}
