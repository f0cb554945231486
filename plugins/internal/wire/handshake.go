package wire

import (
	"context"

	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
)

// ProtocolVersion is the version of plugin.proto and of the stream. A host and
// a plugin that share none refuse each other at the handshake.
const ProtocolVersion = 2

// Handshake tells a plugin that a host has started it. It is no secret.
var Handshake = goplugin.HandshakeConfig{
	ProtocolVersion:  ProtocolVersion,
	MagicCookieKey:   "SPILLWAY_PLUGIN",
	MagicCookieValue: "b6a4e1c0f7d24d5c9a3f",
}

// Dispensed is the name of the one thing that is dispensed over go-plugin.
const Dispensed = "spillway"

// LogLevelEnv tells a plugin the level its host logs at, as hclog names it.
const LogLevelEnv = "SPILLWAY_PLUGIN_LOG_LEVEL"

// MaxMessage bounds a message of the control plane. What can be larger comes
// in pieces of at most MaxPiece.
const (
	MaxMessage = 4 << 20
	MaxPiece   = 1 << 20
)

// GRPC joins the services to go-plugin: Register on the plugin's side, the
// connection on the host's.
type GRPC struct {
	goplugin.NetRPCUnsupportedPlugin
	// Register adds the plugin's services; nil in the host.
	Register func(*grpc.Server)
}

var _ goplugin.GRPCPlugin = (*GRPC)(nil)

// GRPCServer implements plugin.GRPCPlugin.
func (g *GRPC) GRPCServer(_ *goplugin.GRPCBroker, s *grpc.Server) error {
	g.Register(s)
	return nil
}

// GRPCClient implements plugin.GRPCPlugin: what is dispensed is the
// *grpc.ClientConn.
func (g *GRPC) GRPCClient(_ context.Context, _ *goplugin.GRPCBroker, c *grpc.ClientConn) (any, error) {
	return c, nil
}

// MaxDocument bounds a set's document, and MaxList all documents of a List.
const (
	MaxDocument = 256 << 20
	MaxList     = 1 << 30
)
