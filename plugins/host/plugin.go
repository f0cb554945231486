package host

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/hashicorp/go-hclog"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/plugins/internal/wire"
	pluginpb "github.com/spillwaydb/spillway/plugins/proto"
)

// Plugin is a plugin through all its processes. Its methods are safe for
// concurrent use.
type Plugin struct {
	host   *Host
	spec   Spec
	log    hclog.Logger
	redact *redactor

	life context.Context // until the host closes it
	end  context.CancelFunc

	mu        sync.Mutex
	current   *process      // nil when none runs
	starting  chan struct{} // closed when the start in flight is over; nil without one
	starts    int           // processes that came up
	failures  int           // in a row: failed starts, and processes that ended by themselves
	notBefore time.Time     // of the next start
	last      error         // the last failure
	since     time.Time     // of the current state
	wait      *backoff.ExponentialBackOff
	keep      bool // a process that ended is replaced at once
	work      sync.WaitGroup
}

func newPlugin(h *Host, spec Spec) *Plugin {
	p := &Plugin{
		host: h, spec: spec, redact: newRedactor(spec.Env), since: time.Now(),
		log: h.opts.Logger.Named("plugin").Named(spec.Name),
	}
	p.life, p.end = context.WithCancel(context.Background())
	p.wait = backoff.NewExponentialBackOff()
	p.wait.InitialInterval = spec.Restart.Backoff
	p.wait.MaxInterval = spec.Restart.MaxBackoff
	p.wait.Multiplier = 2
	p.wait.RandomizationFactor = 0.5
	return p
}

// Name is the name in the configuration.
func (p *Plugin) Name() string { return p.spec.Name }

// Spec is what the plugin was added with, defaults filled in.
func (p *Plugin) Spec() Spec { return p.spec }

// Start starts the plugin unless it runs; what Start began is kept up: a
// process that ends by itself is replaced without waiting for the next use.
func (p *Plugin) Start(ctx context.Context) error {
	_, err := p.acquire(ctx)
	if err == nil {
		p.mu.Lock()
		p.keep = true
		p.mu.Unlock()
	}
	return err
}

// Component is one thing a plugin offers.
type Component struct {
	// Kind is "stage" or "sink".
	Kind string
	// Name is what chooses it.
	Name string
}

// Offers starts the plugin if necessary and tells what it offers.
func (p *Plugin) Offers(ctx context.Context) ([]Component, error) {
	pr, err := p.acquire(ctx)
	if err != nil {
		return nil, err
	}
	var out []Component
	for _, c := range pr.offers {
		out = append(out, Component{Kind: wire.KindName(c.GetKind()), Name: c.GetName()})
	}
	return out, nil
}

// Ping starts the plugin if necessary, and returns how long it took to answer.
func (p *Plugin) Ping(ctx context.Context) (time.Duration, error) {
	pr, err := p.acquire(ctx)
	if err != nil {
		return 0, err
	}
	begin := time.Now()
	if _, err := pr.health(p.host.opts.HealthTimeout); err != nil {
		return 0, p.errorf("does not answer: %w", pr.words(err))
	}
	return time.Since(begin), nil
}

// Status is what a plugin is doing.
type Status struct {
	// State is "idle" (never started, or ended and not needed), "starting",
	// "running", "failing" (the last start or process failed) or "closed".
	State string
	// Since is when the state began.
	Since time.Time
	// PID of the running process, 0 without one.
	PID int
	// Starts is how many processes came up.
	Starts int
	// Failures in a row.
	Failures int
	// LastError is the last failure, nil if there was none.
	LastError error
}

// Status returns what the plugin is doing at the moment.
func (p *Plugin) Status() Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := Status{State: "idle", Since: p.since, Starts: p.starts, Failures: p.failures, LastError: p.last}
	switch {
	case p.life.Err() != nil:
		s.State = "closed"
	case p.current != nil:
		s.State, s.PID = "running", p.current.run.processID()
	case p.starting != nil:
		s.State = "starting"
	case p.failures > 0:
		s.State = "failing"
	}
	return s
}

// acquire returns the running process, after starting one if there is none. One
// call makes at most one start; it waits for the backoff of earlier failures.
func (p *Plugin) acquire(ctx context.Context) (*process, error) {
	tried := false
	for {
		if err := ctx.Err(); err != nil {
			return nil, p.errorf("waiting for its start: %w", context.Cause(ctx))
		}
		p.mu.Lock()
		switch wait := time.Until(p.notBefore); {
		case p.life.Err() != nil:
			p.mu.Unlock()
			return nil, sink.Transient(p.errorf("%w", errClosed))
		case p.current != nil:
			defer p.mu.Unlock()
			return p.current, nil
		case p.starting != nil:
			over := p.starting
			p.mu.Unlock()
			tried = true
			select {
			case <-over:
			case <-ctx.Done():
			}
		case tried:
			defer p.mu.Unlock()
			return nil, p.last
		case wait > 0 && (p.failures >= p.spec.Restart.MaxAttempts || sink.IsPermanent(p.last)):
			defer p.mu.Unlock()
			return nil, fmt.Errorf("%w (failure %d in a row; the next start is in %s)", p.last, p.failures, wait.Round(time.Millisecond))
		case wait > 0:
			p.mu.Unlock()
			timer := time.NewTimer(wait)
			select {
			case <-timer.C:
			case <-ctx.Done():
			case <-p.life.Done():
			}
			timer.Stop()
		default:
			p.begin()
			p.mu.Unlock()
		}
	}
}

// begin starts a process in the background; the caller holds mu. It is nobody's
// call: one that is cancelled does not take the start away from the others.
func (p *Plugin) begin() {
	over := make(chan struct{})
	p.starting, p.since = over, time.Now()
	p.work.Go(func() {
		ctx, cancel := context.WithTimeoutCause(p.life, p.spec.Timeout,
			fmt.Errorf("it takes longer than %s: %w", p.spec.Timeout, context.DeadlineExceeded))
		defer cancel()
		pr, err := startProcess(ctx, p)
		p.mu.Lock()
		defer p.mu.Unlock()
		defer close(over)
		p.starting, p.since = nil, time.Now()
		if err != nil {
			p.failed(err)
			return
		}
		p.current = pr
		p.starts++
		p.log.Info("plugin started", "pid", pr.run.ID(), "offers", strings.Join(describe(pr.offers), ", "))
	})
}

// failed counts a failure; the caller holds mu.
func (p *Plugin) failed(err error) {
	p.last = err
	p.failures++
	wait := p.wait.NextBackOff()
	if p.failures >= p.spec.Restart.MaxAttempts {
		wait = p.spec.Restart.MaxBackoff
	}
	p.notBefore = time.Now().Add(wait)
	if p.life.Err() == nil {
		p.log.Error("plugin failed", "error", err, "failures_in_a_row", p.failures, "next_start_in", wait.Round(time.Millisecond).String())
	}
}

// ended is told by a process that it is gone.
func (p *Plugin) ended(pr *process, reason error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current == pr {
		p.current = nil
	}
	p.since = time.Now()
	if errors.Is(reason, errClosed) {
		p.log.Info("plugin ended", "pid", pr.run.ID())
		return
	}
	p.failed(reason)
	if p.keep && p.life.Err() == nil {
		p.work.Go(p.keepUp)
	}
}

// keepUp replaces a process that ended, until one is up.
func (p *Plugin) keepUp() {
	for p.life.Err() == nil {
		if _, err := p.acquire(p.life); err == nil {
			return
		}
		p.mu.Lock()
		wait := time.Until(p.notBefore)
		p.mu.Unlock()
		timer := time.NewTimer(max(wait, p.spec.Restart.Backoff))
		select {
		case <-timer.C:
		case <-p.life.Done():
		}
		timer.Stop()
	}
}

// worked forgets earlier failures: a call went well.
func (p *Plugin) worked() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failures > 0 {
		p.failures = 0
		p.wait.Reset()
	}
}

// Close ends the plugin: calls that run may finish until ctx ends, further ones are
// refused.
func (p *Plugin) Close(ctx context.Context) {
	p.close(ctx)
	p.host.mu.Lock()
	defer p.host.mu.Unlock()
	delete(p.host.live, p)
}

// close ends the plugin; see Host.Close.
func (p *Plugin) close(ctx context.Context) {
	p.mu.Lock()
	p.end()
	pr := p.current
	p.mu.Unlock()
	p.work.Wait() // a start in flight gives up
	p.mu.Lock()
	if pr == nil {
		pr = p.current // it came up just then
	}
	p.mu.Unlock()
	if pr != nil {
		pr.stop(ctx)
	}
}

// choose finds the component of a kind that a block means: the one it names,
// or the one called like the block, or the only one.
func choose(offers []*pluginpb.Component, kind pluginpb.Kind, component, label string) (string, error) {
	var of []string
	for _, c := range offers {
		if c.GetKind() == kind {
			of = append(of, c.GetName())
		}
	}
	for _, name := range of {
		if name == component || (component == "" && name == label) {
			return name, nil
		}
	}
	switch {
	case component == "" && len(of) == 1:
		return of[0], nil
	case len(of) == 0:
		return "", fmt.Errorf("offers no %s, but %s", wire.KindName(kind), strings.Join(describe(offers), ", "))
	case component == "":
		return "", fmt.Errorf("offers several: write %s = %q, or another of %s", wire.KindName(kind), of[0], strings.Join(of, ", "))
	}
	return "", fmt.Errorf("offers no %s %q, but %s", wire.KindName(kind), component, strings.Join(describe(offers), ", "))
}

func describe(offers []*pluginpb.Component) []string {
	var out []string
	for _, c := range offers {
		out = append(out, wire.KindName(c.GetKind())+" "+c.GetName())
	}
	return out
}
