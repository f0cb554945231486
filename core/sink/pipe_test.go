package sink

import (
	"bytes"
	"errors"
	"io"
	"math/rand"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/internal/testutil"
)

func testPipe(size int) *pipe { return newPipe(size, unmeasured{}) }

// Bytes come out as they went in, whatever the sizes of reads and writes.
func TestPipeCarriesEverything(t *testing.T) {
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewSource(seed))
	for _, size := range []int{1, 2, 7, 64, 4096} {
		want := make([]byte, 50_000)
		rng.Read(want)
		p := testPipe(size)
		rest, sizes := want, rand.New(rand.NewSource(seed+1))
		go func() {
			for len(rest) > 0 {
				n := min(len(rest), 1+sizes.Intn(3*size))
				if _, err := p.Write(rest[:n]); err != nil {
					t.Error(err)
				}
				rest = rest[n:]
			}
			p.closeWrite(nil)
		}()
		var got []byte
		for {
			b := make([]byte, 1+rng.Intn(2*size))
			n, err := p.Read(b)
			got = append(got, b[:n]...)
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if n, _, _ := p.flow(); !bytes.Equal(got, want) || n != int64(len(want)) || !p.drained() {
			t.Fatalf("ring of %d: %d bytes came out different, %d counted", size, len(got), n)
		}
	}
}

func TestPipeClosing(t *testing.T) {
	boom, bang := errors.New("boom"), errors.New("bang")
	b := make([]byte, 10)

	p := testPipe(8)
	if _, err := p.Write([]byte("abc")); err != nil {
		t.Fatal(err)
	}
	p.closeWrite(nil)
	if _, err := p.Write([]byte("d")); err != io.ErrClosedPipe {
		t.Errorf("write after the end: %v", err)
	}
	if p.closeWrite(boom); p.drained() { // overrides an end that nobody has met
		t.Error("drained before a read")
	}
	if _, err := p.Read(b); err != boom {
		t.Errorf("read: %v, want boom at once", err)
	}
	p.closeWrite(nil)
	if _, err := p.Read(b); err != boom {
		t.Errorf("an end overrides an error: %v", err)
	}

	p = testPipe(8)
	p.closeWrite(nil)
	if _, err := p.Read(b); err != io.EOF {
		t.Errorf("read: %v", err)
	}
	if p.closeWrite(boom); !p.drained() {
		t.Error("an end that was met is taken back")
	}

	p = testPipe(2)
	result := make(chan error)
	go func() { _, err := p.Write(make([]byte, 10)); result <- err }()
	p.closeRead(bang)
	if err := <-result; err != bang {
		t.Errorf("blocked write: %v", err)
	}
	p = testPipe(2)
	go func() { _, err := p.Read(b); result <- err }()
	p.closeRead(nil)
	if err := <-result; err != io.ErrClosedPipe {
		t.Errorf("blocked read: %v", err)
	}
}

// write fills the pipe from a goroutine of its own, and says how that ended.
func (p *pipe) write(n int) <-chan error {
	done := make(chan error, 1)
	go func() {
		_, err := p.Write(make([]byte, n))
		done <- err
	}()
	return done
}

// TestPipePatience: what a writer waits adds up, by the clock that the pipe was given.
func TestPipePatience(t *testing.T) {
	slow := errors.New("slow")
	clock := testutil.NewClock(time.Unix(1e9, 0))
	p := newPipe(2, clock)
	p.patience(10*time.Second, slow)
	done := p.write(10)
	clock.AwaitTicker(1)
	clock.Advance(10*time.Second - 1)
	select {
	case err := <-done:
		t.Fatalf("too early: %v", err)
	default:
	}
	clock.Advance(1)
	if err := <-done; err != slow {
		t.Errorf("one long wait: %v", err)
	}

	clock = testutil.NewClock(time.Unix(1e9, 0))
	p = newPipe(1, clock)
	p.patience(10*time.Second, slow)
	done = p.write(100)
	for i := range 10 {
		clock.AwaitTicker(i + 1)
		select {
		case err := <-done:
			t.Fatalf("after %d s: %v", i, err)
		default:
		}
		clock.Advance(time.Second)
		if i < 9 {
			if _, err := p.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := <-done; err != slow {
		t.Errorf("many waits: %v", err)
	}
}

func BenchmarkPipe(b *testing.B) {
	p := testPipe(256 << 10)
	go func() { _, _ = io.CopyBuffer(io.Discard, readOnly{p}, make([]byte, copyBuffer)) }()
	chunk := make([]byte, 64<<10)
	b.SetBytes(int64(len(chunk)))
	for b.Loop() {
		if _, err := p.Write(chunk); err != nil {
			b.Fatal(err)
		}
	}
	p.closeWrite(nil)
}
