package plugintest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core/sink"
)

// What the tests of a store are made of that go beyond TestSink: sets of one
// part each, one a generation, and streams during which something happens.

// OnePart is the part of a generation's set.
func OnePart(gen uint64) sink.Part {
	return sink.Part{Kind: sink.KindSnapshot, Generation: gen, Shards: 1, Name: "shard-0000.rdb"}
}

// OneSet is the set of a part with data that was put with receipt r.
func OneSet(gen uint64, data []byte, r sink.Receipt) sink.Set {
	return sink.Set{ID: OnePart(gen).ID(), CreatedAt: time.Unix(1_700_000_000, 0).UTC(), Parts: []sink.SetPart{record(OnePart(gen), data, r)}}
}

// PutOne stores a part and returns the set it makes.
func PutOne(t testing.TB, s sink.Sink, gen uint64, data []byte) sink.Set {
	t.Helper()
	r, err := s.Put(ctx, OnePart(gen), bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return OneSet(gen, data, r)
}

// Publish wants a set to be published.
func Publish(t testing.TB, s sink.Sink, set sink.Set) {
	t.Helper()
	if err := s.Publish(ctx, set); err != nil {
		t.Fatal(err)
	}
}

// WantGenerations checks which generations are listed, in this order.
func WantGenerations(t testing.TB, s sink.Sink, want ...uint64) {
	t.Helper()
	var got []uint64
	for _, set := range list(t, s) {
		got = append(got, set.ID.Generation)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("sets %v, want %v", got, want)
	}
}

// WantAbsent checks that a part cannot be opened, since it is not there.
func WantAbsent(t testing.TB, s sink.Sink, p sink.Part) {
	t.Helper()
	rc, err := s.Open(ctx, p, nil)
	if err == nil {
		_ = rc.Close()
	}
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Open of what was never put to its end: %v", err)
	}
}

// Stream is a reader of N bytes, the same for the same N, that calls At when it
// has given out After of them.
type Stream struct {
	N, After int64
	At       func()
	Err      error // in place of io.EOF
	pos      int64
}

// Read implements io.Reader.
func (s *Stream) Read(b []byte) (int, error) {
	if s.At != nil && s.pos >= s.After {
		at := s.At
		s.At = nil
		at()
	}
	if s.pos == s.N {
		if s.Err != nil {
			return 0, s.Err
		}
		return 0, io.EOF
	}
	if rest := s.N - s.pos; int64(len(b)) > rest {
		b = b[:rest]
	}
	// As much as comes at once: a byte at a time took most of a test's time under the
	// race detector.
	p := pattern()
	n := copy(b, p[s.pos%int64(len(p)):])
	s.pos += int64(n)
	return n, nil
}

// pattern is what a Stream repeats. Its length is a prime, so that no two pieces of an
// upload are alike.
var pattern = sync.OnceValue(func() []byte {
	p := make([]byte, 1048573)
	for i := range p {
		x := uint64(i) * 0x9E3779B97F4A7C15
		p[i] = byte(x >> 56)
	}
	return p
})

// All returns the N bytes.
func (s *Stream) All(t testing.TB) []byte {
	t.Helper()
	b, err := io.ReadAll(&Stream{N: s.N})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Pausable is a server that can stop answering, and go on: the ones of package
// servers are.
type Pausable interface {
	Pause()
	Resume()
}

// TestHangs checks sinks on a server that does not answer. Each call of s is held
// up for as long as its context says. impatient gives up a request after a
// second, restless an upload of which nothing moved for two, without any
// context; s and restless are of one place. An upload has to be of several
// requests within 64 MiB.
func TestHangs(t *testing.T, srv Pausable, s, impatient, restless sink.Sink) {
	set := PutOne(t, s, 1, []byte("x"))
	const large, midway = 64 << 20, 24 << 20
	calls := map[string]func(context.Context) error{
		"put":     func(ctx context.Context) error { _, err := s.Put(ctx, OnePart(2), strings.NewReader("x")); return err },
		"publish": func(ctx context.Context) error { return s.Publish(ctx, set) },
		"list":    func(ctx context.Context) error { _, err := s.List(ctx); return err },
		"remove":  func(ctx context.Context) error { return s.Remove(ctx, set.ID) },
		"open": func(ctx context.Context) error {
			rc, err := s.Open(ctx, OnePart(1), nil)
			if err == nil {
				_ = rc.Close()
			}
			return err
		},
		"put, midway": func(ctx context.Context) error {
			srv.Resume()
			_, err := s.Put(ctx, OnePart(2), &Stream{N: large, After: midway, At: srv.Pause})
			return err
		},
	}
	srv.Pause()
	defer srv.Resume()
	for name, call := range calls {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		Within(t, name, func() {
			if err := call(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: %v", name, err)
			}
		})
		cancel()
		srv.Pause()
	}
	Within(t, "without a deadline", func() {
		if _, err := impatient.List(ctx); err == nil || !strings.Contains(err.Error(), "no answer in time") {
			t.Errorf("List: %v", err)
		}
	})
	srv.Resume()
	Within(t, "a stream without a deadline", func() {
		_, err := restless.Put(ctx, OnePart(2), &Stream{N: large, After: midway, At: srv.Pause})
		if err == nil || !strings.Contains(err.Error(), "nothing moved") {
			t.Errorf("Put: %v", err)
		}
	})
}

// Killable is a server that can die, and be started again: the ones of package
// servers are.
type Killable interface {
	Kill()
	Start()
}

// TestKilled kills the server of an empty sink in the middle of an upload. When it
// is back, what was published is there and what was not is not, the upload can be
// made again, and a sweep has nothing to fail on.
func TestKilled(t *testing.T, srv Killable, s sink.Sink) {
	Publish(t, s, PutOne(t, s, 1, []byte("before")))
	NoLeaks(t)
	ctx, cancel := context.WithTimeout(ctx, 3*patience)
	defer cancel()
	if _, err := s.Put(ctx, OnePart(2), &Stream{N: 64 << 20, After: 24 << 20, At: srv.Kill}); err == nil || ctx.Err() != nil {
		t.Errorf("Put while the server is killed: %v", err)
	}
	if _, err := s.List(ctx); err == nil {
		t.Error("List without a server: nil")
	}
	srv.Start()
	WantGenerations(t, s, 1)
	WantAbsent(t, s, OnePart(2))

	data := (&Stream{N: 20 << 20}).All(t)
	set := PutOne(t, s, 2, data)
	Publish(t, s, set)
	WantGenerations(t, s, 1, 2)
	WantPart(t, s, set.Parts[0], data)
	if _, err := s.(sink.Sweeper).Sweep(ctx, func(sink.SetID) bool { return false }); err != nil {
		t.Error(err)
	}
}

// TestMemory checks that an upload of 256 MiB holds no more than most bytes of it
// at a time.
func TestMemory(t *testing.T, s sink.Sink, most int64) {
	PutOne(t, s, 1, []byte("warm"))
	defer debug.SetGCPercent(debug.SetGCPercent(25))
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	stop, peak := make(chan struct{}), make(chan uint64)
	go func() {
		var top uint64
		for {
			select {
			case <-stop:
				peak <- top
				return
			case <-time.After(5 * time.Millisecond):
				runtime.ReadMemStats(&now)
				top = max(top, now.HeapInuse)
			}
		}
	}()
	const size = 256 << 20
	_, err := s.Put(ctx, OnePart(2), &Stream{N: size})
	close(stop)
	grown := int64(<-peak) - int64(before.HeapInuse)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d MiB put, the heap grew by at most %d MiB", size>>20, grown>>20)
	if grown > most {
		t.Errorf("the heap grew by %d MiB for a part of %d MiB", grown>>20, size>>20)
	}
}
