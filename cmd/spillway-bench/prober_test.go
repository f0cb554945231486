package main

import (
	"bufio"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestStamped: the time of an arrival is the kernel's, however late it is read.
func TestStamped(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := dialStamped(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	peer, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	b := make([]byte, 10)
	for range stampTries {
		sent := time.Now()
		if _, err := peer.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		for there := 0; there == 0; { // it has arrived, and nobody has read it
			if err := c.raw.Control(func(fd uintptr) { there, err = unix.IoctlGetInt(int(fd), unix.TIOCINQ) }); err != nil {
				t.Fatal(err)
			}
		}
		there := time.Now()
		if n, err := c.Read(b); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		if c.arrived.IsZero() {
			time.Sleep(time.Millisecond) // the kernel begins to tell times a little after it was asked to
			continue
		}
		if c.arrived.Before(sent) || c.arrived.After(there) {
			t.Errorf("sent at %v, there at %v, and said to have arrived at %v", sent, there, c.arrived)
		}
		return
	}
	t.Error("the kernel told no time")
}

// TestStall: a server that replies to nothing for a while delays every request that was due
// meanwhile, and each is counted, whoever sends and reads when.
func TestStall(t *testing.T) {
	const stalled = 3 * proberLanes
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var came sync.WaitGroup // all requests of the stall
	came.Add(stalled)
	opened := make(chan struct{})
	go func() {
		for c, err := l.Accept(); err == nil; c, err = l.Accept() {
			go func() {
				replies := make(chan string, 1<<16)
				defer close(replies)
				go func() {
					defer c.Close()
					for reply := range replies {
						if reply != pong {
							<-opened
						}
						_, _ = c.Write([]byte(reply))
					}
				}()
				sets := 0
				for r := bufio.NewReader(c); ; {
					line, err := r.ReadString('\n')
					switch {
					case err != nil:
						return
					case strings.HasPrefix(line, "PING"):
						replies <- pong
					case strings.HasPrefix(line, "probe"):
						if sets++; sets <= stalled/proberLanes {
							came.Done()
						}
						replies <- "+OK\r\n"
					}
				}
			}()
		}
	}()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	p, err := (&server{port: port}).probe("key:", 10)
	if err != nil {
		t.Fatal(err)
	}
	came.Wait()
	end := time.Now()
	close(opened)
	if err := p.end(); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, s := range p.samples {
		if s.sent.Before(s.due) {
			t.Errorf("due at %v, sent at %v", s.due, s.sent)
		}
		if s.sent.Before(end) {
			n++
			if s.sent.Add(s.took).Before(end) {
				t.Errorf("a request sent at %v was replied to within %v, and nothing was before %v", s.sent, s.took, end)
			}
		}
	}
	if n < stalled {
		t.Errorf("%d requests were delayed, and at least %d were due", n, stalled)
	}
}
