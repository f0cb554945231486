package main

import (
	"testing"

	"github.com/spillwaydb/spillway/cmd/spillway/config"
	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/plugins/plugintest"
	"github.com/spillwaydb/spillway/plugins/plugintest/servers"
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

// TestMirrorOnStore: so does one on a filesystem that is an object store.
func TestMirrorOnStore(t *testing.T) {
	srv := servers.StartS3(t)
	plugintest.TestSink(t, func(t testing.TB) sink.Sink {
		return &mirror{name: "mirror", fs: config.Filesystem{Kind: "s3", Name: "m", Root: srv.URL(srv.Bucket(t), "x")}}
	})
}
