package host

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/spillwaydb/spillway/core/sink"
)

// Options tune a Host. The zero value is usable.
type Options struct {
	// Logger gets what the plugins log, and what happens to them; nil
	// discards.
	Logger hclog.Logger
	// Dir is where the private directory for sockets is made; "" means the
	// system's for temporary files. Its name must be short: a socket's path
	// has at most 100 characters.
	Dir string
	// HealthEvery is how often a running plugin is asked for a sign of life,
	// HealthTimeout how long it may take. 0 means 5 s and 10 s.
	HealthEvery, HealthTimeout time.Duration
	// CancelGrace is how long a plugin may go on with a call that was
	// cancelled before it is killed. 0 means 5 s, which is less than what a
	// sink.Pipeline waits.
	CancelGrace time.Duration
	// ExitTimeout is how long a plugin may take to exit when it is asked to.
	// 0 means 5 s.
	ExitTimeout time.Duration
}

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = hclog.NewNullLogger()
	}
	for _, d := range []struct {
		v   *time.Duration
		def time.Duration
	}{{&o.HealthEvery, 5 * time.Second}, {&o.HealthTimeout, 10 * time.Second}, {&o.CancelGrace, 5 * time.Second}, {&o.ExitTimeout, 5 * time.Second}} {
		if *d.v <= 0 {
			*d.v = d.def
		}
	}
	return o
}

// Host runs plugins. Its methods are safe for concurrent use.
type Host struct {
	opts  Options
	dir   *privateDir
	lives atomic.Uint64 // processes started, for names

	mu      sync.Mutex
	plugins []*Plugin        // what Plugins returns
	live    map[*Plugin]bool // made and not ended
	closed  bool
}

// New returns a host without plugins. Close it, or its processes and directory
// stay until the host's process ends.
func New(opts Options) (*Host, error) {
	opts = opts.withDefaults()
	dir, err := newPrivateDir(opts.Dir)
	if err != nil {
		return nil, err
	}
	return &Host{opts: opts, dir: dir, live: make(map[*Plugin]bool)}, nil
}

// Add makes a plugin known and starts nothing. The name must be new.
func (h *Host) Add(spec Spec) (*Plugin, error) {
	p, err := h.Make(spec)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if slices.ContainsFunc(h.plugins, func(o *Plugin) bool { return o.Name() == p.Name() }) {
		delete(h.live, p)
		return nil, sink.Permanent(fmt.Errorf("there are two plugins %q", spec.Name))
	}
	h.plugins = append(h.plugins, p)
	return p, nil
}

// Make makes a plugin that is not among Plugins until Put names it: it may be called
// as one is that is still there, which it is to take the place of.
func (h *Host) Make(spec Spec) (*Plugin, error) {
	spec = spec.withDefaults()
	if !validName.MatchString(spec.Name) {
		return nil, sink.Permanent(fmt.Errorf("%q cannot be the name of a plugin: want letters, digits, - and _", spec.Name))
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, errClosed
	}
	p := newPlugin(h, spec)
	h.live[p] = true
	return p, nil
}

// Put makes these, which the host has made, the ones that Plugins returns. The others
// go on until they are closed.
func (h *Host) Put(plugins []*Plugin) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.plugins = slices.Clone(plugins)
}

// Plugins are the plugins in the order in which they were added.
func (h *Host) Plugins() []*Plugin {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.plugins)
}

// Close ends every plugin: calls that run may finish until ctx ends, further
// ones are refused. No process and no file is left when it returns.
func (h *Host) Close(ctx context.Context) error {
	h.mu.Lock()
	again := h.closed
	h.closed = true
	plugins := slices.Collect(maps.Keys(h.live))
	h.mu.Unlock()
	var wg sync.WaitGroup
	for _, p := range plugins {
		wg.Go(func() { p.close(ctx) })
	}
	wg.Wait()
	if again {
		return nil
	}
	if err := h.dir.remove(); err != nil {
		return fmt.Errorf("removing the plugins' sockets: %w", err)
	}
	return nil
}
