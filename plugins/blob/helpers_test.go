package blob_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/plugins"
	"github.com/spillwaydb/spillway/plugins/blob"
	"github.com/spillwaydb/spillway/plugins/plugintest"
)

func TestMain(m *testing.M) { plugintest.Main(m, plugins.Sink(blob.Name, blob.New)) }

var bg = context.Background()

// guard ends what hangs.
const guard = 3 * time.Minute

func mk(t testing.TB, o blob.Options) sink.Sink {
	t.Helper()
	if o.Logger == nil {
		o.Logger = hclog.NewNullLogger()
	}
	s, err := blob.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func part(gen uint64) sink.Part {
	return sink.Part{Kind: sink.KindSnapshot, Generation: gen, Shards: 1, Name: "shard-0000.rdb"}
}

// put stores a part and returns the set it makes.
func put(t testing.TB, s sink.Sink, gen uint64, data []byte) sink.Set {
	t.Helper()
	r, err := s.Put(bg, part(gen), bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return setOf(gen, data, r)
}

func setOf(gen uint64, data []byte, r sink.Receipt) sink.Set {
	sum := sha256.Sum256(data)
	h := hex.EncodeToString(sum[:])
	return sink.Set{ID: part(gen).ID(), CreatedAt: time.Unix(1_700_000_000, 0).UTC(), Parts: []sink.SetPart{{
		Part: part(gen), Bytes: int64(len(data)), RawBytes: int64(len(data)), SHA256: h, RawSHA256: h, SinkReceipt: r,
	}}}
}

func publish(t testing.TB, s sink.Sink, set sink.Set) {
	t.Helper()
	if err := s.Publish(bg, set); err != nil {
		t.Fatal(err)
	}
}

// wantSets checks which generations are listed.
func wantSets(t testing.TB, s sink.Sink, gens ...uint64) {
	t.Helper()
	sets, err := s.List(bg)
	if err != nil {
		t.Errorf("List: %v", err)
	}
	var got []uint64
	for _, set := range sets {
		got = append(got, set.ID.Generation)
	}
	if len(got) != len(gens) {
		t.Fatalf("sets %v, want %v", got, gens)
	}
	for i := range got {
		if got[i] != gens[i] {
			t.Fatalf("sets %v, want %v", got, gens)
		}
	}
}

func wantAbsent(t testing.TB, s sink.Sink, p sink.Part) {
	t.Helper()
	rc, err := s.Open(bg, p, nil)
	if err == nil {
		rc.Close()
	}
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Open of what was never put to its end: %v", err)
	}
}

func wantPart(t testing.TB, s sink.Sink, sp sink.SetPart, data []byte) {
	t.Helper()
	rc, err := s.Open(bg, sp.Part, sp.SinkReceipt)
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	got, err := io.ReadAll(rc)
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes are read (%v), want the %d that were put", len(got), err, len(data))
	}
}

// stream is a reader of n bytes that calls at when it has given out after of
// them. Its bytes are the same for the same n.
type stream struct {
	n, after int64
	at       func()
	pos      int64
	err      error // instead of io.EOF
}

func (s *stream) Read(b []byte) (int, error) {
	if s.at != nil && s.pos >= s.after {
		at := s.at
		s.at = nil
		at()
	}
	if s.pos == s.n {
		if s.err != nil {
			return 0, s.err
		}
		return 0, io.EOF
	}
	if rest := s.n - s.pos; int64(len(b)) > rest {
		b = b[:rest]
	}
	for i := range b {
		x := uint64(s.pos+int64(i)) * 0x9E3779B97F4A7C15
		b[i] = byte(x >> 56)
	}
	s.pos += int64(len(b))
	return len(b), nil
}

func (s *stream) bytes(t testing.TB) []byte {
	t.Helper()
	b, err := io.ReadAll(&stream{n: s.n})
	if err != nil {
		t.Fatal(err)
	}
	return b
}
