package server

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// socket is a client's socket that is a loop's and not the Go runtime's: reads never
// wait, writes do only for the mailbox's goroutine.
//
// A descriptor is a number, and the kernel gives the same number to the next
// connection as soon as it is closed: who then still reads it takes another client's
// commands, and who writes to it sends that one somebody's replies. So one rule holds
// here: the number is looked at only under mu, every system call about it is made
// under mu, and it is closed under mu. None of these calls waits, so that Close, which
// anybody may call at any time, does not either. What the poller has reported before
// the descriptor was closed names the client, not the number (see poller). The runtime
// knows nothing of the descriptor: adopt has duplicated it and closed the one
// that the runtime polled.
type socket struct {
	local, remote net.Addr
	conn          *conn
	poll          *poller

	// quieted says that reads is false: the poller must not report again and again
	// what nobody comes for. See hush.
	quieted atomic.Bool

	mu     sync.Mutex
	fd     int           // -1 once it is closed
	armed  uint32        // what the poller was asked to report, 0 if it does not have fd
	reads  bool          // it is to report what can be read
	writes bool          // it is to report room
	late   time.Time     // from when on no write waits; zero: never
	room   chan struct{} // holds something when room, late or fd may have changed
}

var _ net.Conn = (*socket)(nil)

// adopt takes the socket of a connection away from the Go runtime. The connection is
// closed then; the socket is not. It is nil for what has none that could be taken,
// and has then done nothing.
func adopt(nc net.Conn) (*socket, error) {
	var raw syscall.RawConn
	var err error
	switch nc := nc.(type) {
	case *net.TCPConn:
		raw, err = nc.SyscallConn()
	case *net.UnixConn:
		raw, err = nc.SyscallConn()
	default:
		return nil, nil
	}
	fd := -1
	if err == nil {
		var dupErr error
		err = raw.Control(func(old uintptr) { fd, dupErr = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0) })
		err = errors.Join(err, dupErr)
	}
	if err != nil {
		return nil, err
	}
	s := &socket{local: nc.LocalAddr(), remote: nc.RemoteAddr(), fd: fd, room: make(chan struct{}, 1)}
	_ = nc.Close() // of which the duplicate remains
	return s, nil
}

// attach puts the socket into a poller, for a connection. It is called once.
func (s *socket) attach(c *conn, p *poller) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conn, s.poll, s.reads = c, p, true
	s.arm()
}

// arm tells the poller what to report. Where the kernel has no room for that, the
// socket is closed. mu is held.
func (s *socket) arm() {
	var want uint32
	if s.reads {
		want |= unix.EPOLLIN
	}
	if s.writes {
		want |= unix.EPOLLOUT
	}
	if want == s.armed || s.fd < 0 {
		return
	}
	op := unix.EPOLL_CTL_MOD
	switch {
	case s.armed == 0:
		op = unix.EPOLL_CTL_ADD
	case want == 0:
		op = unix.EPOLL_CTL_DEL // an error or the end would be reported whatever is asked
	}
	if err := s.poll.control(op, s.fd, want, s.conn.ID()); err != nil {
		s.conn.srv.log.Error("client closed: the kernel does not report on its socket", "client", s.conn.ID(), "error", err)
		s.close()
		go s.conn.wake() // the caller may be who is to be woken
		return
	}
	s.armed = want
}

// hush has the poller not report any more what can be read, while somebody else than
// the loop has the connection; heed ends that. The loop's goroutine.
//
// Who gives the connection back first says so (conn.state) and then looks at quieted;
// who hushes first sets quieted and then looks at whether it was given back. So one of
// the two sees the other, whose turn mu orders.
func (s *socket) hush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.quieted.Store(true)
	if st := s.conn.state.Load(); st != driven && st != again {
		s.quieted.Store(false)
		return
	}
	s.reads = false
	s.arm()
}

func (s *socket) heed() {
	if !s.quieted.Load() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.quieted.Store(false)
	s.reads = true
	s.arm()
}

// Read reads what is there. Where nothing is, it does not wait, and the error is
// os.ErrDeadlineExceeded.
func (s *socket) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.fd >= 0 {
		n, err := readNow(s.fd, p)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			return 0, os.ErrDeadlineExceeded
		case err != nil:
			return 0, os.NewSyscallError("read", err)
		case n == 0 && len(p) > 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
	return 0, net.ErrClosed
}

// WriteNow writes what there is room for. Where that is not all of p, the error is
// os.ErrDeadlineExceeded.
func (s *socket) WriteNow(p []byte) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.write(p)
}

// write is WriteNow. mu is held.
func (s *socket) write(p []byte) (n int, err error) {
	for n < len(p) {
		if s.fd < 0 {
			return n, net.ErrClosed
		}
		m, err := writeNow(s.fd, p[n:])
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			return n, os.ErrDeadlineExceeded
		case err != nil:
			return n, os.NewSyscallError("write", err)
		default:
			n += m
		}
	}
	return n, nil
}

// Write writes all of p, and waits for room until the deadline, which does not count once
// the socket is closed. One goroutine at a time.
func (s *socket) Write(p []byte) (n int, err error) {
	for {
		s.mu.Lock()
		late := s.late
		if s.fd >= 0 && !late.IsZero() && !time.Now().Before(late) { //nolint:forbidigo // as deadlines of package net
			s.mu.Unlock()
			return n, os.ErrDeadlineExceeded
		}
		m, err := s.write(p[n:])
		n += m
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			s.mu.Unlock()
			return n, err
		}
		s.writes = true
		s.arm()
		s.mu.Unlock()
		s.awaitRoom(late)
	}
}

// awaitRoom returns when there may be room, or the deadline is over or another one.
func (s *socket) awaitRoom(late time.Time) {
	if late.IsZero() {
		<-s.room
		return
	}
	t := time.NewTimer(time.Until(late)) //nolint:forbidigo // as deadlines of package net
	defer t.Stop()
	select {
	case <-s.room:
	case <-t.C:
	}
}

// roomy takes in that the poller has reported room, or an error. The loop's goroutine.
func (s *socket) roomy() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writes {
		s.writes = false
		s.arm()
		s.look()
	}
}

// look has a Write that waits look again. mu is held.
func (s *socket) look() {
	select {
	case s.room <- struct{}{}:
	default: // it has yet to look
	}
}

// close closes the descriptor. mu is held.
func (s *socket) close() {
	if s.fd < 0 {
		return
	}
	if s.armed != 0 {
		// A process that is being forked has the descriptor too for a moment, during
		// which closing it here takes it out of no poller.
		_ = s.poll.control(unix.EPOLL_CTL_DEL, s.fd, 0, s.conn.ID())
	}
	_ = unix.Close(s.fd)
	s.fd, s.armed = -1, 0
	s.look()
}

// closed tells whether the descriptor is.
func (s *socket) closed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fd < 0
}

// Close implements net.Conn, and has the loop come to the connection, which ends.
func (s *socket) Close() error {
	s.mu.Lock()
	s.close()
	s.mu.Unlock()
	s.conn.wake()
	return nil
}

// LocalAddr implements net.Conn.
func (s *socket) LocalAddr() net.Addr { return s.local }

// RemoteAddr implements net.Conn.
func (s *socket) RemoteAddr() net.Addr { return s.remote }

// SetDeadline implements net.Conn.
func (s *socket) SetDeadline(t time.Time) error { return s.SetWriteDeadline(t) }

// SetReadDeadline implements net.Conn. Reads do not wait.
func (s *socket) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements net.Conn.
func (s *socket) SetWriteDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.late = t
	s.look()
	return nil
}
