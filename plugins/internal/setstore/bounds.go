package setstore

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/spillwaydb/spillway/core/sink"
)

// errSlow ends an attempt that takes too long.
var errSlow = sink.Transient(errors.New("no answer in time"))

// try makes a small operation, again if its failure may pass.
func try[T any](ctx context.Context, s *Sink, op, name string, f func(context.Context) (T, error)) (T, error) {
	return again(ctx, s, op, name, func() (T, error) {
		actx, cancel := context.WithTimeoutCause(ctx, s.opts.Timeout, fmt.Errorf("%w (%v)", errSlow, s.opts.Timeout))
		defer cancel()
		v, err := f(actx)
		return v, verdict(ctx, actx, err)
	})
}

// again makes attempts until one succeeds, its error is final (see verdict), or there
// were enough of them.
func again[T any](ctx context.Context, s *Sink, op, name string, attempt func() (T, error)) (T, error) {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval, wait.Multiplier = s.opts.Backoff, 10*time.Second, 2
	return backoff.Retry(ctx, attempt, backoff.WithBackOff(wait), backoff.WithMaxTries(uint(s.opts.Attempts)), backoff.WithMaxElapsedTime(0),
		backoff.WithNotify(func(err error, d time.Duration) {
			s.opts.Logger.Warn("a request failed; it is made again", "sink", s.opts.Name, "op", op, "path", name, "wait", d.Round(time.Millisecond).String(), "error", err)
		}))
}

// verdict says whether an attempt that ended with err is worth another.
func verdict(ctx, attempt context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return backoff.Permanent(err)
	case attempt.Err() != nil:
		return fmt.Errorf("%w: %w", context.Cause(attempt), err)
	case sink.IsPermanent(err), errors.Is(err, os.ErrNotExist), errors.Is(err, os.ErrExist), errors.Is(err, sink.ErrCorrupt), errors.Is(err, errors.ErrUnsupported):
		return backoff.Permanent(err)
	}
	return err
}

// open opens a file.
func (s *Sink) open(ctx context.Context, name string) (io.ReadCloser, error) {
	return s.openBy(ctx, name, func(ctx context.Context) (io.ReadCloser, error) {
		rc, _, err := s.store.Open(ctx, name)
		return rc, err
	})
}

// openBy opens a file, or a range of it, as fn does. An attempt's deadline does not
// bound the reading; a read that stands still does.
func (s *Sink) openBy(ctx context.Context, name string, fn func(context.Context) (io.ReadCloser, error)) (io.ReadCloser, error) {
	rctx, cancel := context.WithCancelCause(ctx)
	rc, err := try(rctx, s, "open", name, func(actx context.Context) (io.ReadCloser, error) {
		// What is opened lives with a context that the end of actx does not
		// end once it is open.
		octx, stop := context.WithCancelCause(rctx)
		unhook := context.AfterFunc(actx, func() { stop(context.Cause(actx)) })
		rc, err := fn(octx)
		if err == nil && !unhook() {
			_ = rc.Close()
			err = context.Cause(octx)
		}
		if err != nil {
			unhook()
			stop(nil)
			return nil, err
		}
		return &opened{rc: rc, stop: stop}, nil
	})
	if err != nil {
		cancel(nil)
		return nil, err
	}
	o := rc.(*opened)
	o.ctx, o.cancel, o.stall = rctx, cancel, s.opts.Stall
	o.timer = time.AfterFunc(o.stall, func() { cancel(stalled(o.stall)) })
	o.timer.Stop()
	return o, nil
}

func stalled(d time.Duration) error {
	return sink.Transient(fmt.Errorf("nothing moved for %v", d))
}

// opened is a file being read.
type opened struct {
	rc     io.ReadCloser
	stop   context.CancelCauseFunc
	ctx    context.Context
	cancel context.CancelCauseFunc
	stall  time.Duration
	timer  *time.Timer
	once   sync.Once
}

// Read implements io.Reader.
func (o *opened) Read(b []byte) (int, error) {
	o.timer.Reset(o.stall)
	n, err := o.rc.Read(b)
	o.timer.Stop()
	switch err { //nolint:errorlint // a reader's end is not wrapped
	case nil, io.EOF:
		return n, err
	}
	if cause := context.Cause(o.ctx); cause != nil {
		err = fmt.Errorf("%w (%w)", cause, err)
	}
	return n, err
}

// Close implements io.Closer.
func (o *opened) Close() (err error) {
	o.once.Do(func() {
		o.timer.Stop()
		err = o.rc.Close()
		o.stop(nil)
		o.cancel(nil)
	})
	return err
}

// source is a part on its way into a store. It counts, hashes on demand, knows
// how it ended, and has the upload cancelled when the store stands still.
type source struct {
	src   io.Reader
	sum   hash.Hash // nil without demand
	n     int64
	ended bool  // src is at its end
	err   error // or failed
	stall time.Duration
	timer *time.Timer // nil: not watched
}

func newSource(src io.Reader, hashed bool, stall time.Duration, cancel context.CancelCauseFunc) *source {
	s := &source{src: src, stall: stall}
	if hashed {
		s.sum = sha256.New()
	}
	if cancel != nil {
		s.timer = time.AfterFunc(stall, func() { cancel(stalled(stall)) })
	}
	return s
}

// Read implements io.Reader. The time that src takes is not the store's.
func (s *source) Read(b []byte) (int, error) {
	switch {
	case s.err != nil:
		return 0, s.err
	case s.ended:
		return 0, io.EOF
	}
	if s.timer != nil {
		s.timer.Stop()
	}
	n, err := s.src.Read(b)
	if s.timer != nil {
		s.timer.Reset(s.stall)
	}
	s.n += int64(n)
	if s.sum != nil {
		s.sum.Write(b[:n])
	}
	if err == io.EOF {
		s.ended = true
	} else {
		s.err = err
	}
	return n, err
}

func (s *source) stop() {
	if s.timer != nil {
		s.timer.Stop()
	}
}
