package server

import (
	"cmp"
	"errors"
	"net"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/resp"
)

const (
	readBuffer = 16 << 10
	keepBuffer = 256 << 10 // a buffer grown beyond this is given back when empty
	flushReply = 256 << 10 // replies are written when so much is pending, even inside a batch
	writeChunk = 64 << 20
	batchMax   = 64 // commands parsed before the first of them is executed
)

// conn is one client. Its goroutine runs serve; the other methods that are
// called from elsewhere say so.
type conn struct {
	*core.Client
	srv  *Server
	nc   net.Conn
	sess *core.Session

	in       []byte // in[r:w] is received and not yet executed
	r, w     int
	parser   resp.Parser
	args     [][]byte   // of the commands in cmds, one after the other
	cmds     [][][]byte // parsed and not yet executed
	out      resp.Writer
	closing  bool         // close once the replies are out
	draining atomic.Bool  // the server shuts down: stop after this batch
	inLen    atomic.Int64 // for CLIENT LIST
	outLen   atomic.Int64
}

var _ command.Session = (*conn)(nil)

func newConn(s *Server, nc net.Conn) *conn {
	c := &conn{Client: s.db.NewClient(), srv: s, nc: nc, in: make([]byte, readBuffer)}
	c.out.Proto = 2
	c.sess = s.db.NewSession(c, c.Client)
	return c
}

// serve is the connection's goroutine.
func (c *conn) serve() {
	defer c.nc.Close()
	defer c.sess.Close()
	for !c.closing && !c.draining.Load() {
		if !c.read() {
			return
		}
		if !c.batch() {
			return
		}
	}
}

// read waits for more bytes. It grows the buffer only when it is full of bytes
// that were really received.
func (c *conn) read() bool {
	switch {
	case c.r == c.w:
		c.r, c.w = 0, 0
		if len(c.in) > keepBuffer {
			c.in = make([]byte, readBuffer)
			c.args, c.cmds = nil, nil
		}
	case c.w == len(c.in) && c.r > 0:
		c.w = copy(c.in, c.in[c.r:c.w])
		c.r = 0
	}
	if c.w == len(c.in) {
		if int64(len(c.in)) >= c.srv.queryLimit.Load() {
			c.srv.log.Warn("client closed: its request exceeds client-query-buffer-limit", "client", c.ID(), "addr", c.addr())
			return false
		}
		c.in = append(c.in, make([]byte, len(c.in))...)
	}
	timeout := time.Duration(c.srv.timeout.Load())
	if timeout > 0 {
		_ = c.nc.SetReadDeadline(c.srv.db.Clock().Now().Add(timeout))
	}
	n, err := c.nc.Read(c.in[c.w:])
	c.w += n
	c.srv.bytesIn.Add(int64(n))
	if n == 0 && err != nil {
		return false
	}
	return true
}

// batch executes every complete command that was received, makes the batch
// durable and writes the replies.
func (c *conn) batch() bool {
	for c.r < c.w && !c.closing {
		err := c.parse()
		c.sess.Prefetch(c.cmds)
		for _, args := range c.cmds {
			c.sess.Run(args, &c.out)
			if c.closing {
				break
			}
			if len(c.out.Buf) >= flushReply && !c.flush() {
				return false
			}
		}
		if errors.Is(err, resp.ErrIncomplete) {
			break
		}
		if err != nil && !c.closing {
			c.protocolError(err)
		}
	}
	c.inLen.Store(int64(c.w - c.r))
	return c.flush()
}

// parse cuts up to batchMax complete commands out of what was received. It
// stops earlier at an error, which is to be dealt with after them. Before AUTH
// it takes one command at a time, since the next may have other limits.
func (c *conn) parse() error {
	c.args, c.cmds = c.args[:0], c.cmds[:0]
	most := batchMax
	c.parser.Unauthenticated = !c.Authenticated()
	if c.parser.Unauthenticated {
		most = 1
	}
	for c.r < c.w && len(c.cmds) < most {
		start := len(c.args)
		args, n, err := c.parser.Next(c.in[c.r:c.w], c.args)
		if err != nil {
			return err
		}
		c.r += n
		c.args = args
		if len(args) > start {
			c.cmds = append(c.cmds, args[start:len(args):len(args)])
		}
	}
	return nil
}

// protocolError replies as Redis words it and ends the connection.
func (c *conn) protocolError(err error) {
	c.out.Error("ERR " + err.Error())
	c.srv.log.Debug("client closed: protocol error", "client", c.ID(), "addr", c.addr(), "error", err)
	c.closing = true
}

// flush finishes the batch so far and writes its replies. In between it lets
// the other connections run that have commands waiting: their batches then
// share one commit, and a client that waits for several of them is woken once
// instead of once each, which costs more than executing a batch.
func (c *conn) flush() bool {
	c.sess.Release()
	runtime.Gosched()
	c.sess.Finish(&c.out)
	n := len(c.out.Buf)
	if n == 0 {
		return true
	}
	if limit := c.srv.outputLimit.Load(); limit > 0 && int64(n) > limit {
		c.srv.log.Warn("client closed: its replies exceed client-output-buffer-limit", "client", c.ID(), "addr", c.addr(), "bytes", n)
		return false
	}
	c.outLen.Store(int64(n))
	for b := c.out.Buf; len(b) > 0; {
		m, err := c.nc.Write(b[:min(len(b), writeChunk)])
		if err != nil {
			return false
		}
		b = b[m:]
	}
	c.srv.bytesOut.Add(int64(n))
	c.outLen.Store(0)
	if cap(c.out.Buf) > 2*keepBuffer {
		c.out.Buf = nil
	}
	c.out.Buf = c.out.Buf[:0]
	return true
}

// drain makes the connection stop after the batch it is at. Any goroutine.
func (c *conn) drain() {
	c.draining.Store(true)
	_ = c.nc.SetReadDeadline(time.Unix(1, 0)) // wakes a pending read
}

func (c *conn) addr() string  { return addrString(c.nc.RemoteAddr()) }
func (c *conn) laddr() string { return addrString(c.nc.LocalAddr()) }

// addrString is an address as CLIENT LIST shows it; a Unix socket has the
// socket's path on both ends.
func addrString(a net.Addr) string {
	if u, ok := a.(*net.UnixAddr); ok {
		return u.Name + ":0"
	}
	return a.String()
}

// CloseAfterReply implements command.Session.
func (c *conn) CloseAfterReply() { c.closing = true }

// Reset implements command.Session.
func (c *conn) Reset() {
	c.Client.Reset()
	c.sess.ResetTransaction()
}

// Info implements command.Session. Any goroutine.
func (c *conn) Info() command.ClientInfo {
	i := c.Client.Info()
	i.Addr, i.LAddr = c.addr(), c.laddr()
	i.QueryBuf = int(c.inLen.Load())
	i.OutputBuf = int(c.outLen.Load())
	i.TotMem = readBuffer + i.QueryBuf + i.OutputBuf
	if _, ok := c.nc.(*net.UnixConn); ok {
		i.Flags = "U" + i.Flags
		i.Addr = i.LAddr
	}
	return i
}

// Clients implements command.Session.
func (c *conn) Clients() []command.ClientInfo {
	conns := c.srv.snapshot()
	out := make([]command.ClientInfo, 0, len(conns))
	for _, o := range conns {
		out = append(out, o.Info())
	}
	return out
}

// KillClients implements command.Session.
func (c *conn) KillClients(match func(command.ClientInfo) bool, skipMe bool) int {
	n := 0
	for _, o := range c.srv.snapshot() {
		if o == c && skipMe || !match(o.Info()) {
			continue
		}
		n++
		if o == c {
			c.closing = true
			continue
		}
		_ = o.nc.Close()
	}
	return n
}

func sortByID(cs []*conn) {
	slices.SortFunc(cs, func(a, b *conn) int { return cmp.Compare(a.ID(), b.ID()) })
}
