package plugins

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strconv"
	"sync"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/plugins/internal/wire"
	pluginpb "github.com/spillwaydb/spillway/plugins/proto"
	"github.com/spillwaydb/spillway/plugins/stream"
)

// server answers the control plane. Its methods run on goroutines of gRPC.
type server struct {
	pluginpb.UnimplementedPluginServer
	log     hclog.Logger
	catalog catalog

	mu        sync.Mutex
	instances map[string]Component // what Configure has made, by its name for it
	running   map[uint64]bool      // calls that have not returned
	draining  bool
	idle      chan struct{} // closed when draining and nothing runs
	closing   sync.Once
}

func newServer(c catalog, log hclog.Logger) *server {
	return &server{
		log: log, catalog: c, idle: make(chan struct{}),
		instances: make(map[string]Component), running: make(map[uint64]bool),
	}
}

// register adds all services, whatever the plugin offers: a call for an
// instance of the wrong kind is refused.
func (s *server) register(g *grpc.Server) {
	pluginpb.RegisterPluginServer(g, s)
	pluginpb.RegisterStageServer(g, &stageServer{server: s})
	pluginpb.RegisterSinkServer(g, &sinkServer{server: s})
}

// Describe implements pluginpb.PluginServer.
func (s *server) Describe(context.Context, *pluginpb.DescribeRequest) (*pluginpb.DescribeResponse, error) {
	var out pluginpb.DescribeResponse
	for _, f := range s.catalog.sorted() {
		out.Components = append(out.Components, &pluginpb.Component{Kind: f.kind, Name: f.name})
	}
	return &out, nil
}

// Configure implements pluginpb.PluginServer.
func (s *server) Configure(_ context.Context, req *pluginpb.ConfigureRequest) (*pluginpb.ConfigureResponse, error) {
	f := s.catalog[componentKey{req.GetKind(), req.GetComponent()}]
	if f == nil {
		return nil, status.Errorf(codes.InvalidArgument, "there is no %s %q here", wire.KindName(req.GetKind()), req.GetComponent())
	}
	var comp Component
	err := s.guard("making "+f.name, func() (err error) { comp, err = f.mk(req.GetConfig()); return err })
	if err == nil && comp == nil {
		err = errors.New("the constructor returned neither a component nor an error")
	}
	if err != nil {
		return nil, wire.Status(sink.Permanent(err))
	}
	info := comp.Info()
	_, sweeps := comp.(sink.Sweeper)
	s.mu.Lock()
	defer s.mu.Unlock()
	name := strconv.Itoa(len(s.instances) + 1)
	s.instances[name] = comp
	return &pluginpb.ConfigureResponse{Instance: name, Version: info.Version, Suffix: info.Suffix, Sweeps: sweeps}, nil
}

// Health implements pluginpb.PluginServer.
func (s *server) Health(context.Context, *pluginpb.HealthRequest) (*pluginpb.HealthResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out pluginpb.HealthResponse
	for id := range s.running {
		out.Running = append(out.Running, id)
	}
	return &out, nil
}

// Drain implements pluginpb.PluginServer.
func (s *server) Drain(ctx context.Context, _ *pluginpb.DrainRequest) (*pluginpb.DrainResponse, error) {
	s.drain()
	select {
	case <-s.idle:
		return &pluginpb.DrainResponse{}, nil
	case <-ctx.Done():
		return nil, status.FromContextError(ctx.Err()).Err()
	}
}

// drain refuses further calls; idle is closed when none runs any more.
func (s *server) drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return
	}
	s.draining = true
	if len(s.running) == 0 {
		close(s.idle)
	}
}

// enter begins a call for an instance; done ends it.
func (s *server) enter(call *pluginpb.Call) (_ Component, done func(), _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	comp := s.instances[call.GetInstance()]
	switch id := call.GetId(); {
	case s.draining:
		return nil, nil, wire.Status(sink.Transient(errors.New("the plugin is being ended")))
	case comp == nil:
		return nil, nil, status.Errorf(codes.FailedPrecondition, "there is no instance %q", call.GetInstance())
	case s.running[id]:
		return nil, nil, status.Errorf(codes.FailedPrecondition, "call %d runs already", id)
	default:
		s.running[id] = true
		return comp, func() { s.leave(id) }, nil
	}
}

func (s *server) leave(id uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.running, id)
	if s.draining && len(s.running) == 0 {
		close(s.idle)
	}
}

// guard runs f; a panic becomes its error, and the plugin lives on.
func (s *server) guard(what string, f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			s.log.Error("panic", "in", what, "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
			err = sink.Permanent(fmt.Errorf("panic: %v", r))
		}
	}()
	return f()
}

// call runs one call of an instance of type T. What f returns crosses the
// boundary with its meaning.
func call[T any](s *server, c *pluginpb.Call, what string, f func(T) error) error {
	comp, done, err := s.enter(c)
	if err != nil {
		return err
	}
	defer done()
	t, ok := comp.(T)
	if !ok {
		return status.Errorf(codes.FailedPrecondition, "%s is not for instance %q", what, c.GetInstance())
	}
	return wire.Status(s.guard(what, func() error { return f(t) }))
}

// connected runs f on the stream of a call, which breaks when ctx ends.
func connected(ctx context.Context, where *pluginpb.Stream, f func(*stream.Conn) error) error {
	conn, err := stream.Dial(ctx, where.GetSocket(), where.GetToken())
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	err = f(conn)
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w (%w)", context.Cause(ctx), err)
	}
	return err
}

// drained is err, or an error if the component left a part of its input.
func drained(in *stream.Reader, err error) error {
	if err == nil && !in.Drained() {
		return sink.Permanent(fmt.Errorf("%w, after %d bytes", sink.ErrEarly, in.Totals().Bytes))
	}
	return err
}

// input and output are what a component sees of the stream: nothing that ends
// it.
type input struct{ r *stream.Reader }

func (i input) Read(b []byte) (int, error) { return i.r.Read(b) }

type output struct{ w *stream.Writer }

func (o output) Write(b []byte) (int, error) { return o.w.Write(b) }

func (o output) ReadFrom(r io.Reader) (int64, error) { return o.w.ReadFrom(r) }
