package server

import (
	"testing"
	"time"
)

// aCrowd is a crowd on a clock of its own, whose processor somebody else has for a slice
// each time that the loop steps back.
func aCrowd(slice *time.Duration) (c *crowd, pass func(time.Duration), slices *int) {
	now := time.Unix(1e9, 0)
	slices = new(int)
	c = &crowd{
		now:  func() time.Time { return now },
		back: func() { now = now.Add(*slice + 200*time.Nanosecond); *slices++ },
		full: func() bool { return true },
	}
	return c, func(d time.Duration) { now = now.Add(d) }, slices
}

func TestCrowdAlone(t *testing.T) {
	var slice time.Duration
	c, pass, slices := aCrowd(&slice)
	for range 100 {
		c.begin()
		pass(100 * time.Microsecond)
		c.makeWay()
		if c.nap(0) != 0 || c.nap(time.Second) != time.Second {
			t.Fatal("a loop that is alone naps")
		}
	}
	if *slices > 11 {
		t.Errorf("a loop that is alone stepped back %d times in ten milliseconds", *slices)
	}
}

func TestCrowdShares(t *testing.T) {
	slice := 100 * time.Microsecond
	c, pass, slices := aCrowd(&slice)
	for turn, want := range []int{5, 5, 1} { // half of what the turn took, and one slice at least
		*slices = 0
		c.begin()
		pass([]time.Duration{time.Millisecond, time.Millisecond, time.Microsecond}[turn])
		c.makeWay()
		if *slices != want {
			t.Errorf("after turn %d the others had %d slices, want %d", turn, *slices, want)
		}
		if c.nap(0) != crowdNap || c.nap(time.Second) != crowdNap || c.nap(time.Microsecond) != time.Microsecond {
			t.Errorf("turn %d: in company a loop waits for %v", turn, c.nap(0))
		}
	}
	slice = 0 // they are gone, or wait for a disk
	c.begin()
	pass(time.Millisecond)
	*slices = 0
	c.makeWay()
	if *slices != 1 || c.nap(0) != crowdNap {
		t.Errorf("%d slices were nobody's, and the loop waits for %v", *slices, c.nap(0))
	}
	pass(crowdFor)
	if c.nap(0) != 0 {
		t.Error("a loop naps whose company has long gone")
	}
}

// TestCrowdElsewhere: where a processor is idle, the others are on it.
func TestCrowdElsewhere(t *testing.T) {
	slice := time.Millisecond
	c, pass, slices := aCrowd(&slice)
	c.full = func() bool { return false }
	for range 10 {
		c.begin()
		pass(time.Millisecond)
		c.makeWay()
	}
	if *slices != 0 || c.nap(0) != 0 {
		t.Errorf("the loop stepped back %d times, and waits for %v", *slices, c.nap(0))
	}
}

func TestShelf(t *testing.T) {
	var s shelf
	if s.take() != nil {
		t.Error("something lay on an empty shelf")
	}
	large := make([]byte, shelfMost-readBuffer)
	s.give(large)
	s.give(make([]byte, 2*readBuffer))
	s.give(make([]byte, readBuffer))
	if b := s.take(); len(b) != readBuffer {
		t.Errorf("the first was of %d bytes", len(b))
	}
	if b := s.take(); len(b) != len(large) {
		t.Errorf("the second was of %d bytes", len(b))
	}
	if s.take() != nil || s.held != 0 {
		t.Errorf("it took more than it has room for, and holds %d bytes", s.held)
	}
	s.give(make([]byte, shelfMost))
	if len(s.take()) != shelfMost {
		t.Error("there was room, and none was given")
	}
}
