package ticks

import (
	"testing"
	"time"
)

// TestLesson: what a tick is taken for, with clocks and counters that say what they are told.
func TestLesson(t *testing.T) {
	type look struct {
		ticks uint64
		nanos int64
		want  uint64 // of length, in 2^-32 ns
	}
	const half, whole, forty = 1 << 31, 1 << 32, 40 << 32
	epoch := time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)
	for name, looks := range map[string][]look{
		"two that agree":           {{100, 1000, 0}, {2100, 2000, 0}, {4100, 3000, half}, {6100, 4000, half}},
		"slow ticks":               {{1, 0, 0}, {1001, 40000, 0}, {2001, 80000, forty}},
		"from zero":                {{0, 0, 0}, {1000, 1000, 0}, {2000, 2000, whole}},
		"another speed":            {{0, 0, 0}, {1000, 1000, 0}, {2000, 2000, whole}, {4000, 3000, 0}, {6000, 4000, half}},
		"suspended":                {{0, 0, 0}, {1000, 1000, 0}, {2000, 2000, whole}, {900000, 3000, 0}, {901000, 4000, 0}, {902000, 5000, whole}},
		"a counter that stands":    {{5, 0, 0}, {5, 1000, 0}, {5, 2000, 0}},
		"a counter that goes back": {{5000, 0, 0}, {4000, 1000, 0}, {3000, 2000, 0}, {4000, 3000, 0}, {5000, 4000, whole}},
		"a clock that stands":      {{0, 7, 0}, {1000, 7, 0}, {2000, 7, 0}},
		"a clock that goes back":   {{0, 5000, 0}, {1000, 4000, 0}, {2000, 3000, 0}},
		"years":                    {{0, 0, 0}, {1 << 60, 1 << 60, 0}, {1 << 61, 1 << 61, whole}},
		"a clock of a test":        {{0, 0, 0}, {1000, 0, 0}, {2000, 1000000, 0}, {3000, 1000000, 0}, {4000, 1000001, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			var l lesson
			for i, s := range looks {
				l.learn(s.ticks, epoch.Add(time.Duration(s.nanos)))
				if got := l.length.Load(); got != s.want {
					t.Errorf("look %d: a tick is %d/2^32 ns, want %d", i, got, s.want)
				}
			}
		})
	}
}

// TestNotStarted: a watch that was not started does not know.
func TestNotStarted(t *testing.T) {
	known(t)
	var w Watch
	if d, ok := w.Passed(); ok {
		t.Errorf("it says %v", d)
	}
}

// TestPassed: a watch says what the clock says, whose looks are around its own, up to Most.
func TestPassed(t *testing.T) {
	known(t)
	for i := 0; i < 1000; {
		var w Watch
		t0 := time.Now()
		w.Start(t0)
		t1 := time.Now()
		for range i {
			_ = time.Now()
		}
		t2 := time.Now()
		d, ok := w.Passed()
		t3 := time.Now()
		least, most := t2.Sub(t1), t3.Sub(t0)
		slack := most/lessonAgree + 100
		switch {
		case !ok && most+slack < Most:
			if tick.length.Load() != 0 {
				t.Fatalf("it does not know after %v to %v", least, most)
			}
			known(t) // two lessons differed: the machine was held up
		case ok && (d < least-slack || d > most+slack):
			t.Fatalf("it says %v after %v to %v", d, least, most)
		case ok && least-slack >= Most:
			t.Fatalf("it says %v after %v, more than it can know", d, least)
		default:
			i++
		}
	}
}

// TestMost: what is longer is for a clock.
func TestMost(t *testing.T) {
	known(t)
	var w Watch
	w.Start(time.Now())
	for began := time.Now(); time.Since(began) < 2*Most; {
	}
	if d, ok := w.Passed(); ok {
		t.Errorf("it says %v after %v and more", d, 2*Most)
	}
	w.from = count() + 1<<40
	if d, ok := w.Passed(); ok {
		t.Errorf("it says %v when the counter has gone back", d)
	}
}

// TestNoAllocations: neither does anything but count.
func TestNoAllocations(t *testing.T) {
	known(t)
	var w Watch
	if n := testing.AllocsPerRun(100, func() { w.Start(time.Now()); w.Passed() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// known waits until the length of a tick is known, where it can be.
func known(t testing.TB) {
	if !usable() {
		t.Skip("this machine's clock is not a counter that a program may read")
	}
	for tick.length.Load() == 0 {
		var w Watch
		w.Start(time.Now())
	}
}

func BenchmarkPassed(b *testing.B) {
	known(b)
	var w Watch
	w.Start(time.Now())
	for b.Loop() {
		w.Passed()
	}
}

func BenchmarkSince(b *testing.B) {
	began := time.Now()
	for b.Loop() {
		_ = time.Since(began)
	}
}
