package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/spillwaydb/spillway/cmd/spillway/config"
	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/plugins/host"
	"github.com/spillwaydb/spillway/plugins/middleware"
)

// pluginDrain is how long the end of the daemon waits for calls of plugins.
const pluginDrain = 10 * time.Second

// plugged are the plugins of the configuration, and what uses them.
type plugged struct {
	host    *host.Host // nil without plugins
	plugins map[string]config.Plugin
	logs    *pluginLogs
	stages  map[string]*use // by name
	sinks   map[string]*use
	closers []io.Closer
	uses    []*use // all of them, in the order of the configuration
	watch   *sinkWatch
}

// use is a stage or a sink of a plugin.
type use struct {
	kind, name, plugin string
	required           bool
	stage              *pluginStage // one of the two
	sink               sink.Sink
	counters           middleware.Counters
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

// plug makes the plugins known to a host. It starts none: boot does.
func plug(cfg *config.Config, log hclog.InterceptLogger) (*plugged, error) {
	p := &plugged{watch: newSinkWatch(), plugins: make(map[string]config.Plugin), stages: make(map[string]*use), sinks: make(map[string]*use)}
	if len(cfg.Plugins) == 0 {
		return p, nil
	}
	h, err := host.New(host.Options{Logger: log})
	if err != nil {
		return nil, err
	}
	p.host = h
	var names []string
	for _, c := range cfg.Plugins {
		names = append(names, c.Name)
	}
	p.logs = newPluginLogs(names, log.GetLevel())
	log.RegisterSink(p.logs)
	added := make(map[string]*host.Plugin)
	for _, c := range cfg.Plugins {
		p.plugins[c.Name] = c
		if added[c.Name], err = h.Add(c.Spec); err != nil {
			p.close(log)
			return nil, err
		}
	}
	for _, pl := range cfg.Pipelines() {
		for _, c := range pl.Stages {
			if u := c.Plugin; u != nil {
				s := &use{kind: "stage", name: pl.Shown(c.Name), plugin: u.Plugin, required: true, stage: &pluginStage{name: c.Name, Stage: added[u.Plugin].Stage(c.Name, u.Component, u.Config)}}
				p.stages[member(pl, c.Name)] = s
				p.uses = append(p.uses, s)
			}
		}
		for _, m := range pl.Mirrors {
			if u := m.Plugin; u != nil {
				s := &use{kind: "sink", name: pl.Shown(m.Name), plugin: u.Plugin, required: m.Required, sink: added[u.Plugin].Sink(m.Name, u.Component, u.Config)}
				p.sinks[member(pl, m.Name)] = s
				p.uses = append(p.uses, s)
			}
		}
	}
	return p, nil
}

// member is what a stage or a sink is called here: the pipelines may use the
// same names, for different things.
func member(pl *config.Pipeline, name string) string { return pl.Name + "/" + name }

// pipeline makes the stages and the targets of a pipeline, with the same
// decorators around those that are built in, on filesystems and in plugins.
func (p *plugged) pipeline(pl *config.Pipeline, log hclog.Logger) (stages []sink.Stage, targets []sink.Target, err error) {
	for _, c := range pl.Stages {
		s, n, deadline := c.BuiltIn, new(middleware.Counters), time.Duration(0)
		if u := p.stages[member(pl, c.Name)]; u != nil {
			s, n, deadline = u.stage, &u.counters, p.plugins[u.plugin].Timeout
		}
		stages = append(stages, middleware.Stage(s, p.around(log.Named("stage").Named(c.Name), n, c.Plugin, deadline)...))
	}
	for _, m := range pl.Mirrors {
		s, err := p.open(pl, m, log)
		if err != nil {
			return nil, nil, err
		}
		n, deadline := new(middleware.Counters), time.Duration(0)
		if u := p.sinks[member(pl, m.Name)]; u != nil {
			n = &u.counters
		}
		if m.Plugin != nil || m.Make != nil {
			deadline = m.Timeout
		}
		s = middleware.Sink(s, p.around(log.Named("sink").Named(m.Name), n, m.Plugin, deadline)...)
		s = p.watch.around(pl.Name, m.Name, s)
		targets = append(targets, sink.Target{Name: m.Name, Sink: s, Required: m.Required, Timeout: m.Timeout, Keep: m.Keep})
	}
	return stages, targets, nil
}

// open makes a sink beside the data directory.
func (p *plugged) open(pl *config.Pipeline, m config.Mirror, log hclog.Logger) (sink.Sink, error) {
	if u := p.sinks[member(pl, m.Name)]; u != nil {
		return u.sink, nil
	}
	if m.Make == nil {
		s, err := openMirror(m, log)
		if err == nil {
			p.keep(s)
		}
		return s, err
	}
	s, err := m.Make(m.Name, log.Named("sink").Named(m.Name))
	if err != nil {
		return nil, fmt.Errorf("sink %q: %w", m.Name, err)
	}
	p.keep(s)
	return s, nil
}

// keep has a built-in sink closed at the end.
func (p *plugged) keep(s sink.Sink) {
	if c, ok := s.(io.Closer); ok {
		p.closers = append(p.closers, c)
	}
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
// without.
func (p *plugged) boot(ctx context.Context, log hclog.Logger) error {
	if p.host == nil {
		return nil
	}
	errs := make([]error, len(p.uses))
	used := make(map[string]bool)
	var wg sync.WaitGroup
	for i, u := range p.uses {
		used[u.plugin] = true
		if u.kind == "stage" || p.plugins[u.plugin].AtBoot {
			wg.Go(func() { errs[i] = u.check(ctx) })
		}
	}
	for _, pl := range p.host.Plugins() {
		if p.plugins[pl.Name()].AtBoot {
			wg.Go(func() {
				if err := pl.Start(ctx); err != nil && !used[pl.Name()] {
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

// close ends the plugins and closes the built-in sinks. Calls that run get
// pluginDrain.
func (p *plugged) close(log hclog.Logger) {
	for _, c := range p.closers {
		if err := c.Close(); err != nil {
			log.Warn("closing a sink", "error", err)
		}
	}
	if p.host == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), pluginDrain)
	defer cancel()
	if err := p.host.Close(ctx); err != nil {
		log.Warn("ending the plugins", "error", err)
	}
}

// info fills the section Plugins of INFO.
func (p *plugged) info(w *command.InfoWriter) {
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
