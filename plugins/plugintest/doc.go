// Package plugintest holds the conformance suites that every stage and every
// sink has to pass, in process or over the wire, and the fakes to test a
// pipeline with.
//
//	func TestConformance(t *testing.T) {
//		plugintest.TestStage(t, func(t testing.TB) sink.Stage { return mystage.New() })
//	}
//
// TestStage and TestSink check what core/sink promises its callers on the
// implementation's behalf: round trips, reading to the end, errors that are
// passed on, cancellation, damaged input, concurrency, goroutines left behind,
// and for sinks what is visible when.
//
// TestFormat is for stages whose output a standard tool reads, FuzzStage for their
// decoders, TestHangs, TestKilled and TestMemory for sinks over a network.
//
// MemSink is a correct sink in memory. FuncStage and FuncSink are made of
// functions, for faults of every kind.
package plugintest
