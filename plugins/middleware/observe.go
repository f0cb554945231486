package middleware

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
)

// Log writes a line at debug level when a call is over. Errors are the caller's
// to report; here they are only part of the line.
func Log(log hclog.Logger) Interceptor {
	return func(ctx context.Context, c *Call, next func(context.Context) error) error {
		if !log.IsDebug() {
			return next(ctx)
		}
		begin := time.Now()
		err := next(ctx)
		c.atEnd(err, func() {
			args := []any{"op", c.Op, "path", c.Path, "took", time.Since(begin).String(), "bytes_in", c.In(), "bytes_out", c.Out()}
			if err != nil {
				args = append(args, "error", err)
			}
			log.Debug("call", args...)
		})
		return err
	}
}

// Counters count the calls of one stage or sink.
type Counters struct {
	calls, running, errors, in, out, nanos atomic.Int64
}

// Counts is a snapshot of Counters.
type Counts struct {
	// Calls that were begun, those that are Running, and those that ended
	// with Errors.
	Calls, Running, Errors int64
	// BytesIn and BytesOut of calls that are over.
	BytesIn, BytesOut int64
	// Time is what the calls that are over took, waiting included.
	Time time.Duration
}

// Counts returns what was counted so far.
func (n *Counters) Counts() Counts {
	return Counts{
		Calls: n.calls.Load(), Running: n.running.Load(), Errors: n.errors.Load(),
		BytesIn: n.in.Load(), BytesOut: n.out.Load(), Time: time.Duration(n.nanos.Load()),
	}
}

// Count counts calls into n, which several stages or sinks may share.
func Count(n *Counters) Interceptor {
	return func(ctx context.Context, c *Call, next func(context.Context) error) error {
		begin := time.Now()
		n.calls.Add(1)
		n.running.Add(1)
		err := next(ctx)
		c.atEnd(err, func() {
			n.running.Add(-1)
			n.in.Add(c.In())
			n.out.Add(c.Out())
			n.nanos.Add(int64(time.Since(begin)))
			if err != nil {
				n.errors.Add(1)
			}
		})
		return err
	}
}
