package server

import (
	"cmp"
	"errors"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/keyspace/arena"
	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/core/session"
)

const (
	readBuffer = 16 << 10
	heapBuffer = 64 << 10      // a longer one lies outside the Go heap
	keepReply  = 512 << 10     // a buffer of replies grown beyond this is given back when empty
	announced  = 1<<20 + 4<<10 // how long one becomes for what has been announced only
	reserved   = 8 << 20       // for how much of an announced argument addresses are taken
	flushReply = 256 << 10     // replies are written when so much is pending, even inside a batch
	batchMax   = 64            // commands parsed before the first of them is executed
)

// conn is one client. Its goroutine runs serve; the other methods that are
// called from elsewhere say so.
type conn struct {
	*session.Session
	srv *Server
	nc  net.Conn

	in       []byte       // in[r:w] is received and not yet executed
	large    arena.Buffer // what in lies in when it is large
	r, w     int
	spoke    bool // its first bytes were looked at
	parser   resp.Parser
	args     [][]byte   // of the commands in cmds, one after the other
	cmds     [][][]byte // parsed and not yet executed
	ends     []int      // where in the buffer each of them ends
	out      resp.Writer
	long     chunks // the beginning of replies that are too long for out.Buf
	closing  bool   // close once the replies are out
	box      mailbox
	wish     command.RDBWish
	last     io.ReadCloser // sent behind the replies; nil: nothing
	draining atomic.Bool   // the server shuts down: stop after this batch
	gone     atomic.Bool   // its socket is closed; see depart

	// Of a connection that a loop serves; see loop.
	home  *loop         // nil for one with a goroutine of its own
	state atomic.Uint32 // who has it
	lent  bool          // in is not its own
	desk  *desk         // of who executes what it has sent, while that lasts
	more  bool          // it has commands that are to be executed before more is read
	asked int           // commands that it has sent for its last turn
	alarm *time.Timer   // of a blocked command
	seen  atomic.Int64  // when something has last come, in Unix nanoseconds; 0 for unknown

	readArmed bool // a deadline is set on reads

	// For CLIENT LIST. The sizes are those that account has seen.
	inLen, inSize, outSize, queuedSize atomic.Int64
	outPeak                            atomic.Int64 // the most that out.Buf has held

	mem     atomic.Int64 // bytes that it holds; see memory.go
	own     int64        // what of them account has counted
	evicted atomic.Bool  // it is closed for what it holds
}

// The states of a connection that a loop serves.
const (
	resting = iota // nobody has it: it waits for its client, or to be woken
	called         // nobody has it, and it is summoned to the next turn
	driven         // somebody has it: a turn, whoever lost the seat over it, or its mailbox
	again          // driven, and to be called when it is given back
	ended
)

var (
	_ command.Client  = (*conn)(nil)
	_ session.Mailbox = (*conn)(nil)
)

func newConn(s *Server, nc net.Conn) *conn {
	c := &conn{srv: s, nc: nc}
	c.state.Store(driven) // until it has a loop
	c.Session = s.db.SessionFor(c, c.wake)
	if s.opt.EnableDebug != "yes" && (s.opt.EnableDebug != "local" || remote(nc)) {
		c.ForbidDebug()
	}
	c.box.init(c)
	c.box.setClass(command.ClientNormal)
	c.out.Proto = 2
	c.long.held = c.box.hold
	c.out.Spill = &c.long
	return c
}

// serve is the connection's goroutine.
func (c *conn) serve() {
	defer c.forget()
	defer c.closeLast()
	defer c.box.close()
	defer c.Close()
	c.in = make([]byte, readBuffer)
	if !c.handshake() {
		return
	}
	for !c.closing && !c.draining.Load() {
		if !c.prepareRead() || !c.receive() {
			return
		}
		c.greet()
		if !c.batch() {
			return
		}
	}
	c.box.settle() // replies that wait leave before the connection closes
	c.sendLast()
}

// prepareRead makes room for more bytes. It grows the buffer only when it is full of
// bytes that were really received. It is false when the client holds too much.
func (c *conn) prepareRead() bool {
	switch {
	case c.r == c.w:
		c.r, c.w = 0, 0
		if c.large.Bytes() != nil {
			c.large.Free()
			c.in = make([]byte, readBuffer)
			c.args, c.cmds, c.ends = nil, nil, nil
		}
	case c.w == len(c.in) && c.r > 0:
		c.w = copy(c.in, c.in[c.r:c.w])
		c.r = 0
	}
	limit := int(c.srv.queryLimit.Load())
	if held := c.w - c.r + c.QueuedBytes(); held >= limit {
		c.srv.log.Warn("client closed: its request exceeds client-query-buffer-limit", "client", c.ID(), "addr", c.addr(), "bytes", held)
		return false
	}
	if c.w == len(c.in) {
		size, whole := c.larger()
		c.grow(min(size, limit), min(whole, limit))
	}
	return c.lent || c.account()
}

// larger is how long the read buffer, which is full, is to become: twice as long, or, of an
// argument that is long, what it takes. That is asked for before it has come, up to a
// megabyte: of memory outside the Go heap only what is received counts, and an ordinary
// argument is copied no more than by its first bytes. It is no more either, so that
// what is read ends with the argument: a value can then stay where it is (see
// arena.Adopt), with nothing behind it. whole is how long it will become.
func (c *conn) larger() (size, whole int) {
	need := c.parser.Need()
	whole = len(c.in) + need
	switch {
	case whole <= heapBuffer:
		return 2 * len(c.in), whole
	case need < arena.PageSize: // most of it is there: what else there is comes along
		return len(c.in) + arena.PageSize, whole
	}
	return min(whole, max(2*len(c.in), announced)), whole
}

// grow makes the read buffer size bytes long. A large one lies outside the Go
// heap, where it grows without being copied and is given back at once. It has addresses for
// what it will become, whole, up to some length: to lengthen it is a system call, and takes
// fresh memory where there may be some of that length that was just given back.
func (c *conn) grow(size, whole int) {
	switch room := max(size, min(whole, reserved)); {
	case c.large.Bytes() != nil:
		c.in = c.large.Grow(room)[:size]
	case size > heapBuffer:
		c.replace(c.large.Grow(room)[:size])
	default:
		c.replace(make([]byte, size))
	}
}

// replace puts a longer read buffer in the place of one on the Go heap.
func (c *conn) replace(in []byte) {
	copy(in, c.in)
	if c.desk != nil && !c.lent {
		c.desk.ins.give(c.in)
	}
	c.in, c.lent = in, false
}

// batch executes every complete command that was received, makes the batch
// durable and writes the replies.
func (c *conn) batch() bool {
	ran, ok := c.execute()
	return ok && (!ran || c.flush())
}

// execute executes every complete command that was received. It ends at a command that
// is blocked, and goes on behind it once that has replied. ran tells whether there may be
// something to finish, ok whether the connection goes on.
//
// Where long replies have come together they are written before what follows is executed.
// A loop does that by the end of its turn, and more says that it has to come back.
func (c *conn) execute() (ran, ok bool) {
	if c.Blocked() && c.Resume(&c.out) == command.Blocked {
		c.inLen.Store(int64(c.w - c.r))
		return false, true
	}
	c.inLen.Store(int64(c.w - c.r))
	c.asked = 0
	for c.r < c.w && !c.closing {
		err := c.parse()
		c.asked += len(c.cmds)
		c.Prefetch(c.cmds)
		if c.large.Bytes() != nil {
			c.Adopt(&c.large)
		} else {
			c.Adopt(nil)
		}
		for i, args := range c.cmds {
			if crossProtocol(args[0]) {
				c.attacked()
				return true, false
			}
			if c.Run(args, &c.out) == command.Blocked {
				c.stopBehind(i)
				return true, true
			}
			if c.closing {
				break
			}
			if c.large.Adopted() {
				c.stopBehind(i)
				c.moveOut()
				err = nil // it will be met again
				break
			}
			if c.out.Len() < flushReply {
				continue
			}
			if c.home != nil {
				c.more = true
				c.stopBehind(i)
				return true, true
			}
			if !c.flush() {
				return true, false
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
	return true, true
}

// stopBehind has what follows command i of those that were parsed be parsed again.
func (c *conn) stopBehind(i int) {
	c.r = c.ends[i]
	c.parser.Reset()
	c.inLen.Store(int64(c.w - c.r))
}

// moveOut takes what is behind the last command out of a buffer that was adopted: who has
// it now may write there once it is freed here.
func (c *conn) moveOut() {
	rest := c.in[c.r:c.w]
	if len(rest) == 0 {
		return // it is freed before anything else is read
	}
	in := make([]byte, max(readBuffer, len(rest)))
	c.r, c.w = 0, copy(in, rest)
	c.large.Free()
	c.in = in
}

// parse cuts up to batchMax complete commands out of what was received. It
// stops earlier at an error, which is to be dealt with after them. Before AUTH
// it takes one command at a time, since the next may have other limits.
func (c *conn) parse() (err error) {
	args, cmds, ends, r := c.args[:0], c.cmds[:0], c.ends[:0], c.r
	most := batchMax
	c.parser.Unauthenticated = !c.Authenticated()
	if c.parser.Unauthenticated {
		most = 1
	}
	for r < c.w && len(cmds) < most {
		start := len(args)
		var n int
		if args, n, err = c.parser.Next(c.in[r:c.w], args); err != nil {
			break
		}
		r += n
		if len(args) > start {
			cmds = append(cmds, args[start:len(args):len(args)])
			ends = append(ends, r)
		}
	}
	c.args, c.cmds, c.ends, c.r = args, cmds, ends, r
	return err
}

// protocolError replies as Redis words it and ends the connection.
func (c *conn) protocolError(err error) {
	if !c.Silent() {
		c.out.Error("ERR " + err.Error())
	}
	c.srv.log.Debug("client closed: protocol error", "client", c.ID(), "addr", c.addr(), "error", err)
	c.closing = true
}

// flush finishes the batch so far and writes its replies. In between it lets
// the other connections run that have commands waiting: their batches then
// share one commit, and a client that waits for several of them is woken once
// instead of once each, which costs more than executing a batch.
func (c *conn) flush() bool {
	c.Release()
	runtime.Gosched()
	c.Finish(&c.out)
	if c.out.Len() == 0 && !c.out.Over && !c.box.corked {
		return true
	}
	if !c.box.send(&c.out, &c.long) {
		return false
	}
	c.sent()
	return true
}

// sent takes in that the replies have left out.
func (c *conn) sent() {
	if n := int64(len(c.out.Buf)); n > c.outPeak.Load() {
		c.outPeak.Store(n)
	}
	if cap(c.out.Buf) > keepReply {
		c.out.Buf = nil
		c.outPeak.Store(0)
	}
	c.out.Taken()
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

// Deliver implements session.Mailbox.
func (c *conn) Deliver(msg []byte) bool { return c.box.deliver(msg) }

// HoldBack implements session.Mailbox.
func (c *conn) HoldBack(out *resp.Writer) { c.box.cork(out) }

// Classify implements session.Mailbox.
func (c *conn) Classify(t command.ClientType) { c.box.setClass(t) }

// CloseAfterReply implements command.Client. The client whose SHUTDOWN it ends takes it
// for the end of the server: nobody can dial it then.
func (c *conn) CloseAfterReply() {
	c.closing = true
	if c.srv.db.Down() {
		c.srv.StopAccepting()
	}
}

// Info implements command.Client. Any goroutine.
func (c *conn) Info() command.ClientInfo {
	i := c.Session.Info()
	i.Addr, i.LAddr = c.addr(), c.laddr()
	i.QueryBuf = int(c.inLen.Load())
	i.QueryBufFree = max(0, int(c.inSize.Load())-i.QueryBuf)
	i.MultiMem, i.ReplyBuf, i.ReplyPeak = int(c.queuedSize.Load()), int(c.outSize.Load()), int(c.outPeak.Load())
	i.Type = command.ClientType(c.box.class.Load())
	i.OutputBuf = int(c.box.pending.Load())
	held := int(c.box.mem.Load())
	i.OutputMem = min(i.OutputBuf, held) // as client-output-buffer-limit counts it; TotMem has the memory
	i.OutputList = (held + arena.ChunkSize - 1) / arena.ChunkSize
	i.TotMem = int(c.mem.Load())
	_, i.TLS = c.nc.(*tlsConn)
	if _, ok := c.nc.LocalAddr().(*net.UnixAddr); ok {
		rest, noEvict := strings.CutSuffix(strings.TrimSuffix(i.Flags, "N"), "e")
		if i.Flags = rest + "U"; noEvict {
			i.Flags += "e"
		}
		i.Addr = i.LAddr
	}
	return i
}

// Clients implements command.Client. One whose socket is closed is no client any more,
// even though whoever serves it has yet to take that in.
func (c *conn) Clients() []command.ClientInfo {
	conns := c.srv.snapshot()
	out := make([]command.ClientInfo, 0, len(conns))
	for _, o := range conns {
		if !o.gone.Load() {
			out = append(out, o.Info())
		}
	}
	return out
}

// KillClients implements command.Client.
func (c *conn) KillClients(match func(command.ClientInfo) bool, skipMe bool) int {
	n := 0
	for _, o := range c.srv.snapshot() {
		if o == c && skipMe || o.gone.Load() || !match(o.Info()) {
			continue
		}
		n++
		if o == c {
			c.closing = true
			continue
		}
		o.expel()
	}
	return n
}

// KillClients closes the clients that match accepts.
func (s *Server) KillClients(match func(command.ClientInfo) bool) {
	for _, c := range s.snapshot() {
		if match(c.Info()) {
			c.expel()
		}
	}
}

// expel is kill for whoever is told of it: the client receives nothing that is published
// afterwards, and is not counted among those who do. Any goroutine that holds no lock.
func (c *conn) expel() {
	c.kill()
	c.StopListening()
}

// kill closes the connection from outside, without what it is owed. Any goroutine.
func (c *conn) kill() {
	c.depart()
	c.Withdraw()
	_ = c.nc.Close()
}

// depart has the connection count no more, and nothing enter for its client, before its
// socket is closed: who sees the end may come again at once, however full the server is.
// Any goroutine.
func (c *conn) depart() {
	if c.gone.CompareAndSwap(false, true) {
		c.srv.departed.Add(1)
	}
}

func sortByID(cs []*conn) {
	slices.SortFunc(cs, func(a, b *conn) int { return cmp.Compare(a.ID(), b.ID()) })
}
