package backup

import (
	"context"

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

// enter returns when a part of so many bytes may be read, and what is to be called when it
// was, or else why ctx has ended. Who came first enters first.
func (c *crowd) enter(ctx context.Context, bytes int64) (leave func(), err error) {
	weight := int64(smallsOfOne)
	if bytes <= smallPart {
		weight = c.small
	}
	if err := c.room.Acquire(ctx, weight); err != nil {
		return nil, context.Cause(ctx)
	}
	return func() { c.room.Release(weight) }, nil
}
