package main

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/examples/internal/guide"
	"github.com/spillwaydb/spillway/plugins"
	"github.com/spillwaydb/spillway/plugins/plugintest"
)

func TestMain(m *testing.M) { plugintest.Main(m, plugins.Stage("rot", New)) }

func TestConformance(t *testing.T) {
	plugintest.TestStage(t, func(t testing.TB) sink.Stage {
		s, err := New(Options{By: 13})
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

func TestConformanceOverWire(t *testing.T) {
	w := plugintest.Loopback(t)
	plugintest.TestStage(t, func(t testing.TB) sink.Stage { return w.Stage(t, "rot", Options{By: 5}) })
}

// TestReadme does what README.md tells an author to do.
func TestReadme(t *testing.T) {
	out, tmp := guide.Follow(t, "README.md", ".")
	guide.Wants(t, out, "is valid", "  stage rot: ok\n", "offers stage rot", "running for", ".rdb.rot\n", "\nhello\n")
	work, err := filepath.Glob(filepath.Join(tmp, "*", "customstage"))
	if err != nil || len(work) != 1 {
		t.Fatalf("the plugin: %v, %v", work, err)
	}
	byHand, err := exec.Command(work[0]).CombinedOutput()
	if err != nil {
		t.Errorf("started by hand: %v", err)
	}
	guide.Wants(t, string(byHand), "stage  rot", `checksum = "sha256:`, "uses = plugin.customstage")
}
