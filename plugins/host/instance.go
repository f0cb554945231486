package host

import (
	"context"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/plugins/internal/wire"
	pluginpb "github.com/spillwaydb/spillway/plugins/proto"
)

// instanceKey is what makes two instances of a component different.
type instanceKey struct {
	kind      pluginpb.Kind
	component string
	config    string
}

// instance is a configured component of one process. A new process needs a new
// one.
type instance struct {
	made   chan struct{} // closed when the rest is valid
	id     string
	info   sink.Info // without the name
	sweeps bool
	err    error
}

// user is a block of the configuration that uses a component of a plugin: the
// common half of stageClient and sinkClient.
type user struct {
	plugin    *Plugin
	kind      pluginpb.Kind
	label     string // what the pipeline calls it
	component string // "" lets choose decide
	config    []byte
}

// open returns a running process and the instance in it, after starting and
// configuring what is missing.
func (u *user) open(ctx context.Context) (*process, *instance, error) {
	pr, err := u.plugin.acquire(ctx)
	if err != nil {
		return nil, nil, err
	}
	name, err := choose(pr.offers, u.kind, u.component, u.label)
	if err != nil {
		return nil, nil, sink.Permanent(u.plugin.errorf("%w", err))
	}
	in, err := pr.instance(ctx, instanceKey{u.kind, name, string(u.config)})
	if err != nil {
		return nil, nil, err
	}
	return pr, in, nil
}

// instance returns the instance for key; the first caller has it made, whatever
// becomes of that caller.
func (pr *process) instance(ctx context.Context, key instanceKey) (*instance, error) {
	pr.mu.Lock()
	in := pr.instances[key]
	if in == nil {
		in = &instance{made: make(chan struct{})}
		pr.instances[key] = in
		go pr.configure(in, key)
	}
	pr.mu.Unlock()
	select {
	case <-in.made:
		return in, in.err
	case <-ctx.Done():
		return nil, pr.plugin.errorf("waiting for %s %q to be made: %w", wire.KindName(key.kind), key.component, context.Cause(ctx))
	}
}

// configure makes an instance. One that failed is forgotten, so that the next
// caller tries again. A constructor cannot be cancelled: a plugin that does not
// come back from it is killed.
func (pr *process) configure(in *instance, key instanceKey) {
	p := pr.plugin
	ctx, cancel := context.WithTimeout(pr.life, p.spec.Timeout)
	defer cancel()
	r, err := pr.control.Configure(ctx, &pluginpb.ConfigureRequest{Kind: key.kind, Component: key.component, Config: []byte(key.config)})
	switch suffix := r.GetSuffix(); {
	case err != nil && ctx.Err() != nil && pr.life.Err() == nil:
		in.err = sink.Transient(p.errorf("did not make %s %q within %s and was killed", wire.KindName(key.kind), key.component, p.spec.Timeout))
		pr.kill(in.err)
	case err != nil:
		in.err = p.errorf("%s %q: %w", wire.KindName(key.kind), key.component, pr.words(err))
	case r.GetInstance() == "" || len(r.GetInstance()) > 256 || len(r.GetVersion()) > 64 || (suffix != "" && sink.CheckName("part"+suffix) != nil):
		in.err = sink.Permanent(p.errorf("%s %q says it is instance %.40q of version %.40q with suffix %.40q", wire.KindName(key.kind), key.component, r.GetInstance(), r.GetVersion(), suffix))
	default:
		in.id, in.sweeps = r.GetInstance(), r.GetSweeps()
		in.info = sink.Info{Version: r.GetVersion(), Suffix: suffix}
	}
	if in.err != nil {
		pr.mu.Lock()
		delete(pr.instances, key)
		pr.mu.Unlock()
	}
	close(in.made)
}
