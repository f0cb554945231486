package wal

import (
	"errors"
	"sync"
)

// errSlow is why a taker fails that leaves too much in its queue.
var errSlow = errors.New("the taker is too slow: its queue is full")

// maxQueued is how many bytes may wait for a taker that commits do not wait for.
const maxQueued = 64 << 20

// delivery is a taker's queue, and the goroutine that empties it. The leader, and
// with it every commit, goes on whatever the taker does.
type delivery struct {
	Taker // that the blocks are for
	limit int

	mu      sync.Mutex
	changed sync.Cond
	blocks  []RawBlock
	bytes   int   // of blocks, and of the one that is being taken
	err     error // why nothing is delivered any more
	stopped bool
	done    chan struct{} // closed when the goroutine has ended; nil: it was not started
}

func newDelivery(t Taker, limit int) *delivery {
	d := &delivery{Taker: t, limit: limit}
	d.changed.L = &d.mu
	return d
}

// Begin implements Taker.
func (d *delivery) Begin(after uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stopped {
		return
	}
	d.done = make(chan struct{})
	go d.run(after)
}

// Take implements Taker.
func (d *delivery) Take(b *RawBlock) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	cost := len(b.Data) + blockCost
	switch {
	case d.stopped:
		return d.err
	case d.bytes > 0 && d.bytes+cost > d.limit:
		return errSlow
	}
	d.blocks = append(d.blocks, b.clone())
	d.bytes += cost
	d.changed.Broadcast()
	return nil
}

// Sync implements Taker, for a taker that has become Awaited since it joined.
func (d *delivery) Sync() error {
	d.mu.Lock()
	for d.bytes > 0 && !d.stopped {
		d.changed.Wait()
	}
	err := d.err
	d.mu.Unlock()
	if err != nil {
		return err
	}
	return d.Taker.Sync()
}

func (d *delivery) run(after uint64) {
	defer close(d.done)
	d.Taker.Begin(after)
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		for len(d.blocks) == 0 && !d.stopped {
			d.changed.Wait()
		}
		if d.stopped {
			return
		}
		b := d.blocks[0]
		d.blocks[0] = RawBlock{}
		d.blocks = d.blocks[1:]
		d.mu.Unlock()
		err := d.Taker.Take(&b)
		d.mu.Lock()
		d.bytes -= len(b.Data) + blockCost
		if err != nil {
			d.end(err)
		}
		d.changed.Broadcast()
	}
}

// stop ends the delivery and drops what is queued. It does not wait.
func (d *delivery) stop(err error) {
	d.mu.Lock()
	d.end(err)
	d.mu.Unlock()
}

// end is stop for a caller that holds mu.
func (d *delivery) end(err error) {
	if !d.stopped {
		d.stopped, d.err, d.blocks = true, err, nil
		d.changed.Broadcast()
	}
}

// wait returns when the goroutine has ended.
func (d *delivery) wait() {
	d.mu.Lock()
	done := d.done
	d.mu.Unlock()
	if done != nil {
		<-done
	}
}
