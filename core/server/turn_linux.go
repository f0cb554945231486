package server

import (
	"errors"
	"os"
	"time"
)

// turn executes what the client has sent, as far as it is there, and gives up every
// lock. It tells whether the connection has to be finished and replied to, and has given
// it back otherwise. Whoever has the connection.
func (c *conn) turn(d *desk) bool {
	c.borrow(d)
	owed, ok := c.executeTurn()
	c.Release()
	c.giveBack(d)
	switch {
	case !ok:
		c.end()
		return false
	case !owed:
		c.spare(d)
		c.home.part(c, c.account())
	}
	return owed
}

// executeTurn is turn without the lending. owed says that there may be something to reply;
// the connection ends unless ok.
func (c *conn) executeTurn() (owed, ok bool) {
	switch {
	case c.gone.Load():
		return false, false
	case c.draining.Load() && !c.more:
		c.closing = true
		return true, true
	case c.more || c.Ready():
		// Nothing is read, which would tell; that it was closed has called it once, and may
		// be what has called it now.
		if c.nc.(*socket).closed() {
			return false, false
		}
	default:
		if !c.prepareRead() {
			return false, false
		}
		n, err := c.nc.Read(c.in[c.w:])
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return false, !c.idle()
		}
		c.received(n)
		if n == 0 {
			return false, false
		}
		if c.srv.timeout.Load() > 0 {
			c.seen.Store(c.now().UnixNano())
		} else if c.seen.Load() != 0 {
			c.seen.Store(0)
		}
		c.greet()
	}
	c.more = false
	ran, ok := c.execute()
	if ok && c.halfLong() {
		return c.readOn(ran)
	}
	return ran, ok
}

// halfLong tells whether what was read ends in an argument of which there is more than a
// buffer has room for: the rest is likely there too.
func (c *conn) halfLong() bool {
	return c.w == len(c.in) && !c.closing && !c.more && !c.Blocked() && c.parser.Need() > readBuffer
}

// readOn reads once more in the same turn, which saves a second one and a buffer in between.
// ran and the results are as in execute.
func (c *conn) readOn(ran bool) (owed, ok bool) {
	if !c.prepareRead() {
		return ran, false
	}
	n, _ := c.nc.Read(c.in[c.w:])
	c.received(n)
	if n == 0 {
		return ran, true // nothing yet, or the end: the next turn finds out
	}
	more, ok := c.execute()
	return ran || more, ok
}

// borrow gives the connection what it needs to execute.
func (c *conn) borrow(d *desk) {
	if c.in == nil {
		if d.in == nil {
			d.in = make([]byte, readBuffer)
		}
		c.in, c.lent = d.in, true
	}
	c.desk = d
	c.args, c.cmds, c.ends = d.args, d.cmds, d.ends
	if c.out.Buf == nil {
		c.out.Buf = d.outs.take()
	}
}

// giveBack ends that: what is not executed yet remains, in a buffer of the connection's
// own.
func (c *conn) giveBack(d *desk) {
	d.args, d.cmds, d.ends = c.args[:0], c.cmds[:0], c.ends[:0]
	c.args, c.cmds, c.ends, c.desk = nil, nil, nil, nil
	rest := c.in[c.r:c.w]
	switch {
	case c.lent && len(rest) > 0:
		c.in = d.ins.take()
		if c.in == nil {
			c.in = make([]byte, readBuffer)
		}
		c.r, c.w = 0, copy(c.in, rest)
	case c.lent:
		c.in, c.r, c.w = nil, 0, 0
	case len(rest) == 0 && c.large.Bytes() != nil:
		c.large.Free()
		c.in, c.r, c.w = nil, 0, 0
	case len(rest) == 0:
		d.ins.give(c.in)
		c.in, c.r, c.w = nil, 0, 0
	}
	c.lent = false
}

// reply sends what the client is owed, as far as it takes that, and tells whether the
// connection goes on.
func (c *conn) reply(d *desk) bool {
	if c.out.Len() > 0 || c.out.Over || c.box.corked {
		if !c.box.sendNow(&c.out, &c.long) {
			return false
		}
		c.sent()
	}
	c.spare(d)
	return c.account()
}

// spare gives the buffer of replies back when nothing is in it.
func (c *conn) spare(d *desk) {
	if c.out.Buf == nil || c.out.Len() > 0 {
		return
	}
	d.outs.give(c.out.Buf)
	c.out.Buf = nil
}

// end ends the connection. Whoever has it.
func (c *conn) end() {
	if c.alarm != nil {
		c.alarm.Stop()
	}
	c.Close()
	if c.box.busy() { // whose goroutine has to end first
		go c.endAfterBox()
		return
	}
	c.endAfterBox()
}

func (c *conn) endAfterBox() {
	c.box.close()
	c.closeLast()
	c.forget()
	c.home.leave(c)
}

// endReplied ends it once what the client is owed has left, and what it gets behind that.
func (c *conn) endReplied() {
	if !c.box.busy() && c.last == nil {
		c.box.settle()
		c.end()
		return
	}
	go func() {
		c.box.settle()
		c.sendLast()
		c.end()
	}()
}

// setAlarm has the connection woken when its blocked command gives up.
func (c *conn) setAlarm() {
	if !c.Blocked() {
		if c.alarm != nil {
			c.alarm.Stop()
			c.alarm = nil
		}
		return
	}
	if by := c.Deadline(); !by.IsZero() {
		in := max(by.Sub(c.now()), 0)
		if c.alarm == nil {
			c.alarm = time.AfterFunc(in, c.wake)
		} else {
			c.alarm.Reset(in)
		}
	}
}

// idle tells whether the client has been idle for too long, and is told that nothing has
// come. Whoever has the connection.
func (c *conn) idle() bool {
	now := c.now()
	switch {
	case c.seen.Load() == 0:
		c.seen.Store(now.UnixNano()) // the timeout has been changed, or it is new
	case c.idleFor(now):
		c.srv.log.Debug("client closed: idle", "client", c.ID(), "addr", c.addr(), "timeout", c.idleTimeout())
		return true
	}
	return false
}

// idleFor tells whether the client has been idle for too long at now. A blocked one is
// never idle, and one that takes its pushes neither. Any goroutine.
func (c *conn) idleFor(now time.Time) bool {
	t := c.idleTimeout()
	if t <= 0 || c.Blocked() {
		return false
	}
	last := max(c.seen.Load(), c.box.posted.Load())
	return now.UnixNano()-last >= int64(t)
}
