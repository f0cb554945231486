package server

import (
	"errors"
	"os"
	"sync"
	"time"
)

const (
	// writePatience is how long a reply is waited for, where output is
	// limited, before it goes to the outbox.
	writePatience = 2 * time.Millisecond
	// fewBytes is up to how much waits in memory of its own size.
	fewBytes = 64 << 10
)

// outbox holds the replies of a client that does not read them. Without an
// output limit there is none: the connection waits for the client, and holds
// one batch of replies. With a limit it goes on executing, as Redis does, and
// a goroutine writes, until the client has caught up or exceeds the limit.
type outbox struct {
	used bool // the connection's own: a goroutine was started and not yet seen to have ended

	mu      sync.Mutex
	next    chunks        // behind what the goroutine is writing
	few     []byte        // in place of next as long as it is not much
	pending int64         // bytes in next and in what is being written
	soft    time.Time     // since when pending is over the soft limit; zero: it is not
	done    chan struct{} // closed when the goroutine ends; nil without one
	broken  bool          // the client is gone, or too far behind
}

// send writes c.out to the client, or hands it to the outbox. It tells whether
// the connection goes on.
func (c *conn) send() bool {
	limit := c.srv.outputs.Load()[classNormal]
	c.out.Max = int(limit.hard)
	n := int64(c.out.Len())
	if c.out.Over || limit.hard > 0 && n > limit.hard {
		return c.tooMuch(n)
	}
	if c.box.used {
		c.box.used = c.behind()
	}
	switch {
	case c.box.used:
		return c.put(limit)
	case !limit.set():
		c.outLen.Store(n)
		return c.writeChunks(&c.long) && c.write(c.out.Buf)
	}
	_ = c.nc.SetWriteDeadline(c.now().Add(writePatience))
	c.writeArmed = true
	err := c.try()
	return err == nil || errors.Is(err, os.ErrDeadlineExceeded) && c.put(limit)
}

// try writes the replies as far as the write deadline lets it, and leaves the rest.
func (c *conn) try() error {
	for b := c.long.front(); len(b) > 0; b = c.long.front() {
		m, err := c.nc.Write(b)
		c.srv.bytesOut.Add(int64(m))
		c.long.left(m)
		if err != nil {
			return err
		}
	}
	m, err := c.nc.Write(c.out.Buf)
	c.srv.bytesOut.Add(int64(m))
	c.out.Buf = c.out.Buf[m:]
	return err
}

// behind tells whether replies are waiting in the outbox, or will for ever.
func (c *conn) behind() bool {
	c.box.mu.Lock()
	defer c.box.mu.Unlock()
	return c.box.done != nil || c.box.broken
}

// put hands the replies to the outbox.
func (c *conn) put(limit outputLimit) bool {
	b := &c.box
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.broken {
		return false
	}
	b.pending += int64(c.long.n + len(c.out.Buf))
	c.outLen.Store(b.pending)
	switch {
	case b.next.n == 0 && c.long.n == 0 && len(b.few)+len(c.out.Buf) <= fewBytes:
		b.few = append(b.few, c.out.Buf...)
	case !b.next.Append(b.few) || !b.next.move(&c.long) || !b.next.Append(c.out.Buf):
		return c.tooMuch(b.pending)
	default:
		b.few = nil
	}
	now := c.now()
	if limit.exceeded(b.pending, b.soft, now) {
		return c.tooMuch(b.pending)
	}
	if b.soft.IsZero() && limit.soft > 0 && b.pending > limit.soft {
		b.soft = now
		_ = c.nc.SetWriteDeadline(now.Add(limit.softFor)) // for the write that is blocked already
	}
	if b.done == nil {
		b.done, b.used = make(chan struct{}), true
		go c.empty()
	}
	return true
}

// empty is the goroutine that writes what is in the outbox.
func (c *conn) empty() {
	b := &c.box
	for ok := true; ; {
		b.mu.Lock()
		var out chunks
		out.held = c.hold
		out.move(&b.next) // never fails: out is empty
		few := b.few
		b.few = nil
		if !ok {
			b.broken = true
			_ = c.nc.Close() // the connection's goroutine is to notice
		}
		if !ok || out.n+len(few) == 0 {
			out.Truncate(0)
			close(b.done)
			b.done = nil
			b.mu.Unlock()
			return
		}
		b.mu.Unlock()
		ok = c.writeChunks(&out) && c.write(few)
		out.Truncate(0)
	}
}

// settle waits until the outbox is empty or the client gone.
func (c *conn) settle() {
	c.box.mu.Lock()
	done := c.box.done
	c.box.mu.Unlock()
	if done != nil {
		<-done
	}
}

// writeChunks writes what is in q, and gives back what was written.
func (c *conn) writeChunks(q *chunks) bool {
	for b := q.front(); len(b) > 0; b = q.front() {
		if !c.write(b) {
			return false
		}
		q.left(len(b))
	}
	return true
}

// write writes b, as long as the client takes something before the idle
// timeout and is not over the soft limit for too long.
func (c *conn) write(b []byte) bool {
	var since time.Time // the last progress, as far as a timeout matters
	for len(b) > 0 {
		deadline := c.writeDeadline(&since)
		if !deadline.IsZero() || c.writeArmed {
			_ = c.nc.SetWriteDeadline(deadline)
			c.writeArmed = !deadline.IsZero()
		}
		m, err := c.nc.Write(b)
		b = b[m:]
		c.wrote(m)
		if m > 0 {
			since = time.Time{}
		}
		if err == nil {
			continue
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return false
		}
		c.writeArmed = true
		now := c.now()
		if t := time.Duration(c.srv.timeout.Load()); t > 0 && !since.IsZero() && now.Sub(since) >= t {
			c.srv.log.Debug("client closed: it does not read its replies", "client", c.ID(), "addr", c.addr(), "timeout", t)
			return false
		}
		limit := c.srv.outputs.Load()[classNormal]
		c.box.mu.Lock()
		pending, soft := c.box.pending, c.box.soft
		c.box.mu.Unlock()
		if limit.exceeded(pending, soft, now) {
			return c.tooMuch(pending)
		}
	}
	return true
}

// writeDeadline is until when the next write may block; zero is for ever.
func (c *conn) writeDeadline(since *time.Time) (deadline time.Time) {
	if t := c.srv.timeout.Load(); t > 0 {
		if since.IsZero() {
			*since = c.now()
		}
		deadline = since.Add(time.Duration(t))
	}
	limit := c.srv.outputs.Load()[classNormal]
	c.box.mu.Lock()
	defer c.box.mu.Unlock()
	if limit.soft <= 0 || c.box.pending <= limit.soft {
		c.box.soft = time.Time{}
	} else if by := c.box.soft.Add(limit.softFor); deadline.IsZero() || by.Before(deadline) {
		deadline = by
	}
	return deadline
}

// wrote counts bytes that the client's socket took.
func (c *conn) wrote(n int) {
	c.srv.bytesOut.Add(int64(n))
	c.box.mu.Lock()
	defer c.box.mu.Unlock()
	if c.box.pending > 0 {
		c.box.pending -= int64(n)
	}
	c.outLen.Add(-int64(n))
}

// tooMuch reports a client that is closed because of its pending replies.
func (c *conn) tooMuch(pending int64) bool {
	if c.evicted.Load() {
		return false // which was reported
	}
	c.srv.log.Warn("client closed: its pending replies exceed client-output-buffer-limit", "client", c.ID(), "addr", c.addr(), "bytes", pending)
	return false
}
