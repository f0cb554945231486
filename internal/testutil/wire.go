package testutil

import (
	"io"
	"net"
	"sync"
	"testing"
)

// Wire is a TCP address of this machine in front of a server, whose connections can be
// cut.
type Wire struct {
	Address string

	mu    sync.Mutex
	conns []net.Conn
}

// NewWire returns a Wire to what dial connects to. It ends with the test. A client whose
// connection dial cannot make is hung up on.
func NewWire(t testing.TB, dial func() (net.Conn, error)) *Wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &Wire{Address: l.Addr().String()}
	t.Cleanup(func() {
		_ = l.Close()
		w.Cut()
	})
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := dial()
			if err != nil {
				_ = near.Close()
				continue
			}
			w.mu.Lock()
			w.conns = append(w.conns, near, far)
			w.mu.Unlock()
			go pass(near, far)
			go pass(far, near)
		}
	}()
	return w
}

// pass carries what comes, until either side ends; the other ends with it.
func pass(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	_ = to.Close()
	_ = from.Close()
}

// Cut ends all connections that there are, wherever in a command they are.
func (w *Wire) Cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.conns {
		_ = c.Close()
	}
	w.conns = nil
}
