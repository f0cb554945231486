package server

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestGate: while the gate of a poller is shut, what sockets have to say does not reach
// the runtime, and is reported all the same to who asks; a wait that opens it again misses
// nothing that came before.
func TestGate(t *testing.T) {
	p, say := newTestPoller(t)
	passes := func() bool {
		fds := []unix.PollFd{{Fd: int32(p.gate), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, 0)
		if err != nil {
			t.Fatal(err)
		}
		return n > 0
	}
	for range 3 {
		say(1)
		if got := p.wait(0); len(got) != 1 || number(&got[0]) != 7 {
			t.Fatalf("reported: %v", got)
		}
		p.letThrough()
		if !passes() {
			t.Fatal("an open gate lets nothing through")
		}
		p.shut()
		say(1)
		if passes() {
			t.Fatal("a gate that is shut lets something through")
		}
		if got := p.reports(); len(got) != 1 {
			t.Fatalf("reported while it is shut: %v", got)
		}
		if got := p.wait(0); len(got) != 1 {
			t.Fatalf("reported afterwards: %v", got)
		}
		say(0)
		p.shut() // there is nothing to let through: it stays as it is
		if got := p.wait(time.Millisecond); len(got) != 0 {
			t.Fatalf("reported when all is read: %v", got)
		}
	}
}

// TestGateMissesNothing: what comes at any moment of who shuts the gate, asks and waits,
// ends the waiting. A wait for ever that misses something never ends.
func TestGateMissesNothing(t *testing.T) {
	p, say := newTestPoller(t)
	more := make(chan struct{})
	go func() {
		for range more {
			say(1)
		}
	}()
	defer close(more)
	deadline := time.AfterFunc(patience, func() { panic("a wait has missed what came") })
	defer deadline.Stop()
	for i := range 3000 {
		more <- struct{}{}
		if len(p.wait(0)) != 1 {
			t.Fatal("a wait without an end has ended")
		}
		if i%3 > 0 {
			p.shut()
		}
		say(0)
		if i%3 > 1 {
			p.shut()
		}
	}
}

// newTestPoller returns a poller with one socket, of client 7, at which say(1) makes a byte arrive
// and say(0) has what has arrived read.
func newTestPoller(t *testing.T) (p *poller, say func(n int)) {
	t.Helper()
	p, err := newPoller()
	if err != nil {
		t.Fatal(err)
	}
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.control(unix.EPOLL_CTL_ADD, ends[0], unix.EPOLLIN, 7); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.close()
		_ = unix.Close(ends[0])
		_ = unix.Close(ends[1])
	})
	return p, func(n int) {
		var err error
		if n > 0 {
			_, err = writeNow(ends[1], []byte("x"))
		} else {
			_, err = readNow(ends[0], make([]byte, 100))
		}
		if err != nil {
			t.Error(err)
		}
	}
}
