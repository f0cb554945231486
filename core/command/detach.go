package command

import "math"

// A long reply about large collections is made when their locks are given up: of copies,
// which share what they hold with the collections until these are changed. A handler
// that finds that it has much to do calls detach, and leaves; it is called again then.

// detachFrom is from how many elements on this is worth it.
const detachFrom = 4096

// detach tells whether the handler, which has n elements to look at, will be called
// again without locks, when its keys are copies. It is called before anything is
// replied or changed, and with every key that the handler reads.
func (c *Ctx) detach(n int, keys ...[]byte) bool {
	if n < detachFrom || !c.Detaches || c.HasEffects() {
		return false
	}
	c.detached, c.Detaches = c.KS.Detach(c.db, keys...), false
	return true
}

// detachRandom is detach for count random elements of n; a negative count is for as
// many as it says, whatever n is.
func (c *Ctx) detachRandom(count int64, n int) bool {
	if count < 0 {
		count = -count
	} else {
		count = min(count, int64(n))
	}
	return c.detach(int(min(count, math.MaxInt32)), c.Args[1])
}

// Detached tells whether the handler has to be called by CallDetached, for which no
// locks are needed.
func (c *Ctx) Detached() bool { return c.detached != nil }

// CallDetached is Call for a handler that has detached its keys. For others it visits
// shards (Visit).
func CallDetached(c *Ctx, cmd *Command) Outcome {
	errors := c.Out.Errors
	cmd.Handler(c)
	if c.made != nil {
		c.keepMade()
	} else {
		c.detached.Close()
	}
	c.detached = nil
	if c.Out.Errors > errors {
		return Failed
	}
	return Done
}
