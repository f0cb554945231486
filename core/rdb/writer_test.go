package rdb

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/spillwaydb/spillway/core/rdb/packed"
)

func TestCRC64KnownValue(t *testing.T) {
	if got := CRC64(0, []byte("123456789")); got != 0xe9c6d914c4b8d9ca {
		t.Fatalf("got %016x, Redis's own self-test wants e9c6d914c4b8d9ca", got)
	}
	r := rand.New(rand.NewPCG(1, 1))
	p := randomBytes(r, 300)
	want := CRC64(0, p)
	for cut := range p {
		if got := CRC64(CRC64(0, p[:cut]), p[cut:]); got != want {
			t.Fatalf("split at %d: %016x, want %016x", cut, got, want)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	for seed := range uint64(8) {
		objs := randomObjects(rand.New(rand.NewPCG(seed, 7)), 150)
		data := writeFile(t, objs)
		t.Logf("seed %d: %d bytes", seed, len(data))
		sameContents(t, "read back", toContents(objs), mustRead(t, data))
	}
}

// The golden file was written by the first release of the format and must
// be readable, and be what the Writer writes, for ever.
func TestGolden(t *testing.T) {
	for name, objs := range map[string][]Object{"golden-v10.rdb": sample(), "golden-v10-stream.rdb": streamSample()} {
		golden, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		sameContents(t, name, toContents(objs), mustRead(t, golden))
		if !bytes.Equal(golden, writeFile(t, objs)) {
			t.Fatalf("the Writer no longer writes the bytes of %s", name)
		}
	}
}

// The payloads of DUMP are stored by clients, and must be taken for ever too.
func TestGoldenDump(t *testing.T) {
	golden, err := os.ReadFile("testdata/golden-v10.dump")
	if err != nil {
		t.Fatal(err)
	}
	var now bytes.Buffer
	lines := strings.Split(strings.TrimSpace(string(golden)), "\n")
	for i, o := range slices.Concat(sample(), streamSample()) {
		payload, err := EncodeObject(nil, &o)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&now, "%x\n", SealDump(payload))
		if i >= len(lines) {
			t.Fatalf("%d payloads, want one for each object", len(lines))
		}
		old, err := hex.DecodeString(lines[i])
		if err != nil {
			t.Fatal(err)
		}
		if payload, err = OpenDump(old); err != nil {
			t.Fatalf("payload %d: %v", i, err)
		}
		got, err := DecodeObject(payload)
		if err != nil {
			t.Fatalf("payload %d: %v", i, err)
		}
		got.Key, got.ExpireMS, got.DB = o.Key, o.ExpireMS, o.DB
		sameContents(t, "golden payload", toContents([]Object{o}), toContents([]Object{*got}))
	}
	if now.String() != string(golden) {
		t.Fatal("DUMP no longer gives the golden bytes")
	}
}

// A file that Redis 7.0.15 wrote, with a key of every encoding it has.
func TestGoldenRedis(t *testing.T) {
	data, err := os.ReadFile("testdata/redis-7.0.rdb")
	if err != nil {
		t.Fatal(err)
	}
	text := func(db int, key, value string) Object {
		return Object{DB: db, Key: []byte(key), Type: TypeString, Str: []byte(value)}
	}
	many := func(typ Type, key string, scores []float64, items ...string) Object {
		return Object{Key: []byte(key), Type: typ, Items: byteItems(items...), Scores: scores}
	}
	deadline := text(0, "deadline", "x")
	deadline.ExpireMS = 4102444800000
	inf := math.Inf(1)
	sameContents(t, "Redis's file", toContents([]Object{
		text(0, "text", "hello world"), text(0, "number", "12345"), text(0, "long", strings.Repeat("a", 122)), deadline,
		many(TypeList, "list", nil, "a", "b", "c", "1", "2", "3", "-70000", "5000000000"),
		many(TypeList, "nodes", nil, "a", "b", "c", "d", "e", "f", "g"),
		many(TypeSet, "ints", nil, "1", "2", "3", "70000"),
		many(TypeSet, "set", nil, "a", "b", "c"),
		many(TypeSet, "hashset", nil, "1", "2", "3"),
		many(TypeHash, "hash", nil, "f", "v", "n", "1"),
		many(TypeHash, "bighash", nil, "f1", "v1", "f2", "v2", "f3", "v3"),
		many(TypeZSet, "zset", []float64{1, 2.5, -inf}, "a", "b", "c"),
		many(TypeZSet, "bigzset", []float64{1, 1e300, inf}, "a", "b", "c"),
		text(3, "other-db", "y"),
	}), mustRead(t, data))
}

func TestIntegerEncoding(t *testing.T) {
	for _, c := range []struct {
		in   string
		want string
	}{
		{"", "\x00"}, {"0", "\xC0\x00"}, {"-1", "\xC0\xff"}, {"127", "\xC0\x7f"}, {"-128", "\xC0\x80"},
		{"128", "\xC1\x80\x00"}, {"-129", "\xC1\x7f\xff"}, {"32767", "\xC1\xff\x7f"}, {"-32768", "\xC1\x00\x80"},
		{"32768", "\xC2\x00\x80\x00\x00"}, {"2147483647", "\xC2\xff\xff\xff\x7f"}, {"-2147483648", "\xC2\x00\x00\x00\x80"},
		{"2147483648", "\x0a2147483648"}, {"-2147483649", "\x0b-2147483649"}, {"99999999999", "\x0b99999999999"},
		{"-", "\x01-"}, {"-0", "\x02-0"}, {"00", "\x0200"}, {"01", "\x0201"}, {"-01", "\x03-01"}, {"+1", "\x02+1"}, {"1x", "\x021x"}, {" 1", "\x02 1"},
	} {
		if got := string(appendString(nil, []byte(c.in))); got != c.want {
			t.Errorf("%q: got %q, want %q", c.in, got, c.want)
		}
	}
	for n, want := range map[uint64]string{63: "\x3f", 64: "\x40\x40", 16383: "\x7f\xff", 16384: "\x80\x00\x00\x40\x00",
		math.MaxUint32: "\x80\xff\xff\xff\xff", math.MaxUint32 + 1: "\x81\x00\x00\x00\x01\x00\x00\x00\x00"} {
		if got := string(appendLen(nil, n)); got != want {
			t.Errorf("length %d: got %q, want %q", n, got, want)
		}
	}
}

func TestWriterMisuse(t *testing.T) {
	key, lp := []byte("k"), packed.Listpack(buildListpack("a", "b"))
	for name, calls := range map[string]func(w *Writer){
		"no header":           func(w *Writer) { w.String(key, key) },
		"header twice":        func(w *Writer) { w.Header(nil); w.Header(nil) },
		"item without begin":  func(w *Writer) { w.Header(nil); w.Item(key) },
		"too many items":      func(w *Writer) { w.Header(nil); w.Begin(TypeSet, key, 1); w.Item(key); w.Item(key) },
		"too few items":       func(w *Writer) { w.Header(nil); w.Begin(TypeList, key, 2); w.Item(key) },
		"half a pair":         func(w *Writer) { w.Header(nil); w.Begin(TypeHash, key, 1); w.Item(key); w.String(key, key) },
		"empty collection":    func(w *Writer) { w.Header(nil); w.Begin(TypeHash, key, 0) },
		"negative collection": func(w *Writer) { w.Header(nil); w.Begin(TypeHash, key, -1) },
		"member twice":        func(w *Writer) { w.Header(nil); w.Begin(TypeZSet, key, 1); w.Item(key); w.Item(key) },
		"score first":         func(w *Writer) { w.Header(nil); w.Begin(TypeZSet, key, 1); w.Score(1); w.Item(key) },
		"score in a set":      func(w *Writer) { w.Header(nil); w.Begin(TypeSet, key, 1); w.Score(1) },
		"score after zset":    func(w *Writer) { w.Header(nil); w.Begin(TypeZSet, key, 1); w.Item(key); w.Score(1); w.Score(1) },
		"NaN":                 func(w *Writer) { w.Header(nil); w.Begin(TypeZSet, key, 1); w.Item(key); w.Score(math.NaN()) },
		"negative database":   func(w *Writer) { w.Header(nil); w.SelectDB(-1) },
		"after end":           func(w *Writer) { w.Header(nil); w.End(); w.String(key, key) },
		"expire in a list":    func(w *Writer) { w.Header(nil); w.Begin(TypeList, key, 1); w.Expire(1); w.Item(key) },
		"item for a node":     func(w *Writer) { w.Header(nil); w.BeginQuicklist(key, 1); w.Item(key) },
		"node for an item":    func(w *Writer) { w.Header(nil); w.Begin(TypeList, key, 1); w.Node(lp) },
		"too few nodes":       func(w *Writer) { w.Header(nil); w.BeginQuicklist(key, 2); w.Node(lp) },
		"too many nodes":      func(w *Writer) { w.Header(nil); w.BeginQuicklist(key, 1); w.Node(lp); w.Node(lp) },
		"no nodes":            func(w *Writer) { w.Header(nil); w.BeginQuicklist(key, 0) },
		"score for a node":    func(w *Writer) { w.Header(nil); w.BeginQuicklist(key, 1); w.Score(1) },
		"a set as a listpack": func(w *Writer) { w.Header(nil); w.Listpack(TypeSet, key, lp) },
		"empty listpack":      func(w *Writer) { w.Header(nil); w.Listpack(TypeHash, key, buildListpack()) },
		"empty intset":        func(w *Writer) { w.Header(nil); w.Intset(key, buildIntset(2)) },
		"listpack in a list":  func(w *Writer) { w.Header(nil); w.Begin(TypeList, key, 1); w.Listpack(TypeHash, key, lp); w.Item(key) },
	} {
		var buf bytes.Buffer
		w := NewWriter(&buf)
		calls(w)
		if err := w.End(); !errors.Is(err, ErrMisuse) || !errors.Is(w.Err(), ErrMisuse) {
			t.Errorf("%s: End gave %v, want ErrMisuse", name, err)
		}
		if _, err := readAll(buf.Bytes()); err == nil && name != "after end" {
			t.Errorf("%s: a readable file came out", name)
		}
	}
}

// limitedWriter fails, or comes up short without an error, after n bytes.
type limitedWriter struct {
	n   int
	err error
}

func (l *limitedWriter) Write(p []byte) (int, error) {
	if len(p) <= l.n {
		l.n -= len(p)
		return len(p), nil
	}
	n := l.n
	l.n = 0
	return n, l.err
}

func TestWriterReportsWriteErrors(t *testing.T) {
	full := errors.New("disk full")
	for _, c := range []struct{ give, want error }{{full, full}, {nil, io.ErrShortWrite}} {
		for _, n := range []int{0, 1, 100, 70_000, 100_000, 299_990} {
			w := NewWriter(&limitedWriter{n: n, err: c.give})
			w.Header(nil)
			for range 6 {
				w.String([]byte("k"), make([]byte, 20_000))
				w.Begin(TypeList, []byte("l"), 3000)
				for range 3000 {
					w.Item([]byte("0123456789"))
				}
			}
			if err := w.End(); n < 290_000 && !errors.Is(err, c.want) {
				t.Errorf("after %d bytes: %v, want %v", n, err, c.want)
			}
		}
	}
}

func TestWriterDoesNotAllocate(t *testing.T) {
	w := NewWriter(io.Discard)
	w.Header(nil)
	key, val, big := []byte("key:0000001"), []byte("value"), make([]byte, 100_000)
	lp, ints := packed.Listpack(buildListpack("a", "b")), packed.Intset(buildIntset(2, 7))
	if n := testing.AllocsPerRun(1000, func() {
		w.Expire(1)
		w.String(key, val)
		w.Begin(TypeZSet, key, 2)
		w.Item(val)
		w.Score(1)
		w.Item(key)
		w.Score(2)
		w.String(key, big)
		w.Listpack(TypeHash, key, lp)
		w.Intset(key, ints)
		w.BeginQuicklist(key, 1)
		w.Node(lp)
	}); n != 0 {
		t.Fatalf("%v allocations per object", n)
	}
}

func BenchmarkWriteSmallStrings(b *testing.B) {
	w := NewWriter(io.Discard)
	w.Header(nil)
	key, val := []byte("key:0000000001"), []byte("xxxxxxxxxxxxxxxx")
	b.SetBytes(int64(len(key) + len(val)))
	for b.Loop() {
		w.String(key, val)
	}
}

func BenchmarkCRC64(b *testing.B) {
	p := make([]byte, 64<<10)
	b.SetBytes(int64(len(p)))
	for b.Loop() {
		CRC64(0, p)
	}
}

func BenchmarkReadSmallStrings(b *testing.B) {
	var buf bytes.Buffer
	w := NewWriter(&buf)
	w.Header(nil)
	for range 1000 {
		w.String([]byte("key:0000000001"), []byte("xxxxxxxxxxxxxxxx"))
	}
	if err := w.End(); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(buf.Len()))
	for b.Loop() {
		if err := Read(bytes.NewReader(buf.Bytes()), Handler{Object: func(*Object) error { return nil }}); err != nil {
			b.Fatal(err)
		}
	}
}
