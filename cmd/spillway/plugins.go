package main

import (
	"context"
	"fmt"
	"io"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/spillwaydb/spillway/cmd/spillway/config"
	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/plugins/host"
	"github.com/spillwaydb/spillway/plugins/middleware"
)

// pluginDrain is how long the end of the daemon waits for calls of plugins.
const pluginDrain = 10 * time.Second

// plugged are the plugins of a configuration, what uses them, and the other stages and
// sinks. One that follows another, at a reload, shares with it what both have.
type plugged struct {
	host    *host.Host // nil without plugins
	plugins map[string]config.Plugin
	added   map[string]*host.Plugin
	logs    *pluginLogs
	stages  map[string]*use // by name
	sinks   map[string]*use
	made    map[string]made // the members of the pipelines, by name
	closers []io.Closer
	uses    []*use // all of them, in the order of the configuration
	watch   *sinkWatch
	rates   *rates
}

// made is a member of a pipeline.
type made struct {
	identity string // of its configuration
	stage    sink.Stage
	sink     sink.Sink
	closer   io.Closer // of a sink that is built in; or nil
	counters *middleware.Counters
}

// use is a stage or a sink of a plugin.
type use struct {
	kind, name, plugin string
	required           bool
	identity           string       // of its configuration
	stage              *pluginStage // one of the two
	sink               sink.Sink
	counters           *middleware.Counters
	old                bool // it was there before the reload that this is made for
}

// pluginStage is a stage of a plugin whose Info starts nothing: the engine asks
// for names before it listens, and a plugin may take its time. All but the name
// is there once the plugin was checked, which is before anything is read or
// written.
type pluginStage struct {
	sink.Stage
	name    string
	checked atomic.Bool
}

// Info implements sink.Stage.
func (s *pluginStage) Info() sink.Info {
	if !s.checked.Load() {
		return sink.Info{Name: s.name}
	}
	return s.Stage.Info()
}

// checker is what the host's stages and sinks are as well.
type checker interface{ Check(context.Context) error }

// check starts and configures what is missing.
func (u *use) check(ctx context.Context) error {
	if u.stage == nil {
		return u.sink.(checker).Check(ctx)
	}
	err := u.stage.Stage.(checker).Check(ctx)
	if err == nil {
		u.stage.checked.Store(true)
	}
	return err
}

// plug makes the plugins known to a host. It starts none: boot does. before is what it
// follows, nil for nothing: a plugin whose block is the same goes on, and so does what
// uses it in the same way.
func plug(cfg *config.Config, log hclog.InterceptLogger, before *plugged) (*plugged, error) {
	p := &plugged{
		plugins: make(map[string]config.Plugin), added: make(map[string]*host.Plugin),
		stages: make(map[string]*use), sinks: make(map[string]*use), made: make(map[string]made),
	}
	if before == nil {
		before = &plugged{watch: newSinkWatch(), rates: newRates()}
		before.rates.set(cfg)
	}
	p.watch, p.rates = before.watch, before.rates
	if p.host, p.logs = before.host, before.logs; p.host == nil && len(cfg.Plugins) > 0 {
		h, err := host.New(host.Options{Logger: log})
		if err != nil {
			return nil, err
		}
		p.host, p.logs = h, newPluginLogs(log.GetLevel)
		log.RegisterSink(p.logs)
	}
	for _, c := range cfg.Plugins {
		p.plugins[c.Name] = c
		p.logs.add(c.Name)
		if old, there := before.plugins[c.Name]; there && reflect.DeepEqual(old.Spec, c.Spec) {
			p.added[c.Name] = before.added[c.Name]
			continue
		}
		pl, err := p.host.Make(c.Spec)
		if err != nil {
			p.closeAllBut(before, log)
			return nil, err
		}
		p.added[c.Name] = pl
	}
	for _, pl := range cfg.Pipelines() {
		for _, c := range pl.Stages {
			if u := c.Plugin; u != nil {
				p.reuse(p.stages, before.stages, before, member(pl, c.Name), func() *use {
					return &use{stage: &pluginStage{name: c.Name, Stage: p.added[u.Plugin].Stage(c.Name, u.Component, u.Config)}}
				}, use{kind: "stage", name: pl.Shown(c.Name), plugin: u.Plugin, required: true, identity: c.Identity(cfg.Plugins)})
			}
		}
		for _, m := range pl.Mirrors {
			if u := m.Plugin; u != nil {
				p.reuse(p.sinks, before.sinks, before, member(pl, m.Name), func() *use {
					return &use{sink: p.added[u.Plugin].Sink(m.Name, u.Component, u.Config)}
				}, use{kind: "sink", name: pl.Shown(m.Name), plugin: u.Plugin, required: m.Required, identity: m.Identity(cfg.Plugins)})
			}
		}
	}
	if before.host == nil {
		p.show(cfg)
	}
	return p, nil
}

// reuse notes a use of a plugin by a member of a pipeline: what is made of it is what
// was, if that was the same.
func (p *plugged) reuse(in, were map[string]*use, before *plugged, member string, mk func() *use, is use) {
	old := were[member]
	var u *use
	if old != nil && old.identity == is.identity && p.added[is.plugin] == before.added[is.plugin] {
		u = &use{stage: old.stage, sink: old.sink, counters: old.counters, old: true}
	} else {
		u = mk()
		u.counters = new(middleware.Counters)
	}
	u.kind, u.name, u.plugin, u.required, u.identity = is.kind, is.name, is.plugin, is.required, is.identity
	in[member] = u
	p.uses = append(p.uses, u)
}

// show makes the plugins those that the host lists.
func (p *plugged) show(cfg *config.Config) {
	if p.host == nil {
		return
	}
	var list []*host.Plugin
	for _, c := range cfg.Plugins {
		list = append(list, p.added[c.Name])
	}
	p.host.Put(list)
}

// member is what a stage or a sink is called here: the pipelines may use the
// same names, for different things.
func member(pl *config.Pipeline, name string) string { return pl.Name + "/" + name }

// pipeline makes the stages and the targets of a pipeline, with the same decorators
// around those that are built in, on filesystems and in plugins. What before has made
// of the same configuration is taken from there.
func (p *plugged) pipeline(pl *config.Pipeline, plugins []config.Plugin, before *plugged, log hclog.Logger) (stages []sink.Stage, targets []sink.Target, err error) {
	for _, c := range pl.Stages {
		m := p.member(member(pl, c.Name), c.Identity(plugins), before)
		if m.stage == nil {
			s, deadline := c.BuiltIn, time.Duration(0)
			m.counters = new(middleware.Counters)
			if u := p.stages[member(pl, c.Name)]; u != nil {
				s, m.counters, deadline = u.stage, u.counters, p.plugins[u.plugin].Timeout
			}
			m.stage = middleware.Stage(s, p.around(log.Named("stage").Named(c.Name), m.counters, c.Plugin, deadline)...)
		}
		p.made[member(pl, c.Name)] = m
		stages = append(stages, m.stage)
	}
	for _, c := range pl.Mirrors {
		m := p.member(member(pl, c.Name), c.Identity(plugins), before)
		if m.sink == nil {
			s, err := p.makeSink(pl, c, log)
			if err != nil {
				return nil, nil, err
			}
			m.counters = new(middleware.Counters)
			deadline := time.Duration(0)
			if u := p.sinks[member(pl, c.Name)]; u != nil {
				m.counters = u.counters
			} else {
				m.closer, _ = s.(io.Closer)
			}
			if c.Plugin != nil || c.Make != nil {
				deadline = c.Timeout
			}
			around := p.around(log.Named("sink").Named(c.Name), m.counters, c.Plugin, deadline)
			s = middleware.Sink(s, append(p.rates.limits(pl, c.Name), around...)...)
			m.sink = p.watch.around(pl.Name, c.Name, s)
		}
		p.made[member(pl, c.Name)] = m
		targets = append(targets, sink.Target{Name: c.Name, Sink: m.sink, Required: c.Required, Timeout: c.Timeout, Keep: c.Keep})
	}
	return stages, targets, nil
}

// member is what before has made of the same configuration. A plugin that is another one
// makes another member: its block is a part of the identity.
func (p *plugged) member(name, identity string, before *plugged) made {
	if before != nil && before.made[name].identity == identity {
		return before.made[name]
	}
	return made{identity: identity}
}

// pipelines makes both pipelines of the configuration.
func (p *plugged) pipelines(cfg *config.Config, before *plugged, log hclog.Logger) (out core.Pipelines, err error) {
	out.Keep, out.VerifyDecode = cfg.Check.Keep, cfg.Check.Verify
	if out.Stages, out.Targets, err = p.pipeline(&cfg.Check, cfg.Plugins, before, log); err != nil {
		return out, err
	}
	out.Archive.SealAfter, out.Archive.SealSize = cfg.Archive.SealAfter, cfg.Archive.SealSize
	out.Archive.Stages, out.Archive.Targets, err = p.pipeline(&cfg.Archive.Pipeline, cfg.Plugins, before, log)
	return out, err
}

// makeSink makes a sink beside the data directory.
func (p *plugged) makeSink(pl *config.Pipeline, m config.Mirror, log hclog.Logger) (sink.Sink, error) {
	if u := p.sinks[member(pl, m.Name)]; u != nil {
		return u.sink, nil
	}
	if m.Make == nil {
		return openMirror(m, log)
	}
	s, err := m.Make(m.Name, log.Named("sink").Named(m.Name))
	if err != nil {
		return nil, fmt.Errorf("sink %q: %w", m.Name, err)
	}
	return s, nil
}

// open is makeSink for a tool: the sink is closed at the end. rate is in place of the
// one that the configuration has for it, nil to leave it at that.
func (p *plugged) open(pl *config.Pipeline, m config.Mirror, rate *middleware.Rate, log hclog.Logger) (sink.Sink, error) {
	s, err := p.makeSink(pl, m, log)
	if err != nil {
		return nil, err
	}
	if c, ok := s.(io.Closer); ok && m.Plugin == nil {
		p.closers = append(p.closers, c)
	}
	if rate != nil {
		return middleware.Sink(s, middleware.Limit(rate)), nil
	}
	return middleware.Sink(s, p.rates.limits(pl, m.Name)...), nil
}

// openMirror makes a sink on a filesystem. One that is required must be there.
func openMirror(m config.Mirror, log hclog.Logger) (sink.Sink, error) {
	s := &mirror{name: m.Name, fs: m.FS}
	if _, err := s.open(); err != nil && m.Required {
		return nil, err
	} else if err != nil {
		log.Warn("a best-effort sink is not there yet", "error", err)
	}
	return s, nil
}

// around are the decorators of a stage or a sink. deadline is how long it may do
// nothing; 0 is for what cannot hang: a stage in process, a sink on a
// filesystem. What is built in makes its requests again by itself.
func (p *plugged) around(log hclog.Logger, n *middleware.Counters, u *config.Use, deadline time.Duration) []middleware.Interceptor {
	retry := middleware.Policy{Attempts: 1, Logger: log}
	if u != nil {
		r := p.plugins[u.Plugin].Restart
		retry.Attempts, retry.Backoff, retry.MaxBackoff = r.MaxAttempts, r.Backoff, r.MaxBackoff
	}
	return []middleware.Interceptor{middleware.Count(n), middleware.Log(log), middleware.Retry(retry), middleware.Deadline(deadline)}
}

// boot starts the plugins that are to run from the start, and has them make the
// stages and sinks they are used for. Stages are always needed at a start: what
// is stored went through them. It fails if one fails that a checkpoint cannot do
// without. What was there before a reload is left as it is.
func (p *plugged) boot(ctx context.Context, log hclog.Logger) error {
	errs := make([]error, len(p.uses))
	used := make(map[string]bool)
	var wg sync.WaitGroup
	for i, u := range p.uses {
		used[u.plugin] = true
		if !u.old && (u.kind == "stage" || p.plugins[u.plugin].AtBoot) {
			wg.Go(func() { errs[i] = u.check(ctx) })
		}
	}
	for name, pl := range p.added {
		if p.plugins[name].AtBoot {
			wg.Go(func() {
				if err := pl.Start(ctx); err != nil && !used[name] {
					log.Warn("a plugin that nothing uses does not start", "error", err)
				}
			})
		}
	}
	wg.Wait()
	for i, u := range p.uses {
		if errs[i] == nil {
			continue
		}
		err := fmt.Errorf("%s %q: %w", u.kind, u.name, errs[i])
		if u.required {
			return err
		}
		log.Warn("a best-effort sink is not there yet", "error", err)
	}
	return nil
}

// closeAllBut ends the plugins and closes the built-in sinks that other does not have;
// nil has none. Calls that run get pluginDrain.
func (p *plugged) closeAllBut(other *plugged, log hclog.Logger) {
	if other == nil {
		other = &plugged{}
	}
	closers := p.closers
	for name, m := range p.made {
		if m.closer != nil && other.made[name].closer != m.closer {
			closers = append(closers, m.closer)
		}
	}
	for _, c := range closers {
		if err := c.Close(); err != nil {
			log.Warn("closing a sink", "error", err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), pluginDrain)
	defer cancel()
	var wg sync.WaitGroup
	for name, pl := range p.added {
		if other.added[name] != pl {
			wg.Go(func() { pl.Close(ctx) })
		}
	}
	wg.Wait()
	if p.host == nil || other.host == p.host {
		return
	}
	if err := p.host.Close(ctx); err != nil {
		log.Warn("ending the plugins", "error", err)
	}
}

// close ends the plugins and closes the built-in sinks.
func (p *plugged) close(log hclog.Logger) { p.closeAllBut(nil, log) }

// info fills the section Plugins of INFO.
func (p *plugged) info(w *command.InfoWriter) {
	if p.host == nil {
		return
	}
	for _, pl := range p.host.Plugins() {
		s := pl.Status()
		w.Field("plugin_"+pl.Name(), fmt.Sprintf("state=%s,pid=%d,for_sec=%d,starts=%d,failures=%d",
			s.State, s.PID, int64(time.Since(s.Since).Seconds()), s.Starts, s.Failures))
		if s.LastError != nil {
			w.Field("plugin_"+pl.Name()+"_last_error", strings.ReplaceAll(s.LastError.Error(), "\n", "; "))
		}
	}
	for _, u := range p.uses {
		n := u.counters.Counts()
		w.Field("plugin_"+u.kind+"_"+u.name, fmt.Sprintf("plugin=%s,calls=%d,running=%d,errors=%d,bytes_in=%d,bytes_out=%d,msec=%d",
			u.plugin, n.Calls, n.Running, n.Errors, n.BytesIn, n.BytesOut, n.Time.Milliseconds()))
	}
}
