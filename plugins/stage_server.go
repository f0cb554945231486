package plugins

import (
	"context"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/plugins/internal/wire"
	pluginpb "github.com/spillwaydb/spillway/plugins/proto"
	"github.com/spillwaydb/spillway/plugins/stream"
)

// stageServer answers host.stageClient.
type stageServer struct {
	pluginpb.UnimplementedStageServer
	*server
}

// Encode implements pluginpb.StageServer.
func (s *stageServer) Encode(ctx context.Context, req *pluginpb.EncodeRequest) (*pluginpb.EncodeResponse, error) {
	var out pluginpb.EncodeResponse
	err := call(s.server, req.GetCall(), "encode", func(st sink.Stage) error {
		return connected(ctx, req.GetStream(), func(c *stream.Conn) error {
			receipt, err := st.Encode(ctx, wire.PartFrom(req.GetPart()), output{c.Out}, input{c.In})
			if err = drained(c.In, err); err != nil {
				return err
			}
			out.Receipt, out.Read, out.Written = receipt, wire.Totals(c.In.Totals()), wire.Totals(c.Out.Totals())
			return c.Out.Seal()
		})
	})
	if err != nil {
		return nil, err
	}
	return &out, nil
}

// Decode implements pluginpb.StageServer.
func (s *stageServer) Decode(ctx context.Context, req *pluginpb.DecodeRequest) (*pluginpb.DecodeResponse, error) {
	var out pluginpb.DecodeResponse
	err := call(s.server, req.GetCall(), "decode", func(st sink.Stage) error {
		return connected(ctx, req.GetStream(), func(c *stream.Conn) error {
			err := st.Decode(ctx, wire.PartFrom(req.GetPart()), req.GetReceipt(), output{c.Out}, input{c.In})
			if err = drained(c.In, err); err != nil {
				return err
			}
			out.Read, out.Written = wire.Totals(c.In.Totals()), wire.Totals(c.Out.Totals())
			return c.Out.Seal()
		})
	})
	if err != nil {
		return nil, err
	}
	return &out, nil
}
