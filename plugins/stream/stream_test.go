package stream_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"math/rand"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/spillwaydb/spillway/plugins/stream"
)

func payload(n int) []byte {
	b := make([]byte, n)
	rand.New(rand.NewSource(int64(n))).Read(b)
	return b
}

// sealed is data as frames, written in pieces of the given size.
func sealed(t testing.TB, data []byte, piece int) []byte {
	t.Helper()
	var out bytes.Buffer
	w := stream.NewWriter(&out)
	for rest := data; len(rest) > 0; {
		k := min(piece, len(rest))
		if n, err := w.Write(rest[:k]); n != k || err != nil {
			t.Fatalf("Write: %d, %v", n, err)
		}
		rest = rest[k:]
	}
	if err := w.Seal(); err != nil {
		t.Fatal(err)
	}
	if got := w.Totals(); got != (stream.Totals{Bytes: uint64(len(data)), CRC32: crc32.ChecksumIEEE(data)}) {
		t.Fatalf("totals %+v", got)
	}
	return out.Bytes()
}

func TestRoundTrip(t *testing.T) {
	for _, n := range []int{0, 1, 4096, 64 << 10, 256<<10 - 1, 256 << 10, 256<<10 + 1, 3<<20 + 17} {
		data := payload(n)
		for _, piece := range []int{1, 100, 64<<10 - 1, 64 << 10, 1 << 20, 4 << 20} {
			if piece == 1 && n > 300<<10 {
				continue
			}
			frames := sealed(t, data, piece)
			if most := n + 5*(n/(64<<10)+2) + 17; len(frames) > most {
				t.Errorf("%d bytes in pieces of %d become %d, want at most %d", n, piece, len(frames), most)
			}
			r := stream.NewReader(bytes.NewReader(frames))
			got, err := io.ReadAll(iotest.HalfReader(r))
			if err != nil || !bytes.Equal(got, data) || !r.Drained() {
				t.Errorf("%d bytes in pieces of %d: %d come back, %v", n, piece, len(got), err)
			}
		}
	}
}

func TestReadFrom(t *testing.T) {
	data := payload(2<<20 + 5)
	boom := errors.New("boom")
	for name, src := range map[string]io.Reader{
		"whole": bytes.NewReader(data), "halves": iotest.HalfReader(bytes.NewReader(data)),
		"data and error at once": iotest.DataErrReader(bytes.NewReader(data)),
	} {
		var out bytes.Buffer
		w := stream.NewWriter(&out)
		if n, err := w.ReadFrom(src); n != int64(len(data)) || err != nil {
			t.Errorf("%s: %d, %v", name, n, err)
		}
		if err := w.Seal(); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(stream.NewReader(&out)); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s: %d bytes come back, %v", name, len(got), err)
		}
	}
	w := stream.NewWriter(io.Discard)
	if _, err := w.ReadFrom(io.MultiReader(bytes.NewReader(data), iotest.ErrReader(boom))); !errors.Is(err, boom) {
		t.Errorf("a reader that fails: %v", err)
	}
}

// TestCut: whatever is missing at the end, there is no io.EOF.
func TestCut(t *testing.T) {
	frames := sealed(t, payload(200_000), 70_000)
	for cut := 0; cut < len(frames); cut += 1 + cut/40 {
		r := stream.NewReader(bytes.NewReader(frames[:cut]))
		if _, err := io.Copy(io.Discard, r); !errors.Is(err, stream.ErrCut) || r.Drained() {
			t.Fatalf("cut to %d of %d bytes: %v", cut, len(frames), err)
		}
		if _, err := r.Read(make([]byte, 1)); !errors.Is(err, stream.ErrCut) {
			t.Fatalf("the next Read: %v", err)
		}
	}
}

func TestAbort(t *testing.T) {
	var out bytes.Buffer
	w := stream.NewWriter(&out)
	if _, err := w.Write(payload(100_000)); err != nil {
		t.Fatal(err)
	}
	w.Abort("no more: " + strings.Repeat("x", 10_000))
	if _, err := w.Write([]byte("x")); err == nil {
		t.Error("Write after Abort: nil")
	}
	if err := w.Seal(); err == nil {
		t.Error("Seal after Abort: nil")
	}
	_, err := io.Copy(io.Discard, stream.NewReader(&out))
	var abort *stream.AbortError
	if !errors.As(err, &abort) || !strings.HasPrefix(abort.Reason, "no more: x") || len(abort.Reason) != stream.MaxAbort {
		t.Errorf("the reader gets %.100v", err)
	}
}

func frame(kind byte, length uint32, payload string) string {
	b := binary.BigEndian.AppendUint32([]byte{kind}, length)
	return string(b) + payload
}

func TestFormat(t *testing.T) {
	seal := func(n uint64, sum uint32) string {
		b := binary.BigEndian.AppendUint64(nil, n)
		return frame(1, 12, string(binary.BigEndian.AppendUint32(b, sum)))
	}
	sum := crc32.ChecksumIEEE([]byte("abc"))
	for name, in := range map[string]string{
		"empty frame":         frame(0, 0, ""),
		"frame too large":     frame(0, 1<<20+1, "x"),
		"forged length":       frame(0, 1<<32-1, "x"),
		"unknown kind":        frame(9, 1, "x"),
		"garbage":             "HTTP/1.1 200 OK\r\n\r\n",
		"short seal":          frame(1, 11, "12345678901"),
		"sealed as more":      frame(0, 3, "abc") + seal(4, sum),
		"sealed as less":      frame(0, 3, "abc") + seal(2, sum),
		"sealed as others":    frame(0, 3, "abc") + seal(3, sum+1),
		"abort of a megabyte": frame(2, 1<<20, "x"),
	} {
		if _, err := io.Copy(io.Discard, stream.NewReader(strings.NewReader(in))); !errors.Is(err, stream.ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
	r := stream.NewReader(strings.NewReader(frame(0, 3, "abc") + seal(3, sum)))
	if got, err := io.ReadAll(r); string(got) != "abc" || err != nil {
		t.Errorf("the correct form: %q, %v", got, err)
	}
}

func FuzzReader(f *testing.F) {
	f.Add(sealed(f, []byte("hello"), 5))
	f.Add([]byte(frame(2, 3, "why")))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := stream.NewReader(bytes.NewReader(b))
		got, err := io.ReadAll(r)
		if len(got) > len(b) || (err == nil) != r.Drained() {
			t.Errorf("%d bytes from %d, %v, drained %v", len(got), len(b), err, r.Drained())
		}
	})
}

// short is a directory with a name short enough for sockets.
func short(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sw")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func TestConnection(t *testing.T) {
	ctx := context.Background()
	socket := filepath.Join(short(t), "s")
	l, err := stream.Listen(socket)
	if err != nil {
		t.Fatal(err)
	}
	data := payload(3 << 20)
	done := make(chan error, 1)
	go func() { // the plugin: a stranger first, then itself, echoing
		bad := l.Token()
		bad[0]++
		if c, err := stream.Dial(ctx, socket, bad); err == nil {
			defer c.Close()
		}
		c, err := stream.Dial(ctx, socket, l.Token())
		if err != nil {
			done <- err
			return
		}
		defer c.Close()
		if _, err = io.Copy(c.Out, c.In); err == nil {
			err = c.Out.Seal()
		}
		done <- err
	}()
	c, err := l.Accept(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := os.Lstat(socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
	go func() {
		if _, err := c.Out.Write(data); err == nil {
			_ = c.Out.Seal()
		}
	}()
	got, err := io.ReadAll(c.In)
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes come back, %v", len(got), err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestAcceptEnds(t *testing.T) {
	dir := short(t)
	l, err := stream.Listen(filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	// Somebody connects and says nothing.
	silent, err := net.Dial("unix", l.Socket())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if _, err := l.Accept(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Accept: %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, err := stream.Listen(filepath.Join(dir, strings.Repeat("x", 100))); err == nil || !strings.Contains(err.Error(), "shorter") {
		t.Errorf("a long name: %v", err)
	}
}

// TestClose: closing ends calls of both directions that wait.
func TestClose(t *testing.T) {
	l, err := stream.Listen(filepath.Join(short(t), "s"))
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		if c, err := stream.Dial(context.Background(), l.Socket(), l.Token()); err == nil {
			t.Cleanup(func() { _ = c.Close() })
		}
	}()
	c, err := l.Accept(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	errs := make(chan error, 2)
	go func() { _, err := c.In.Read(make([]byte, 1)); errs <- err }()
	go func() {
		var err error
		for err == nil {
			_, err = c.Out.Write(make([]byte, 1<<20))
		}
		errs <- err
	}()
	time.Sleep(10 * time.Millisecond) // let them wait
	_ = c.Close()
	for range 2 {
		if err := <-errs; !errors.Is(err, net.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	}
}

// BenchmarkEcho is the price of the boundary without a stage: bytes go to
// another goroutine and back.
func BenchmarkEcho(b *testing.B) {
	l, err := stream.Listen(filepath.Join(short(b), "s"))
	if err != nil {
		b.Fatal(err)
	}
	go func() {
		if c, err := stream.Dial(context.Background(), l.Socket(), l.Token()); err == nil {
			defer c.Close()
			_, _ = io.Copy(c.Out, c.In)
		}
	}()
	c, err := l.Accept(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	chunk := payload(256 << 10)
	b.SetBytes(int64(len(chunk)))
	go func() {
		for {
			if _, err := c.Out.Write(chunk); err != nil {
				return
			}
		}
	}()
	buf := make([]byte, len(chunk))
	for b.Loop() {
		if _, err := io.ReadFull(c.In, buf); err != nil {
			b.Fatal(err)
		}
	}
}
