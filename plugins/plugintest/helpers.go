package plugintest

import (
	"bytes"
	"errors"
	"io"
	"math/rand"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core/sink"
)

// patience is how long a call may take that has every reason to end. It tells a
// hang from a slow machine, on which the race detector has a compressor take a minute.
const patience = 3 * time.Minute

// NoLeaks makes t fail if it ends with more goroutines than it has now. Call
// it first in a test that does not run in parallel. HTTP connections that wait
// for a next request do not count.
func NoLeaks(t testing.TB) {
	t.Helper()
	before := len(goroutines())
	t.Cleanup(func() {
		deadline := time.Now().Add(patience)
		for {
			now := goroutines()
			if len(now) <= before {
				return
			}
			if time.Now().After(deadline) {
				t.Errorf("%d goroutines before, %d after:\n%s", before, len(now), strings.Join(now, "\n\n"))
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	})
}

// goroutines are the stacks of all, but for those of idle HTTP connections: a
// reader that waits for the first byte of a next response, and the writer that
// belongs to it.
func goroutines() (out []string) {
	buf := make([]byte, 1<<20)
	for {
		n := runtime.Stack(buf, true)
		if n < len(buf) {
			buf = buf[:n]
			break
		}
		buf = make([]byte, 2*len(buf))
	}
	idle := 0
	var writers []string
	for _, g := range strings.Split(string(buf), "\n\n") {
		switch {
		case strings.Contains(g, "net/http.(*persistConn).readLoop") && strings.Contains(g, "bufio.(*Reader).Peek"):
			idle++
		case strings.Contains(g, "net/http.(*persistConn).writeLoop"):
			writers = append(writers, g)
		default:
			out = append(out, g)
		}
	}
	return append(out, writers[min(idle, len(writers)):]...)
}

// Within fails t unless f returns before long; it tells a hang from a failure.
func Within(t testing.TB, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(patience):
		buf := make([]byte, 1<<20)
		t.Fatalf("%s hangs:\n%s", what, buf[:runtime.Stack(buf, true)])
	}
}

// Payload returns n bytes, the same for the same n: runs that compress, with
// noise that does not between them. The caller may change them.
func Payload(n int) []byte {
	if n > maxKept {
		return payload(n)
	}
	kept, ok := payloads.Load(n)
	if !ok {
		kept, _ = payloads.LoadOrStore(n, payload(n))
	}
	return slices.Clone(kept.([]byte))
}

// payloads are what Payload has made: suites ask for the same a hundred times, and making
// it takes its time under the race detector.
var payloads sync.Map

// maxKept is the longest payload that is kept.
const maxKept = 4 << 20

func payload(n int) []byte {
	rng := rand.New(rand.NewSource(int64(n)))
	b := make([]byte, n)
	for i := 0; i < n; {
		run := min(1+rng.Intn(5000), n-i)
		if rng.Intn(2) == 0 {
			rng.Read(b[i : i+run])
		}
		i += run
	}
	return b
}

// errInjected is what the suites' own readers and writers fail with.
var errInjected = errors.New("injected by plugintest")

// source is a reader that knows whether its end was met, and breaks on demand.
type source struct {
	data  []byte
	chunk int   // at most so many bytes per Read; 0: as asked
	fail  error // instead of io.EOF
	ended bool
	after func() // called before the failure
}

func (s *source) Read(b []byte) (int, error) {
	if len(s.data) == 0 {
		if s.fail != nil {
			if s.after != nil {
				s.after()
			}
			return 0, s.fail
		}
		s.ended = true
		return 0, io.EOF
	}
	if s.chunk > 0 && len(b) > s.chunk {
		b = b[:s.chunk]
	}
	n := copy(b, s.data)
	s.data = s.data[n:]
	return n, nil
}

// brokenWriter fails after n bytes.
type brokenWriter struct{ n int }

func (w *brokenWriter) Write(b []byte) (int, error) {
	if len(b) > w.n {
		n := w.n
		w.n = 0
		return n, errInjected
	}
	w.n -= len(b)
	return len(b), nil
}

// limitWriter keeps what a decoder makes of damaged bytes within bounds.
type limitWriter struct{ left int }

func (w *limitWriter) Write(b []byte) (int, error) {
	if w.left -= len(b); w.left < 0 {
		return 0, errInjected
	}
	return len(b), nil
}

func part(gen uint64, shard int) sink.Part {
	return sink.Part{
		Job: 1, Kind: sink.KindSnapshot, Generation: gen, Shard: shard, Shards: 4,
		Name: "shard-000" + string(rune('0'+shard)) + ".rdb",
	}
}

// testWriter writes to a test's log; what comes after its end is dropped.
type testWriter struct {
	mu   sync.Mutex
	t    testing.TB
	over bool
}

func (w *testWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.over {
		w.t.Logf("%s", bytes.TrimRight(b, "\n"))
	}
	return len(b), nil
}

func (w *testWriter) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
}
