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
	"github.com/hashicorp/go-plugin/runner"
	"google.golang.org/grpc"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/plugins/internal/wire"
	pluginpb "github.com/spillwaydb/spillway/plugins/proto"
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
	moved atomic.Uint64 // pieces of bytes that passed: evidence of life

	life context.Context // ends with the process; its cause says how
	end  context.CancelCauseFunc
	done chan struct{} // everything of it is cleaned up

	mu        sync.Mutex
	reason    error // why the host killed it; nil when it ended by itself
	instances map[instanceKey]*instance
}

// startProcess starts the plugin's program and speaks with it up to the point
// where it takes calls. It returns when that is so, when ctx ends, or when the
// plugin turns out not to be one; nothing of a failed start is left.
func startProcess(ctx context.Context, p *Plugin) (*process, error) {
	path, err := p.spec.program()
	if err != nil {
		return nil, err
	}
	dir, err := p.host.dir.sub(strconv.FormatUint(p.host.lives.Add(1), 36))
	if err != nil {
		return nil, sink.Transient(p.errorf("%w", err))
	}
	pr := &process{
		plugin: p, log: p.log, dir: dir, out: newOutput(p.log, p.redact),
		done: make(chan struct{}), instances: make(map[instanceKey]*instance),
	}
	pr.life, pr.end = context.WithCancelCause(context.Background())
	pr.client = goplugin.NewClient(&goplugin.ClientConfig{
		HandshakeConfig:  wire.Handshake,
		VersionedPlugins: map[int]goplugin.PluginSet{wire.ProtocolVersion: {wire.Dispensed: &wire.GRPC{}}},
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		AutoMTLS:         true,
		SkipHostEnv:      true,
		StartTimeout:     2 * p.spec.Timeout,    // ctx comes first
		Logger:           hclog.NewNullLogger(), // it would log the command line
		SyncStdout:       pr.out,
		SyncStderr:       pr.out,
		UnixSocketConfig: &goplugin.UnixSocketConfig{TempDir: dir},
		GRPCDialOptions: []grpc.DialOption{
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(wire.MaxMessage), grpc.MaxCallSendMsgSize(wire.MaxMessage)),
		},
		RunnerFunc: func(_ hclog.Logger, base *exec.Cmd, _ string) (runner.Runner, error) {
			env := append(p.spec.environment(), wire.LogLevelEnv+"="+p.log.GetLevel().String())
			return pr.run, pr.prepare(path, env, base)
		},
	})
	type result struct {
		conn *grpc.ClientConn
		err  error
	}
	up := make(chan result, 1)
	go func() {
		conn, err := pr.connect()
		up <- result{conn, err}
	}()
	var r result
	select {
	case r = <-up:
	case <-ctx.Done():
		pr.kill(context.Cause(ctx))
		r = <-up
		r.err = sink.Transient(p.errorf("did not complete the handshake: %w", context.Cause(ctx)))
	}
	if r.err == nil {
		r.err = pr.describe(ctx, r.conn)
	}
	if r.err != nil {
		err := pr.startFailure(r.err)
		pr.kill(err)
		pr.cleanUp()
		return nil, err
	}
	go pr.supervise()
	return pr, nil
}

// prepare makes the runner.
func (pr *process) prepare(path string, env []string, base *exec.Cmd) error {
	r := newRunner(runnerSpec{path: path, args: pr.plugin.spec.Command[1:], env: env, out: pr.out}, base)
	pr.mu.Lock()
	defer pr.mu.Unlock()
	if pr.reason != nil {
		return pr.reason
	}
	pr.run = r
	return nil
}

// connect goes through go-plugin's handshake and returns the connection.
func (pr *process) connect() (*grpc.ClientConn, error) {
	c, err := pr.client.Client()
	if err != nil {
		return nil, err
	}
	raw, err := c.Dispense(wire.Dispensed)
	if err != nil {
		return nil, err
	}
	return raw.(*grpc.ClientConn), nil
}

// maxOffers bounds what a plugin can say it offers.
const maxOffers = 64

// describe asks the plugin what it offers.
func (pr *process) describe(ctx context.Context, conn *grpc.ClientConn) error {
	pr.control = pluginpb.NewPluginClient(conn)
	pr.stages = pluginpb.NewStageClient(conn)
	pr.sinks = pluginpb.NewSinkClient(conn)
	d, err := pr.control.Describe(ctx, &pluginpb.DescribeRequest{})
	if err != nil {
		return pr.plugin.errorf("does not say what it offers: %w", pr.words(err))
	}
	pr.offers = d.GetComponents()
	if n := len(pr.offers); n == 0 || n > maxOffers {
		return pr.plugin.errorf("says it offers %d components", n)
	}
	for _, c := range pr.offers {
		if !validName.MatchString(c.GetName()) {
			return pr.plugin.errorf("offers a component with the name %q", wire.Clean(c.GetName(), 100))
		}
	}
	return nil
}

// startFailure says why a start failed in the words of what was seen.
func (pr *process) startFailure(err error) error {
	p, run := pr.plugin, pr.runner()
	var ours *Error
	switch {
	case errors.As(err, &ours):
		return fmt.Errorf("%w%s", err, pr.tail())
	case run == nil || run.ID() == "":
		return sink.Permanent(p.errorf("cannot be started: %w", err))
	case run.stdout.said() != "":
		return sink.Permanent(p.errorf("is not a Spillway plugin: its first line on stdout is %q%s", p.redact.clean(run.stdout.said()), pr.tail()))
	case pr.endedSoon():
		return sink.Transient(p.errorf("%s before the handshake%s", how(run.err), pr.tail()))
	}
	// go-plugin's words: another version of the protocol, a certificate …
	return sink.Permanent(p.errorf("did not complete the handshake: %s%s", wire.Clean(err.Error(), 300), pr.tail()))
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
		if _, err := pr.health(opts.HealthTimeout); err != nil && pr.life.Err() == nil && pr.moved.Load() == moved {
			pr.kill(sink.Transient(pr.plugin.errorf("gave no sign of life for %s and was killed", opts.HealthTimeout)))
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
