package main

import (
	"maps"
	"slices"
	"sync"

	"github.com/spf13/pflag"

	"github.com/spillwaydb/spillway/cmd/spillway/config"
	"github.com/spillwaydb/spillway/cmd/spillway/status"
	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/plugins/middleware"
)

// rates are the bounds on what goes to and comes from sinks. There is one for each name
// of a sink, which both pipelines share, and one for the archive as a whole. What is
// limited keeps its rate through reloads, which only set it.
type rates struct {
	mu      sync.Mutex
	sinks   map[string]*middleware.Rate
	archive *middleware.Rate
}

func newRates() *rates {
	return &rates{sinks: make(map[string]*middleware.Rate), archive: middleware.NewRate(core.SystemClock{})}
}

// of returns the rate of a sink. It has no bound until one is set.
func (r *rates) of(name string) *middleware.Rate {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sinks[name] == nil {
		r.sinks[name] = middleware.NewRate(core.SystemClock{})
	}
	return r.sinks[name]
}

// set puts the bounds of a configuration in force, for what is under way too.
func (r *rates) set(cfg *config.Config) {
	for name, n := range cfg.Rates() {
		r.of(name).Set(n)
	}
	r.archive.Set(cfg.Archive.Rate)
}

// limits are the decorators of a sink.
func (r *rates) limits(pl *config.Pipeline, name string) []middleware.Interceptor {
	out := []middleware.Interceptor{middleware.Limit(r.of(name))}
	if pl.Archives() {
		out = append(out, middleware.Limit(r.archive))
	}
	return out
}

// report is how the bounds of a configuration have held up what passes. A sink without
// one is not shown.
func (r *rates) report(cfg *config.Config) (out []status.Rate) {
	add := func(name string, of *middleware.Rate) {
		if n := of.PerSecond(); n > 0 {
			bytes, waited := of.Counts()
			out = append(out, status.Rate{Sink: name, BytesPerSecond: n, Bytes: bytes, WaitedSeconds: waited.Seconds()})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.Rates())) {
		add(name, r.of(name))
	}
	add("archive.*", r.archive)
	return out
}

// rateFlag is --rate of a tool: what it reads, or nil to read as fast as it can be had.
type rateFlag struct{ rate *middleware.Rate }

// Set implements pflag.Value.
func (f *rateFlag) Set(v string) error {
	n, err := config.ParseRate(v)
	if err == nil {
		f.rate = middleware.NewRate(core.SystemClock{})
		f.rate.Set(n)
	}
	return err
}

// String implements pflag.Value.
func (f *rateFlag) String() string {
	if f.rate == nil {
		return ""
	}
	return config.FormatRate(f.rate.PerSecond())
}

// Type implements pflag.Value.
func (f *rateFlag) Type() string { return "RATE" }

func (f *rateFlag) register(flags *pflag.FlagSet, help string) {
	flags.Var(f, "rate", help+" at most so many bytes a second, as in 50MB/s or 512KiB/s; 0 is no bound")
}
