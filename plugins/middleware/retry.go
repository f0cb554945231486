package middleware

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/hashicorp/go-hclog"

	"github.com/spillwaydb/spillway/core/sink"
)

// Policy bounds Retry.
type Policy struct {
	// Attempts is how often a call is made at most; less than 2 is once.
	Attempts int
	// Backoff is the wait after the first failure; it doubles, with jitter,
	// up to MaxBackoff. 0 means 100 ms and 10 s.
	Backoff, MaxBackoff time.Duration
	// Logger gets a line for each repetition; nil discards.
	Logger hclog.Logger
}

// Retry makes a call again that failed with an error which is not permanent, as
// long as it has not begun to read or write: a plugin that had died meanwhile,
// a publication with an unknown outcome. A job whose bytes have flowed is never
// repeated here, and neither is what a plugin's component has answered with an
// error of its own, one with a method Answered that says true: it knows best
// what is worth another attempt, and has made it.
func Retry(p Policy) Interceptor {
	if p.Logger == nil {
		p.Logger = hclog.NewNullLogger()
	}
	if p.Backoff <= 0 {
		p.Backoff = 100 * time.Millisecond
	}
	if p.MaxBackoff <= 0 {
		p.MaxBackoff = 10 * time.Second
	}
	return func(ctx context.Context, c *Call, next func(context.Context) error) error {
		wait := backoff.NewExponentialBackOff()
		wait.InitialInterval, wait.MaxInterval, wait.Multiplier = p.Backoff, p.MaxBackoff, 2
		for attempt := 1; ; attempt++ {
			err := next(ctx)
			if err == nil || attempt >= p.Attempts || c.Touched() || sink.IsPermanent(err) || isAnswer(err) || ctx.Err() != nil {
				return err
			}
			d := wait.NextBackOff()
			p.Logger.Warn("a call failed before it began; it is made again", "op", c.Op, "path", c.Path, "attempt", attempt, "wait", d.Round(time.Millisecond).String(), "error", err)
			timer := time.NewTimer(d)
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
				return err
			}
		}
	}
}

func isAnswer(err error) bool {
	var a interface{ Answered() bool }
	return errors.As(err, &a) && a.Answered()
}
