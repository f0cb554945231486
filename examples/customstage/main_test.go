package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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
	g := guide.Follow(t)
	g.Run("check")
	if out := g.Run("plugins", "ping"); !strings.Contains(out, "stage rot: ok") {
		t.Errorf("ping says %q", out)
	}
	if out, err := exec.Command(g.Plugin()).CombinedOutput(); err != nil || !strings.Contains(string(out), "stage  rot") || !strings.Contains(string(out), `checksum = "sha256:`) {
		t.Errorf("started by hand the plugin says %q, %v", out, err)
	}
	c, stop := g.Serve()
	if err := c.Set(t.Context(), "greeting", "hello", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if err := c.Do(t.Context(), "SAVE").Err(); err != nil {
		t.Fatal(err)
	}
	stop()
	parts, err := filepath.Glob(filepath.Join(g.Dir(), "data", "checkpoints", "*", "*.rdb.rot"))
	if err != nil || len(parts) == 0 {
		t.Fatalf("no part that went through the stage: %v", err)
	}
	found := false
	for _, p := range parts {
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		found = found || bytes.Contains(b, []byte("uryyb")) // hello, rotated by 13
	}
	if !found {
		t.Error("what is stored is not rotated")
	}
	c, stop = g.Serve()
	if v := c.Get(t.Context(), "greeting").Val(); v != "hello" {
		t.Errorf("after a restart the greeting is %q", v)
	}
	stop()
}
