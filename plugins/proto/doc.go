// Package pluginpb is the published protocol between Spillway and its plugins:
// plugin.proto and the code generated from it. What the messages mean is said
// in plugin.proto itself.
//
// It refuses logic: the mapping to the types of core/sink is plugins/wire.
package pluginpb

//go:generate go run github.com/bufbuild/buf/cmd/buf@v1.75.0 generate
