package resp

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func parseAll(t *testing.T, p *Parser, in string) (cmds [][]string, err error) {
	t.Helper()
	buf := []byte(in)
	for len(buf) > 0 {
		args, n, err := p.Next(buf, nil)
		if err != nil {
			return cmds, err
		}
		if n <= 0 || n > len(buf) {
			t.Fatalf("consumed %d of %d", n, len(buf))
		}
		buf = buf[n:]
		if len(args) > 0 {
			cmds = append(cmds, toStrings(args))
		}
	}
	return cmds, nil
}

func toStrings(args [][]byte) []string {
	out := make([]string, len(args))
	for i, a := range args {
		out[i] = string(a)
	}
	return out
}

func TestParserCommands(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"*1\r\n$4\r\nPING\r\n", "PING"},
		{"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n", "SET|k|"},
		{"*0\r\n*-1\r\n\r\nPING\r\n", "PING"},
		{"PING\n", "PING"},
		{"  set  a \t b  \r\n", "set|a|b"},
		{`set "a \x41\n\"q" 'it\'s \n'` + "\r\n", "set|a A\n\"q|it's \\n"},
		{`set pre"fix" ""` + "\r\n", "set|prefix|"},
		{"*2\r\n$1\r\na\r\n$2\r\n\r\n\r\nPING\r\n", "a|\r\n;PING"},
	} {
		got, err := parseAll(t, new(Parser), c.in)
		var s []string
		for _, g := range got {
			s = append(s, strings.Join(g, "|"))
		}
		if err != nil || strings.Join(s, ";") != c.want {
			t.Errorf("%q: got %q, %v; want %q", c.in, s, err, c.want)
		}
	}
}

func TestParserErrorsInRedisWords(t *testing.T) {
	for _, c := range []struct {
		in, want string
		p        Parser
	}{
		{in: "*x\r\n", want: "invalid multibulk length"},
		{in: "*3000000000\r\n", want: "invalid multibulk length"},
		{in: "*01\r\n", want: "invalid multibulk length"},
		{in: "*99999999999999999999999\r\n", want: "invalid multibulk length"},
		{in: "*1\r\nfoo\r\n", want: "expected '$', got 'f'"},
		{in: "*3\r\n$3\r\nSET\r\n$1\r\nx\r\nfooz\r\n", want: "expected '$', got 'f'"},
		{in: "*1\r\n\x00", want: "expected '$', got '\x00'"},
		{in: "*1\r\n\xff", want: "expected '$', got '\xff'"},
		{in: "*" + strings.Repeat("1", 70000), want: "too big mbulk count string"},
		{in: "*1\r\n$" + strings.Repeat("1", 70000), want: "too big bulk count string"},
		{in: "*3\r\n$3\r\nSET\r\n$1\r\nx\r\n$-10\r\n", want: "invalid bulk length"},
		{in: "*3\r\n$3\r\nSET\r\n$1\r\nx\r\n$2000000000\r\n", want: "invalid bulk length"},
		{in: "*1\r\n$blabla\r\n", want: "invalid bulk length"},
		{in: "set \"\"\"test-key\"\"\" v\r\n", want: "unbalanced quotes in request"},
		{in: "set 'a\r\n", want: "unbalanced quotes in request"},
		{in: strings.Repeat("a", 65537) + "\r\n", want: "too big inline request"},
		{in: strings.Repeat("a", 70000), want: "too big inline request"},
		{in: strings.Repeat("a", 70000) + "\r\n", want: "too big inline request"},
		{in: "*11\r\n", want: "unauthenticated multibulk length", p: Parser{Unauthenticated: true}},
		{in: "*11\r\n" + strings.Repeat("$1\r\nx\r\n", 11), want: "unauthenticated multibulk length", p: Parser{Unauthenticated: true}},
		{in: "*10\n\n" + strings.Repeat("$1\r\nx\r\n", 10), want: "invalid multibulk length"},
		{in: "*1x\r\n" + strings.Repeat("$1\r\nx\r\n", 10), want: "invalid multibulk length"},
		{in: "*10\r\n" + strings.Repeat("$1\r\nx\r\n", 9) + "x1\r\n", want: "expected '$', got 'x'"},
		{in: "*1\r\n$16385\r\n", want: "unauthenticated bulk length", p: Parser{Unauthenticated: true}},
		{in: "*1\r\n$101\r\n", want: "invalid bulk length", p: Parser{MaxBulk: 100}},
		{in: "*4\r\n", want: "invalid multibulk length", p: Parser{MaxMultibulk: 3}},
	} {
		_, err := parseAll(t, &c.p, c.in)
		var pe *ProtocolError
		if !errors.As(err, &pe) || pe.Msg != "Protocol error: "+c.want {
			t.Errorf("%.40q: got %v, want %q", c.in, err, c.want)
		}
	}
}

// TestParserCounts: a command has as many arguments as it says.
func TestParserCounts(t *testing.T) {
	for _, n := range []int{1, 2, 9, 10, 11, 19, 20, 98, 99, 100, 101, 110, 999, 1000} {
		var words []string
		args := make([][]byte, n)
		for i := range args {
			words = append(words, strconv.Itoa(i))
			args[i] = []byte(words[i])
		}
		one := string(AppendCommand(nil, args...))
		got, err := parseAll(t, new(Parser), one+one)
		if err != nil || len(got) != 2 || !slices.Equal(got[0], words) || !slices.Equal(got[1], words) {
			t.Errorf("%d arguments, twice: %q, %v", n, got, err)
		}
	}
}

// Any way of cutting the stream gives the same commands, also when the buffer
// moves between calls.
func TestParserResumes(t *testing.T) {
	in := "*3\r\n$3\r\nSET\r\n$5\r\nhello\r\n$11\r\nworld\r\nagai\r\nPING \"x y\"\r\n*0\r\n*1\r\n$0\r\n\r\nset a b\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n"
	want, err := parseAll(t, new(Parser), in)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for round := range 2000 {
		p := new(Parser)
		var got [][]string
		var buf []byte
		rest := in
		for {
			args, n, err := p.Next(buf, nil)
			if err == nil {
				if len(args) > 0 {
					got = append(got, toStrings(args))
				}
				buf = append([]byte(nil), buf[n:]...)
				continue
			}
			if !errors.Is(err, ErrIncomplete) {
				t.Fatalf("round %d: %v", round, err)
			}
			if rest == "" {
				break
			}
			if p.Need() > len(rest) {
				t.Fatalf("round %d: Need() = %d of %d that are left", round, p.Need(), len(rest))
			}
			k := 1 + rng.IntN(min(len(rest), 1+round%30))
			buf = append(append([]byte(nil), buf...), rest[:k]...)
			rest = rest[k:]
		}
		if len(buf) != 0 || len(got) != len(want) {
			t.Fatalf("round %d: %q left, got %q want %q", round, buf, got, want)
		}
		for i := range got {
			if strings.Join(got[i], "|") != strings.Join(want[i], "|") {
				t.Fatalf("round %d: got %q want %q", round, got[i], want[i])
			}
		}
	}
}

func TestParserAllocatesNothing(t *testing.T) {
	one := AppendCommand(nil, []byte("SET"), []byte("key:000001"), bytes.Repeat([]byte("v"), 64))
	p := new(Parser)
	args := make([][]byte, 0, 8)
	if n := testing.AllocsPerRun(1000, func() {
		var err error
		if args, _, err = p.Next(one, args[:0]); err != nil {
			t.Fatal(err)
		}
		if _, _, err = p.Next(one[:len(one)-5], args[:0]); err != ErrIncomplete {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

func TestWriterAndReadReply(t *testing.T) {
	for _, proto := range []int{2, 3} {
		w := &Writer{Proto: proto}
		w.OK()
		w.SimpleString("a\r\nb")
		w.Error("ERR bad\nline")
		w.Errorf("ERR %d", 5)
		w.Int(-42)
		w.Bulk([]byte("x\r\ny"))
		w.BulkString("")
		w.Null()
		w.NullArray()
		w.Array(2)
		w.Int(1)
		w.Int(12345678901)
		w.Map(1)
		w.BulkString("k")
		w.Set(1)
		w.Int(7)
		w.Push(1)
		w.Int(7)
		w.Double(1.5)
		w.Double(math.Inf(-1))
		w.Bool(true)
		w.Bool(false)
		w.BigNumber("123456789012345678901234567890")
		w.Verbatim("txt", "hi")
		want := `"OK" "a  b" (error) ERR bad line (error) ERR 5 -42 "x\r\ny" "" (nil) (nil) [1 12345678901] ["k" [7]] [7] "1.5" "-inf" 1 0 "123456789012345678901234567890" "hi"`
		if proto == 3 {
			want = `"OK" "a  b" (error) ERR bad line (error) ERR 5 -42 "x\r\ny" "" (nil) (nil) [1 12345678901] {"k" [7]} [7] 1.5 -inf true false 123456789012345678901234567890 "hi"`
		}
		r := bufio.NewReaderSize(bytes.NewReader(w.Buf), 16)
		var got []string
		for {
			v, err := ReadReply(r)
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, v.String())
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("RESP%d:\n got %s\nwant %s", proto, s, want)
		}
		for cut := range w.Buf {
			r := bufio.NewReader(bytes.NewReader(w.Buf[:cut]))
			for {
				if _, err := ReadReply(r); err != nil {
					if err != io.EOF && err != io.ErrUnexpectedEOF {
						t.Fatalf("cut at %d: %v", cut, err)
					}
					break
				}
			}
		}
	}
}

func TestReadReplyRefuses(t *testing.T) {
	for _, in := range []string{"\r\n", "?1\r\n", ":x\r\n", "$-2\r\n", "$99999999999\r\n", "*x\r\n", "#x\r\n", "$1\r\nabc", "+a\n",
		strings.Repeat("*1\r\n", 100), "+" + strings.Repeat("x", 1<<18)} {
		_, err := ReadReply(bufio.NewReaderSize(strings.NewReader(in), 32))
		if err == nil {
			t.Errorf("%.20q: accepted", in)
		}
	}
	// A claimed length reserves nothing.
	r := bufio.NewReader(strings.NewReader("$2000000000\r\nabc"))
	if n := testing.AllocsPerRun(1, func() { _, _ = ReadReply(r) }); n > 50 {
		t.Errorf("%v allocations", n)
	}
}

func TestFormatDoubleAsRedis(t *testing.T) {
	for f, want := range map[float64]string{
		0: "0", 3: "3", -17: "-17", 1.5: "1.5", 0.1: "0.10000000000000001", 1e20: "1e+20", 1e17: "1e+17", 1e16: "10000000000000000",
		123456789012345680: "1.2345678901234568e+17", 0.0001: "0.0001", 0.00001: "1.0000000000000001e-05", 3.14: "3.1400000000000001",
		math.Inf(1): "inf", math.Inf(-1): "-inf", math.Copysign(0, -1): "-0", math.MaxFloat64: "1.7976931348623157e+308", 5e-324: "4.9406564584124654e-324",
	} {
		if got := FormatDouble(f); got != want {
			t.Errorf("%g: got %s want %s", f, got, want)
		}
	}
	if got := FormatDouble(math.NaN()); got != "nan" {
		t.Error(got)
	}
}

func BenchmarkParser(b *testing.B) {
	set := [][]byte{[]byte("SET"), []byte("key:000001"), bytes.Repeat([]byte("v"), 64)}
	rpush := append([][]byte{[]byte("RPUSH"), []byte("key:000001")}, slices.Repeat([][]byte{[]byte("element:0001")}, 10)...)
	for _, cmd := range [][][]byte{set, rpush} {
		b.Run(string(cmd[0]), func(b *testing.B) {
			buf := bytes.Repeat(AppendCommand(nil, cmd...), 64)
			p := new(Parser)
			args := make([][]byte, 0, 16)
			b.ReportAllocs()
			for b.Loop() {
				for at := 0; at < len(buf); {
					var n int
					args, n, _ = p.Next(buf[at:], args[:0])
					at += n
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/64, "ns/cmd")
		})
	}
}

// TestParserWaits: nothing is said about a line whose end is not there yet, and
// the longest inline request is taken.
func TestParserWaits(t *testing.T) {
	for _, in := range []string{"*", "*abc", "*1\r\n$x", "*1\n$4\nPING\n", "*1\r", "*999999999999999999999", "*1\r\n$-5\r"} {
		if _, n, err := new(Parser).Next([]byte(in), nil); !errors.Is(err, ErrIncomplete) || n != 0 {
			t.Errorf("%q: %d bytes, %v, want to wait for more", in, n, err)
		}
	}
	line := strings.Repeat("a", DefaultMaxInline)
	if args, _, err := new(Parser).Next([]byte(line+"\r\n"), nil); err != nil || len(args) != 1 || string(args[0]) != line {
		t.Errorf("a line of %d bytes: %d arguments, %v", len(line), len(args), err)
	}
}
