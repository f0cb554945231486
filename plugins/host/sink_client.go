package host

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/plugins/internal/wire"
	pluginpb "github.com/spillwaydb/spillway/plugins/proto"
)

// sinkClient is a plugin's sink as the engine sees it; plugins.sinkServer
// answers it.
type sinkClient struct {
	user
}

var (
	_ sink.Sink    = (*sinkClient)(nil)
	_ sink.Sweeper = (*sinkClient)(nil)
)

// Sink returns a sink of the plugin; see Stage.
func (p *Plugin) Sink(name, component string, config []byte) sink.Sink {
	p.redact.addConfig(config)
	return &sinkClient{user{plugin: p, kind: pluginpb.Kind_KIND_SINK, label: name, component: component, config: config}}
}

// Info implements sink.Sink. It starts nothing: the version is the
// protocol's, and the plugin keeps its own beside what it stores.
func (s *sinkClient) Info() sink.Info {
	return sink.Info{Name: s.label, Version: fmt.Sprintf("plugin/%d", wire.ProtocolVersion)}
}

// Check starts and configures what is missing, and says what is wrong: the
// configuration, for example.
func (s *sinkClient) Check(ctx context.Context) error {
	_, _, err := s.open(ctx)
	return err
}

// Put implements sink.Sink.
func (s *sinkClient) Put(ctx context.Context, p sink.Part, src io.Reader) (sink.Receipt, error) {
	pr, in, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	t := &transfer{pr: pr, what: "put " + p.Name, src: src}
	t.rpc = func(ctx context.Context, call *pluginpb.Call, where *pluginpb.Stream) (answer, error) {
		r, err := pr.sinks.Put(ctx, &pluginpb.PutRequest{Call: call, Part: wire.Part(p), Stream: where})
		return answer{receipt: r.GetReceipt(), read: r.GetRead()}, err
	}
	return t.run(ctx, in)
}

// Publish implements sink.Sink.
func (s *sinkClient) Publish(ctx context.Context, set sink.Set) error {
	doc, err := wire.Document(set)
	if err != nil {
		return sink.Permanent(err)
	}
	pr, in, err := s.open(ctx)
	if err != nil {
		return err
	}
	return pr.request(ctx, in, "publish "+set.ID.String(), func(ctx context.Context, call *pluginpb.Call) error {
		out, err := pr.sinks.Publish(ctx)
		if err != nil {
			return err
		}
		req := &pluginpb.PublishRequest{Call: call, Id: wire.SetID(set.ID)}
		for _, piece := range wire.Pieces(doc) {
			req.Document = piece
			// io.EOF says that the call has ended: CloseAndRecv has the error.
			if err := out.Send(req); err != nil && !errors.Is(err, io.EOF) {
				return err
			}
			req = &pluginpb.PublishRequest{}
		}
		_, err = out.CloseAndRecv()
		return err
	})
}

// maxDocument is wire.MaxDocument, but for tests, to which so much is only work.
var maxDocument = wire.MaxDocument

// List implements sink.Sink.
func (s *sinkClient) List(ctx context.Context) ([]sink.Set, error) {
	pr, in, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	var sets []sink.Set
	err = pr.request(ctx, in, "list", func(ctx context.Context, call *pluginpb.Call) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel() // a list that is not read to its end
		stream, err := pr.sinks.List(ctx, &pluginpb.ListRequest{Call: call})
		if err != nil {
			return err
		}
		var doc []byte
		total := 0
		for {
			m, err := stream.Recv()
			if err == io.EOF {
				if len(doc) > 0 {
					return fmt.Errorf("%w: the list ends within a set", sink.ErrCorrupt)
				}
				return nil
			}
			if err != nil {
				return err
			}
			doc = append(doc, m.GetDocument()...)
			if total += len(m.GetDocument()); total > wire.MaxList || len(doc) > maxDocument {
				return sink.Permanent(fmt.Errorf("lists more than %d bytes, or a set of more than %d", wire.MaxList, maxDocument))
			}
			if !m.GetLast() {
				continue
			}
			set, err := wire.SetFrom(doc)
			if err != nil {
				return sink.Permanent(fmt.Errorf("%w: %w", sink.ErrCorrupt, err))
			}
			sets = append(sets, set)
			doc = nil
		}
	})
	return sets, err
}

// Remove implements sink.Sink.
func (s *sinkClient) Remove(ctx context.Context, id sink.SetID) error {
	pr, in, err := s.open(ctx)
	if err != nil {
		return err
	}
	return pr.request(ctx, in, "remove "+id.String(), func(ctx context.Context, call *pluginpb.Call) error {
		_, err := pr.sinks.Remove(ctx, &pluginpb.RemoveRequest{Call: call, Id: wire.SetID(id)})
		return err
	})
}

// maxQuestions bounds a Sweep.
const maxQuestions = 1 << 20

// Sweep implements sink.Sweeper. A plugin's sink that cannot sweep removes
// nothing.
func (s *sinkClient) Sweep(ctx context.Context, keep func(sink.SetID) bool) ([]string, error) {
	pr, in, err := s.open(ctx)
	if err != nil || !in.sweeps {
		return nil, err
	}
	var removed []string
	err = pr.request(ctx, in, "sweep", func(ctx context.Context, call *pluginpb.Call) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		both, err := pr.sinks.Sweep(ctx)
		if err != nil {
			return err
		}
		if err := both.Send(&pluginpb.SweepRequest{Call: call}); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		for range maxQuestions {
			m, err := both.Recv()
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return err
			}
			if m.GetAsk() == nil {
				removed = append(removed, m.GetRemoved()...)
				continue
			}
			answer := &pluginpb.SweepRequest{Keep: keep(wire.SetIDFrom(m.GetAsk()))}
			if err := both.Send(answer); err != nil && !errors.Is(err, io.EOF) {
				return err
			}
		}
		return sink.Permanent(fmt.Errorf("asked %d questions", maxQuestions))
	})
	return removed, err
}
