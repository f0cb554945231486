package backup

import (
	"context"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
)

// A crowd bounds how many parts are read at once: n, or, in the place of each, smallsOfOne
// small ones. What a store takes to answer is most of what those cost, and an archive has
// thousands of them. With n = 1 all are read one after the other.
type crowd struct {
	room  *semaphore.Weighted
	small int64
}

const (
	smallPart   = 1 << 20 // bytes as they are stored
	smallsOfOne = 4
)

func newCrowd(n int) *crowd {
	c := &crowd{room: semaphore.NewWeighted(int64(n) * smallsOfOne), small: 1}
	if n == 1 {
		c.small = smallsOfOne
	}
	return c
}

// read has g call fn once a part of so many bytes may be read, and waits until then; it
// gives g the cause of ctx's end if that comes first. Who came first is called first.
func (c *crowd) read(ctx context.Context, g *errgroup.Group, bytes int64, fn func() error) {
	weight := int64(smallsOfOne)
	if bytes <= smallPart {
		weight = c.small
	}
	if c.room.Acquire(ctx, weight) != nil {
		g.Go(func() error { return context.Cause(ctx) })
		return
	}
	g.Go(func() error {
		defer c.room.Release(weight)
		return fn()
	})
}
