package zstd_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/plugins"
	"github.com/spillwaydb/spillway/plugins/plugintest"
	"github.com/spillwaydb/spillway/plugins/zstd"
)

var part = sink.Part{Kind: sink.KindSnapshot, Generation: 1, Shards: 1, Name: "shard-0000.rdb.zst"}

func mk(t testing.TB, level int) sink.Stage {
	t.Helper()
	s, err := zstd.New(zstd.Options{Level: level})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConformance(t *testing.T) {
	for _, level := range []int{0, 9} {
		t.Run(fmt.Sprint("level ", level), func(t *testing.T) {
			plugintest.TestStage(t, func(t testing.TB) sink.Stage { return mk(t, level) })
		})
	}
}

func TestMain(m *testing.M) { plugintest.Main(m, plugins.Stage(zstd.Name, zstd.New)) }

func TestConformanceOverWire(t *testing.T) {
	w := plugintest.Loopback(t)
	plugintest.TestStage(t, func(t testing.TB) sink.Stage { return w.Stage(t, zstd.Name, zstd.Options{Level: 3}) })
}

func TestLevels(t *testing.T) {
	for _, level := range []int{-1, 23} {
		if _, err := zstd.New(zstd.Options{Level: level}); err == nil {
			t.Errorf("level %d is accepted", level)
		}
	}
	data := plugintest.Payload(1 << 20)
	if fast := plugintest.Encoded(t, mk(t, 1), data); len(fast) >= len(data) {
		t.Errorf("%d bytes became %d", len(data), len(fast))
	}
}

func TestFormat(t *testing.T) {
	plugintest.TestFormat(t, plugintest.Format{
		New:  func(t testing.TB) sink.Stage { return mk(t, 0) },
		Tool: "zstd", Levels: []string{"-1", "-19"},
		Damaged: [][]byte{{0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xff, 0x01, 0x00, 0x00}}, // a frame that asks for a window of 3.75 TB
	})
}

// forged is a frame that declares a window of 1<<log bytes and has three bytes of
// content.
func forged(log byte) []byte {
	frame := []byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, (log - 10) << 3}
	const last, rle, size = 1, 1 << 1, 3 << 3
	return append(frame, last|rle|size, 0, 0, 'x')
}

// A frame of a few bytes does not reserve what it pretends to need.
func TestForgedWindows(t *testing.T) {
	for log := byte(10); log <= 41; log++ {
		var got []byte
		var err error
		used := plugintest.Allocated(func() { got, err = plugintest.Decoded(mk(t, 0), forged(log)) })
		if most := int64(12 << 20); used > most {
			t.Errorf("a window of 1<<%d made %d bytes be allocated", log, used)
		}
		if small := log <= 23; small != (err == nil) || small && string(got) != "xxx" {
			t.Errorf("a window of 1<<%d: %q, %v", log, got, err)
		}
		if err != nil && (!sink.IsPermanent(err) || !strings.Contains(err.Error(), "--long")) {
			t.Errorf("a window of 1<<%d: the error does not say what to do: %v", log, err)
		}
	}
	// A content size that does not come true.
	single := binary.LittleEndian.AppendUint64([]byte{0x28, 0xb5, 0x2f, 0xfd, 0xe0}, 100<<30)
	used := plugintest.Allocated(func() {
		if _, err := plugintest.Decoded(mk(t, 0), append(single, 1, 0, 0)); err == nil {
			t.Error("100 GB in 16 bytes: no error")
		}
	})
	if used > 12<<20 {
		t.Errorf("a forged content size made %d bytes be allocated", used)
	}
}

// golden is what the first release stored, and what it had been given.
func golden(t testing.TB) (raw []byte, stored [][]byte) {
	t.Helper()
	raw, err := os.ReadFile("testdata/golden-v1.raw")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"testdata/golden-v1-level1.zst", "testdata/golden-v1-level19.zst"} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, b)
	}
	return raw, stored
}

// Golden files are never regenerated: what was stored once is read for ever.
func TestGolden(t *testing.T) {
	raw, stored := golden(t)
	for i, b := range stored {
		if got, err := plugintest.Decoded(mk(t, 0), b); err != nil || !bytes.Equal(got, raw) {
			t.Errorf("file %d: %d other bytes, %v", i, len(got), err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	_, stored := golden(f)
	stored = append(stored, slices.Concat(stored...), forged(10), forged(23), forged(24), forged(40))
	stored = append(stored, append([]byte{0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 's', 'k', 'i', 'p'}, stored[0]...))
	plugintest.FuzzStage(f, mk(f, 0), 16<<20, stored...)
}

func BenchmarkEncode(b *testing.B) {
	s := mk(b, 0)
	data := plugintest.Payload(8 << 20)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := s.Encode(context.Background(), part, io.Discard, bytes.NewReader(data)); err != nil {
			b.Fatal(err)
		}
	}
}
