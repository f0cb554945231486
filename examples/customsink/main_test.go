package main

import (
	"testing"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/examples/internal/guide"
	"github.com/spillwaydb/spillway/plugins"
	"github.com/spillwaydb/spillway/plugins/plugintest"
)

func TestMain(m *testing.M) { plugintest.Main(m, plugins.Sink("folder", New)) }

func TestConformance(t *testing.T) {
	plugintest.TestSink(t, func(t testing.TB) sink.Sink {
		s, err := New(Folder{Path: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

func TestConformanceOverWire(t *testing.T) {
	w := plugintest.Loopback(t)
	plugintest.TestSink(t, func(t testing.TB) sink.Sink {
		return w.Sink(t, "folder", map[string]string{"path": t.TempDir()})
	})
}

// TestReadme does what README.md tells an author to do.
func TestReadme(t *testing.T) {
	out, _ := guide.Follow(t, "README.md", ".")
	guide.Wants(t, out, "is valid", "  sink offsite: ok\n", "offers sink folder", "running for", "SET.json\n", "shard-0000.rdb\n", "folder: plugin started")
}
