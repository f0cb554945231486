package main

import (
	"path/filepath"
	"strings"
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
	g := guide.Follow(t)
	g.Run("check")
	if out := g.Run("plugins", "ping"); !strings.Contains(out, "sink offsite: ok") {
		t.Errorf("ping says %q", out)
	}
	c, stop := g.Serve()
	for _, v := range []string{"one", "two", "three"} {
		if err := c.Set(t.Context(), "k", v, 0).Err(); err != nil {
			t.Fatal(err)
		}
		if err := c.Do(t.Context(), "SAVE").Err(); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	sets, err := filepath.Glob(filepath.Join(g.Dir(), "offsite", "*-snapshot", sink.SetFile))
	if err != nil || len(sets) != 2 { // keep = 2
		t.Fatalf("sets offsite: %v, %v", sets, err)
	}
	parts, err := filepath.Glob(filepath.Join(filepath.Dir(sets[1]), "*.rdb"))
	if err != nil || len(parts) == 0 {
		t.Errorf("parts of the newest: %v, %v", parts, err)
	}
}
