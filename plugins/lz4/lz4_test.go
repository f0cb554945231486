package lz4_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os/exec"
	"testing"
	"testing/iotest"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/plugins"
	"github.com/spillwaydb/spillway/plugins/lz4"
	"github.com/spillwaydb/spillway/plugins/plugintest"
)

func TestMain(m *testing.M) { plugintest.Main(m, plugins.Stage(lz4.Name, lz4.New)) }

var part = sink.Part{Kind: sink.KindSnapshot, Generation: 1, Shards: 1, Name: "shard-0000.rdb"}

func mk(t testing.TB, level int) sink.Stage {
	t.Helper()
	s, err := lz4.New(lz4.Options{Level: level})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func encode(t testing.TB, s sink.Stage, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	if _, err := s.Encode(context.Background(), part, &out, bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func decode(s sink.Stage, stored []byte) ([]byte, error) {
	var out bytes.Buffer
	err := s.Decode(context.Background(), part, nil, &out, bytes.NewReader(stored))
	return out.Bytes(), err
}

func TestConformance(t *testing.T) {
	for _, level := range []int{0, 9} {
		plugintest.TestStage(t, func(t testing.TB) sink.Stage { return mk(t, level) })
	}
}

func TestConformanceOverWire(t *testing.T) {
	w := plugintest.Loopback(t)
	plugintest.TestStage(t, func(t testing.TB) sink.Stage { return w.Stage(t, lz4.Name, lz4.Options{Level: 1}) })
}

func TestLevels(t *testing.T) {
	for _, level := range []int{-1, 10} {
		if _, err := lz4.New(lz4.Options{Level: level}); err == nil {
			t.Errorf("level %d is accepted", level)
		}
	}
	data := plugintest.Payload(1 << 20)
	if fast, small := encode(t, mk(t, 1), data), encode(t, mk(t, 9), data); len(fast) >= len(data) || len(small) > len(fast) {
		t.Errorf("%d bytes became %d at level 1 and %d at level 9", len(data), len(fast), len(small))
	}
}

// What we write is the standard format, and we read what the tool writes.
func TestStandardFormat(t *testing.T) {
	for _, n := range []int{0, 1, 5 << 20} {
		data := plugintest.Payload(n)
		if got := tool(t, encode(t, mk(t, 0), data), "-d", "-c"); !bytes.Equal(got, data) {
			t.Errorf("%d bytes: lz4 -d reads %d back", n, len(got))
		}
		for _, level := range []string{"-1", "-9"} {
			if got, err := decode(mk(t, 0), tool(t, data, level, "-c")); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%d bytes of lz4 %s: %d back, %v", n, level, len(got), err)
			}
		}
	}
}

// tool runs Debian's lz4.
func tool(t *testing.T, in []byte, args ...string) []byte {
	t.Helper()
	bin, err := exec.LookPath("lz4")
	if err != nil {
		t.Fatalf("this test needs lz4: apt-get install lz4 (%v)", err)
	}
	var out, errs bytes.Buffer
	cmd := exec.Command(bin, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("lz4 %v: %v: %s", args, err, errs.String())
	}
	return out.Bytes()
}

func TestDamageIsAnError(t *testing.T) {
	s := mk(t, 0)
	stored := encode(t, s, plugintest.Payload(500_000))
	for cut := 0; cut < len(stored); cut += max(1, len(stored)/50) {
		if _, err := decode(s, stored[:cut]); err == nil {
			t.Errorf("cut to %d of %d bytes: no error", cut, len(stored))
		}
	}
	for _, bad := range [][]byte{append(bytes.Clone(stored), "trailing"...), []byte("REDIS0010 is not a frame")} {
		if _, err := decode(s, bad); err == nil {
			t.Errorf("%.20q…: no error", bad)
		}
	}
	stored[len(stored)/2] ^= 4
	if _, err := decode(s, stored); err == nil {
		t.Error("a flipped bit: no error")
	}
}

// A reader that fails must not leave what looks complete.
func TestFailureLeavesNothingComplete(t *testing.T) {
	s := mk(t, 0)
	for _, boom := range []error{errors.New("boom"), io.ErrUnexpectedEOF} {
		src := io.MultiReader(bytes.NewReader(plugintest.Payload(3<<20)), iotest.ErrReader(boom))
		var out bytes.Buffer
		if _, err := s.Encode(context.Background(), part, &out, src); !errors.Is(err, boom) {
			t.Fatalf("the source fails with %v, Encode with %v", boom, err)
		}
		if _, err := decode(s, out.Bytes()); err == nil {
			t.Error("the output of a failed Encode decodes")
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(encode(f, mk(f, 0), []byte("hello")))
	f.Fuzz(func(t *testing.T, b []byte) {
		_ = mk(t, 0).Decode(context.Background(), part, nil, io.Discard, bytes.NewReader(b))
	})
}
