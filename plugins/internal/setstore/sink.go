package setstore

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sync/errgroup"

	"github.com/spillwaydb/spillway/core/sink"
)

// width is how many small operations one call has under way at once.
const width = 8

// Options bound what a Sink does.
type Options struct {
	// Name is what errors call the sink, Version what its Info says.
	Name, Version string
	// Attempts is how often a small operation is tried; 0 means 4.
	Attempts int
	// Timeout bounds one attempt; 0 means 30 s.
	Timeout time.Duration
	// Stall is how long a stream may stand still; 0 means 5 min.
	Stall time.Duration
	// Backoff is the first wait between attempts; 0 means 200 ms.
	Backoff time.Duration
	// RangeSize is how much of a part is asked for at once where the store is a Ranger,
	// and Ranges how many such requests of a part are on their way at once, of which each
	// is kept in memory until it is read. With less than two a part is read in one stream.
	RangeSize int64
	Ranges    int
	// Verify has every part read again after it was put.
	Verify bool
	// Logger is told of attempts that failed; nil discards.
	Logger hclog.Logger
}

// Sink keeps sets in a Store.
type Sink struct {
	store Store
	opts  Options
	known documents
}

var (
	_ sink.Sink    = (*Sink)(nil)
	_ sink.Sweeper = (*Sink)(nil)
	_ io.Closer    = (*Sink)(nil)
)

// New returns a sink over store, which Close closes.
func New(store Store, o Options) *Sink {
	if o.Attempts <= 0 {
		o.Attempts = 4
	}
	if o.Timeout <= 0 {
		o.Timeout = 30 * time.Second
	}
	if o.Stall <= 0 {
		o.Stall = 5 * time.Minute
	}
	if o.Backoff <= 0 {
		o.Backoff = 200 * time.Millisecond
	}
	if o.Logger == nil {
		o.Logger = hclog.NewNullLogger()
	}
	return &Sink{store: store, opts: o}
}

// Info implements sink.Sink.
func (s *Sink) Info() sink.Info { return sink.Info{Name: s.opts.Name, Version: s.opts.Version} }

// Close implements io.Closer.
func (s *Sink) Close() error { return s.store.Close() }

func dirOf(id sink.SetID) string { return path.Join(sink.SetsDir, sink.DirName(id)) }

// fault wraps an error of this sink. When ctx has ended, that is the cause.
func (s *Sink) fault(ctx context.Context, op, name string, err error) error {
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
		err = fmt.Errorf("%w (%w)", cause, err)
	}
	e := &sink.Error{Op: op, Path: s.store.Location() + "/" + name, Sink: s.opts.Name, Err: err}
	if errors.Is(err, os.ErrPermission) {
		e.Hint = "check the credentials, and what they allow"
	}
	return e
}

// Put implements sink.Sink.
func (s *Sink) Put(ctx context.Context, p sink.Part, src io.Reader) (sink.Receipt, error) {
	if err := sink.CheckPart(p); err != nil {
		return nil, s.fault(ctx, "put", p.Name, err)
	}
	dir := dirOf(p.ID())
	name := path.Join(dir, p.Name)
	switch _, err := s.stat(ctx, path.Join(dir, sink.SetFile)); {
	case err == nil:
		return nil, &sink.Error{Op: "put", Path: s.store.Location() + "/" + name, Sink: s.opts.Name,
			Err: sink.Permanent(fmt.Errorf("set %s is published already: %w", p.ID(), os.ErrExist))}
	case !errors.Is(err, os.ErrNotExist):
		return nil, s.fault(ctx, "put", name, err)
	}
	obj, err := s.upload(ctx, name, src)
	if err != nil {
		return nil, s.fault(ctx, "put", name, err)
	}
	r, err := json.Marshal(obj)
	return r, s.fault(ctx, "put", name, err)
}

// upload streams one part into the store.
func (s *Sink) upload(ctx context.Context, name string, src io.Reader) (Object, error) {
	uctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	in := newSource(src, s.opts.Verify, s.opts.Stall, cancel)
	obj, err := s.store.Put(uctx, name, in)
	in.stop()
	switch cause := context.Cause(uctx); {
	case in.err != nil:
		return obj, in.err
	case cause != nil:
		return obj, cause
	case err != nil:
		return obj, err
	case !in.ended:
		return obj, sink.ErrEarly
	case obj.Bytes != in.n:
		return obj, fmt.Errorf("%w: %d bytes were put, %d are there", sink.ErrCorrupt, in.n, obj.Bytes)
	}
	if s.opts.Verify {
		return obj, s.reread(ctx, name, in)
	}
	return obj, nil
}

// reread compares what is stored with what was put.
func (s *Sink) reread(ctx context.Context, name string, in *source) error {
	rc, err := s.open(ctx, name)
	if err != nil {
		return fmt.Errorf("read it again: %w", err)
	}
	back := newSource(rc, true, 0, nil)
	_, err = io.Copy(io.Discard, back)
	if cerr := rc.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("read it again: %w", err)
	}
	if back.n != in.n || !bytes.Equal(back.sum.Sum(nil), in.sum.Sum(nil)) {
		return fmt.Errorf("%w: what is read is not what was put", sink.ErrCorrupt)
	}
	return nil
}

// Publish implements sink.Sink. Publishing the very same set again is a
// success.
func (s *Sink) Publish(ctx context.Context, set sink.Set) error {
	dir := dirOf(set.ID)
	file := path.Join(dir, sink.SetFile)
	if ctx.Err() != nil {
		return s.fault(ctx, "publish", dir, context.Cause(ctx))
	}
	doc, err := sink.EncodeSet(set)
	if err != nil {
		return s.fault(ctx, "publish", dir, err)
	}
	if _, err := sink.DecodeSet(doc); err != nil {
		return s.fault(ctx, "publish", dir, sink.Permanent(fmt.Errorf("it could not be read back: %w", err)))
	}
	if err := s.checkParts(ctx, dir, set.Parts); err != nil {
		return err
	}
	_, err = try(ctx, s, "publish", file, func(ctx context.Context) (struct{}, error) {
		err := s.store.PutNew(ctx, file, doc)
		if !errors.Is(err, os.ErrExist) {
			return struct{}{}, err
		}
		// The same, when an earlier attempt succeeded without being told.
		old, rerr := s.readAll(ctx, file)
		if rerr != nil {
			return struct{}{}, rerr
		}
		if !bytes.Equal(old, doc) {
			return struct{}{}, sink.Permanent(fmt.Errorf("another set of this name is published: %w", os.ErrExist))
		}
		return struct{}{}, nil
	})
	return s.fault(ctx, "publish", file, err)
}

// checkParts makes sure that every part is the one that was put.
func (s *Sink) checkParts(ctx context.Context, dir string, parts []sink.SetPart) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(width)
	for i := range parts {
		sp := &parts[i]
		g.Go(func() error {
			name := path.Join(dir, sp.Part.Name)
			var put Object
			if len(sp.SinkReceipt) > 0 {
				if err := json.Unmarshal(sp.SinkReceipt, &put); err != nil {
					return s.fault(gctx, "publish", name, sink.Permanent(fmt.Errorf("the receipt is not one of this sink: %w", err)))
				}
			}
			obj, err := s.stat(gctx, name)
			switch {
			case err != nil:
			case obj.Bytes != sp.Bytes:
				err = fmt.Errorf("%w: %d bytes were put, %d are there", sink.ErrCorrupt, sp.Bytes, obj.Bytes)
			case put.ETag != "" && obj.ETag != put.ETag:
				err = fmt.Errorf("%w: it is not the one that was put (ETag %s, now %s)", sink.ErrCorrupt, put.ETag, obj.ETag)
			}
			return s.fault(ctx, "publish", name, err)
		})
	}
	return g.Wait()
}

// Open implements sink.Sink.
func (s *Sink) Open(ctx context.Context, p sink.Part, receipt sink.Receipt) (io.ReadCloser, error) {
	if err := sink.CheckPart(p); err != nil {
		return nil, s.fault(ctx, "open", p.Name, err)
	}
	name := path.Join(dirOf(p.ID()), p.Name)
	if r := s.openRanges(ctx, name, receipt); r != nil {
		return r, nil
	}
	rc, err := s.open(ctx, name)
	if err != nil {
		return nil, s.fault(ctx, "open", name, err)
	}
	return rc, nil
}
