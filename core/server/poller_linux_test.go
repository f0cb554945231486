package server

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spillwaydb/spillway/internal/turn"
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

// TestProd: work that has the only processor of Go's, and steps back by turn.Yield, lets who waits for sockets have it as
// soon as these have something to say; and a wait that was ended so is like any other.
func TestProd(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	p, say := newTestPoller(t)
	defer turn.Watch(p.prod)()
	for round := range 20 {
		patience := time.Duration(round%2) * time.Hour
		var got []unix.EpollEvent
		var done atomic.Bool
		go func() {
			got = p.wait(patience)
			done.Store(true)
		}()
		for p.prodding.Load() != waits {
			runtime.Gosched()
		}
		runtime.Gosched()
		say(1)
		// The runtime would look by itself after 10 ms.
		for n := 0; n < 20 && !done.Load(); n++ { // loops that earlier tests have left are asked in turn
			turn.Yield()
			for since := time.Now(); time.Since(since) < 100*time.Microsecond; { // work, and what turn asks for
			}
		}
		turn.Yield()
		if !done.Load() {
			t.Fatalf("round %d: who waits was not told", round)
		}
		if len(got) != 1 || number(&got[0]) != 7 {
			t.Fatalf("round %d reported: %v", round, got)
		}
		say(0)
		if got := p.wait(time.Millisecond); len(got) != 0 {
			t.Fatalf("round %d reported when all is read: %v", round, got)
		}
	}
}

// TestProdMissesNothing: waits that are ended by prod, by what has come, or by both at once report what there is, and
// those that are for a time end.
func TestProdMissesNothing(t *testing.T) {
	p, say := newTestPoller(t)
	stop := make(chan struct{})
	var prods sync.WaitGroup
	prods.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				p.prod()
				runtime.Gosched()
			}
		}
	})
	more := make(chan struct{})
	go func() {
		for range more {
			say(1)
		}
	}()
	for i := range 2000 {
		more <- struct{}{}
		if got := p.wait(0); len(got) != 1 || number(&got[0]) != 7 {
			t.Fatalf("reported in round %d: %v", i, got)
		}
		say(0)
		if i%100 == 0 {
			if got := p.wait(time.Millisecond); len(got) != 0 {
				t.Fatalf("reported in round %d when all is read: %v", i, got)
			}
		}
	}
	close(more)
	close(stop)
	prods.Wait()
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
