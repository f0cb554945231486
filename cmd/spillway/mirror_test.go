package main

import (
	"testing"

	"github.com/spillwaydb/spillway/cmd/spillway/config"
	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/plugins/plugintest"
)

// TestMirrorConformance: a mirror keeps the promises of a sink, on a directory
// and in memory.
func TestMirrorConformance(t *testing.T) {
	t.Parallel()
	for kind, root := range map[string]func(testing.TB) string{
		"os":  func(t testing.TB) string { return t.TempDir() },
		"mem": func(testing.TB) string { return "" },
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			plugintest.TestSink(t, func(t testing.TB) sink.Sink {
				return &mirror{name: "mirror", fs: config.Filesystem{Kind: kind, Name: "m", Root: root(t)}}
			})
		})
	}
}
