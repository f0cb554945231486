package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/plugins/internal/wire"
	pluginpb "github.com/spillwaydb/spillway/plugins/proto"
	"github.com/spillwaydb/spillway/plugins/stream"
)

// process is one life of a plugin: from a start to an end. Nothing is started
// twice: each life has its own command, go-plugin client and directory.
type process struct {
	plugin *Plugin
	log    hclog.Logger
	out    *output
	dir    string // its sockets
	run    *osRunner
	client *goplugin.Client

	control pluginpb.PluginClient
	stages  pluginpb.StageClient
	sinks   pluginpb.SinkClient
	offers  []*pluginpb.Component

	calls atomic.Uint64 // the last id
	using atomic.Int64  // callers of requests and transfers that have not returned
	moved atomic.Uint64 // pieces of bytes that passed: evidence of life

	life context.Context // ends with the process; its cause says how
	end  context.CancelCauseFunc
	done chan struct{} // everything of it is cleaned up

	mu        sync.Mutex
	reason    error // why the host killed it; nil when it ended by itself
	instances map[instanceKey]*instance
}

// runner is the process's runner, nil before there is one.
func (pr *process) runner() *osRunner {
	pr.mu.Lock()
	defer pr.mu.Unlock()
	return pr.run
}

// soon is how long the end of a process is waited for, when a connection to it
// has broken, to say how it ended.
const soon = 2 * time.Second

// endedSoon tells whether the process has ended by itself or does so in a
// moment.
func (pr *process) endedSoon() bool {
	select {
	case <-pr.run.gone:
		return pr.run.endedItself()
	case <-time.After(soon):
		return false
	}
}

// supervise stays with the process: it asks for signs of life, and cleans up at
// the end.
func (pr *process) supervise() {
	go pr.watchHealth()
	<-pr.run.gone
	pr.mu.Lock()
	reason := pr.reason
	pr.mu.Unlock()
	if reason == nil {
		reason = pr.plugin.errorf("%s%s", how(pr.run.err), pr.tail())
	}
	pr.end(reason)
	pr.cleanUp()
	pr.plugin.ended(pr, reason)
}

// cleanUp removes what the process leaves in the host. It has ended, or was
// killed.
func (pr *process) cleanUp() {
	pr.end(errors.New("the process was never up"))
	pr.client.Kill() // waits for go-plugin's goroutines
	if err := os.RemoveAll(pr.dir); err != nil {
		pr.log.Warn("removing the sockets of a plugin failed", "dir", pr.dir, "error", err)
	}
	close(pr.done)
}

// kill ends the process at once, for a reason that its calls fail with. Only
// the first reason counts.
func (pr *process) kill(reason error) {
	pr.mu.Lock()
	if pr.reason == nil {
		pr.reason = reason
	}
	run := pr.run
	pr.mu.Unlock()
	if run == nil {
		return
	}
	if err := run.Kill(context.Background()); err != nil {
		pr.log.Error("killing the plugin failed", "pid", run.ID(), "error", err)
	}
}

// stop ends the process in peace: no more calls, those that run get until ctx
// ends, then it exits, or is killed.
func (pr *process) stop(ctx context.Context) {
	_, err := pr.control.Drain(ctx, &pluginpb.DrainRequest{})
	// The plugin has answered all calls; the callers may not have the answers
	// yet, and would take its end for their calls' failure.
	for waited := time.Duration(0); err == nil && pr.using.Load() > 0 && waited < soon && ctx.Err() == nil; waited += time.Millisecond {
		time.Sleep(time.Millisecond)
	}
	pr.mu.Lock()
	if pr.reason == nil {
		pr.reason = sink.Transient(pr.plugin.errorf("%w", errClosed))
	}
	pr.mu.Unlock()
	pr.run.letGo()
	timer := time.NewTimer(pr.plugin.host.opts.ExitTimeout)
	defer timer.Stop()
	select {
	case <-pr.run.gone:
	case <-timer.C:
		pr.log.Warn("the plugin did not exit when it was asked to; it is killed", "drained", err == nil)
		pr.kill(nil)
	}
	<-pr.done
}

// watchHealth kills the process when it gives no sign of life: it may be
// stopped, or hang.
func (pr *process) watchHealth() {
	opts := pr.plugin.host.opts
	tick := time.NewTicker(opts.HealthEvery)
	defer tick.Stop()
	for {
		select {
		case <-pr.life.Done():
			return
		case <-tick.C:
		}
		moved := pr.moved.Load()
		_, err := pr.health(opts.HealthTimeout)
		switch {
		case pr.life.Err() != nil:
			return
		case err == nil || pr.moved.Load() != moved:
		case status.Code(err) == codes.DeadlineExceeded:
			pr.kill(sink.Transient(pr.plugin.errorf("gave no sign of life for %s and was killed", opts.HealthTimeout)))
			return
		case pr.lost(): // it has ended under the question, and how is for its end to say
			return
		default:
			own, _ := wire.Failed(err)
			pr.kill(sink.Transient(pr.plugin.errorf("could not be asked for a sign of life and was killed: %w", pr.plugin.clean(own))))
			return
		}
	}
}

// health asks once, and returns the calls the plugin says it runs.
func (pr *process) health(timeout time.Duration) ([]uint64, error) {
	ctx, cancel := context.WithTimeout(pr.life, timeout)
	defer cancel()
	h, err := pr.control.Health(ctx, &pluginpb.HealthRequest{})
	return h.GetRunning(), err
}

// tail is what the process said last, as a clause; or nothing.
func (pr *process) tail() string {
	if last := pr.out.last(); last != "" {
		return fmt.Sprintf("; it last said: %q", last)
	}
	return ""
}

// words is an error of a call that carries what the process did, if it ended,
// or the plugin's own words.
func (pr *process) words(err error) error {
	own, answered := wire.Failed(err)
	if answered {
		return pr.plugin.clean(own)
	}
	if pr.lost() {
		return context.Cause(pr.life)
	}
	return pr.plugin.clean(own)
}

// lost waits a moment for the process's end.
func (pr *process) lost() bool {
	select {
	case <-pr.life.Done():
		return true
	default:
	}
	if pr.run == nil {
		return false
	}
	select {
	case <-pr.life.Done():
		return true
	case <-time.After(soon):
		return false
	}
}

// socket is the path for a call's socket.
func (pr *process) socket(id uint64) string {
	return filepath.Join(pr.dir, "c"+strconv.FormatUint(id, 36))
}

// listen waits for the stream of a call. Where the process has ended meanwhile its
// directory may be gone, and that end is the error.
func (pr *process) listen(id uint64, what string) (*stream.Listener, error) {
	l, err := stream.Listen(pr.socket(id))
	if err == nil {
		return l, nil
	}
	if pr.life.Err() != nil {
		err = context.Cause(pr.life)
	}
	return nil, sink.Transient(pr.plugin.errorf("%s: %w", what, err))
}

// how says how a process ended.
func how(err error) string {
	var exit *exec.ExitError
	if err == nil {
		return "exited with status 0"
	}
	if !errors.As(err, &exit) {
		return "ended (" + err.Error() + ")"
	}
	if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return fmt.Sprintf("was killed by signal %d (%s)", ws.Signal(), ws.Signal())
	}
	return fmt.Sprintf("exited with status %d", exit.ExitCode())
}

// signalled tells whether a process ended by that signal.
func signalled(err error, sig syscall.Signal) bool {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	ws, ok := exit.Sys().(syscall.WaitStatus)
	return ok && ws.Signaled() && ws.Signal() == sig
}
