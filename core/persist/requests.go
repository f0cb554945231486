package persist

import (
	"context"

	"github.com/spillwaydb/spillway/core/sink"
)

// Begin starts a checkpoint of the kind, unless one is in flight, and returns a
// channel that gets its outcome. The end of ctx cancels it. why is for the log.
func (p *Persister) Begin(ctx context.Context, kind sink.Kind, why string) (<-chan error, error) {
	return p.start(ctx, kind, why, false)
}

// Ended is closed when the job in flight has ended, and now if there is none.
func (p *Persister) Ended() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.job == nil {
		return closed
	}
	return p.job.ended
}

// closed is what nothing has to wait for.
var closed = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// InFlight is the kind of the job in flight, "" if there is none.
func (p *Persister) InFlight() sink.Kind {
	if j := p.inFlight(); j != nil {
		return j.kind
	}
	return ""
}

// Schedule remembers a kind to start when the job in flight ends; when that
// has just ended, it starts now.
func (p *Persister) Schedule(kind sink.Kind) {
	p.mu.Lock()
	if p.job != nil {
		p.scheduled = kind
		p.mu.Unlock()
		return
	}
	p.mu.Unlock()
	if _, err := p.start(context.Background(), kind, "scheduled", false); err != nil {
		p.jobLog.Warn("scheduled checkpoint not started", "kind", kind, "error", err)
	}
}

// Cancel ends the job in flight, if any, and waits until it is rolled back.
func (p *Persister) Cancel(why string) {
	p.mu.Lock()
	j := p.job
	p.scheduled = ""
	if j == nil {
		p.mu.Unlock()
		return
	}
	out := make(chan error, 1)
	j.waiters = append(j.waiters, out)
	j.given = true
	j.cancel()
	p.mu.Unlock()
	p.jobLog.Info("checkpoint cancelled", "job", j.id, "why", why)
	<-out //nolint:errcheck // finish has logged it; it may even have been committed
}
