package server

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestWaitMissesNothing: what comes at any moment of who asks and waits ends the waiting. A
// wait for ever that misses something never ends.
func TestWaitMissesNothing(t *testing.T) {
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
	for range 3000 {
		more <- struct{}{}
		if len(p.wait(0)) != 1 {
			t.Fatal("a wait without an end has ended")
		}
		say(0)
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
