package host

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"
	"google.golang.org/grpc"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/plugins/internal/wire"
	pluginpb "github.com/spillwaydb/spillway/plugins/proto"
)

// startProcess starts the plugin's program and speaks with it up to the point
// where it takes calls. It returns when that is so, when ctx ends, or when the
// plugin turns out not to be one; nothing of a failed start is left.
func startProcess(ctx context.Context, p *Plugin) (*process, error) {
	prog, err := p.spec.program()
	if err != nil {
		return nil, err
	}
	defer prog.close() // the process has its own descriptor
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
			grpc.WithUnaryInterceptor(ownDeadlines), grpc.WithStreamInterceptor(ownStreamDeadlines),
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(wire.MaxMessage), grpc.MaxCallSendMsgSize(wire.MaxMessage)),
		},
		RunnerFunc: func(_ hclog.Logger, base *exec.Cmd, _ string) (runner.Runner, error) {
			env := append(p.spec.environment(), wire.LogLevelEnv+"="+p.log.GetLevel().String())
			return pr.run, pr.prepare(prog, env, base)
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

// noDeadline hides a context's deadline from gRPC, which would tell it to the
// plugin: who then ends the call first, and with which error, would be chance.
// Here the host's side of the context ends it, and the plugin sees a
// cancellation.
type noDeadline struct{ context.Context }

func (noDeadline) Deadline() (time.Time, bool) { return time.Time{}, false }

func ownDeadlines(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	return invoke(noDeadline{ctx}, method, req, reply, cc, opts...)
}

func ownStreamDeadlines(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	return streamer(noDeadline{ctx}, desc, cc, method, opts...)
}

// prepare makes the runner; base holds what go-plugin wants in the environment.
func (pr *process) prepare(prog *program, env []string, base *exec.Cmd) error {
	cmd, err := prog.command(pr.dir, pr.plugin.spec.Command[1:])
	if err != nil {
		return err
	}
	cmd.Env = slices.Concat(env, base.Env)
	r := newRunner(cmd, pr.out)
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
