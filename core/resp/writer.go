package resp

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strconv"
)

// Writer appends replies to Buf, and to Spill where that would become long. The
// zero value speaks RESP2. Its methods allocate nothing beyond Buf's own growth,
// Errorf excepted. What RESP2 cannot say it gets in the form Redis gives it there.
type Writer struct {
	Buf   []byte
	Proto int // 2 or 3; anything below 3 is 2

	// Max is how many bytes the client may be owed, 0 for any number. Over says
	// that replies had to be dropped to keep to it, or since Spill took no more:
	// the stream is of no more use.
	Max  int
	Over bool

	// Spill, unless nil, takes what Buf would have to grow for.
	Spill   Spill
	spilled int // bytes in Spill, which come before those in Buf

	// Errors counts the errors that were appended, and Texts has them. Whoever
	// counts them elsewhere calls TakeErrors.
	Errors int
	Texts  []string

	// Again counts the errors that ErrorAgain has appended.
	Again int

	digits [32]byte // of the number that is being written: on the stack, each would be allocated
}

// Spill holds the beginning of replies that are too long for one buffer.
type Spill interface {
	// Append copies b behind what is there. False means that it may hold no
	// more, and that the client is lost.
	Append(b []byte) bool
	// Lend puts b behind what is there, and head between, which it copies. b is not copied:
	// it stays as it is until the loan is returned, which Spill does when b has left or was
	// dropped, and also where Lend is false, for which see Append.
	Lend(head, b []byte, loan Loan) bool
	// Truncate drops everything but the first n bytes.
	Truncate(n int)
}

// Loan is bytes that somebody leaves as they are until Return, which any goroutine calls
// once.
type Loan interface{ Return() }

// spillFrom is how long Buf may become before it is spilled.
const spillFrom = 256 << 10

// Len is how many bytes of replies there are. It is a place to come back to
// with Truncate.
func (w *Writer) Len() int { return w.spilled + len(w.Buf) }

// Truncate drops what was appended since Len returned n.
func (w *Writer) Truncate(n int) {
	switch {
	case w.Over && n >= w.Len(): // it was dropped already
	case n >= w.spilled:
		w.Buf = w.Buf[:n-w.spilled]
	default:
		w.Spill.Truncate(n)
		w.spilled, w.Buf = n, w.Buf[:0]
	}
}

// Cut is Truncate that returns a copy of what it drops; ok is false when some of
// that is in Spill, where it cannot be had back.
func (w *Writer) Cut(n int) (dropped []byte, ok bool) {
	if ok = n >= w.spilled && n <= w.Len(); ok {
		dropped = slices.Clone(w.Buf[n-w.spilled:])
	}
	w.Truncate(n)
	return dropped, ok
}

// Taken says that the replies were taken out of Spill and Buf, which are empty.
func (w *Writer) Taken() { w.spilled, w.Buf = 0, w.Buf[:0] }

// Raw appends what is encoded already.
func (w *Writer) Raw(b []byte) {
	if len(w.Buf)+len(b) > spillFrom && w.Spill != nil {
		w.spill(b)
		return
	}
	w.Buf = append(w.Buf, b...)
}

// spill moves Buf, and b behind it, to Spill.
func (w *Writer) spill(b []byte) {
	n := len(w.Buf) + len(b)
	switch {
	case w.Over:
	case w.Max > 0 && w.spilled+n > w.Max, !w.Spill.Append(w.Buf), !w.Spill.Append(b):
		w.spillOver()
	default:
		w.spilled += n
	}
	w.Buf = w.Buf[:0]
}

// spillOver drops everything: it has become too much.
func (w *Writer) spillOver() {
	w.Over = true
	w.Spill.Truncate(0)
	w.spilled, w.Buf = 0, w.Buf[:0]
}

// Shed drops what was appended from start on when it has become more than Max.
// Whoever builds a reply of many parts calls it between them.
func (w *Writer) Shed(start int) {
	if w.Max > 0 && w.Len() > w.Max {
		w.Truncate(start)
		w.Over = true
	}
}

// OK appends +OK.
func (w *Writer) OK() { w.Buf = append(w.Buf, "+OK\r\n"...) }

// SimpleString appends a status. Line ends in it become blanks.
func (w *Writer) SimpleString(s string) { w.line('+', s) }

// Error appends an error; msg begins with its code ("ERR syntax error"), not
// with the minus. Line ends in it become blanks.
func (w *Writer) Error(msg string) {
	w.Errors++
	w.Texts = append(w.Texts, msg)
	w.line('-', msg)
}

// ErrorAgain is Error for one that was counted already, where it came about: it is not
// among Errors.
func (w *Writer) ErrorAgain(msg string) {
	w.Again++
	w.line('-', msg)
}

// TakeErrors returns the errors since the last call, until the next is appended.
func (w *Writer) TakeErrors() []string {
	texts := w.Texts
	w.Errors, w.Texts = 0, w.Texts[:0]
	return texts
}

// Errorf is Error with fmt's formatting.
func (w *Writer) Errorf(format string, args ...any) { w.Error(fmt.Sprintf(format, args...)) }

// Int appends an integer.
func (w *Writer) Int(n int64) { w.number(':', n) }

// Bulk appends a string of any bytes; nil is the empty string, see Null.
func (w *Writer) Bulk(b []byte) {
	buf := appendNumber(w.Buf, '$', int64(len(b)))
	if len(buf)+len(b) > spillFrom && w.Spill != nil {
		w.Buf = buf
		w.spill(b)
		buf = w.Buf
	} else {
		buf = append(buf, b...)
	}
	buf = append(buf, '\r', '\n')
	w.Buf = buf
}

// BulkLent is Bulk for many bytes that are on loan: they are not copied where Spill can
// hold them as they are. The loan is returned when they are not needed any more.
func (w *Writer) BulkLent(b []byte, loan Loan) {
	w.number('$', int64(len(b)))
	n := len(w.Buf) + len(b)
	switch {
	case w.Spill == nil:
		w.Buf = append(w.Buf, b...)
		loan.Return()
	case w.Over || w.Max > 0 && w.spilled+n > w.Max:
		loan.Return()
		w.spillOver()
	case !w.Spill.Lend(w.Buf, b, loan):
		w.spillOver()
	default:
		w.spilled += n
		w.Buf = w.Buf[:0]
	}
	w.Buf = append(w.Buf, '\r', '\n')
}

// BulkString is Bulk for a string.
func (w *Writer) BulkString(s string) {
	w.number('$', int64(len(s)))
	w.Buf = append(w.Buf, s...)
	w.Buf = append(w.Buf, '\r', '\n')
}

// Null appends "no such value".
func (w *Writer) Null() {
	if w.Proto >= 3 {
		w.Buf = append(w.Buf, "_\r\n"...)
		return
	}
	w.Buf = append(w.Buf, "$-1\r\n"...)
}

// NullArray appends "no such list of values" (RESP2 tells it from Null).
func (w *Writer) NullArray() {
	if w.Proto >= 3 {
		w.Buf = append(w.Buf, "_\r\n"...)
		return
	}
	w.Buf = append(w.Buf, "*-1\r\n"...)
}

// Array opens an array of the n replies that follow.
func (w *Writer) Array(n int) { w.number('*', int64(n)) }

// Map opens a map of the n pairs that follow; in RESP2 an array of 2n.
func (w *Writer) Map(n int) {
	if w.Proto >= 3 {
		w.number('%', int64(n))
		return
	}
	w.number('*', 2*int64(n))
}

// Set opens a set of the n replies that follow; in RESP2 an array.
func (w *Writer) Set(n int) { w.aggregate('~', n) }

// Push opens an out-of-band message of n replies; in RESP2 an array.
func (w *Writer) Push(n int) { w.aggregate('>', n) }

// Double appends a floating-point number; in RESP2 a bulk string.
func (w *Writer) Double(f float64) {
	if w.Proto >= 3 {
		w.Buf = append(w.Buf, ',')
		w.Buf = AppendDouble(w.Buf, f)
		w.Buf = append(w.Buf, '\r', '\n')
		return
	}
	w.Bulk(AppendDouble(w.digits[:0], f))
}

// Decimal is Double in the form in which Redis replies with coordinates: with 17
// digits after the point, but no zeros at the end, and no exponent.
func (w *Writer) Decimal(f float64) {
	var tmp [32]byte
	b := bytes.TrimRight(bytes.TrimRight(strconv.AppendFloat(tmp[:0], f, 'f', 17, 64), "0"), ".")
	if string(b) == "-0" {
		b = b[1:]
	}
	if w.Proto < 3 {
		w.Bulk(b)
		return
	}
	w.Buf = append(w.Buf, ',')
	w.Buf = append(w.Buf, b...)
	w.Buf = append(w.Buf, '\r', '\n')
}

// Bool appends a truth value; in RESP2 the integer 1 or 0.
func (w *Writer) Bool(b bool) {
	s := "#f\r\n"
	switch {
	case w.Proto >= 3 && b:
		s = "#t\r\n"
	case w.Proto < 3 && b:
		s = ":1\r\n"
	case w.Proto < 3:
		s = ":0\r\n"
	}
	w.Buf = append(w.Buf, s...)
}

// BigNumber appends an integer of any size, given in decimal; in RESP2 a bulk
// string.
func (w *Writer) BigNumber(s string) {
	if w.Proto >= 3 {
		w.line('(', s)
		return
	}
	w.BulkString(s)
}

// Verbatim appends text with a three-letter format ("txt", "mkd"); in RESP2 a
// bulk string without it.
func (w *Writer) Verbatim(format, s string) {
	if w.Proto < 3 {
		w.BulkString(s)
		return
	}
	w.number('=', int64(len(s))+4)
	f := [3]byte{' ', ' ', ' '}
	copy(f[:], format)
	w.Buf = append(w.Buf, f[0], f[1], f[2], ':')
	w.Buf = append(w.Buf, s...)
	w.Buf = append(w.Buf, '\r', '\n')
}

func (w *Writer) aggregate(kind byte, n int) {
	if w.Proto < 3 {
		kind = '*'
	}
	w.number(kind, int64(n))
}

func (w *Writer) number(kind byte, n int64) { w.Buf = appendNumber(w.Buf, kind, n) }

func appendNumber(dst []byte, kind byte, n int64) []byte {
	switch {
	case uint64(n) < 10:
		return append(dst, kind, byte('0'+n), '\r', '\n')
	case uint64(n) < 100:
		return append(dst, kind, byte('0'+n/10), byte('0'+n%10), '\r', '\n')
	}
	dst = append(dst, kind)
	dst = strconv.AppendInt(dst, n, 10)
	return append(dst, '\r', '\n')
}

func (w *Writer) line(kind byte, s string) {
	w.Buf = append(w.Buf, kind)
	at := len(w.Buf)
	w.Buf = append(w.Buf, s...)
	for i := at; i < len(w.Buf); i++ {
		if c := w.Buf[i]; c == '\r' || c == '\n' {
			w.Buf[i] = ' '
		}
	}
	w.Buf = append(w.Buf, '\r', '\n')
}

// AppendDouble appends f the way Redis 7.0 prints it in replies: %.17g, with
// inf, -inf and nan.
func AppendDouble(dst []byte, f float64) []byte {
	switch {
	case math.IsInf(f, 1):
		return append(dst, "inf"...)
	case math.IsInf(f, -1):
		return append(dst, "-inf"...)
	case math.IsNaN(f):
		return append(dst, "nan"...)
	case f == math.Trunc(f) && math.Abs(f) < 1e15 && (f != 0 || !math.Signbit(f)):
		return strconv.AppendInt(dst, int64(f), 10)
	}
	return strconv.AppendFloat(dst, f, 'g', 17, 64)
}

// FormatDouble is AppendDouble as a string.
func FormatDouble(f float64) string {
	var tmp [32]byte
	return string(AppendDouble(tmp[:0], f))
}

// AppendCommand appends a command as an array of bulk strings.
func AppendCommand(dst []byte, args ...[]byte) []byte {
	dst = appendNumber(dst, '*', int64(len(args)))
	for _, a := range args {
		if len(a) > spillFrom {
			dst = slices.Grow(dst, len(a)+64) // once, and by no more than it takes
		}
		dst = appendNumber(dst, '$', int64(len(a)))
		dst = append(dst, a...)
		dst = append(dst, '\r', '\n')
	}
	return dst
}
