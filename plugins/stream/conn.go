package stream

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

const (
	magic     = "SPILLWY1"
	tokenSize = 32
	// maxPath is what fits in a sockaddr_un everywhere.
	maxPath = 100
	// helloTimeout is how long a connection may take to say its token.
	helloTimeout = 5 * time.Second
	// kernelBuffer is asked for in each direction; the kernel may give less.
	kernelBuffer = 1 << 20
)

// Listener waits for the one connection of a call.
type Listener struct {
	ln    *net.UnixListener
	path  string
	token []byte
}

// Listen makes a socket at path and draws a token. The directory of path must
// be private to the user. Close it, or Accept.
func Listen(path string) (*Listener, error) {
	if len(path) > maxPath {
		return nil, fmt.Errorf("stream: %s has %d characters, and the name of a socket at most %d; use a directory with a shorter name", path, len(path), maxPath)
	}
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: path})
	if err != nil {
		return nil, fmt.Errorf("stream: %w", err)
	}
	l := &Listener{ln: ln, path: path, token: make([]byte, tokenSize)}
	_, _ = rand.Read(l.token) // never fails: crypto/rand ends the process instead
	return l, nil
}

// Socket is the path the plugin is told.
func (l *Listener) Socket() string { return l.path }

// Token is what the plugin has to say first. It is a secret of this call.
func (l *Listener) Token() []byte { return bytes.Clone(l.token) }

// Close stops listening and removes the socket. It may be called twice.
func (l *Listener) Close() error {
	if err := l.ln.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("stream: close %s: %w", l.path, err)
	}
	return nil
}

// Accept returns the connection that says the token; others are closed. It
// stops listening in any case, and removes the socket.
func (l *Listener) Accept(ctx context.Context) (*Conn, error) {
	defer l.Close()
	defer context.AfterFunc(ctx, func() { _ = l.ln.Close() })()
	for {
		c, err := l.ln.AcceptUnix()
		if err != nil {
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			return nil, fmt.Errorf("stream: waiting for the plugin to connect: %w", err)
		}
		if l.knows(ctx, c) {
			return newConn(c), nil
		}
		_ = c.Close()
	}
}

// knows tells whether a connection says the token.
func (l *Listener) knows(ctx context.Context, c *net.UnixConn) bool {
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	_ = c.SetReadDeadline(time.Now().Add(helloTimeout))
	var hello [len(magic) + tokenSize]byte
	if _, err := io.ReadFull(c, hello[:]); err != nil {
		return false
	}
	want := append([]byte(magic), l.token...)
	return subtle.ConstantTimeCompare(hello[:], want) == 1 && c.SetReadDeadline(time.Time{}) == nil
}

// Dial connects to the socket of a call.
func Dial(ctx context.Context, socket string, token []byte) (*Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, fmt.Errorf("stream: %w", err)
	}
	if _, err := c.Write(append([]byte(magic), token...)); err != nil {
		_ = c.Close()
		return nil, fmt.Errorf("stream: %w", err)
	}
	return newConn(c.(*net.UnixConn)), nil
}

// Conn is the connection of a call: its two directions may be used at once.
type Conn struct {
	// In is what comes from the other side.
	In *Reader
	// Out is what goes to it.
	Out *Writer

	c    *net.UnixConn
	once sync.Once
	err  error
}

func newConn(c *net.UnixConn) *Conn {
	_ = c.SetReadBuffer(kernelBuffer)
	_ = c.SetWriteBuffer(kernelBuffer)
	return &Conn{In: NewReader(c), Out: NewWriter(c), c: c}
}

// Close ends the connection; calls of either direction that wait return an
// error that wraps net.ErrClosed. It may be called from any goroutine, and
// again.
func (c *Conn) Close() error {
	c.once.Do(func() { c.err = c.c.Close() })
	return c.err
}
