package resp

import (
	"errors"
	"io"
)

// Reader cuts commands out of a stream: an append-only file, a part of a
// rewrite, what a master sends. It waits for no more bytes than the command at
// hand needs. It is not safe for concurrent use.
type Reader struct {
	src    io.Reader
	parser Parser
	buf    []byte // what has come and was not handed out; the capacity behind it is free
	offset int64  // of buf in the stream
	ended  error  // what src said last; it is asked no more
	args   [][]byte
}

const (
	readAtOnce = 256 << 10 // memory taken for the stream at a time, while little has come
	leastRoom  = 4 << 10   // less free memory than that is left unused
	argsAtOnce = 2 << 10   // arguments for which room is made at a time
)

// NewReader returns a Reader of src, with Redis's limits.
func NewReader(src io.Reader) *Reader { return &Reader{src: src} }

// Next returns the next command, which has at least one argument (empty lines
// and empty arrays are passed over), and the offset in the stream where it
// begins. The arguments are the caller's to keep: their memory is not used
// again. It is shared, though: one argument kept keeps its neighbours, some
// hundred kilobytes, as well.
//
// At the end of the stream the error is io.EOF itself; io.ErrUnexpectedEOF when
// the stream ends inside a command, of which nothing is returned; a
// *ProtocolError for what is not RESP; or else what the source failed with. The
// offset is then where the end, or what could not be returned, begins. Every
// later call returns the same.
func (r *Reader) Next() (args [][]byte, offset int64, err error) {
	for {
		args, n, err := r.parser.Next(r.buf, r.roomForArgs())
		switch {
		case err == nil:
			at := r.offset
			r.buf = r.buf[n:]
			r.offset += int64(n)
			if len(args) > 0 {
				return r.own(args), at, nil
			}
		case !errors.Is(err, ErrIncomplete):
			r.ended, r.buf = err, nil
			return nil, r.offset, err
		case r.ended == nil:
			r.fill()
		case r.ended == io.EOF && len(r.buf) > 0: //nolint:errorlint // what merely wraps it is a failure
			return nil, r.offset, io.ErrUnexpectedEOF
		default:
			return nil, r.offset, r.ended
		}
	}
}

// Offset is where in the stream the last command that Next has returned ends.
func (r *Reader) Offset() int64 { return r.offset }

// fill reads what the incomplete command at the start of buf needs at the
// least, or, if that is far more than has come so far, a part of it: an argument
// costs what really arrives and not what its length claims. Memory that
// arguments were cut from is only ever written to behind them.
func (r *Reader) fill() {
	want := min(r.parser.Need(), max(readAtOnce, 3*len(r.buf)))
	if cap(r.buf)-len(r.buf) < max(want, leastRoom) {
		r.buf = append(make([]byte, 0, len(r.buf)+max(want, readAtOnce)), r.buf...)
	}
	for end := len(r.buf) + want; len(r.buf) < end && r.ended == nil; {
		var n int
		n, r.ended = r.src.Read(r.buf[len(r.buf):cap(r.buf)])
		r.buf = r.buf[:len(r.buf)+n]
	}
}

// roomForArgs is where the next command's arguments go.
func (r *Reader) roomForArgs() [][]byte {
	if cap(r.args) < 8 {
		r.args = make([][]byte, 0, argsAtOnce)
	}
	return r.args
}

// own takes args out of the room they were to be appended to. If they did not
// fit, the next command gets another room.
func (r *Reader) own(args [][]byte) [][]byte {
	n := len(args)
	if n <= cap(r.args) {
		r.args = r.args[n:n:cap(r.args)]
	} else {
		r.args = nil
	}
	return args[:n:n]
}
