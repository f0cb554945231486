// Package wire is what both sides of the plugin boundary share: the handshake,
// the mapping between the types of core/sink and the messages of
// plugins/proto, and the mapping of errors, so that errors.Is says the same on
// both sides.
//
// It refuses behaviour: serving is package plugins, supervising plugins/host.
package wire
