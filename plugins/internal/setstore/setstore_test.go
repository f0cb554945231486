package setstore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/plugins/plugintest"
)

var bg = context.Background()

// memory is a store with faults.
type memory struct {
	mu    sync.Mutex
	files map[string][]byte
	calls map[string]int
	// fault is asked before each call, and after it when the name begins with
	// "after ".
	fault func(op, name string) error
	// spoil changes what is stored.
	spoil func([]byte) []byte
}

func newMemory() *memory {
	return &memory{files: make(map[string][]byte), calls: make(map[string]int)}
}

func (m *memory) enter(op, name string) error {
	m.mu.Lock()
	m.calls[op]++
	f := m.fault
	m.mu.Unlock()
	if f == nil {
		return nil
	}
	return f(op, name)
}

func (m *memory) Location() string { return "memory:" }
func (m *memory) Close() error     { return nil }

func (m *memory) Put(ctx context.Context, name string, src io.Reader) (Object, error) {
	if err := m.enter("put", name); err != nil {
		return Object{}, err
	}
	b, err := io.ReadAll(src)
	if err != nil {
		return Object{}, err
	}
	if ctx.Err() != nil {
		return Object{}, context.Cause(ctx)
	}
	if m.spoil != nil {
		b = m.spoil(b)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.files[name] = b
	return Object{Bytes: int64(len(b)), ETag: digest(b), Check: "size"}, nil
}

func (m *memory) PutNew(_ context.Context, name string, data []byte) error {
	if err := m.enter("putnew", name); err != nil {
		return err
	}
	m.mu.Lock()
	_, there := m.files[name]
	if !there {
		m.files[name] = data
	}
	m.mu.Unlock()
	if there {
		return os.ErrExist
	}
	return m.enter("after putnew", name)
}

func (m *memory) Stat(_ context.Context, name string) (Object, error) {
	if err := m.enter("stat", name); err != nil {
		return Object{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.files[name]
	if !ok {
		return Object{}, os.ErrNotExist
	}
	return Object{Bytes: int64(len(b)), ETag: digest(b)}, nil
}

func (m *memory) Open(ctx context.Context, name string) (io.ReadCloser, int64, error) {
	if err := m.enter("open", name); err != nil {
		return nil, 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.files[name]
	if !ok {
		return nil, 0, os.ErrNotExist
	}
	return io.NopCloser(&ctxReader{ctx, bytes.NewReader(b)}), int64(len(b)), nil
}

// ctxReader reads no more when its context has ended.
type ctxReader struct {
	ctx context.Context
	r   io.Reader
}

func (r *ctxReader) Read(b []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.r.Read(b)
}

func (m *memory) Dirs(_ context.Context, dir string) ([]Dir, error) {
	if err := m.enter("dirs", dir); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	versions := make(map[string]string)
	for name, b := range m.files {
		if rest, ok := strings.CutPrefix(name, dir+"/"); ok {
			d := path.Dir(rest)
			if versions[d] += ""; path.Base(rest) == sink.SetFile {
				versions[d] = digest(b)
			}
		}
	}
	var dirs []Dir
	for name, v := range versions {
		dirs = append(dirs, Dir{name, v})
	}
	return dirs, nil
}

func (m *memory) Remove(_ context.Context, name string) error {
	if err := m.enter("remove", name); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.files, name)
	return nil
}

func (m *memory) RemoveAll(_ context.Context, dir string) error {
	if err := m.enter("removeall", dir); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for name := range m.files {
		if strings.HasPrefix(name, dir+"/") {
			delete(m.files, name)
		}
	}
	return nil
}

func mk(m *memory, o Options) *Sink {
	o.Name, o.Version = "memory", "1"
	if o.Backoff == 0 {
		o.Backoff = time.Microsecond
	}
	return New(m, o)
}

func part(gen uint64) sink.Part {
	return sink.Part{Kind: sink.KindSnapshot, Generation: gen, Shards: 1, Name: "shard-0000.rdb"}
}

func put(t *testing.T, s *Sink, gen uint64) sink.Set {
	t.Helper()
	r, err := s.Put(bg, part(gen), strings.NewReader("hello"))
	if err != nil {
		t.Fatal(err)
	}
	return sink.Set{ID: part(gen).ID(), Parts: []sink.SetPart{{Part: part(gen), Bytes: 5, SinkReceipt: r}}}
}

func TestConformance(t *testing.T) {
	plugintest.TestSink(t, func(testing.TB) sink.Sink { return mk(newMemory(), Options{Verify: true}) })
}

// once fails the first n calls of op.
func once(n int, op string, err error) func(string, string) error {
	var mu sync.Mutex
	return func(o, _ string) error {
		mu.Lock()
		defer mu.Unlock()
		if o == op && n > 0 {
			n--
			return err
		}
		return nil
	}
}

var errPasses = errors.New("it passes")

// TestRetry: every small operation is tried again, what is permanent and what
// streams is not.
func TestRetry(t *testing.T) {
	use := func(m *memory, s *Sink) error {
		r, err := s.Put(bg, part(1), strings.NewReader("hello"))
		if err != nil {
			return err
		}
		if err := s.Publish(bg, sink.Set{ID: part(1).ID(), Parts: []sink.SetPart{{Part: part(1), Bytes: 5, SinkReceipt: r}}}); err != nil {
			return err
		}
		rc, err := s.Open(bg, part(1), nil)
		if err != nil {
			return err
		}
		rc.Close()
		if sets, err := s.List(bg); err != nil || len(sets) != 1 {
			return fmt.Errorf("%d sets, %w", len(sets), err)
		}
		m.files[path.Join(sink.SetsDir, "00000002", "x")] = nil
		if _, err := s.Sweep(bg, func(sink.SetID) bool { return false }); err != nil {
			return err
		}
		return s.Remove(bg, part(1).ID())
	}
	for _, op := range []string{"stat", "putnew", "after putnew", "open", "dirs", "remove", "removeall"} {
		m := newMemory()
		m.fault = once(2, op, errPasses)
		if err := use(m, mk(m, Options{Attempts: 3})); err != nil {
			t.Errorf("%s fails twice: %v", op, err)
		}
		m = newMemory()
		m.fault = once(3, op, errPasses)
		err := use(m, mk(m, Options{Attempts: 3}))
		if op == "after putnew" { // the second attempt finds what the first has done
			if err != nil {
				t.Errorf("%s fails: %v", op, err)
			}
			continue
		}
		if !errors.Is(err, errPasses) {
			t.Errorf("%s fails three times: %v", op, err)
		}
		m = newMemory()
		m.fault = once(1, op, sink.Permanent(errPasses))
		if err := use(m, mk(m, Options{Attempts: 3})); !errors.Is(err, errPasses) || m.calls[op] > 2 {
			t.Errorf("%s fails for good: %v after %d calls", op, err, m.calls[op])
		}
	}
	m := newMemory()
	m.fault = once(1, "put", errPasses)
	if err := use(m, mk(m, Options{})); !errors.Is(err, errPasses) || m.calls["put"] != 1 {
		t.Errorf("a stream is tried %d times: %v", m.calls["put"], err)
	}
}

// TestVerify: what is damaged on its way is found where it can be.
func TestVerify(t *testing.T) {
	for name, c := range map[string]struct {
		spoil  func([]byte) []byte
		verify bool
	}{
		"shorter":     {func(b []byte) []byte { return b[1:] }, false},
		"another bit": {func(b []byte) []byte { b[0] ^= 1; return b }, true},
	} {
		m := newMemory()
		m.spoil = c.spoil
		if _, err := mk(m, Options{Verify: c.verify}).Put(bg, part(1), strings.NewReader("hello")); !errors.Is(err, sink.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestPublishChecks: the parts are there, and are those that were put.
func TestPublishChecks(t *testing.T) {
	m := newMemory()
	s := mk(m, Options{})
	set := put(t, s, 1)
	name := path.Join(sink.SetsDir, "00000001", part(1).Name)
	for what, b := range map[string][]byte{"another": []byte("world"), "shorter": []byte("hell")} {
		m.files[name] = b
		if err := s.Publish(bg, set); !errors.Is(err, sink.ErrCorrupt) {
			t.Errorf("%s: %v", what, err)
		}
	}
	m.files[name] = []byte("hello")
	if err := s.Publish(bg, set); err != nil {
		t.Error(err)
	}
	set.Parts[0].SinkReceipt = sink.Receipt("not JSON")
	if err := s.Publish(bg, set); !sink.IsPermanent(err) {
		t.Errorf("a foreign receipt: %v", err)
	}
}

// TestListReadsOnce: what was read is not read again, unless it is another.
func TestListReadsOnce(t *testing.T) {
	m := newMemory()
	s := mk(m, Options{})
	for gen := uint64(1); gen <= 3; gen++ {
		if err := s.Publish(bg, put(t, s, gen)); err != nil {
			t.Fatal(err)
		}
	}
	put(t, s, 4) // staged: nothing to read
	want := func(sets, reads int) {
		t.Helper()
		before := m.calls["open"]
		got, err := s.List(bg)
		if err != nil || len(got) != sets || m.calls["open"]-before != reads {
			t.Errorf("%d sets after %d readings (%v), want %d after %d", len(got), m.calls["open"]-before, err, sets, reads)
		}
	}
	want(3, 3)
	want(3, 0)
	if err := s.Remove(bg, part(2).ID()); err != nil {
		t.Fatal(err)
	}
	set := put(t, s, 2)
	set.CreatedBy = "another life"
	if err := s.Publish(bg, set); err != nil {
		t.Fatal(err)
	}
	want(3, 1)
	if got, err := s.List(bg); err != nil || got[1].CreatedBy != "another life" {
		t.Errorf("%v, %v", got, err)
	}
	if err := s.Remove(bg, part(3).ID()); err != nil {
		t.Fatal(err)
	}
	want(2, 0)
	if len(s.known.docs) != 2 {
		t.Errorf("%d documents are kept", len(s.known.docs))
	}
	total := 0
	for _, d := range s.known.docs {
		total += len(d.doc)
	}
	if s.known.bytes != total {
		t.Errorf("%d bytes are counted, %d kept", s.known.bytes, total)
	}
	s.known.put("too large", "1", make([]byte, maxDocuments))
	if s.known.get("too large", "1") != nil {
		t.Error("there is no bound")
	}
}

// TestOpenOutlivesItsAttempt: the deadline of opening is not one of reading.
func TestOpenOutlivesItsAttempt(t *testing.T) {
	s := mk(newMemory(), Options{Timeout: 20 * time.Millisecond})
	put(t, s, 1)
	rc, err := s.Open(bg, part(1), nil)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond)
	if b, err := io.ReadAll(rc); err != nil || string(b) != "hello" {
		t.Errorf("%q, %v", b, err)
	}
	if err := rc.Close(); err != nil {
		t.Error(err)
	}
}

// TestSlow: an attempt that does not end is ended; so is a stream in which
// nothing moves, unless it is the source that takes its time.
func TestSlow(t *testing.T) {
	m := newMemory()
	hang := make(chan struct{})
	defer close(hang)
	s := New(&hanging{memory: m, op: "stat", hang: hang}, Options{Name: "x", Timeout: 10 * time.Millisecond, Attempts: 2, Backoff: time.Microsecond})
	if _, err := s.Put(bg, part(1), strings.NewReader("x")); !errors.Is(err, errSlow) || m.calls["stat"] != 2 {
		t.Errorf("Put: %v after %d attempts", err, m.calls["stat"])
	}
	s = New(&hanging{memory: newMemory(), op: "put", hang: hang}, Options{Name: "x", Stall: 10 * time.Millisecond})
	if _, err := s.Put(bg, part(1), strings.NewReader("x")); err == nil || !strings.Contains(err.Error(), "nothing moved") {
		t.Errorf("Put: %v", err)
	}
	s = mk(newMemory(), Options{Stall: time.Second})
	if _, err := s.Put(bg, part(1), &lazy{n: 1, wait: 2 * time.Second}); err != nil {
		t.Errorf("Put from a lazy source: %v", err)
	}
}

// hanging waits in one operation until its context ends.
type hanging struct {
	*memory
	op   string
	hang chan struct{}
}

func (h *hanging) Stat(ctx context.Context, name string) (Object, error) {
	if h.op != "stat" {
		return h.memory.Stat(ctx, name)
	}
	_ = h.enter("stat", name)
	<-ctx.Done()
	return Object{}, ctx.Err()
}

func (h *hanging) Put(ctx context.Context, name string, src io.Reader) (Object, error) {
	if h.op != "put" {
		return h.memory.Put(ctx, name, src)
	}
	_, _ = src.Read(make([]byte, 1))
	<-ctx.Done()
	return Object{}, ctx.Err()
}

// lazy is a source that takes its time.
type lazy struct {
	n    int
	wait time.Duration
}

func (l *lazy) Read(b []byte) (int, error) {
	time.Sleep(l.wait)
	if l.n--; l.n < 0 {
		return 0, io.EOF
	}
	b[0] = 'x'
	return 1, nil
}

func digest(b []byte) string { return fmt.Sprintf("%x", sha256.Sum256(b)) }
