package resp

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// stream is what a Reader makes of a stream: the commands, where each begins,
// and how it ended.
type stream struct {
	cmds    [][][]byte
	offsets []int64
	end     int64
	err     error
}

func readAll(src io.Reader) (s stream) {
	r := NewReader(src)
	for {
		args, at, err := r.Next()
		if err != nil {
			s.end, s.err = at, err
			if args, at, err := r.Next(); args != nil || at != s.end || err != s.err { //nolint:errorlint // the very same
				panic(fmt.Sprintf("after %v at %d the reader says %q, %v at %d", s.err, s.end, args, err, at))
			}
			return s
		}
		s.cmds, s.offsets = append(s.cmds, args), append(s.offsets, at)
	}
}

func (s stream) String() string {
	var b strings.Builder
	for i, args := range s.cmds {
		fmt.Fprintf(&b, "%d:%q ", s.offsets[i], args)
	}
	fmt.Fprintf(&b, "%d:%v", s.end, s.err)
	return b.String()
}

// few gives at most so many bytes at a time.
type few struct {
	r io.Reader
	n int
}

func (f few) Read(b []byte) (int, error) { return f.r.Read(b[:min(len(b), f.n)]) }

// TestReader: what comes in pieces of any size is what was sent, and stays.
func TestReader(t *testing.T) {
	var sent []byte
	var want []string
	var offsets []int64
	for _, n := range []int{0, 1, 70, 1000, 300 << 10, 5, 3 << 20, 2} {
		value := bytes.Repeat([]byte{byte('a' + len(want))}, n)
		offsets = append(offsets, int64(len(sent)))
		sent = AppendCommand(sent, []byte("SET"), []byte("k"), value)
		sent = append(sent, "\r\n*0\r\n"...) // nothing, twice
		want = append(want, string(value))
	}
	for name, r := range map[string]io.Reader{
		"whole":      bytes.NewReader(sent),
		"half":       iotest.HalfReader(bytes.NewReader(sent)),
		"with EOF":   iotest.DataErrReader(bytes.NewReader(sent)),
		"in threes":  few{bytes.NewReader(sent), 3},
		"in a buff.": few{bytes.NewReader(sent), 4096},
	} {
		got := readAll(r)
		if got.err != io.EOF || got.end != int64(len(sent)) || len(got.cmds) != len(want) {
			t.Fatalf("%s: %d commands, %v at %d of %d", name, len(got.cmds), got.err, got.end, len(sent))
		}
		for i, args := range got.cmds {
			at := got.offsets[i]
			if len(args) != 3 || string(args[2]) != want[i] || !bytes.HasPrefix(sent[at:], []byte("*3")) || at != offsets[i] {
				t.Errorf("%s: command %d is another one, at %d", name, i, at)
			}
		}
	}
}

// TestReaderArgumentsAreTheirOwn: who appends to an argument, or to the
// arguments, changes no other command.
func TestReaderArgumentsAreTheirOwn(t *testing.T) {
	var sent []byte
	const n = 3000
	for i := range n {
		words := make([][]byte, 1+i%11)
		for j := range words {
			words[j] = fmt.Appendf(nil, "%d.%d", i, j)
		}
		sent = AppendCommand(sent, words...)
	}
	r := NewReader(few{bytes.NewReader(sent), 1000})
	var kept [][][]byte
	for {
		args, _, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, args)
		_ = append(args, []byte("more"))
		for _, a := range args {
			_ = append(a, "more"...)
		}
	}
	if len(kept) != n {
		t.Fatalf("%d commands", len(kept))
	}
	for i, args := range kept {
		if len(args) != 1+i%11 {
			t.Fatalf("command %d has %d arguments", i, len(args))
		}
		for j, a := range args {
			if string(a) != fmt.Sprintf("%d.%d", i, j) {
				t.Fatalf("argument %d of command %d is %q", j, i, a)
			}
		}
	}
}

// TestReaderCutAtEveryByte: however short a stream is, its whole commands are
// there, and the error tells where the one begins that is not.
func TestReaderCutAtEveryByte(t *testing.T) {
	pieces := []string{"*1\r\n$4\r\nPING\r\n", "*3\r\n$3\r\nSET\r\n$0\r\n\r\n$12\r\nhello\r\nworld\r\n", "INCR n\r\n", "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"}
	ends := []int{0}
	for _, p := range pieces {
		ends = append(ends, ends[len(ends)-1]+len(p))
	}
	whole := strings.Join(pieces, "")
	for cut := range len(whole) + 1 {
		n, between := slices.BinarySearch(ends, cut)
		if !between {
			n--
		}
		for _, step := range []int{1, 7, 1 << 20} {
			got := readAll(few{strings.NewReader(whole[:cut]), step})
			wantErr := io.ErrUnexpectedEOF
			if between {
				wantErr = io.EOF
			}
			if len(got.cmds) != n || got.err != wantErr || got.end != int64(ends[n]) { //nolint:errorlint // the very ones
				t.Errorf("cut at %d, read by %d: %s; want %d commands and %v at %d", cut, step, got, n, wantErr, ends[n])
			}
		}
	}
}

// TestReaderErrors: what is not RESP, and a source that fails, are told apart
// from an end, and do not hide what came before them.
func TestReaderErrors(t *testing.T) {
	const ping = "*1\r\n$4\r\nPING\r\n"
	broken := errors.New("the disk is broken")
	for name, c := range map[string]struct {
		src  io.Reader
		want string
	}{
		"not RESP":             {strings.NewReader(ping + "*x\r\n"), `0:["PING"] 14:Protocol error: invalid multibulk length`},
		"not RESP, read later": {few{strings.NewReader(ping + "*1\r\n:1\r\n" + ping), 1}, `0:["PING"] 14:Protocol error: expected '$', got ':'`},
		"fails between":        {io.MultiReader(strings.NewReader(ping), iotest.ErrReader(broken)), `0:["PING"] 14:the disk is broken`},
		"fails inside":         {io.MultiReader(strings.NewReader(ping+"*1\r\n$4\r\nPI"), iotest.ErrReader(broken)), `0:["PING"] 14:the disk is broken`},
		"cut below, between":   {io.MultiReader(strings.NewReader(ping), iotest.ErrReader(io.ErrUnexpectedEOF)), `0:["PING"] 14:unexpected EOF`},
		"EOF with a reason":    {io.MultiReader(strings.NewReader(ping), iotest.ErrReader(fmt.Errorf("the peer is gone: %w", io.EOF))), `0:["PING"] 14:the peer is gone: EOF`},
		"nothing":              {strings.NewReader(""), "0:EOF"},
	} {
		if got := readAll(c.src).String(); got != c.want {
			t.Errorf("%s: %s\nwant %s", name, got, c.want)
		}
	}
}

// live gives one command and fails the test when it is asked for more before it
// was allowed to.
type live struct {
	t     *testing.T
	chunk []string
}

func (l *live) Read(b []byte) (int, error) {
	if len(l.chunk) == 0 {
		l.t.Error("the reader wants more than the command it was to return")
		return 0, io.EOF
	}
	n := copy(b, l.chunk[0])
	l.chunk = l.chunk[1:]
	return n, nil
}

// TestReaderDoesNotReadAhead: a command that has come whole is returned although
// the source has nothing more to say for now.
func TestReaderDoesNotReadAhead(t *testing.T) {
	r := NewReader(&live{t, []string{"*2\r\n$3\r\nGE", "T\r\n$1\r\nk\r\n*1\r\n$4\r\nPING\r\n"}})
	for _, want := range []string{"GET", "PING"} {
		if args, _, err := r.Next(); err != nil || string(args[0]) != want {
			t.Fatalf("%q, %v", args, err)
		}
	}
}

// TestReaderPaysForWhatArrives: a claimed length costs nothing before it comes
// true, and neither does a claimed number of arguments.
func TestReaderPaysForWhatArrives(t *testing.T) {
	for _, come := range []int{0, 1000, 5 << 20} {
		for _, step := range []int{1 << 10, 1 << 30} {
			for _, claim := range []string{fmt.Sprintf("*2\r\n$3\r\nGET\r\n$%d\r\n", DefaultMaxBulk), fmt.Sprintf("*%d\r\n$%d\r\n", DefaultMaxMultibulk, DefaultMaxBulk)} {
				sent := append([]byte(claim), make([]byte, come)...)
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				got := readAll(few{bytes.NewReader(sent), step})
				runtime.ReadMemStats(&after)
				if got.err != io.ErrUnexpectedEOF || len(got.cmds) > 0 || got.end != 0 {
					t.Errorf("%d bytes: %s", come, got)
				}
				if used := after.TotalAlloc - before.TotalAlloc; used > uint64(1<<20+10*come) {
					t.Errorf("%d bytes of an argument that claims %d made %d be allocated", come, DefaultMaxBulk, used)
				}
			}
		}
	}
}

// FuzzReader wants of any stream, read in any steps, what the Parser makes of
// its bytes, and no more memory than they are worth.
func FuzzReader(f *testing.F) {
	for _, in := range []string{
		"*1\r\n$4\r\nPING\r\nset a 'b'\r\n", "*2\r\n$-1\r\n", "*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$5\r\nvalue\r\n*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n",
		"*0\r\n\r\n*-1\r\nPING\r\n", "*2147483647\r\n$536870912\r\n", "*1\r\n$0\r\n\r\n", "*10000000000000000000\r\n", "\"unbalanced\r\n", "*1\n$1\na\n", "*1\r\n$4\r\nPI",
	} {
		f.Add([]byte(in), uint8(3))
		f.Add([]byte(in), uint8(255))
	}
	f.Fuzz(func(t *testing.T, in []byte, step uint8) {
		want := parse(in, len(in)+1, new(Parser))
		var got stream
		within(t, len(in), 200, func() { got = readAll(few{bytes.NewReader(in), int(step) + 1}) })
		end := want.err
		if end == "" {
			end = io.EOF.Error()
			if want.used < len(in) {
				end = io.ErrUnexpectedEOF.Error()
			}
		}
		want.cmds = slices.DeleteFunc(want.cmds, func(cmd []string) bool { return len(cmd) == 0 })
		if len(got.cmds) != len(want.cmds) || got.err.Error() != end || got.end != int64(want.used) {
			t.Fatalf("%s\nwant %q, %s at %d", got, want.cmds, end, want.used)
		}
		for i, args := range got.cmds {
			if !slices.Equal(toStrings(args), want.cmds[i]) {
				t.Fatalf("command %d is %q, want %q", i, args, want.cmds[i])
			}
			first, _, err := new(Parser).Next(in[got.offsets[i]:], nil)
			if err != nil || !slices.Equal(toStrings(first), want.cmds[i]) {
				t.Fatalf("command %d does not begin at %d", i, got.offsets[i])
			}
		}
	})
}
