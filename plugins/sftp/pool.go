package sftp

import (
	"context"
	"errors"
	"os"
	"sync"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/internal/sftpconn"
)

// maxIdle is how many connections are kept.
const maxIdle = 4

// pool keeps connections between calls.
type pool struct {
	dial func(context.Context) (*sftpconn.Conn, error)

	mu     sync.Mutex
	idle   []*sftpconn.Conn
	closed bool
}

var errClosed = sink.Permanent(errors.New("the sink is closed"))

// get returns a connection that nobody else has.
func (p *pool) get(ctx context.Context) (*sftpconn.Conn, error) {
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
	c, err := p.dial(ctx)
	switch {
	case errors.Is(err, sftpconn.ErrRefused):
		err = sink.Permanent(err)
	case err != nil && ctx.Err() == nil:
		err = sink.Transient(err)
	}
	return c, err
}

// put takes a connection back.
func (p *pool) put(c *sftpconn.Conn) {
	p.mu.Lock()
	if !p.closed && len(p.idle) < maxIdle {
		p.idle = append(p.idle, c)
		c = nil
	}
	p.mu.Unlock()
	if c != nil {
		c.Close()
	}
}

// drop ends a connection that is broken, and those that have waited: what broke
// it has likely broken them.
func (p *pool) drop(c *sftpconn.Conn) {
	p.mu.Lock()
	idle := p.idle
	p.idle = nil
	p.mu.Unlock()
	for _, c := range append(idle, c) {
		c.Close()
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
		c.Close()
	}
}

// with calls f with a connection. The end of ctx cuts it, whatever f waits for.
func (p *pool) with(ctx context.Context, f func(*sftpconn.Conn) error) error {
	c, err := p.get(ctx)
	if err != nil {
		return err
	}
	unhook := context.AfterFunc(ctx, c.Cut)
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

// broken tells whether err says that a connection is of no more use.
func broken(err error) bool { return sftpconn.Broken(err) || errors.Is(err, errCut) }

// errCut marks the error of a call that has made its connection useless.
var errCut = errors.New("the connection was cut")

// classify gives an error of the server its class.
func classify(err error) error {
	if errors.Is(err, os.ErrPermission) {
		return sink.Permanent(err)
	}
	return err
}
