package stream

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"strings"
)

const (
	frameData  = 0
	frameSeal  = 1
	frameAbort = 2

	headerSize = 5
	sealSize   = 12
	// MaxFrame is the largest payload of a frame of data.
	MaxFrame = 1 << 20
	// MaxAbort is the longest text of an abort; more is cut off.
	MaxAbort = 4 << 10

	bufferSize = 256 << 10 // what a Writer collects
	readAhead  = 64 << 10  // what a Reader holds
	direct     = 64 << 10  // a write of so much is not copied
)

var (
	// ErrCut is wrapped when the connection ended before the seal.
	ErrCut = errors.New("the connection ended before the bytes were complete")
	// ErrFormat is wrapped when the other side does not keep to the format.
	ErrFormat = errors.New("not the stream format")
)

// AbortError is what a reader gets when the other side gave up.
type AbortError struct{ Reason string }

// Error implements error.
func (e *AbortError) Error() string { return "the other side gave up: " + e.Reason }

// Totals are what flowed in one direction.
type Totals struct {
	Bytes uint64
	CRC32 uint32
}

func (t *Totals) add(b []byte) {
	t.Bytes += uint64(len(b))
	t.CRC32 = crc32.Update(t.CRC32, crc32.IEEETable, b)
}

// Reader is the receiving direction. It is used by one goroutine at a time.
type Reader struct {
	br     *bufio.Reader
	left   int // of the frame of data at hand
	totals Totals
	end    error // io.EOF, or why there is no more
}

// NewReader returns a reader of frames from r.
func NewReader(r io.Reader) *Reader { return &Reader{br: bufio.NewReaderSize(r, readAhead)} }

// Read implements io.Reader. After any error, io.EOF included, every further
// Read returns the same.
func (r *Reader) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, r.end
	}
	for r.left == 0 {
		if r.end == nil {
			r.end = r.header()
		}
		if r.end != nil {
			return 0, r.end
		}
	}
	n, err := r.br.Read(b[:min(len(b), r.left)])
	r.totals.add(b[:n])
	r.left -= n
	if err != nil {
		r.left, r.end = 0, cut(err)
		if n == 0 {
			return 0, r.end
		}
	}
	return n, nil
}

// header reads up to the payload of the next frame of data, or to the end.
func (r *Reader) header() error {
	var h [headerSize]byte
	if _, err := io.ReadFull(r.br, h[:]); err != nil {
		return cut(err)
	}
	n := binary.BigEndian.Uint32(h[1:])
	switch {
	case h[0] == frameData && n > 0 && n <= MaxFrame:
		r.left = int(n)
		return nil
	case h[0] == frameSeal && n == sealSize:
		var s [sealSize]byte
		if _, err := io.ReadFull(r.br, s[:]); err != nil {
			return cut(err)
		}
		said := Totals{Bytes: binary.BigEndian.Uint64(s[:]), CRC32: binary.BigEndian.Uint32(s[8:])}
		if said != r.totals {
			return fmt.Errorf("%w: sealed as %d bytes with CRC-32 %08x, there were %d with %08x",
				ErrFormat, said.Bytes, said.CRC32, r.totals.Bytes, r.totals.CRC32)
		}
		return io.EOF
	case h[0] == frameAbort && n <= MaxAbort:
		text := make([]byte, n)
		if _, err := io.ReadFull(r.br, text); err != nil {
			return cut(err)
		}
		return &AbortError{Reason: strings.ToValidUTF8(string(text), "?")}
	}
	return fmt.Errorf("%w: a frame of kind %d and %d bytes", ErrFormat, h[0], n)
}

// Drained tells whether io.EOF was met: the seal, with the right totals.
func (r *Reader) Drained() bool { return r.end == io.EOF }

// Totals are what was read so far.
func (r *Reader) Totals() Totals { return r.totals }

// cut says that the connection ended too early, unless it was closed by
// ourselves.
func cut(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return err
	}
	return fmt.Errorf("%w (%w)", ErrCut, err)
}

// Writer is the sending direction. It collects small writes. It is used by one
// goroutine at a time.
type Writer struct {
	w      io.Writer
	buf    []byte // a header's room, then what was collected
	totals Totals
	err    error
}

// NewWriter returns a writer of frames to w. A *net.UnixConn is written to
// without copying large pieces.
func NewWriter(w io.Writer) *Writer {
	return &Writer{w: w, buf: make([]byte, headerSize, headerSize+bufferSize)}
}

var errSealed = errors.New("stream: write after the end")

// Write implements io.Writer. What it took may still be here until Seal.
func (w *Writer) Write(b []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	n := len(b)
	w.totals.add(b)
	for len(b) > 0 {
		if len(w.buf) == headerSize && len(b) >= direct {
			k := min(len(b), MaxFrame)
			if err := w.send(frameData, b[:k]); err != nil {
				return n - len(b), err
			}
			b = b[k:]
			continue
		}
		k := min(len(b), cap(w.buf)-len(w.buf))
		w.buf = append(w.buf, b[:k]...)
		b = b[k:]
		if len(w.buf) == cap(w.buf) {
			if err := w.Flush(); err != nil {
				return n - len(b), err
			}
		}
	}
	return n, nil
}

// ReadFrom implements io.ReaderFrom: it reads into what it sends from.
func (w *Writer) ReadFrom(r io.Reader) (n int64, err error) {
	for w.err == nil {
		k, rerr := r.Read(w.buf[len(w.buf):cap(w.buf)])
		w.totals.add(w.buf[len(w.buf) : len(w.buf)+k])
		w.buf = w.buf[:len(w.buf)+k]
		n += int64(k)
		if rerr == io.EOF {
			return n, nil
		}
		if rerr != nil {
			return n, rerr
		}
		if len(w.buf)-headerSize >= direct {
			_ = w.Flush() // w.err
		}
	}
	return n, w.err
}

// Flush sends what was collected.
func (w *Writer) Flush() error {
	if w.err != nil || len(w.buf) == headerSize {
		return w.err
	}
	w.buf[0] = frameData
	binary.BigEndian.PutUint32(w.buf[1:], uint32(len(w.buf)-headerSize))
	_, err := w.w.Write(w.buf)
	w.buf = w.buf[:headerSize]
	w.err = err
	return err
}

// send writes one frame.
func (w *Writer) send(kind byte, payload []byte) error {
	var h [headerSize]byte
	h[0] = kind
	binary.BigEndian.PutUint32(h[1:], uint32(len(payload)))
	bufs := net.Buffers{h[:], payload}
	_, w.err = bufs.WriteTo(w.w)
	return w.err
}

// Seal sends what was collected and the totals: the other side meets io.EOF.
// Nothing can be written after it.
func (w *Writer) Seal() error {
	if err := w.Flush(); err != nil {
		return err
	}
	s := binary.BigEndian.AppendUint64(make([]byte, 0, sealSize), w.totals.Bytes)
	err := w.send(frameSeal, binary.BigEndian.AppendUint32(s, w.totals.CRC32))
	if err == nil {
		w.err = errSealed
	}
	return err
}

// Abort tells the other side why there will be no more. What was collected is
// dropped. An error to send it is of no consequence: the other side then meets
// the connection's end, which is no success either.
func (w *Writer) Abort(reason string) {
	if w.err == nil && w.send(frameAbort, []byte(reason[:min(len(reason), MaxAbort)])) == nil {
		w.err = errSealed
	}
}

// Totals are what was written so far.
func (w *Writer) Totals() Totals { return w.totals }
