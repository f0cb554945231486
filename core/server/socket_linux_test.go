package server

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestSocketIsClosedForGood: whoever still has a socket that was closed reads and writes
// nothing, though its descriptor's number is another connection's by now.
func TestSocketIsClosedForGood(t *testing.T) {
	s, _ := serve(t, Options{EventLoops: 1}, nil, nil)
	two, peer := adopted(t, s)
	one, _ := adopted(t, s)
	number := one.fd
	_ = one.Close()
	again, err := unix.FcntlInt(uintptr(two.fd), unix.F_DUPFD_CLOEXEC, number)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(again)
	if again != number {
		t.Logf("descriptor %d was taken by another goroutine meanwhile", number)
	}
	if _, err := io.WriteString(peer, "for two"); err != nil {
		t.Fatal(err)
	}
	if n, err := one.Read(make([]byte, 10)); n != 0 || !errors.Is(err, net.ErrClosed) {
		t.Errorf("Read: %d, %v", n, err)
	}
	if n, err := one.WriteNow([]byte("x")); n != 0 || !errors.Is(err, net.ErrClosed) {
		t.Errorf("WriteNow: %d, %v", n, err)
	}
	if n, err := one.Write([]byte("x")); n != 0 || !errors.Is(err, net.ErrClosed) {
		t.Errorf("Write: %d, %v", n, err)
	}
	// That it is closed counts before its deadline: whoever writes gives up on the one alone.
	_ = one.SetWriteDeadline(time.Unix(1, 0))
	if n, err := one.Write([]byte("x")); n != 0 || !errors.Is(err, net.ErrClosed) {
		t.Errorf("Write behind the deadline: %d, %v", n, err)
	}
	_ = one.Close()
	got := make([]byte, 10)
	for {
		n, err := two.Read(got)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			time.Sleep(time.Millisecond)
			continue
		}
		if err != nil || string(got[:n]) != "for two" {
			t.Errorf("the other one reads %q, %v", got[:n], err)
		}
		break
	}
	if _, err := two.Write([]byte("y")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(peer, got[:1]); err != nil || got[0] != 'y' {
		t.Errorf("its peer reads %q, %v", got[:1], err)
	}
}

// adopted is a socket that is attached to a poller of its own, and its peer.
func adopted(t *testing.T, s *Server) (*socket, net.Conn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]net.Conn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "socket")
		ends[i], err = net.FileConn(f)
		_ = f.Close()
		if err != nil {
			t.Fatal(err)
		}
	}
	sock, err := adopt(ends[0])
	if err != nil || sock == nil {
		t.Fatal(sock, err)
	}
	p, err := newPoller()
	if err != nil {
		t.Fatal(err)
	}
	c := newConn(s, sock)
	c.home = &loop{srv: s, poll: p}
	sock.attach(c, p)
	t.Cleanup(func() {
		_ = sock.Close()
		_ = ends[1].Close()
		p.close()
	})
	return sock, ends[1]
}

// TestSocketWaitsForRoom: a Write that waits ends at its deadline, at one that is set
// meanwhile, when the peer reads, and when the socket is closed.
func TestSocketWaitsForRoom(t *testing.T) {
	s, _ := serve(t, Options{EventLoops: 1}, nil, nil)
	for _, tc := range []struct {
		name string
		do   func(sock *socket, peer net.Conn)
		want error
	}{
		{"a deadline", func(sock *socket, _ net.Conn) { _ = sock.SetDeadline(time.Now().Add(10 * time.Millisecond)) }, os.ErrDeadlineExceeded},
		{"a deadline in the past", func(sock *socket, _ net.Conn) { _ = sock.SetWriteDeadline(time.Unix(1, 0)) }, os.ErrDeadlineExceeded},
		{"closed", func(sock *socket, _ net.Conn) { _ = sock.Close() }, net.ErrClosed},
		{"the peer is gone", func(sock *socket, peer net.Conn) { _ = peer.Close(); sock.roomy() }, unix.EPIPE},
		{"read", func(sock *socket, peer net.Conn) {
			go func() {
				for b := make([]byte, 1<<20); ; sock.roomy() {
					if _, err := peer.Read(b); err != nil {
						return
					}
				}
			}()
		}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			sock, peer := adopted(t, s)
			full := make([]byte, 8<<20)
			n, err := sock.WriteNow(full)
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("WriteNow: %d, %v", n, err)
			}
			result := make(chan error, 1)
			go func() {
				_, err := sock.Write(full[n:])
				result <- err
			}()
			for {
				sock.mu.Lock()
				waits := sock.writes
				sock.mu.Unlock()
				if waits {
					break
				}
				time.Sleep(time.Millisecond)
			}
			tc.do(sock, peer)
			select {
			case err := <-result:
				if !errors.Is(err, tc.want) {
					t.Errorf("Write: %v", err)
				}
			case <-time.After(patience):
				t.Fatal("Write goes on")
			}
		})
	}
}
