package middleware

import (
	"context"
	"io"
	"sync/atomic"

	"github.com/spillwaydb/spillway/core/sink"
)

// Interceptor surrounds the calls of a stage or a sink. It calls next, once or
// more often or not at all, and returns the call's error.
type Interceptor func(ctx context.Context, c *Call, next func(context.Context) error) error

// Call is one call of a stage or a sink. Its methods may be called from any
// goroutine.
type Call struct {
	// Op is "encode", "decode", "put", "publish", "open", "list", "remove" or
	// "sweep".
	Op string
	// Path is the part's name or the set; "" for list and sweep.
	Path string
	// Kind is the part's of put and open, else "".
	Kind sink.Kind

	limits []limit

	in, out atomic.Int64
	ops     atomic.Int64 // reads and writes that are over
	waiting atomic.Int32 // reads and writes under way: the neighbours' time
	touched atomic.Bool
	closers []func() // of an opened part
}

// In is how many bytes the callee has read.
func (c *Call) In() int64 { return c.in.Load() }

// Out is how many bytes the callee has written, or delivered from an opened
// part.
func (c *Call) Out() int64 { return c.out.Load() }

// Touched tells whether the callee has begun to read or write: the call cannot
// be made again.
func (c *Call) Touched() bool { return c.touched.Load() }

// atEnd runs f when the callee has nothing more to do: now, or when an opened
// part is closed.
func (c *Call) atEnd(err error, f func()) {
	if c.Op == "open" && err == nil {
		c.closers = append(c.closers, f)
		return
	}
	f()
}

// run goes through the interceptors to f.
func (c *Call) run(ctx context.Context, with []Interceptor, f func(context.Context) error) error {
	if len(with) == 0 {
		return f(ctx)
	}
	return with[0](ctx, c, func(ctx context.Context) error { return c.run(ctx, with[1:], f) })
}

// reader is what the callee reads.
type reader struct {
	c *Call
	r io.Reader
}

func (r reader) Read(b []byte) (int, error) {
	r.c.touched.Store(true)
	r.c.waiting.Add(1)
	n, err := r.r.Read(b[:r.c.piece(len(b))])
	if n > 0 {
		if lerr := r.c.limited(n); lerr != nil {
			n, err = 0, lerr
		}
	}
	r.c.waiting.Add(-1)
	r.c.ops.Add(1)
	r.c.in.Add(int64(n))
	return n, err
}

// writer is what the callee writes.
type writer struct {
	c *Call
	w io.Writer
}

func (w writer) Write(b []byte) (int, error) {
	w.c.touched.Store(true)
	w.c.waiting.Add(1)
	n, err := w.w.Write(b)
	w.c.waiting.Add(-1)
	w.c.ops.Add(1)
	w.c.out.Add(int64(n))
	return n, err
}

// opened is a part that the callee delivers: the time between two reads is the
// caller's.
type opened struct {
	c *Call
	io.ReadCloser
}

func (o *opened) Read(b []byte) (int, error) {
	o.c.waiting.Add(-1)
	n, err := o.ReadCloser.Read(b[:o.c.piece(len(b))])
	o.c.waiting.Add(1)
	if n > 0 {
		if lerr := o.c.limited(n); lerr != nil {
			n, err = 0, lerr
		}
	}
	o.c.ops.Add(1)
	o.c.out.Add(int64(n))
	return n, err
}

func (o *opened) Close() error {
	err := o.ReadCloser.Close()
	for _, f := range o.c.closers {
		f()
	}
	o.c.closers = nil
	return err
}

// Stage returns s with the interceptors around it.
func Stage(s sink.Stage, with ...Interceptor) sink.Stage { return &stage{s, with} }

type stage struct {
	sink.Stage
	with []Interceptor
}

// Encode implements sink.Stage.
func (s *stage) Encode(ctx context.Context, p sink.Part, dst io.Writer, src io.Reader) (receipt sink.Receipt, err error) {
	c := &Call{Op: "encode", Path: p.Name}
	err = c.run(ctx, s.with, func(ctx context.Context) (err error) {
		receipt, err = s.Stage.Encode(ctx, p, writer{c, dst}, reader{c, src})
		return err
	})
	return receipt, err
}

// Decode implements sink.Stage.
func (s *stage) Decode(ctx context.Context, p sink.Part, r sink.Receipt, dst io.Writer, src io.Reader) error {
	c := &Call{Op: "decode", Path: p.Name}
	return c.run(ctx, s.with, func(ctx context.Context) error {
		return s.Stage.Decode(ctx, p, r, writer{c, dst}, reader{c, src})
	})
}

// Sink returns s with the interceptors around it. It is a sink.Sweeper if s is.
func Sink(s sink.Sink, with ...Interceptor) sink.Sink {
	plain := &plainSink{s, with}
	if sw, ok := s.(sink.Sweeper); ok {
		return &sweepingSink{plain, sw}
	}
	return plain
}

type plainSink struct {
	sink.Sink
	with []Interceptor
}

// Put implements sink.Sink.
func (s *plainSink) Put(ctx context.Context, p sink.Part, src io.Reader) (receipt sink.Receipt, err error) {
	c := &Call{Op: "put", Path: p.Name, Kind: p.Kind}
	err = c.run(ctx, s.with, func(ctx context.Context) (err error) {
		receipt, err = s.Sink.Put(ctx, p, reader{c, src})
		return err
	})
	return receipt, err
}

// Publish implements sink.Sink.
func (s *plainSink) Publish(ctx context.Context, set sink.Set) error {
	c := &Call{Op: "publish", Path: set.ID.String()}
	return c.run(ctx, s.with, func(ctx context.Context) error { return s.Sink.Publish(ctx, set) })
}

// Open implements sink.Sink.
func (s *plainSink) Open(ctx context.Context, p sink.Part, r sink.Receipt) (io.ReadCloser, error) {
	c := &Call{Op: "open", Path: p.Name, Kind: p.Kind}
	o := &opened{c: c}
	err := c.run(ctx, s.with, func(ctx context.Context) (err error) {
		o.ReadCloser, err = s.Sink.Open(ctx, p, r)
		if err == nil {
			c.waiting.Add(1)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return o, nil
}

// List implements sink.Sink.
func (s *plainSink) List(ctx context.Context) (sets []sink.Set, err error) {
	c := &Call{Op: "list"}
	err = c.run(ctx, s.with, func(ctx context.Context) (err error) {
		sets, err = s.Sink.List(ctx)
		return err
	})
	return sets, err
}

// Remove implements sink.Sink.
func (s *plainSink) Remove(ctx context.Context, id sink.SetID) error {
	c := &Call{Op: "remove", Path: id.String()}
	return c.run(ctx, s.with, func(ctx context.Context) error { return s.Sink.Remove(ctx, id) })
}

type sweepingSink struct {
	*plainSink
	sweeper sink.Sweeper
}

// Sweep implements sink.Sweeper.
func (s *sweepingSink) Sweep(ctx context.Context, keep func(sink.SetID) bool) (removed []string, err error) {
	c := &Call{Op: "sweep"}
	err = c.run(ctx, s.with, func(ctx context.Context) error {
		names, err := s.sweeper.Sweep(ctx, keep)
		removed = append(removed, names...)
		return err
	})
	return removed, err
}
