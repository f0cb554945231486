package host

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spillwaydb/spillway/core/sink"
	pluginpb "github.com/spillwaydb/spillway/plugins/proto"
)

// request runs a call that carries no bytes of parts. It is over when it
// returns, also when ctx has ended.
func (pr *process) request(ctx context.Context, in *instance, what string, f func(context.Context, *pluginpb.Call) error) error {
	pr.using.Add(1)
	defer pr.using.Add(-1)
	id := pr.calls.Add(1)
	err := f(ctx, &pluginpb.Call{Id: id, Instance: in.id})
	if err == nil {
		pr.plugin.worked()
		return nil
	}
	if ctx.Err() != nil {
		return pr.cancelled(ctx, id, what)
	}
	return pr.plugin.errorf("%s: %w", what, pr.words(err))
}

// cancelled waits until the plugin has given up a call whose context ended, and
// says why it ended.
func (pr *process) cancelled(ctx context.Context, id uint64, what string) error {
	if err := pr.settle(id, what); err != nil {
		return pr.plugin.errorf("%s: %w; %w", what, context.Cause(ctx), err)
	}
	return pr.plugin.errorf("%s: %w", what, context.Cause(ctx))
}

// settle waits until the plugin no longer runs a call that has ended on this
// side, so that nothing of it can meet a later one. A plugin that goes on with
// it for longer than the grace is killed; the error then says so.
func (pr *process) settle(id uint64, what string) error {
	opts := pr.plugin.host.opts
	deadline := time.Now().Add(opts.CancelGrace)
	for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		running, err := pr.health(opts.HealthTimeout)
		switch left := time.Until(deadline); {
		case pr.life.Err() != nil, err == nil && !slices.Contains(running, id):
			return nil
		case err != nil && pr.lost():
			return nil
		case err != nil:
			return pr.giveUp(fmt.Errorf("gave no sign of life for %s after %s was cancelled, and was killed", opts.HealthTimeout, what))
		case left <= 0:
			return pr.giveUp(fmt.Errorf("went on for %s after %s was cancelled, and was killed", opts.CancelGrace, what))
		default:
			timer := time.NewTimer(min(pause, left))
			select {
			case <-timer.C:
			case <-pr.life.Done():
				timer.Stop()
				return nil
			}
		}
	}
}

// giveUp kills the process and returns the reason when it has ended.
func (pr *process) giveUp(reason error) error {
	pr.kill(sink.Transient(pr.plugin.errorf("%w", reason)))
	<-pr.life.Done()
	return sink.Transient(reason)
}
