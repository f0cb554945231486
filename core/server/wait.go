package server

import (
	"errors"
	"os"
	"time"

	"github.com/spillwaydb/spillway/core/command"
)

// receive waits for more bytes and reads them into the buffer, which has room, or
// until a blocked command has to be resumed. It tells whether the connection goes on.
func (c *conn) receive() bool {
	var since time.Time // of the wait, as far as a timeout matters
	for {
		if !c.armRead(&since) {
			return false
		}
		if c.Ready() {
			return true
		}
		n, err := c.nc.Read(c.in[c.w:])
		c.received(n)
		if n > 0 || err == nil {
			return true
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) || c.draining.Load() {
			return false
		}
		// Idle for too long, or woken.
		c.readArmed = true
		if t := c.idleTimeout(); t > 0 && !since.IsZero() && c.now().Sub(since) >= t {
			if posted := time.Unix(0, c.box.posted.Load()); posted.After(since) {
				since = posted // it takes its pushes
				continue
			}
			c.srv.log.Debug("client closed: idle", "client", c.ID(), "addr", c.addr(), "timeout", t)
			return false
		}
	}
}

// received takes in that n bytes were read.
func (c *conn) received(n int) {
	c.w += n
	c.srv.bytesIn.Add(int64(n))
	c.srv.reads.Add(1)
}

// armRead sets the deadline of the next read; false means that the connection
// is to stop instead. Whoever changes the timeout, drains the connection or makes
// its blocked command Ready does so first and sets a deadline in the past then:
// looking again after the deadline is set misses nothing. A blocked client is
// never idle.
func (c *conn) armRead(since *time.Time) bool {
	for {
		t := c.idleTimeout()
		switch {
		case c.Blocked():
			_ = c.nc.SetReadDeadline(c.Deadline())
			c.readArmed = true
			*since = time.Time{}
		case t > 0:
			if since.IsZero() {
				*since = c.now()
			}
			_ = c.nc.SetReadDeadline(since.Add(t))
			c.readArmed = true
		case c.readArmed:
			_ = c.nc.SetReadDeadline(time.Time{})
			c.readArmed = false
		}
		if c.draining.Load() {
			return false
		}
		if c.idleTimeout() == t {
			return true
		}
	}
}

// idleTimeout is for how long the client may neither send nor take anything, 0
// for ever. Subscribers, monitors and replicas wait by trade.
func (c *conn) idleTimeout() time.Duration {
	if c.box.class.Load() != int32(command.ClientNormal) || c.Monitors() {
		return 0
	}
	return time.Duration(c.srv.timeout.Load())
}

// wake has whoever waits for the client look at the timeout, at draining and at the
// blocked command again. Any goroutine.
func (c *conn) wake() {
	if c.home != nil {
		c.home.wake(c)
		return
	}
	_ = c.nc.SetReadDeadline(time.Unix(1, 0))
}

// drain makes the connection stop after the batch it is at. Any goroutine.
func (c *conn) drain() {
	c.draining.Store(true)
	c.wake()
}

func (c *conn) now() time.Time { return c.srv.db.Clock().Now() }
