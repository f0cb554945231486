package rdb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

const (
	writeBuffer = 64 << 10 // bytes gathered before one Write
	directWrite = 16 << 10 // strings from here on skip the buffer
	writeSlack  = 64       // room for opcodes and lengths around a string
)

// Writer writes one RDB file. It buffers, keeps the checksum, and remembers
// the first error: calls after an error do nothing, and End returns it. It
// does not allocate per object. One goroutine uses it at a time.
//
// The order of calls is Header, then for each database SelectDB, ResizeDB and
// its objects, then End. An object is, after an optional Expire, Idle or Freq,
// one String, Listpack or Intset, or one Begin… followed by exactly as many
// Items or Nodes as announced; calls in another order are an error, never a
// broken file.
type Writer struct {
	w       io.Writer
	buf     []byte
	crc     uint64
	flushed int64
	err     error

	left  int  // Item, Score or Node calls the open collection still needs
	open  byte // its type byte
	begun bool // Header was written
	ended bool
}

// NewWriter returns a Writer that writes to w. It never closes w.
func NewWriter(w io.Writer) *Writer {
	return &Writer{w: w, buf: make([]byte, 0, writeBuffer+directWrite+writeSlack)}
}

// Header writes the magic, the version and the aux fields in the order given.
// Redis shows or logs the ones it knows (redis-ver, ctime, used-mem…) and
// ignores the others.
func (w *Writer) Header(aux [][2]string) {
	if w.begun || w.ended {
		w.misuse("Header called twice or after End")
		return
	}
	w.begun = true
	w.buf = fmt.Appendf(w.buf, "REDIS%04d", writeVersion)
	for _, kv := range aux {
		w.room()
		w.buf = append(w.buf, opAux)
		w.str([]byte(kv[0]))
		w.str([]byte(kv[1]))
	}
}

// SelectDB says which database the objects that follow live in.
func (w *Writer) SelectDB(n int) {
	if n < 0 {
		w.misuse("negative database")
		return
	}
	w.boundary()
	w.buf = appendLen(append(w.buf, opSelectDB), uint64(n))
}

// ResizeDB tells a loader how many keys the selected database has and how
// many of them have a deadline. It is a hint and need not be exact.
func (w *Writer) ResizeDB(keys, expires int) {
	w.boundary()
	w.buf = appendLen(append(w.buf, opResizeDB), uint64(max(keys, 0)))
	w.buf = appendLen(w.buf, uint64(max(expires, 0)))
}

// Expire gives the next object a deadline in unix milliseconds.
func (w *Writer) Expire(ms int64) {
	w.boundary()
	w.buf = binary.LittleEndian.AppendUint64(append(w.buf, opExpireMS), uint64(ms))
}

// Idle gives the next object its idle time in seconds.
func (w *Writer) Idle(seconds int64) {
	w.boundary()
	w.buf = appendLen(append(w.buf, opIdle), uint64(max(seconds, 0)))
}

// Freq gives the next object its access frequency counter.
func (w *Writer) Freq(freq uint8) {
	w.boundary()
	w.buf = append(w.buf, opFreq, freq)
}

// String writes one string object.
func (w *Writer) String(key, val []byte) {
	w.boundary()
	w.buf = append(w.buf, encString)
	w.str(key)
	w.str(val)
}

// BeginList opens a list of n items; n Item calls follow, head first.
func (w *Writer) BeginList(key []byte, n int) { w.begin(encList, key, n, 1) }

// BeginSet opens a set of n members; n Item calls follow.
func (w *Writer) BeginSet(key []byte, n int) { w.begin(encSet, key, n, 1) }

// BeginHash opens a hash of n pairs; 2n Item calls follow: field, value.
func (w *Writer) BeginHash(key []byte, pairs int) { w.begin(encHash, key, pairs, 2) }

// BeginZSet opens a sorted set of n members; n times an Item (the member) and
// a Score follow.
func (w *Writer) BeginZSet(key []byte, n int) { w.begin(encZSet2, key, n, 2) }

func (w *Writer) begin(enc byte, key []byte, n, calls int) {
	if n <= 0 || n > math.MaxInt/2 {
		w.misuse(fmt.Sprintf("key %.100q: a collection of %d elements", key, n))
		return
	}
	w.boundary()
	w.buf = append(w.buf, enc)
	w.str(key)
	w.buf = appendLen(w.buf, uint64(n))
	w.left = n * calls
	w.open = enc
}

// Item writes the next item, member, field or value of the open collection.
func (w *Writer) Item(v []byte) {
	if w.left <= 0 || w.open == encListQuicklist2 || w.open == encZSet2 && w.left&1 == 1 {
		w.misuse("an Item nobody announced, or in place of a Score")
		return
	}
	w.left--
	w.str(v)
}

// Score writes the score of the member just written. NaN is an error.
func (w *Writer) Score(f float64) {
	if w.open != encZSet2 || w.left&1 == 0 || f != f {
		w.misuse("a Score without a member, or not a number")
		return
	}
	w.left--
	if cap(w.buf)-len(w.buf) < writeSlack {
		w.flush()
	}
	w.buf = appendScore(w.buf, f)
}

// Err returns the first error so far. A long encoding loop looks at it now
// and then to stop early.
func (w *Writer) Err() error { return w.err }

// Size returns how many bytes were produced so far, buffered ones included.
func (w *Writer) Size() int64 { return w.flushed + int64(len(w.buf)) }

// End writes the end mark and the checksum and flushes. Only a nil error means
// that the whole file was handed to the underlying writer.
func (w *Writer) End() error {
	if !w.begun || w.ended {
		w.misuse("End without Header or called twice")
		return w.err
	}
	w.boundary()
	w.buf = append(w.buf, opEOF)
	w.flush()
	w.buf = binary.LittleEndian.AppendUint64(w.buf, w.crc)
	w.flush()
	w.ended = true
	return w.err
}

// boundary is called where no collection may be open: it checks that and
// makes room for opcodes.
func (w *Writer) boundary() {
	if w.left != 0 || !w.begun || w.ended {
		w.misuse("a call between objects while one is open, before Header or after End")
	}
	w.room()
}

// room makes sure that a few opcodes, lengths or numbers fit the buffer.
func (w *Writer) room() {
	if len(w.buf) >= writeBuffer {
		w.flush()
	}
}

// str appends a string and leaves room for what may follow it.
func (w *Writer) str(s []byte) {
	if len(s) >= directWrite {
		w.large(s)
		return
	}
	if cap(w.buf)-len(w.buf) < len(s)+writeSlack {
		w.flush()
	}
	w.buf = appendString(w.buf, s)
}

// large hands a big string to the underlying writer without copying it.
func (w *Writer) large(s []byte) {
	w.buf = appendLen(w.buf, uint64(len(s)))
	w.flush()
	w.crc = CRC64(w.crc, s)
	w.write(s)
}

func (w *Writer) flush() {
	w.crc = CRC64(w.crc, w.buf)
	w.write(w.buf)
	w.buf = w.buf[:0]
}

func (w *Writer) write(p []byte) {
	if w.err != nil {
		return
	}
	n, err := w.w.Write(p)
	w.flushed += int64(n)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	if err != nil {
		w.err = fmt.Errorf("rdb: write at offset %d: %w", w.flushed, err)
	}
}

// ErrMisuse is wrapped by errors of a Writer whose calls came in an order
// that would not give a valid file.
var ErrMisuse = errors.New("rdb: writer misuse")

func (w *Writer) misuse(what string) {
	if w.err == nil {
		w.err = fmt.Errorf("%w at offset %d: %s", ErrMisuse, w.Size(), what)
	}
}
