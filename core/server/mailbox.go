package server

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/resp"
)

// writePatience is how long a reply is waited for, where output is limited,
// before it is left to a goroutine.
const writePatience = 2 * time.Millisecond

// A mailbox holds what a client is owed: replies, which enter from the
// connection's own goroutine, and pushes, which enter from any. What has entered
// leaves in that order, each message whole.
//
//	reply ── idle ──────────▶ socket     written by the connection itself
//	reply ── busy ──┐
//	push ───────────┴▶ next ─▶ socket    written by post, a goroutine that ends when nothing is left
//
// A push never waits for the client. A reply does when the client's class has no
// output limit: the connection then executes nothing more until the client has
// taken it. With a limit the connection goes on, and so does the client until it
// is owed more than the limit allows.
type mailbox struct {
	conn *conn

	class    atomic.Int32 // a command.ClientType
	pending  atomic.Int64 // bytes that have entered and not left
	mem      atomic.Int64 // bytes of memory that they take, out.Buf's excepted
	deadline atomic.Int64 // of writes, in Unix nanoseconds, 0 for none; written under mu
	posted   atomic.Int64 // when post last wrote something, in Unix nanoseconds
	reported atomic.Bool  // that the client is owed too much

	mu      sync.Mutex
	changed sync.Cond // writing, awaited or gone has changed
	writing bool      // somebody writes; nobody else may
	closed  bool      // nothing may enter any more
	gone    bool      // nor leave
	corked  bool      // pushes go to late
	awaited bool      // the connection waits for a reply in next, or in what is being written
	parked  bool      // and post gives it back to its loop
	next    queue     // behind what is being written; empty unless writing
	late    queue     // behind the replies of the batch that is running
	soft    time.Time // since when pending is over the soft limit; zero: it is not
}

func (b *mailbox) init(c *conn) {
	b.conn = c
	b.changed.L = &b.mu
	b.next.many.held, b.late.many.held = b.hold, b.hold
}

// setClass makes other limits apply from now on. The connection's goroutine.
func (b *mailbox) setClass(t command.ClientType) {
	b.class.Store(int32(t))
	b.conn.out.Max = int(b.limit().hard)
}

// newQueue returns an empty queue whose memory the mailbox counts.
func (b *mailbox) newQueue() queue { return queue{many: chunks{held: b.next.many.held}} }

func (b *mailbox) limit() outputLimit { return b.conn.srv.outputs.Load()[b.class.Load()] }

// hold counts memory that the queues take or give back.
func (b *mailbox) hold(delta int) bool {
	b.mem.Add(int64(delta))
	return b.conn.hold(delta)
}

// deliver puts a whole message, or several, behind what has entered already. It
// copies msg and does not wait for the client. False means that the client is
// gone, or was too far behind and is closed now. Any goroutine.
func (b *mailbox) deliver(msg []byte) bool {
	limit := b.limit()
	b.mu.Lock()
	if b.closed || b.conn.gone.Load() {
		b.mu.Unlock()
		return false
	}
	q := &b.next
	if b.corked {
		q = &b.late
	}
	pending := b.pending.Add(int64(len(msg)))
	ok := !b.over(limit) && q.append(msg)
	switch {
	case !ok:
		b.tooMuch(pending)
		b.hangUp()
	case !b.writing && !b.corked:
		b.writing = true
		go b.post(b.newQueue())
	}
	b.mu.Unlock()
	return ok
}

// cork lets pushes that are delivered from now on leave only behind the replies
// of the batch that is running, so that a command's reply comes before the pushes
// it asks for. It holds until the next send. What has come late already goes to
// out, behind the replies that are there. The connection's goroutine.
func (b *mailbox) cork(out *resp.Writer) {
	b.mu.Lock()
	b.corked = true
	late := b.late
	b.late = b.newQueue()
	b.mu.Unlock()
	if late.size() > 0 {
		b.pending.Add(-int64(late.size())) // send counts it again
		late.to(out)
	}
	late.free()
}

// uncork puts what came late behind the replies, which have entered.
func (b *mailbox) uncork() bool {
	b.corked = false
	ok := b.next.add(&b.late.many, b.late.few)
	b.late.free()
	return ok
}

// send writes the replies in out, of which long has the beginning, or leaves them
// to the goroutine that is writing. It tells whether the connection goes on,
// and if so has emptied long. The connection's goroutine.
func (b *mailbox) send(out *resp.Writer, long *chunks) bool {
	limit := b.limit()
	writes, ok := b.enter(limit, out, long)
	switch {
	case !ok:
		return false
	case !writes:
		b.mu.Lock()
		defer b.mu.Unlock()
		for b.awaited && !b.gone {
			b.changed.Wait()
		}
		return !b.gone
	case limit.set():
		return b.try(limit, long, out.Buf, b.conn.nc.Write)
	}
	ok = b.writeChunks(long) && b.write(out.Buf)
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.rest(ok)
}

// sendNow is send for a connection that a loop serves, and does not wait: what the client
// does not take at once is left to a goroutine. See parks.
func (b *mailbox) sendNow(out *resp.Writer, long *chunks) bool {
	limit := b.limit()
	writes, ok := b.enter(limit, out, long)
	if !writes {
		return ok
	}
	return b.try(limit, long, out.Buf, b.conn.nc.(nowWriter).WriteNow)
}

// nowWriter is a connection that can be written to as far as there is room. Where that
// is not enough, the error is os.ErrDeadlineExceeded.
type nowWriter interface {
	WriteNow(p []byte) (n int, err error)
}

// parks tells whether the connection has to wait until a reply of its has left. It has
// then been given up, and is given back to its loop afterwards.
func (b *mailbox) parks() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.parked = b.awaited
	return b.parked
}

// busy tells whether somebody writes. Nobody else begins to once nothing can enter.
func (b *mailbox) busy() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.writing
}

// enter takes the replies in. They are to be written by the caller if writes says so,
// and otherwise by the goroutine that is writing; ok is false when the connection ends.
func (b *mailbox) enter(limit outputLimit, out *resp.Writer, long *chunks) (writes, ok bool) {
	out.Max = int(limit.hard)
	b.mu.Lock()
	defer b.mu.Unlock()
	pending := b.pending.Add(int64(out.Len()))
	switch {
	case b.closed:
		return false, false
	case out.Over || limit.hard > 0 && pending > limit.hard:
		return false, b.tooMuch(pending)
	case b.writing:
		return false, b.enqueue(limit, long, out.Buf)
	}
	b.writing = true
	if b.corked && !b.uncork() {
		b.hangUp()
	}
	if limit.set() && b.conn.home == nil {
		b.setDeadline(b.conn.now().Add(writePatience))
	}
	return true, true
}

// enqueue leaves replies to the goroutine that is writing. mu is held.
func (b *mailbox) enqueue(limit outputLimit, long *chunks, buf []byte) bool {
	if b.over(limit) || !b.next.add(long, buf) || b.corked && !b.uncork() {
		return b.tooMuch(b.pending.Load())
	}
	if !limit.set() {
		b.awaited, b.next.awaited = true, true
	}
	return true
}

// try writes replies as far as the client takes them at once, and leaves the
// rest to a goroutine.
func (b *mailbox) try(limit outputLimit, long *chunks, buf []byte, write func([]byte) (int, error)) bool {
	var err error
	for p := long.front(); len(p) > 0 && err == nil; p = long.front() {
		var m int
		m, err = b.writeOnce(p, write)
		long.left(m)
	}
	if err == nil {
		var m int
		m, err = b.writeOnce(buf, write)
		buf = buf[m:]
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == nil || b.gone || !errors.Is(err, os.ErrDeadlineExceeded) {
		return b.rest(err == nil)
	}
	rest := b.newQueue()
	if b.over(limit) || !rest.add(long, buf) {
		rest.free()
		b.tooMuch(b.pending.Load())
		return b.rest(false)
	}
	if !limit.set() {
		b.awaited, rest.awaited = true, true
	}
	go b.post(rest)
	return true
}

// rest ends the connection's own writing, which has succeeded or not. A goroutine
// writes what has entered meanwhile, but nothing follows on half a reply. mu is
// held.
func (b *mailbox) rest(ok bool) bool {
	if !ok {
		b.hangUp()
	}
	if !b.gone && b.next.size() > 0 {
		go b.post(b.newQueue())
		return true
	}
	b.writing = false
	b.soft = time.Time{}
	return !b.gone
}

// post is the goroutine that writes: first q, then next until nothing is left.
func (b *mailbox) post(q queue) {
	for {
		ok := b.writeChunks(&q.many) && b.write(q.few)
		if ok {
			b.posted.Store(b.conn.now().UnixNano())
		} else {
			q.free()
		}
		b.mu.Lock()
		if !ok {
			b.hangUp()
		}
		if q.awaited {
			q.awaited = false
			b.arrived()
		}
		if b.gone || b.next.size() == 0 {
			break
		}
		q.few = q.few[:0]
		q, b.next = b.next, q // whose memory is used again
		b.mu.Unlock()
	}
	defer b.mu.Unlock()
	q.free()
	if !b.gone {
		b.next.free()
	}
	b.writing = false
	b.soft = time.Time{}
	b.arrived()
}

// arrived tells the connection that it need not wait any more. mu is held.
func (b *mailbox) arrived() {
	b.awaited = false
	b.changed.Signal()
	if b.parked {
		b.parked = false
		b.conn.home.call(b.conn)
	}
}

// over tells whether the client is over its class's limit, and begins to count
// the time for which it is over the soft one. mu is held.
func (b *mailbox) over(limit outputLimit) bool {
	if !limit.set() {
		return false
	}
	pending, now := b.pending.Load(), b.conn.now()
	if limit.exceeded(pending, b.soft, now) {
		return true
	}
	if limit.soft <= 0 || pending <= limit.soft {
		b.soft = time.Time{}
	} else if b.soft.IsZero() {
		b.soft = now
		by := now.Add(limit.softFor)
		if d := b.deadline.Load(); d == 0 || by.UnixNano() < d {
			b.setDeadline(by) // for a write that is blocked already
		}
	}
	return false
}

// tooMuch reports, once, a client that is closed because of what it is owed.
func (b *mailbox) tooMuch(pending int64) bool {
	if !b.conn.evicted.Load() && b.reported.CompareAndSwap(false, true) {
		class := command.ClientType(b.class.Load())
		b.conn.srv.log.Warn("client closed: its pending replies exceed client-output-buffer-limit", "client", b.conn.ID(), "addr", b.conn.addr(), "class", class, "bytes", pending)
	}
	return false
}

// hangUp closes the socket, so that the connection's goroutine ends and calls
// close. mu is held.
func (b *mailbox) hangUp() {
	b.closed, b.gone = true, true
	b.conn.depart()
	_ = b.conn.nc.Close()
	b.changed.Signal()
}

// settle lets nothing more enter and waits until what has entered has left, or
// the client is gone. The connection's goroutine.
func (b *mailbox) settle() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	for b.writing && !b.gone {
		b.changed.Wait()
	}
}

// close ends it, and with it the connection, and gives back what has not left.
// The connection's goroutine.
func (b *mailbox) close() {
	b.mu.Lock()
	b.hangUp()
	for b.writing {
		b.changed.Wait()
	}
	b.mu.Unlock()
	b.next.free() // nothing enters any more
	b.late.free()
}
