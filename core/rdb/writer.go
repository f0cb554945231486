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
// The order of calls is Header, Function for each function library, then for each
// database SelectDB, ResizeDB and its objects, then End. An object is, after an optional Expire, Idle or Freq,
// one String, Listpack, Intset or Stream, or one Begin followed by exactly as many
// Elements, or BeginQuicklist and as many Nodes, as announced; Object is all of
// that in one. Calls in another order are an error, never a broken file.
type Writer struct {
	w       io.Writer
	buf     []byte
	crc     uint64
	flushed int64
	err     error

	left  int    // Item, Score or Node calls the open collection still needs
	open  traits // its own
	begun bool   // Header was written
	ended bool

	version int   // of the format
	first   int64 // deadline of the open hash
}

// NewWriter returns a Writer that writes to w. It never closes w.
func NewWriter(w io.Writer) *Writer {
	return &Writer{w: w, buf: make([]byte, 0, writeBuffer+directWrite+writeSlack)}
}

// Header writes the magic, the version and the aux fields in the order given.
// Redis shows or logs the ones it knows (redis-ver, ctime, used-mem…) and
// ignores the others.
func (w *Writer) Header(aux [][2]string) { w.header(writeVersion, aux) }

// DatedHeader is Header for a file with hashes whose fields have deadlines, which
// version 10 has no encoding for.
func (w *Writer) DatedHeader(aux [][2]string) { w.header(datedVersion, aux) }

func (w *Writer) header(version int, aux [][2]string) {
	if w.begun || w.ended {
		w.misuse("Header called twice or after End")
		return
	}
	w.begun, w.version = true, version
	w.buf = fmt.Appendf(w.buf, "REDIS%04d", version)
	for _, kv := range aux {
		w.aux(kv[0], kv[1])
	}
}

// Aux writes an aux field behind those of the header. Redis reads them anywhere, and
// ignores the ones that it does not know.
func (w *Writer) Aux(key, value string) {
	w.boundary()
	w.aux(key, value)
}

func (w *Writer) aux(key, value string) {
	w.room()
	w.buf = append(w.buf, opAux)
	w.str([]byte(key))
	w.str([]byte(value))
}

// Function writes a function library: its source, whose first line names it.
// Redis writes libraries ahead of the first database, and reads them anywhere.
func (w *Writer) Function(code []byte) {
	w.boundary()
	w.buf = append(w.buf, opFunction2)
	w.str(code)
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

// Begin opens a collection of n elements; as many Element calls follow, or the
// Item and Score calls that each of them stands for.
func (w *Writer) Begin(t Type, key []byte, n int) {
	if t.traits().items == 0 {
		w.fail(fmt.Errorf("key %.100q: %w", key, UnknownType(t)))
		return
	}
	w.begin(t.traits(), key, n)
}

func (w *Writer) begin(t traits, key []byte, n int) {
	if n <= 0 || n > math.MaxInt/2 {
		w.misuse(fmt.Sprintf("key %.100q: a collection of %d elements", key, n))
		return
	}
	w.boundary()
	w.buf = append(w.buf, t.code)
	w.str(key)
	w.buf = appendLen(w.buf, uint64(n))
	w.open, w.left = t, n*t.items
	if t.scored {
		w.left += n
	}
}

// Element writes the next element of the open collection: an item or a member a, a
// field a and its value b, with its deadline for a score after BeginDated, a member
// and its score.
func (w *Writer) Element(a, b []byte, score float64) {
	if w.open.dated {
		w.room()
		w.buf = appendLen(w.buf, w.relative(int64(score)))
	}
	w.Item(a)
	if w.open.items == 2 {
		w.Item(b)
	}
	if w.open.scored {
		w.Score(score)
	}
}

// Object writes o: its deadline, when it was last used or how often, and its
// value, packed as it came where the format has that.
func (w *Writer) Object(o *Object) {
	if o.ExpireMS != 0 {
		w.Expire(o.ExpireMS)
	}
	switch {
	case o.LFU >= 0:
		w.Freq(uint8(min(o.LFU, math.MaxUint8)))
	case o.LRU >= 0:
		w.Idle(o.LRU)
	}
	switch code, blob := o.whole(); {
	case o.Type == TypeString:
		w.String(o.Key, o.Str)
	case o.Type == TypeStream:
		w.Stream(o.Key, o.Stream)
	case code == encSetIntset:
		w.Intset(o.Key, blob)
	case code == encHashListEx:
		w.DatedListpack(o.Key, blob)
	case blob != nil:
		w.Listpack(o.Type, o.Key, blob)
	default:
		w.elements(o)
	}
}

func (w *Writer) elements(o *Object) {
	if err := o.check(); err != nil {
		w.fail(fmt.Errorf("key %.100q: %w", o.Key, err))
		return
	}
	if o.Expires != nil {
		w.BeginDated(o.Key, o.Len(), o.firstExpire())
	} else {
		w.Begin(o.Type, o.Key, o.Len())
	}
	o.each(func(a, b []byte, score float64) bool {
		w.Element(a, b, score)
		return w.err == nil
	})
}

// Item writes the next item, member, field or value of the open collection.
func (w *Writer) Item(v []byte) {
	if w.left <= 0 || w.open.code == encListQuicklist2 || w.open.scored && w.left&1 == 1 {
		w.misuse("an Item nobody announced, or in place of a Score")
		return
	}
	w.left--
	w.str(v)
}

// Score writes the score of the member just written. NaN is an error.
func (w *Writer) Score(f float64) {
	if !w.open.scored || w.left&1 == 0 || f != f {
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

func (w *Writer) misuse(what string) { w.fail(errors.New(what)) }

func (w *Writer) fail(err error) {
	if w.err == nil {
		w.err = fmt.Errorf("%w at offset %d: %w", ErrMisuse, w.Size(), err)
	}
}
