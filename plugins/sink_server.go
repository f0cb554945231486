package plugins

import (
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/plugins/internal/wire"
	pluginpb "github.com/spillwaydb/spillway/plugins/proto"
	"github.com/spillwaydb/spillway/plugins/stream"
)

// sinkServer answers host.sinkClient.
type sinkServer struct {
	pluginpb.UnimplementedSinkServer
	*server
}

// Put implements pluginpb.SinkServer.
func (s *sinkServer) Put(ctx context.Context, req *pluginpb.PutRequest) (*pluginpb.PutResponse, error) {
	var out pluginpb.PutResponse
	err := call(s.server, req.GetCall(), "put", func(k sink.Sink) error {
		return connected(ctx, req.GetStream(), func(c *stream.Conn) error {
			receipt, err := k.Put(ctx, wire.PartFrom(req.GetPart()), input{c.In})
			out.Receipt, out.Read = receipt, wire.Totals(c.In.Totals())
			return drained(c.In, err)
		})
	})
	if err != nil {
		return nil, err
	}
	return &out, nil
}

// Publish implements pluginpb.SinkServer.
func (s *sinkServer) Publish(in grpc.ClientStreamingServer[pluginpb.PublishRequest, pluginpb.PublishResponse]) error {
	first, err := in.Recv()
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	err = call(s.server, first.GetCall(), "publish", func(k sink.Sink) error {
		doc := first.GetDocument()
		for {
			more, err := in.Recv()
			if err == io.EOF {
				break
			}
			if err != nil {
				return err
			}
			if doc = append(doc, more.GetDocument()...); len(doc) > wire.MaxDocument {
				return sink.Permanent(fmt.Errorf("the set's document has more than %d bytes", wire.MaxDocument))
			}
		}
		set, err := wire.SetFrom(doc)
		if err != nil {
			return sink.Permanent(err)
		}
		return k.Publish(in.Context(), set)
	})
	if err != nil {
		return err
	}
	return in.SendAndClose(&pluginpb.PublishResponse{})
}

// Open implements pluginpb.SinkServer.
func (s *sinkServer) Open(ctx context.Context, req *pluginpb.OpenRequest) (*pluginpb.OpenResponse, error) {
	var out pluginpb.OpenResponse
	err := call(s.server, req.GetCall(), "open", func(k sink.Sink) error {
		src, err := k.Open(ctx, wire.PartFrom(req.GetPart()), req.GetReceipt())
		if err != nil {
			return err
		}
		err = connected(ctx, req.GetStream(), func(c *stream.Conn) error {
			if _, err := c.Out.ReadFrom(src); err != nil {
				return err
			}
			out.Written = wire.Totals(c.Out.Totals())
			return c.Out.Seal()
		})
		return errors.Join(err, src.Close())
	})
	if err != nil {
		return nil, err
	}
	return &out, nil
}

// List implements pluginpb.SinkServer.
func (s *sinkServer) List(req *pluginpb.ListRequest, out grpc.ServerStreamingServer[pluginpb.ListResponse]) error {
	return call(s.server, req.GetCall(), "list", func(k sink.Sink) error {
		sets, err := k.List(out.Context())
		for _, set := range sets {
			doc, derr := wire.Document(set)
			if derr != nil {
				err = errors.Join(err, derr)
				continue
			}
			pieces := wire.Pieces(doc)
			for i, p := range pieces {
				if serr := out.Send(&pluginpb.ListResponse{Document: p, Last: i == len(pieces)-1}); serr != nil {
					return serr
				}
			}
		}
		return err
	})
}

// Remove implements pluginpb.SinkServer.
func (s *sinkServer) Remove(ctx context.Context, req *pluginpb.RemoveRequest) (*pluginpb.RemoveResponse, error) {
	err := call(s.server, req.GetCall(), "remove", func(k sink.Sink) error {
		return k.Remove(ctx, wire.SetIDFrom(req.GetId()))
	})
	if err != nil {
		return nil, err
	}
	return &pluginpb.RemoveResponse{}, nil
}

// Sweep implements pluginpb.SinkServer: each question of the sink's goes to the
// host and back.
func (s *sinkServer) Sweep(both grpc.BidiStreamingServer[pluginpb.SweepRequest, pluginpb.SweepResponse]) error {
	first, err := both.Recv()
	if err != nil {
		return fmt.Errorf("sweep: %w", err)
	}
	return call(s.server, first.GetCall(), "sweep", func(k sink.Sweeper) error {
		var lost error
		removed, err := k.Sweep(both.Context(), func(id sink.SetID) bool {
			if lost != nil {
				return true // without an answer nothing is removed
			}
			if lost = both.Send(&pluginpb.SweepResponse{Ask: wire.SetID(id)}); lost != nil {
				return true
			}
			answer, err := both.Recv()
			if lost = err; lost != nil {
				return true
			}
			return answer.GetKeep()
		})
		if lost != nil {
			return lost
		}
		if serr := both.Send(&pluginpb.SweepResponse{Removed: removed}); serr != nil {
			return serr
		}
		return err
	})
}
