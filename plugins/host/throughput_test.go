package host_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand"
	"testing"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/plugins/plugintest"
	"github.com/spillwaydb/spillway/plugins/zstd"
)

// snapshotLike is n bytes that compress as a snapshot of small values does:
// about half.
func snapshotLike(n int) []byte {
	rnd := rand.New(rand.NewSource(1))
	var b bytes.Buffer
	for i := 0; b.Len() < n; i++ {
		value := make([]byte, 24)
		rnd.Read(value)
		fmt.Fprintf(&b, "\x00\x0ekey:%010d\x40@%x%016d", i, value, i*i)
	}
	return b.Bytes()[:n]
}

// BenchmarkStage is what a stage costs in this process and in one of its own.
// Compare the MB/s of the two:
//
//	go test ./plugins/host -run '^$' -bench Stage -benchtime 2s -count 5
func BenchmarkStage(b *testing.B) {
	data := snapshotLike(64 << 20)
	local, err := zstd.New(zstd.Options{})
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		stage func(testing.TB) sink.Stage
	}{
		{"copy/in-process", func(testing.TB) sink.Stage { return &plugintest.FuncStage{Name: "copy"} }},
		{"copy/plugin", func(t testing.TB) sink.Stage { return plugintest.Loopback(t).Stage(t, "copy", nil) }},
		{"zstd/in-process", func(testing.TB) sink.Stage { return local }},
		{"zstd/plugin", func(t testing.TB) sink.Stage { return plugintest.Loopback(t).Stage(t, "zstd", nil) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			s := c.stage(b)
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				if _, err := s.Encode(b.Context(), part(1), io.Discard, bytes.NewReader(data)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
