package host_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/spillwaydb/spillway/core/coretest/lives"
	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/fsbackends/osfs"
	"github.com/spillwaydb/spillway/plugins"
	"github.com/spillwaydb/spillway/plugins/plugintest"
	"github.com/spillwaydb/spillway/plugins/zstd"
)

func TestMain(m *testing.M) {
	if os.Getenv(hostileEnv) != "" {
		misbehave(os.Getenv(hostileEnv))
		return
	}
	if os.Getenv(hostEnv) != "" && !plugins.Started() {
		beHost()
		return
	}
	plugintest.Main(m, components()...)
}

type dirConfig struct {
	Root string `json:"root"`
}

func components() []plugins.Component {
	return []plugins.Component{
		plugintest.XOR("xor", 0x55),
		&plugintest.FuncStage{Name: "copy"},
		plugins.Stage(zstd.Name, zstd.New),
		plugins.Sink("dir", func(c dirConfig) (sink.Sink, error) {
			fs, err := osfs.New(c.Root)
			if err != nil {
				return nil, err
			}
			return sink.NewFSSink("dir", fs, "sets"), nil
		}),
		plugins.Sink("memory", func(struct{}) (sink.Sink, error) { return plugintest.NewMemSink("memory"), nil }),
	}
}

func TestStageConformance(t *testing.T) {
	w := plugintest.Loopback(t)
	for _, name := range []string{"xor", "copy"} {
		t.Run(name, func(t *testing.T) {
			plugintest.TestStage(t, func(t testing.TB) sink.Stage { return w.Stage(t, name, nil) })
		})
	}
}

func TestSinkConformance(t *testing.T) {
	w := plugintest.Loopback(t)
	t.Run("dir", func(t *testing.T) {
		plugintest.TestSink(t, func(t testing.TB) sink.Sink { return w.Sink(t, "dir", dirConfig{t.TempDir()}) })
	})
	t.Run("memory", func(t *testing.T) {
		plugintest.TestSink(t, func(t testing.TB) sink.Sink {
			// A process of its own: the memory is to be empty.
			return plugintest.Loopback(t).Sink(t, "memory", nil)
		})
	})
}

// TestLives: several lives and daemons whose sink is a plugin.
func TestLives(t *testing.T) {
	w := plugintest.Loopback(t)
	lives.TestBrief(t, func(t testing.TB) lives.Store {
		dir := t.TempDir()
		return lives.Store{Open: func() sink.Sink { return w.Sink(t, "dir", dirConfig{dir}) }, Files: os.DirFS(dir)}
	})
}

// TestSweepOverWire: the plugin asks for each staged set, and the host's
// answers count.
func TestSweepOverWire(t *testing.T) {
	root := t.TempDir()
	s := plugintest.Loopback(t).Sink(t, "dir", dirConfig{root})
	for gen := uint64(1); gen <= 3; gen++ {
		putPart(t, s, gen, plugintest.Payload(10))
	}
	asked := 0
	removed, err := s.(sink.Sweeper).Sweep(t.Context(), func(id sink.SetID) bool {
		asked++
		return id.Generation == 2
	})
	if err != nil || asked != 3 || len(removed) != 2 {
		t.Fatalf("removed %v after %d questions, %v", removed, asked, err)
	}
	left, err := filepath.Glob(filepath.Join(root, "sets", "*"))
	if err != nil || len(left) != 1 || filepath.Base(left[0]) != "00000002" {
		t.Errorf("left: %v, %v", left, err)
	}
}
