package rdb

import (
	"errors"
	"fmt"
	"io"
)

const (
	readBuffer = 64 << 10
	growStep   = 1 << 20 // first allocation for a string larger than readBuffer
)

// source hands out bytes of a stream or of a slice, counts them, and keeps
// the checksum of what was taken from a stream.
type source struct {
	r      io.Reader // nil: buf is everything there is, and is aliased
	buf    []byte
	pos    int // next unread byte
	end    int // end of the valid bytes
	summed int // bytes of buf before this one are in crc
	base   int64
	crc    uint64

	// Of a stream: lent says that bytes of buf were lent for as long as the object at
	// hand is, which shift respects by going on in another buffer. left is the last one
	// that it left so, and spare is to be used next.
	lent        bool
	left, spare []byte
}

func newSource(r io.Reader) source { return source{r: r, buf: make([]byte, readBuffer)} }

func newMemorySource(p []byte) source { return source{buf: p, end: len(p)} }

// offset returns how many bytes were taken.
func (s *source) offset() int64 { return s.base + int64(s.pos) }

// sum brings crc up to the bytes taken so far.
func (s *source) sum() uint64 {
	s.crc = CRC64(s.crc, s.buf[s.summed:s.pos])
	s.summed = s.pos
	return s.crc
}

// peek returns the next n bytes, n at most len(buf), without taking them.
func (s *source) peek(n int) ([]byte, error) {
	if s.end-s.pos < n {
		if err := s.fill(n); err != nil {
			return nil, err
		}
	}
	return s.buf[s.pos : s.pos+n], nil
}

// take returns the next n bytes; they are valid until the next call.
func (s *source) take(n int) ([]byte, error) {
	p, err := s.peek(n)
	if err == nil {
		s.pos += n
	}
	return p, err
}

// byte takes one byte.
func (s *source) byte() (byte, error) {
	if s.pos == s.end {
		if err := s.fill(1); err != nil {
			return 0, err
		}
	}
	c := s.buf[s.pos]
	s.pos++
	return c, nil
}

// fill reads until n unread bytes are in buf.
func (s *source) fill(n int) error {
	if s.r == nil {
		return s.truncated()
	}
	s.shift()
	for s.end < n {
		m, err := s.read(s.buf[s.end:])
		if err != nil {
			return s.cut(err)
		}
		s.end += m
	}
	return nil
}

// shift drops the bytes taken from the front of buf.
func (s *source) shift() {
	s.sum()
	s.base += int64(s.pos)
	rest := s.buf[s.pos:s.end]
	if s.lent {
		s.lent, s.left = false, s.buf
		if s.buf = s.spare; s.buf == nil {
			s.buf = make([]byte, readBuffer)
		}
		s.spare = nil
	}
	s.end = copy(s.buf, rest)
	s.pos, s.summed = 0, 0
}

// lend is take for as long as the object at hand is: until returned.
func (s *source) lend(n int) ([]byte, error) {
	p, err := s.take(n)
	s.lent = true
	return p[:len(p):len(p)], err
}

// returned takes back what was lent.
func (s *source) returned() {
	s.lent = false
	if s.left != nil {
		s.spare, s.left = s.left, nil
	}
}

// read reads at least one byte into p or returns an error: io.EOF alone for
// the end, anything else wrapped.
func (s *source) read(p []byte) (int, error) {
	for range 100 {
		n, err := s.r.Read(p)
		if n > 0 {
			return n, nil // an error that came along comes again
		}
		if errors.Is(err, io.EOF) {
			return 0, err
		}
		if err != nil {
			return 0, fmt.Errorf("rdb: read after offset %d: %w", s.base+int64(s.end), err)
		}
	}
	return 0, fmt.Errorf("rdb: read after offset %d: %w", s.base+int64(s.end), io.ErrNoProgress)
}

// cut turns an end where more is needed into corruption.
func (s *source) cut(err error) error {
	if errors.Is(err, io.EOF) {
		return s.truncated()
	}
	return err
}

func (s *source) truncated() error {
	return &CorruptError{Offset: s.base + int64(s.end), Reason: "the input ends here, in the middle of a record", Err: io.ErrUnexpectedEOF}
}

// large takes n bytes into memory of their own, which grows as they arrive: in
// few steps, since what is outgrown is garbage beside what it was copied to.
func (s *source) large(n uint64) ([]byte, error) {
	dst := make([]byte, 0, min(n, growStep))
	for {
		room := dst[len(dst):cap(dst)]
		m := copy(room, s.buf[s.pos:s.end])
		s.pos += m
		if m == 0 {
			s.shift()
			var err error
			if m, err = s.read(room); err != nil {
				return nil, s.cut(err)
			}
			s.crc = CRC64(s.crc, room[:m])
			s.base += int64(m)
		}
		dst = dst[:len(dst)+m]
		if uint64(len(dst)) == n {
			return dst, nil
		}
		if len(dst) == cap(dst) {
			bigger := make([]byte, len(dst), min(n, 4*uint64(cap(dst))))
			copy(bigger, dst)
			dst = bigger
		}
	}
}

// atEnd reports whether nothing follows.
func (s *source) atEnd() (bool, error) {
	if s.pos < s.end {
		return false, nil
	}
	if s.r == nil {
		return true, nil
	}
	s.shift()
	m, err := s.read(s.buf)
	s.end = m
	if errors.Is(err, io.EOF) {
		return true, nil
	}
	return false, err
}

// arena gives one object the memory its strings need and takes it all back at
// once. Slices it gave stay intact until reset.
type arena struct{ chunk []byte }

// Chunks double from the first size to the last, so that one small value
// costs little and a file of many soon stops allocating.
const (
	firstChunk = 1 << 10
	arenaChunk = 2 * readBuffer
)

func (a *arena) reset() { a.chunk = a.chunk[:0] }

// alloc returns n bytes with undefined content and length n.
func (a *arena) alloc(n int) []byte {
	if cap(a.chunk)-len(a.chunk) < n {
		if n > arenaChunk {
			return make([]byte, n)
		}
		a.chunk = make([]byte, 0, min(max(firstChunk, 2*cap(a.chunk), n), arenaChunk))
	}
	at := len(a.chunk)
	a.chunk = a.chunk[:at+n]
	return a.chunk[at : at+n : at+n]
}
