package sink

import (
	"io"
	"sync"
	"time"

	"github.com/spillwaydb/spillway/internal/turn"
)

// pipe is a bounded byte queue between two members of a pipeline that run side
// by side. Unlike io.Pipe it buffers, so neighbours overlap; it knows whether
// the reader has met the end; and it counts what flowed and how long each side
// waited. Either side can be closed at any time from any goroutine, and the
// other side then gets the error.
//
//	writer → [ ring of cap(buf) bytes ] → reader
//	closeWrite(nil): the reader drains the ring, then io.EOF
//	closeWrite(err): the reader gets err at once
//	closeRead(err):  the writer gets err at once
type pipe struct {
	clock Clock

	mu       sync.Mutex
	canRead  sync.Cond
	canWrite sync.Cond
	buf      []byte
	head, n  int // first byte held, and how many

	wdone  bool  // no more bytes will come
	werr   error // instead of io.EOF
	rerr   error // the reader is gone
	sawEOF bool  // the reader was given io.EOF

	passed     int64         // bytes read
	readWait   time.Duration // the reader waited for bytes
	writeWait  time.Duration // the writer waited for room
	readSince  time.Time     // the reader waits since then; zero: it does not
	writeSince time.Time     // and the writer
	slowAfter  time.Duration // total writeWait at which onSlow is the reader's error; 0: never
	slowErr    error
	slowTimers int // generation of the armed timer

	reads yielder
}

func newPipe(size int, clock Clock) *pipe {
	p := &pipe{buf: make([]byte, size), clock: clock}
	p.canRead.L, p.canWrite.L = &p.mu, &p.mu
	return p
}

// patience cuts the reader off with err once the writer has waited for it for
// d altogether.
func (p *pipe) patience(d time.Duration, err error) { p.slowAfter, p.slowErr = d, err }

// Read implements io.Reader.
func (p *pipe) Read(b []byte) (int, error) {
	n, yield, err := p.read(b)
	if yield {
		turn.Yield()
	}
	return n, err
}

func (p *pipe) read(b []byte) (n int, yield bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(b) == 0 {
		return 0, false, nil
	}
	if p.n == 0 && !p.wdone && p.rerr == nil {
		p.readSince = p.clock.Now()
		for p.n == 0 && !p.wdone && p.rerr == nil {
			p.canRead.Wait()
		}
		p.readWait += p.clock.Now().Sub(p.readSince)
		p.readSince = time.Time{}
	}
	switch {
	case p.rerr != nil:
		return 0, false, p.rerr
	case p.wdone && p.werr != nil:
		return 0, false, p.werr
	case p.n == 0:
		p.sawEOF = true
		return 0, false, io.EOF
	}
	n = copy(b, p.buf[p.head:min(p.head+p.n, len(p.buf))])
	if n == p.n {
		p.head = 0
	} else {
		if n < len(b) { // wrapped
			n += copy(b[n:], p.buf[:p.n-n])
		}
		p.head = (p.head + n) % len(p.buf)
	}
	p.n -= n
	p.passed += int64(n)
	p.canWrite.Signal()
	return n, p.reads.due(n), nil
}

// Write implements io.Writer.
func (p *pipe) Write(b []byte) (written int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case p.rerr != nil:
			return written, p.rerr
		case p.wdone && p.werr != nil:
			return written, p.werr
		case p.wdone:
			return written, io.ErrClosedPipe
		case len(b) == 0:
			return written, nil
		}
		if p.n == len(p.buf) {
			p.waitForRoom()
			continue
		}
		tail := (p.head + p.n) % len(p.buf)
		n := copy(p.buf[tail:min(len(p.buf), tail+len(p.buf)-p.n)], b)
		p.n += n
		b = b[n:]
		written += n
		p.canRead.Signal()
	}
}

// waitForRoom waits until the state has changed; the caller holds the lock.
func (p *pipe) waitForRoom() {
	if p.slowAfter > 0 && p.writeWait >= p.slowAfter {
		p.closeReadLocked(p.slowErr)
		return
	}
	p.writeSince = p.clock.Now()
	if p.slowAfter > 0 {
		p.slowTimers++
		armed := p.slowTimers
		stop := after(p.clock, p.slowAfter-p.writeWait, func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			if p.slowTimers == armed {
				p.closeReadLocked(p.slowErr)
			}
		})
		defer func() { stop(); p.slowTimers++ }()
	}
	for p.n == len(p.buf) && !p.wdone && p.rerr == nil {
		p.canWrite.Wait()
	}
	p.writeWait += p.clock.Now().Sub(p.writeSince)
	p.writeSince = time.Time{}
}

// closeWrite ends the stream: with io.EOF after what is buffered when err is
// nil, with err at once otherwise. The first call counts, but an error
// overrides an io.EOF that the reader has not met yet.
func (p *pipe) closeWrite(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.wdone || (p.werr == nil && !p.sawEOF) {
		p.wdone, p.werr = true, err
	}
	p.canRead.Broadcast()
	p.canWrite.Broadcast()
}

// closeRead makes both sides fail with err. The first call counts.
func (p *pipe) closeRead(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closeReadLocked(err)
}

func (p *pipe) closeReadLocked(err error) {
	if p.rerr == nil {
		if err == nil {
			err = io.ErrClosedPipe
		}
		p.rerr = err
	}
	p.canRead.Broadcast()
	p.canWrite.Broadcast()
}

// drained tells whether the reader met io.EOF.
func (p *pipe) drained() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sawEOF
}

// readError is the error the reader was closed with.
func (p *pipe) readError() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rerr
}

// flow returns the bytes read so far and how long each side has waited.
func (p *pipe) flow() (bytes int64, readWait, writeWait time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	readWait, writeWait = p.readWait, p.writeWait
	if !p.readSince.IsZero() {
		readWait += p.clock.Now().Sub(p.readSince)
	}
	if !p.writeSince.IsZero() {
		writeWait += p.clock.Now().Sub(p.writeSince)
	}
	return p.passed, readWait, writeWait
}
