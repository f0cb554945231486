package plugintest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os/exec"
	"testing"
	"testing/iotest"

	"github.com/spillwaydb/spillway/core/sink"
)

// Format is a stage whose output is a standard format, which a standard tool
// reads and writes too.
type Format struct {
	// New makes the stage with its default options.
	New func(t testing.TB) sink.Stage
	// Tool is the program, and Debian's package of it: Tool -d -c undoes what
	// the stage does, and the stage what Tool -c does, at each of Levels.
	Tool   string
	Levels []string
	// Damaged are inputs that are not of the format.
	Damaged [][]byte
}

// TestFormat checks that a stage writes its format and nothing but its format:
// the tool and the stage read each other, damage is an error, and what a failure
// leaves is not taken for complete.
func TestFormat(t *testing.T, f Format) {
	t.Run("tool", func(t *testing.T) {
		for _, n := range []int{0, 1, 5 << 20} {
			data := Payload(n)
			if got := f.tool(t, Encoded(t, f.New(t), data), "-d", "-c"); !bytes.Equal(got, data) {
				t.Errorf("%d bytes: %s -d reads %d back", n, f.Tool, len(got))
			}
			for _, level := range f.Levels {
				if got, err := Decoded(f.New(t), f.tool(t, data, level, "-c")); err != nil || !bytes.Equal(got, data) {
					t.Errorf("%d bytes of %s %s: %d back, %v", n, f.Tool, level, len(got), err)
				}
			}
		}
	})
	t.Run("damage", func(t *testing.T) {
		s := f.New(t)
		stored := Encoded(t, s, Payload(500_000))
		for cut := 0; cut < len(stored); cut += max(1, len(stored)/50) {
			if _, err := Decoded(s, stored[:cut]); err == nil {
				t.Errorf("cut to %d of %d bytes: no error", cut, len(stored))
			}
		}
		for _, bad := range append(f.Damaged, append(bytes.Clone(stored), "trailing"...), []byte("REDIS0010 is not a frame")) {
			if _, err := Decoded(s, bad); err == nil {
				t.Errorf("%.20q…: no error", bad)
			}
		}
		stored[len(stored)/2] ^= 4
		if _, err := Decoded(s, stored); err == nil {
			t.Error("a flipped bit: no error")
		}
	})
	t.Run("failure", func(t *testing.T) {
		s := f.New(t)
		for _, boom := range []error{errInjected, io.ErrUnexpectedEOF} {
			src := io.MultiReader(bytes.NewReader(Payload(3<<20)), iotest.ErrReader(boom))
			var out bytes.Buffer
			if _, err := s.Encode(context.Background(), part(1, 0), &out, src); !errors.Is(err, boom) {
				t.Fatalf("the source fails with %v, Encode with %v", boom, err)
			}
			if _, err := Decoded(s, out.Bytes()); err == nil {
				t.Error("the output of a failed Encode decodes")
			}
		}
	})
}

// tool runs the standard tool.
func (f Format) tool(t *testing.T, in []byte, args ...string) []byte {
	t.Helper()
	bin, err := exec.LookPath(f.Tool)
	if err != nil {
		t.Fatalf("this test needs %s: apt-get install %[1]s (%v)", f.Tool, err)
	}
	var out, errs bytes.Buffer
	cmd := exec.Command(bin, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %v: %v: %s", f.Tool, args, err, errs.String())
	}
	return out.Bytes()
}

// Encoded is what a stage makes of data.
func Encoded(t testing.TB, s sink.Stage, data []byte) []byte {
	t.Helper()
	stored, _ := encode(t, s, part(1, 0), data, 0)
	return stored
}

// Decoded is what a stage that needs no receipt makes of stored bytes.
func Decoded(s sink.Stage, stored []byte) ([]byte, error) {
	var out bytes.Buffer
	err := s.Decode(context.Background(), part(1, 0), nil, &out, bytes.NewReader(stored))
	return out.Bytes(), err
}
