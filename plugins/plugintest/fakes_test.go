package plugintest_test

import (
	"testing"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/plugins/plugintest"
)

func TestMemSink(t *testing.T) {
	plugintest.TestSink(t, func(testing.TB) sink.Sink { return plugintest.NewMemSink("mem") })
}

func TestFuncSink(t *testing.T) {
	plugintest.TestSink(t, func(testing.TB) sink.Sink {
		return &plugintest.FuncSink{Inner: plugintest.NewMemSink("mem")}
	})
}

func TestFuncStage(t *testing.T) {
	plugintest.TestStage(t, func(testing.TB) sink.Stage { return &plugintest.FuncStage{Name: "copy"} })
}

func TestXOR(t *testing.T) {
	plugintest.TestStage(t, func(testing.TB) sink.Stage { return plugintest.XOR("xor", 0x5a) })
}
