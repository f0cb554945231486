package sftp

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"

	"github.com/pkg/sftp"

	"github.com/spillwaydb/spillway/core/sink"
)

// maxIdle is how many connections are kept.
const maxIdle = 4

// pool keeps connections between calls.
type pool struct {
	dial func(context.Context) (*conn, error)

	mu     sync.Mutex
	idle   []*conn
	closed bool
}

var errClosed = sink.Permanent(errors.New("the sink is closed"))

// get returns a connection that nobody else has.
func (p *pool) get(ctx context.Context) (*conn, error) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, errClosed
	}
	if n := len(p.idle); n > 0 {
		c := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		return c, nil
	}
	p.mu.Unlock()
	return p.dial(ctx)
}

// put takes a connection back.
func (p *pool) put(c *conn) {
	p.mu.Lock()
	if !p.closed && len(p.idle) < maxIdle {
		p.idle = append(p.idle, c)
		c = nil
	}
	p.mu.Unlock()
	if c != nil {
		c.close()
	}
}

// drop ends a connection that is broken, and those that have waited: what broke
// it has likely broken them.
func (p *pool) drop(c *conn) {
	p.mu.Lock()
	idle := p.idle
	p.idle = nil
	p.mu.Unlock()
	for _, c := range append(idle, c) {
		c.close()
	}
}

// close ends the pool.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	idle := p.idle
	p.idle = nil
	p.mu.Unlock()
	for _, c := range idle {
		c.close()
	}
}

// with calls f with a connection. The end of ctx cuts it, whatever f waits for.
func (p *pool) with(ctx context.Context, f func(*conn) error) error {
	c, err := p.get(ctx)
	if err != nil {
		return err
	}
	unhook := context.AfterFunc(ctx, c.cut)
	err = f(c)
	if !unhook() || broken(err) {
		p.drop(c)
	} else {
		p.put(c)
	}
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return classify(err)
}

// broken tells whether err says that a connection is of no more use. What the
// server answered with is no reason.
func broken(err error) bool {
	var ne net.Error
	return errors.Is(err, sftp.ErrSSHFxConnectionLost) || errors.Is(err, sftp.ErrSSHFxNoConnection) || errors.Is(err, io.EOF) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, errCut) || errors.As(err, &ne)
}

// errCut marks the error of a call that has made its connection useless.
var errCut = errors.New("the connection was cut")

// classify gives an error of the server its class.
func classify(err error) error {
	if errors.Is(err, os.ErrPermission) {
		return sink.Permanent(err)
	}
	return err
}
