package host

import (
	"context"
	"slices"
	"time"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/plugins/internal/wire"
	pluginpb "github.com/spillwaydb/spillway/plugins/proto"
)

// request runs a call that carries no bytes of parts. It is over when it
// returns, also when ctx has ended.
func (pr *process) request(ctx context.Context, in *instance, what string, f func(context.Context, *pluginpb.Call) error) error {
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
	grace := pr.plugin.host.opts.CancelGrace
	deadline := time.Now().Add(grace)
	for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		running, err := pr.health(time.Until(deadline))
		if err == nil && !slices.Contains(running, id) {
			return nil
		}
		if _, refused := wire.Failed(err); pr.life.Err() != nil || refused {
			return nil
		}
		if left := time.Until(deadline); left > 0 {
			timer := time.NewTimer(min(pause, left))
			select {
			case <-timer.C:
			case <-pr.life.Done():
				timer.Stop()
				return nil
			}
			continue
		}
		reason := sink.Transient(pr.plugin.errorf("went on for %s after %s was cancelled, and was killed", grace, what))
		if err != nil {
			reason = sink.Transient(pr.plugin.errorf("gave no sign of life for %s after %s was cancelled, and was killed", grace, what))
		}
		pr.kill(reason)
		<-pr.life.Done()
		return reason
	}
}
