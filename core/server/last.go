package server

import (
	"io"
	"time"

	"github.com/spillwaydb/spillway/core/command"
)

var _ command.Taker = (*conn)(nil)

// Wish implements command.Taker.
func (c *conn) Wish() *command.RDBWish { return &c.wish }

// TakeLast implements command.Taker.
func (c *conn) TakeLast(stream io.ReadCloser) {
	c.last = stream
	c.closing = true
	c.Classify(command.ClientReplica) // which is not idle while it waits
}

// sendLast sends what the client gets behind all replies. Nothing of it is in memory but
// a buffer's worth, so what limits a client that does not read is the time: it has
// repl-timeout for each of these. The stream is given back before the connection ends: a
// client that has seen the end may ask for another one.
func (c *conn) sendLast() {
	if c.last == nil {
		return
	}
	defer c.closeLast()
	buf := make([]byte, lastBuffer)
	for !c.gone.Load() && !c.draining.Load() {
		n, err := io.ReadFull(c.last, buf)
		if n > 0 {
			_ = c.nc.SetWriteDeadline(c.now().Add(c.srv.replTimeout()))
			m, werr := c.nc.Write(buf[:n])
			c.srv.writes.Add(1)
			c.srv.bytesOut.Add(int64(m))
			if werr != nil {
				c.srv.log.Warn("client closed: it does not take the snapshot that it asked for", "client", c.ID(), "addr", c.addr(), "error", werr)
				return
			}
		}
		switch err {
		case nil:
		case io.EOF, io.ErrUnexpectedEOF:
			return
		default:
			c.srv.log.Error("snapshot for a client could not be read", "client", c.ID(), "addr", c.addr(), "error", err)
			return
		}
	}
}

// closeLast gives back what sendLast has sent, or what is not to be sent any more.
func (c *conn) closeLast() {
	if c.last != nil {
		_ = c.last.Close()
		c.last = nil
	}
}

const lastBuffer = 256 << 10

// replTimeout is repl-timeout.
func (s *Server) replTimeout() time.Duration { return time.Duration(s.replWait.Load()) }
