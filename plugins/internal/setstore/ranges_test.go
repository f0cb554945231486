package setstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/plugins/plugintest"
)

// pieces is a memory store that can read ranges.
type pieces struct {
	*memory
	mu      sync.Mutex
	changed *sync.Cond
	asked   []int64 // where ranges begin, in the order they were asked for
	reading int     // ranges that are being read, and the most there were
	most    int
	// answer is what a range is read as, nil for what it is. It may wait.
	answer func(off int64, b []byte) (io.Reader, error)
}

func newPieces() *pieces {
	p := &pieces{memory: newMemory()}
	p.changed = sync.NewCond(&p.mu)
	return p
}

func (p *pieces) OpenRange(ctx context.Context, name string, off, n int64) (io.ReadCloser, int64, error) {
	p.memory.mu.Lock()
	b := p.files[name]
	p.memory.mu.Unlock()
	p.mu.Lock()
	p.asked = append(p.asked, off)
	p.reading++
	p.most = max(p.most, p.reading)
	p.changed.Broadcast()
	p.mu.Unlock()
	answer := p.answer
	if answer == nil {
		answer = func(_ int64, b []byte) (io.Reader, error) { return bytes.NewReader(b), nil }
	}
	return &pieceReader{p: p, open: func() (io.Reader, error) { return answer(off, b[off:off+n]) }}, int64(len(b)), nil
}

// pieceReader begins to answer when it is read.
type pieceReader struct {
	p    *pieces
	open func() (io.Reader, error)
	r    io.Reader
	once sync.Once
}

func (r *pieceReader) Read(b []byte) (int, error) {
	if r.r == nil {
		var err error
		if r.r, err = r.open(); err != nil {
			return 0, err
		}
	}
	return r.r.Read(b)
}

func (r *pieceReader) Close() error {
	r.once.Do(func() {
		r.p.mu.Lock()
		defer r.p.mu.Unlock()
		r.p.reading--
	})
	return nil
}

// wasAsked waits until a range from off on was asked for.
func (p *pieces) wasAsked(off int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for !slices.Contains(p.asked, off) {
		p.changed.Wait()
	}
}

const rangeSize = 1000

// ranged is a sink over p with a part of n bytes in it.
func ranged(t *testing.T, p *pieces, n int) (*Sink, sink.SetPart, []byte) {
	t.Helper()
	s := New(p, Options{Name: "pieces", Backoff: time.Millisecond, RangeSize: rangeSize, Ranges: 4})
	t.Cleanup(func() { _ = s.Close() })
	content := plugintest.Payload(n)
	return s, plugintest.PutOne(t, s, 1, content).Parts[0], content
}

// read reads a part, as bytes or in large reads, and closes it.
func read(t *testing.T, s *Sink, part sink.SetPart, byByte bool) ([]byte, error) {
	t.Helper()
	rc, err := s.Open(bg, part.Part, part.SinkReceipt)
	if err != nil {
		t.Fatal(err)
	}
	var r io.Reader = rc
	if byByte {
		r = iotest.OneByteReader(rc)
	}
	b, err := io.ReadAll(r)
	return b, errors.Join(err, rc.Close())
}

// TestRangesInOrder: a part is what was put, whatever its size.
func TestRangesInOrder(t *testing.T) {
	for _, n := range []int{0, 1, rangeSize - 1, rangeSize, rangeSize + 1, 4*rangeSize - 1, 4 * rangeSize, 17*rangeSize + 3} {
		p := newPieces()
		s, part, content := ranged(t, p, n)
		got, err := read(t, s, part, n%2 == 1)
		if err != nil || !bytes.Equal(got, content) {
			t.Errorf("%d bytes: %d are read, %v", n, len(got), err)
		}
		if want := (n + rangeSize - 1) / rangeSize; n > rangeSize && len(p.asked) != want || n <= rangeSize && len(p.asked) > 0 {
			t.Errorf("%d bytes in ranges from %v", n, p.asked)
		}
	}
}

// TestRangesAtOnce: each range is answered only when others behind it have been asked for,
// first one and in the end three, and there are never more than four on their way.
func TestRangesAtOnce(t *testing.T) {
	const many = 12
	p := newPieces()
	s, part, content := ranged(t, p, many*rangeSize)
	p.answer = func(off int64, b []byte) (io.Reader, error) {
		at := off / rangeSize
		behind := min(at+1, 3)
		if last := int64(many - 1); at+behind > last {
			behind = last - at
		}
		p.wasAsked((at + behind) * rangeSize)
		return bytes.NewReader(b), nil
	}
	got, err := read(t, s, part, false)
	if err != nil || !bytes.Equal(got, content) {
		t.Fatalf("%d bytes are read: %v", len(got), err)
	}
	if p.most != 4 || p.reading != 0 {
		t.Errorf("%d ranges were on their way at once, and %d are", p.most, p.reading)
	}
}

// TestRangesOfSlowReader: who never has to wait has one range fetched ahead.
func TestRangesOfSlowReader(t *testing.T) {
	p := newPieces()
	s, part, content := ranged(t, p, 8*rangeSize)
	rc, err := s.Open(bg, part.Part, part.SinkReceipt)
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	r := rc.(*ranges)
	for at := range content {
		if at%rangeSize == 0 && at > 0 {
			<-r.queue[1].done // it comes while the one in front is read
			p.mu.Lock()
			if n := len(p.asked); n > at/rangeSize+1 {
				t.Errorf("%d ranges were asked for before the reader came to byte %d", n, at)
			}
			p.mu.Unlock()
		}
		var b [1]byte
		if _, err := io.ReadFull(rc, b[:]); err != nil || b[0] != content[at] {
			t.Fatalf("byte %d is %d, %v", at, b[0], err)
		}
	}
}

// TestRangeBreaksOff: one that breaks off is gone on with from there, and no other is
// asked for twice; one that always does ends the reading.
func TestRangeBreaksOff(t *testing.T) {
	p := newPieces()
	s, part, content := ranged(t, p, 6*rangeSize)
	p.answer = func(off int64, b []byte) (io.Reader, error) {
		switch off {
		case 2 * rangeSize:
			return bytes.NewReader(b[:300]), nil
		case 2*rangeSize + 300:
			return iotest.TimeoutReader(iotest.HalfReader(bytes.NewReader(b))), nil
		}
		return bytes.NewReader(b), nil
	}
	got, err := read(t, s, part, false)
	if err != nil || !bytes.Equal(got, content) {
		t.Fatalf("%d bytes are read: %v", len(got), err)
	}
	slices.Sort(p.asked)
	if want := "[0 1000 2000 2300 2650 3000 4000 5000]"; fmt.Sprint(p.asked) != want {
		t.Errorf("ranges from %v, not %s", p.asked, want)
	}

	gone := errors.New("the line is down")
	for _, why := range []error{gone, sink.Permanent(gone)} {
		p.asked = nil
		p.answer = func(off int64, b []byte) (io.Reader, error) {
			if off >= 3*rangeSize && off < 4*rangeSize {
				return nil, why
			}
			return bytes.NewReader(b), nil
		}
		got, err = read(t, s, part, false)
		if !errors.Is(err, gone) || !bytes.Equal(got, content[:3*rangeSize]) {
			t.Errorf("%d bytes are read: %v", len(got), err)
		}
		tries := 0
		for _, off := range p.asked {
			if off == 3*rangeSize {
				tries++
			}
		}
		if want := map[bool]int{true: 1, false: 4}[sink.IsPermanent(why)]; tries != want {
			t.Errorf("%v: %d attempts, not %d", why, tries, want)
		}
	}
}

// TestRangesClosed: closing a part ends what is being fetched.
func TestRangesClosed(t *testing.T) {
	p := newPieces()
	s, part, _ := ranged(t, p, 6*rangeSize)
	ctx, cancel := context.WithCancel(bg)
	defer cancel()
	p.answer = func(off int64, b []byte) (io.Reader, error) {
		if off == 0 {
			return bytes.NewReader(b), nil
		}
		return nil, errors.New("again, please")
	}
	s.opts.Backoff = time.Hour
	rc, err := s.Open(ctx, part.Part, part.SinkReceipt)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(rc, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	if err := rc.Close(); err != nil {
		t.Error(err)
	}
	if _, err := rc.Read(make([]byte, 10)); err == nil {
		t.Error("it is read although it is closed")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reading != 0 {
		t.Errorf("%d ranges are still being read", p.reading)
	}
}

// TestWithoutRanges: a part is read in one stream where the receipt does not say that it
// is large, or the store can do no ranges after all.
func TestWithoutRanges(t *testing.T) {
	p := newPieces()
	s, part, content := ranged(t, p, 6*rangeSize)
	part.SinkReceipt = nil
	if got, err := read(t, s, part, false); err != nil || !bytes.Equal(got, content) || len(p.asked) > 0 {
		t.Errorf("without a receipt: %d bytes, ranges from %v, %v", len(got), p.asked, err)
	}
	none := &noPieces{memory: p.memory}
	s = New(none, Options{Name: "none", RangeSize: rangeSize, Ranges: 4})
	part = plugintest.PutOne(t, s, 2, content).Parts[0]
	if got, err := read(t, s, part, false); err != nil || !bytes.Equal(got, content) || none.asked != 1 {
		t.Errorf("%d bytes after %d questions: %v", len(got), none.asked, err)
	}
}

// noPieces says that it can read ranges and cannot.
type noPieces struct {
	*memory
	asked int
}

func (n *noPieces) OpenRange(context.Context, string, int64, int64) (io.ReadCloser, int64, error) {
	n.asked++
	return nil, 0, fmt.Errorf("no ranges here: %w", errors.ErrUnsupported)
}
