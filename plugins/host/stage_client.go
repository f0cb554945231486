package host

import (
	"context"
	"io"
	"sync"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/plugins/internal/wire"
	pluginpb "github.com/spillwaydb/spillway/plugins/proto"
)

// stageClient is a plugin's stage as the engine sees it; plugins.stageServer
// answers it.
type stageClient struct {
	user

	mu   sync.Mutex
	info *sink.Info // once it is known
}

var _ sink.Stage = (*stageClient)(nil)

// Stage returns a stage of the plugin. name is what manifests record and errors
// say; component chooses one of the plugin's stages, and may be empty when
// there is only one or one called name. config is a JSON object. Nothing is
// started yet.
//
// Calls have no deadline of their own: wrap it with plugins/middleware. Until
// the plugin could be asked, which Info tries, Info has neither version nor
// suffix.
func (p *Plugin) Stage(name, component string, config []byte) sink.Stage {
	p.redact.addConfig(config)
	return &stageClient{user: user{plugin: p, kind: pluginpb.Kind_KIND_STAGE, label: name, component: component, config: config}}
}

// Info implements sink.Stage. It starts the plugin when it has to, and takes no
// longer than the plugin's timeout.
func (s *stageClient) Info() sink.Info {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.info == nil {
		ctx, cancel := context.WithTimeout(s.plugin.life, s.plugin.spec.Timeout)
		defer cancel()
		_, in, err := s.open(ctx)
		if err != nil {
			return sink.Info{Name: s.label} // Encode and Decode will say why
		}
		s.info = &sink.Info{Name: s.label, Version: in.info.Version, Suffix: in.info.Suffix}
	}
	return *s.info
}

// Check starts and configures what is missing, and says what is wrong: the
// configuration, for example.
func (s *stageClient) Check(ctx context.Context) error {
	_, _, err := s.open(ctx)
	return err
}

// Encode implements sink.Stage.
func (s *stageClient) Encode(ctx context.Context, p sink.Part, dst io.Writer, src io.Reader) (sink.Receipt, error) {
	pr, in, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	t := &transfer{pr: pr, what: "encode " + p.Name, src: src, dst: dst, bounded: true}
	t.rpc = func(ctx context.Context, call *pluginpb.Call, where *pluginpb.Stream) (answer, error) {
		r, err := pr.stages.Encode(ctx, &pluginpb.EncodeRequest{Call: call, Part: wire.Part(p), Stream: where})
		return answer{receipt: r.GetReceipt(), read: r.GetRead(), written: r.GetWritten()}, err
	}
	return t.run(ctx, in)
}

// Decode implements sink.Stage.
func (s *stageClient) Decode(ctx context.Context, p sink.Part, receipt sink.Receipt, dst io.Writer, src io.Reader) error {
	pr, in, err := s.open(ctx)
	if err != nil {
		return err
	}
	t := &transfer{pr: pr, what: "decode " + p.Name, src: src, dst: dst}
	t.rpc = func(ctx context.Context, call *pluginpb.Call, where *pluginpb.Stream) (answer, error) {
		r, err := pr.stages.Decode(ctx, &pluginpb.DecodeRequest{Call: call, Part: wire.Part(p), Stream: where, Receipt: receipt})
		return answer{read: r.GetRead(), written: r.GetWritten()}, err
	}
	_, err = t.run(ctx, in)
	return err
}
