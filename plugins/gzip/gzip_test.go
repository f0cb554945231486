package gzip_test

import (
	"testing"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/plugins"
	"github.com/spillwaydb/spillway/plugins/gzip"
	"github.com/spillwaydb/spillway/plugins/plugintest"
)

func TestMain(m *testing.M) { plugintest.Main(m, plugins.Stage(gzip.Name, gzip.New)) }

func mk(t testing.TB, level int) sink.Stage {
	t.Helper()
	s, err := gzip.New(gzip.Options{Level: level})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConformance(t *testing.T) {
	for _, level := range []int{0, 9} {
		plugintest.TestStage(t, func(t testing.TB) sink.Stage { return mk(t, level) })
	}
}

func TestConformanceOverWire(t *testing.T) {
	w := plugintest.Loopback(t)
	plugintest.TestStage(t, func(t testing.TB) sink.Stage { return w.Stage(t, gzip.Name, gzip.Options{Level: 1}) })
}

func TestFormat(t *testing.T) {
	plugintest.TestFormat(t, plugintest.Format{
		New:  func(t testing.TB) sink.Stage { return mk(t, 0) },
		Tool: "gzip", Levels: []string{"-1", "-9"},
	})
}

func TestLevels(t *testing.T) {
	for _, level := range []int{-1, 10} {
		if _, err := gzip.New(gzip.Options{Level: level}); err == nil {
			t.Errorf("level %d is accepted", level)
		}
	}
	data := plugintest.Payload(1 << 20)
	fast, small := plugintest.Encoded(t, mk(t, 1), data), plugintest.Encoded(t, mk(t, 9), data)
	if len(fast) >= len(data) || len(small) > len(fast) {
		t.Errorf("%d bytes became %d at level 1 and %d at level 9", len(data), len(fast), len(small))
	}
}

func FuzzDecode(f *testing.F) { plugintest.FuzzStage(f, mk(f, 0), 16<<20) }
