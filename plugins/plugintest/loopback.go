package plugintest

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/plugins"
	"github.com/spillwaydb/spillway/plugins/host"
)

// Main is a TestMain for packages that test stages and sinks over the wire: it
// runs the tests, and is the plugin when one of them has started the test
// binary as such.
//
//	func TestMain(m *testing.M) { plugintest.Main(m, plugins.Stage("zstd", zstd.New)) }
func Main(m *testing.M, components ...plugins.Component) {
	if plugins.Started() {
		plugins.Serve(components...)
		return
	}
	os.Exit(m.Run())
}

// Wire is the test binary as a plugin, in a process of its own.
type Wire struct {
	t      testing.TB
	plugin *host.Plugin
}

// Loopback starts the test binary as a plugin that offers what Main was given.
// It ends with t.
func Loopback(t testing.TB) *Wire {
	t.Helper()
	return LoopbackEnv(t, nil)
}

// LoopbackEnv is Loopback with variables for the plugin's environment, which
// does not have the test's.
func LoopbackEnv(t testing.TB, env map[string]string) *Wire {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return command(t, env, self)
}

// Command starts a program as a plugin: one in another language, say. It ends
// with t.
func Command(t testing.TB, argv ...string) *Wire {
	t.Helper()
	return command(t, nil, argv...)
}

func command(t testing.TB, env map[string]string, argv ...string) *Wire {
	t.Helper()
	sum, err := host.Checksum(argv[0])
	if err != nil {
		t.Fatal(err)
	}
	h, err := host.New(host.Options{Logger: Logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := h.Close(ctx); err != nil {
			t.Errorf("closing the host: %v", err)
		}
	})
	p, err := h.Add(host.Spec{Name: "loopback", Command: argv, Checksum: sum, Env: RaceEnv(env), Timeout: 3 * patience})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	return &Wire{t: t, plugin: p}
}

// RaceEnv is env and what the race detector has been told, if anything: a plugin has an
// environment of its own, and waits a second at each of its ends unless it is told not to
// (GORACE=atexit_sleep_ms).
func RaceEnv(env map[string]string) map[string]string {
	told, ok := os.LookupEnv("GORACE")
	if !ok {
		return env
	}
	with := map[string]string{"GORACE": told}
	maps.Copy(with, env)
	return with
}

// Plugin is the plugin itself.
func (w *Wire) Plugin() *host.Plugin { return w.plugin }

// Stage returns a stage of the plugin, configured and ready; config is
// marshalled to JSON, nil is none.
func (w *Wire) Stage(t testing.TB, component string, config any) sink.Stage {
	t.Helper()
	s := w.plugin.Stage(component, component, w.json(t, config))
	w.check(t, s)
	return s
}

// Sink returns a sink of the plugin, configured and ready.
func (w *Wire) Sink(t testing.TB, component string, config any) sink.Sink {
	t.Helper()
	s := w.plugin.Sink(component, component, w.json(t, config))
	w.check(t, s)
	return s
}

func (w *Wire) json(t testing.TB, config any) []byte {
	t.Helper()
	if config == nil {
		return nil
	}
	b, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (w *Wire) check(t testing.TB, s any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*patience)
	defer cancel()
	if err := s.(interface{ Check(context.Context) error }).Check(ctx); err != nil {
		t.Fatal(err)
	}
}

// Logger logs into the test's log, until the test is over.
func Logger(t testing.TB) hclog.Logger {
	w := &testWriter{t: t}
	t.Cleanup(w.stop)
	return hclog.New(&hclog.LoggerOptions{Level: hclog.Debug, Output: w, DisableTime: true})
}
