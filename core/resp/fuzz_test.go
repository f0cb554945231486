package resp

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math"
	"runtime/metrics"
	"slices"
	"strings"
	"testing"
)

// within fails the test when f allocates more than size bytes of input allow:
// some buffers, and for each byte what the densest input makes of it.
func within(t *testing.T, size, perByte int, f func()) {
	t.Helper()
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	before := s[0].Value.Uint64()
	f()
	metrics.Read(s)
	if got, most := s[0].Value.Uint64()-before, uint64(4<<20+perByte*size); got > most {
		t.Fatalf("%d bytes of input made %d be allocated; at most %d may", size, got, most)
	}
}

// parsed is what a stream of commands comes to: the commands, and how it ended.
type parsed struct {
	cmds [][]string
	used int
	err  string
}

// parse feeds in to p in steps of so many bytes, as a connection does.
func parse(in []byte, step int, p *Parser) parsed {
	var out parsed
	end := min(step, len(in))
	for {
		args, n, err := p.Next(in[out.used:end:end], nil)
		switch {
		case err == nil:
			out.used += n
			if args != nil {
				out.cmds = append(out.cmds, toStrings(args))
			}
			if out.used == len(in) {
				return out
			}
		case !errors.Is(err, ErrIncomplete):
			out.err = err.Error()
			return out
		case end == len(in):
			return out
		}
		if err != nil || out.used == end {
			end = min(end+step, len(in))
		}
	}
}

// FuzzParser wants the same commands and the same error however a stream is cut
// into reads, and that what was parsed survives being written again.
func FuzzParser(f *testing.F) {
	for _, in := range []string{
		"*1\r\n$4\r\nPING\r\nset a 'b'\r\n", "*2\r\n$-1\r\n", "*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$5\r\nvalue\r\n*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n",
		"*0\r\n\r\n*-1\r\nPING\r\n", "*2147483647\r\n$536870912\r\n", "*1\r\n$0\r\n\r\n", "set \"a\\x00\\n\" 'it\\'s' b\r\n", "*10000000000000000000\r\n",
		"*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n*1\r\n$20000\r\n", "*11\r\n", "\"unbalanced\r\n", "*1\n$1\na\n",
	} {
		f.Add([]byte(in), uint8(3), false)
		f.Add([]byte(in), uint8(1), true)
	}
	f.Fuzz(func(t *testing.T, in []byte, step uint8, unauthenticated bool) {
		mk := func() *Parser { return &Parser{Unauthenticated: unauthenticated, MaxInline: 512} }
		var whole parsed
		within(t, len(in), 200, func() { whole = parse(in, len(in)+1, mk()) })
		cut := parse(in, int(step)+1, mk())
		if whole.err != cut.err || whole.used != cut.used || len(whole.cmds) != len(cut.cmds) {
			t.Fatalf("whole: %+v\nin pieces: %+v", whole, cut)
		}
		for i, cmd := range whole.cmds {
			if strings.Join(cmd, "\x00") != strings.Join(cut.cmds[i], "\x00") || len(cmd) != len(cut.cmds[i]) {
				t.Fatalf("command %d is %q whole and %q in pieces", i, cmd, cut.cmds[i])
			}
			args := make([][]byte, len(cmd))
			for j, a := range cmd {
				args[j] = []byte(a)
			}
			again := AppendCommand(nil, args...)
			back, n, err := new(Parser).Next(again, nil)
			if err != nil || n != len(again) || strings.Join(toStrings(back), "\x00") != strings.Join(cmd, "\x00") || len(back) != len(cmd) {
				t.Fatalf("%q does not survive AppendCommand: %q, %v", cmd, back, err)
			}
		}
	})
}

// FuzzReadReply wants one of the promised errors, or a reply that is the same
// after it was written in RESP3 and read again.
func FuzzReadReply(f *testing.F) {
	w := &Writer{Proto: 3}
	w.Map(2)
	w.BulkString("server")
	w.BulkString("redis")
	w.BulkString("modules")
	w.Array(3)
	w.Int(-5)
	w.Double(1.5)
	w.Set(1)
	w.Null()
	f.Add(bytes.Clone(w.Buf))
	for _, in := range []string{
		"+OK\r\n", "-ERR no\r\n", ":12\r\n", "$5\r\nhello\r\n", "$-1\r\n", "*-1\r\n", "*2\r\n:1\r\n$1\r\na\r\n", "_\r\n", "#t\r\n", ",inf\r\n", ",nan\r\n", ",1e999\r\n",
		"(123456789012345678901234567890\r\n", "=15\r\ntxt:Some string\r\n", "!9\r\nERR a\r\nb\r\n", "|1\r\n+k\r\n:1\r\n+OK\r\n", ">2\r\n+message\r\n+x\r\n", "~0\r\n",
		"*2147483647\r\n", "$2147483647\r\nx", "%1073741824\r\n", strings.Repeat("*1\r\n", 80), strings.Repeat("*64\r\n", 60), "+" + strings.Repeat("x", 70_000),
	} {
		f.Add([]byte(in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var v Value
		var err error
		within(t, len(in), 2000, func() { v, err = ReadReply(bufio.NewReaderSize(bytes.NewReader(in), 64)) })
		var proto *ProtocolError
		switch {
		case errors.As(err, &proto), err == io.EOF, errors.Is(err, io.ErrUnexpectedEOF):
			return
		case err != nil:
			t.Fatalf("unexpected error: %v", err)
		}
		if lineEnds(v) {
			return // the Writer makes them blanks
		}
		w := &Writer{Proto: 3}
		write(w, v)
		again, err := ReadReply(bufio.NewReader(bytes.NewReader(w.Buf)))
		if err != nil || again.String() != v.String() || again.Kind != v.Kind {
			t.Fatalf("%s (%c) was written as %q, which reads as %s (%c): %v", v, v.Kind, w.Buf, again, again.Kind, err)
		}
		_ = v.Text()
	})
}

// lineEnds tells whether a text that is written as a line holds one.
func lineEnds(v Value) bool {
	switch v.Kind {
	case KindSimple, KindError, KindBig:
		return bytes.ContainsAny(v.Str, "\r\n")
	}
	return slices.ContainsFunc(v.Elems, lineEnds)
}

// write writes a reply that was read.
func write(w *Writer, v Value) {
	switch v.Kind {
	case KindSimple:
		w.SimpleString(string(v.Str))
	case KindError:
		w.Error(string(v.Str))
	case KindInt:
		w.Int(v.Int)
	case KindBulk:
		w.Bulk(v.Str)
	case KindNull:
		w.Null()
	case KindBool:
		w.Bool(v.Int != 0)
	case KindDouble:
		w.Double(v.Float)
	case KindBig:
		w.BigNumber(string(v.Str))
	case KindVerbatim:
		w.Verbatim("txt", string(v.Str))
	case KindArray:
		w.Array(len(v.Elems))
	case KindMap:
		w.Map(len(v.Elems) / 2)
	case KindSet:
		w.Set(len(v.Elems))
	case KindPush:
		w.Push(len(v.Elems))
	}
	for _, e := range v.Elems {
		write(w, e)
	}
}

// TestForgedReplyLengths: what a header promises is not reserved.
func TestForgedReplyLengths(t *testing.T) {
	for _, in := range []string{
		"*2147483647\r\n", "%1073741823\r\n", "$2147483647\r\n", "=2147483647\r\nx", "~2147483647\r\n:1\r\n", strings.Repeat("*2147483647\r\n", 60),
	} {
		within(t, len(in), 2000, func() {
			if _, err := ReadReply(bufio.NewReader(strings.NewReader(in))); err == nil {
				t.Errorf("%.20q: no error", in)
			}
		})
	}
	for _, in := range []string{"*2147483647\r\n$536870912\r\nx", "*2147483647\r\n" + strings.Repeat("$0\r\n\r\n", 100)} {
		within(t, len(in), 200, func() {
			p := &Parser{MaxMultibulk: math.MaxInt}
			if _, _, err := p.Next([]byte(in), nil); !errors.Is(err, ErrIncomplete) {
				t.Errorf("%.20q: %v", in, err)
			}
		})
	}
}
