package main

import "testing"

func TestGrowthOfHeapToLoad(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		live uint64
		want int
	}{{0, 400}, {16 << 20, 400}, {32 << 20, 200}, {64 << 20, 100}, {256 << 20, 25}, {1 << 40, 16}} {
		if got := growthToLoad(c.live); got != c.want {
			t.Errorf("a heap of %d MB may grow by %d %%, want %d", c.live>>20, got, c.want)
		}
	}
}

func TestGrowthOfHeap(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		live uint64
		want int
	}{{0, 100}, {16 << 20, 100}, {32 << 20, 50}, {64 << 20, 25}, {128 << 20, 16}, {1 << 40, 16}} {
		if got := growth(c.live); got != c.want {
			t.Errorf("a heap of %d MB may grow by %d %%, want %d", c.live>>20, got, c.want)
		}
	}
}
