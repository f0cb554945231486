package resp

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"testing"
	"testing/iotest"
)

// commandsOf reads all commands of a stream through Fill.
func commandsOf(r io.Reader) (out [][][]byte, fills int, err error) {
	var p Parser
	var buf []byte
	for {
		args, n, err := p.Next(buf, nil)
		switch {
		case err == nil:
			out, buf = append(out, args), buf[n:]
			continue
		case !errors.Is(err, ErrIncomplete):
			return out, fills, err
		}
		next, err := p.Fill(r, buf)
		if fills++; err != nil && len(next) == len(buf) {
			return out, fills, err
		}
		buf = next
	}
}

// TestFill: what comes in pieces of any size is what was sent, and stays.
func TestFill(t *testing.T) {
	var sent []byte
	var want []string
	for _, n := range []int{0, 1, 70, 1000, 300 << 10, 5, 3 << 20, 2} {
		value := bytes.Repeat([]byte{byte('a' + len(want))}, n)
		sent = AppendCommand(sent, []byte("SET"), []byte("k"), value)
		want = append(want, string(value))
	}
	for name, r := range map[string]io.Reader{
		"whole":    bytes.NewReader(sent),
		"half":     iotest.HalfReader(bytes.NewReader(sent)),
		"with EOF": iotest.DataErrReader(bytes.NewReader(sent)),
	} {
		got, fills, err := commandsOf(r)
		if !errors.Is(err, io.EOF) || len(got) != len(want) {
			t.Fatalf("%s: %d commands, %v", name, len(got), err)
		}
		for i, args := range got {
			if len(args) != 3 || string(args[2]) != want[i] {
				t.Errorf("%s: command %d is another one", name, i)
			}
		}
		if fills > 20 {
			t.Errorf("%s: filled %d times for %d bytes", name, fills, len(sent))
		}
	}
}

// TestFillByWhatArrives: a claimed length costs nothing before it comes true.
func TestFillByWhatArrives(t *testing.T) {
	for _, come := range []int{0, 1000, 5 << 20} {
		sent := fmt.Appendf(nil, "*2\r\n$3\r\nGET\r\n$%d\r\n%s", DefaultMaxBulk, make([]byte, come))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got, _, err := commandsOf(bytes.NewReader(sent))
		runtime.ReadMemStats(&after)
		if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) || len(got) > 0 {
			t.Errorf("%d bytes: %d commands, %v", come, len(got), err)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > uint64(1<<20+10*come) {
			t.Errorf("%d bytes of an argument that claims %d made %d be allocated", come, DefaultMaxBulk, used)
		}
	}
}
