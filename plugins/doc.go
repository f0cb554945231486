// Package plugins is the author's side of the plugin boundary: it turns a
// sink.Stage, a sink.Sink, or several of them, into a program that Spillway
// starts as a process of its own. A whole plugin is
//
//	func main() { plugins.Serve(myStage{}) }
//
// or, when it takes configuration,
//
//	func main() { plugins.Serve(plugins.Stage("upper", New)) }
//
// with func New(o Options) (sink.Stage, error), where Options is a struct with
// json tags that the attributes in plugins.hcl are decoded into.
//
// Serve owns the handshake, the transport, the framing and totals of the
// bytes, cancellation, panics, logging, and the end: a plugin does not outlive
// its host, and does not die of the signals that end the host. What is left to
// the author is what core/sink says of Stage and Sink.
//
// docs/plugins.md is the guide, plugins/proto the protocol, plugins/plugintest
// the conformance suite. The files *_server.go here answer what *_client.go in
// plugins/host asks.
//
// It refuses what belongs to the host: starting plugins, supervising them,
// deadlines, retries.
package plugins
