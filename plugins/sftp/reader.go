package sftp

import (
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/pkg/sftp"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/internal/sftpconn"
)

// Open implements setstore.Store.
func (s *store) Open(ctx context.Context, name string) (io.ReadCloser, int64, error) {
	c, err := s.pool.get(ctx)
	if err != nil {
		return nil, 0, err
	}
	unhook := context.AfterFunc(ctx, c.Cut)
	f, size, err := open(c, s.path(name))
	if err != nil {
		if !unhook() || broken(err) {
			s.pool.drop(c)
		} else {
			s.pool.put(c)
		}
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, 0, classify(err)
	}
	r := &reader{pool: s.pool, conn: c, unhook: unhook, left: size, done: make(chan struct{})}
	pr, pw := io.Pipe()
	r.pipe = pr
	go func() {
		defer close(r.done)
		_, err := f.WriteTo(pw) // many requests at once, which Read has not
		if cerr := f.Close(); err == nil {
			err = cerr
		}
		pw.CloseWithError(err)
	}()
	return r, size, nil
}

func open(c *sftpconn.Conn, name string) (*sftp.File, int64, error) {
	f, err := c.SFTP.Open(name)
	if err != nil {
		return nil, 0, err
	}
	st, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return nil, 0, err
	}
	return f, st.Size(), nil
}

// reader reads a file: all of it, or an error. It has a connection for itself.
type reader struct {
	pool   *pool
	conn   *sftpconn.Conn
	unhook func() bool
	pipe   *io.PipeReader
	done   chan struct{}
	left   int64
	ended  bool
	once   sync.Once
}

// Read implements io.Reader.
func (r *reader) Read(b []byte) (int, error) {
	n, err := r.pipe.Read(b)
	r.left -= int64(n)
	if err == io.EOF { //nolint:errorlint // a pipe's end is not wrapped
		r.ended = true
		if r.left > 0 {
			err = sink.Transient(fmt.Errorf("%d bytes are missing: %w", r.left, io.ErrUnexpectedEOF))
		}
	}
	return n, err
}

// Close implements io.Closer.
func (r *reader) Close() error {
	r.once.Do(func() {
		alive := r.unhook()
		if r.ended && alive {
			<-r.done
			r.pool.put(r.conn)
			return
		}
		// Requests are under way that nobody waits for.
		r.conn.Cut()
		_ = r.pipe.Close()
		<-r.done
		r.conn.Close()
	})
	return nil
}
