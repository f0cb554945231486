package resp

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// Kind is what sort of reply a Value is.
type Kind byte

// The kinds of replies; each is the byte that introduces it.
const (
	KindSimple   Kind = '+'
	KindError    Kind = '-' // bulk errors too
	KindInt      Kind = ':'
	KindBulk     Kind = '$'
	KindArray    Kind = '*'
	KindNull     Kind = '_' // RESP2's null bulk and null array too
	KindBool     Kind = '#' // in Int, 0 or 1
	KindDouble   Kind = ','
	KindBig      Kind = '('
	KindVerbatim Kind = '='
	KindMap      Kind = '%' // Elems alternates keys and values
	KindSet      Kind = '~'
	KindPush     Kind = '>'
)

// Value is a decoded reply. It owns its memory.
type Value struct {
	Kind  Kind
	Str   []byte  // text of every kind that has one, an error's included
	Int   int64   // KindInt, KindBool
	Float float64 // KindDouble
	Elems []Value // KindArray, KindMap, KindSet, KindPush
}

// Err is the reply as an error when it is one, else nil.
func (v Value) Err() error {
	if v.Kind != KindError {
		return nil
	}
	return errors.New(string(v.Str))
}

// IsNull tells a missing value.
func (v Value) IsNull() bool { return v.Kind == KindNull }

// Text is the reply as text when it is a scalar: a string, a number in decimal,
// "true", "false", or "" for null.
func (v Value) Text() string {
	switch v.Kind {
	case KindInt:
		return strconv.FormatInt(v.Int, 10)
	case KindBool:
		return strconv.FormatBool(v.Int != 0)
	case KindDouble:
		return FormatDouble(v.Float)
	}
	return string(v.Str)
}

// String shows the reply on one line, for test failures: "OK", (error) ERR x,
// 12, "a b", [1 2], {k v}, (nil).
func (v Value) String() string {
	switch v.Kind {
	case KindError:
		return "(error) " + string(v.Str)
	case KindNull:
		return "(nil)"
	case KindBulk, KindSimple, KindVerbatim:
		return strconv.Quote(string(v.Str))
	case KindArray, KindMap, KindSet, KindPush:
		parts := make([]string, len(v.Elems))
		for i, e := range v.Elems {
			parts[i] = e.String()
		}
		if v.Kind == KindMap {
			return "{" + strings.Join(parts, " ") + "}"
		}
		return "[" + strings.Join(parts, " ") + "]"
	}
	return v.Text()
}

const maxReplyDepth = 64

// ReadReply reads one reply. A RESP3 attribute before it is read and dropped.
// What is not RESP is a *ProtocolError; a stream that ends inside a reply is
// io.ErrUnexpectedEOF, one that ends before it io.EOF.
func ReadReply(r *bufio.Reader) (Value, error) { return readReply(r, 0) }

func readReply(r *bufio.Reader, depth int) (Value, error) {
	if depth > maxReplyDepth {
		return Value{}, &ProtocolError{"Protocol error: reply nested too deeply"}
	}
	line, err := readLine(r)
	if err != nil {
		if depth > 0 {
			err = noEOF(err)
		}
		return Value{}, err
	}
	if len(line) == 0 {
		return Value{}, &ProtocolError{"Protocol error: empty reply"}
	}
	v, body := Value{Kind: Kind(line[0])}, line[1:]
	switch v.Kind {
	case KindSimple, KindError, KindBig:
		v.Str = body
	case KindInt:
		v.Int, err = strconv.ParseInt(string(body), 10, 64)
	case KindBool:
		if string(body) != "t" && string(body) != "f" {
			err = strconv.ErrSyntax
		}
		if string(body) == "t" {
			v.Int = 1
		}
	case KindDouble:
		if v.Float, err = strconv.ParseFloat(string(body), 64); errors.Is(err, strconv.ErrRange) {
			err = nil // Go says ±Inf, and so do we
		}
	case KindNull:
	case KindBulk, KindVerbatim, '!':
		return readBulk(r, v, body)
	case KindArray, KindMap, KindSet, KindPush, '|':
		return readElems(r, v, body, depth)
	default:
		err = fmt.Errorf("unknown reply type %q", line[0])
	}
	if err != nil {
		return Value{}, &ProtocolError{fmt.Sprintf("Protocol error: bad reply %.40q: %v", line, err)}
	}
	return v, nil
}

func readBulk(r *bufio.Reader, v Value, body []byte) (Value, error) {
	n, err := strconv.ParseInt(string(body), 10, 64)
	if err != nil || n < -1 || n > math.MaxInt32 {
		return Value{}, &ProtocolError{"Protocol error: invalid bulk length"}
	}
	if n < 0 {
		return Value{Kind: KindNull}, nil
	}
	if v.Str, err = readN(r, int(n)); err != nil {
		return Value{}, noEOF(err)
	}
	var end [2]byte
	if _, err := io.ReadFull(r, end[:]); err != nil {
		return Value{}, noEOF(err)
	}
	if string(end[:]) != "\r\n" {
		return Value{}, &ProtocolError{"Protocol error: no line end after a bulk string"}
	}
	switch {
	case v.Kind == '!':
		v.Kind = KindError
	case v.Kind == KindVerbatim && len(v.Str) >= 4:
		v.Str = v.Str[4:]
	}
	return v, nil
}

func readElems(r *bufio.Reader, v Value, body []byte, depth int) (Value, error) {
	n, err := strconv.ParseInt(string(body), 10, 64)
	if err != nil || n < -1 || n > math.MaxInt32 {
		return Value{}, &ProtocolError{"Protocol error: invalid multibulk length"}
	}
	if n < 0 {
		return Value{Kind: KindNull}, nil
	}
	if v.Kind == KindMap || v.Kind == '|' {
		n *= 2
	}
	v.Elems = make([]Value, 0, min(n, 64))
	for range n {
		e, err := readReply(r, depth+1)
		if err != nil {
			return Value{}, err
		}
		v.Elems = append(v.Elems, e)
	}
	if v.Kind == '|' {
		return readReply(r, depth+1)
	}
	return v, nil
}

// readN reads n bytes and grows its buffer only as they arrive.
func readN(r *bufio.Reader, n int) ([]byte, error) {
	const step = 1 << 20
	b := make([]byte, 0, min(n, step))
	for len(b) < n {
		at := len(b)
		want := min(n-at, max(step, at))
		b = append(b, make([]byte, want)...)
		if _, err := io.ReadFull(r, b[at:]); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// readLine reads up to \r\n and returns the line, copied, without it.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		frag, err := r.ReadSlice('\n')
		line = append(line, frag...)
		if err == nil {
			break
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			if len(line) > 0 {
				err = noEOF(err)
			}
			return nil, err
		}
		if len(line) > DefaultMaxInline {
			return nil, &ProtocolError{"Protocol error: reply line too long"}
		}
	}
	if len(line) < 2 || line[len(line)-2] != '\r' {
		return nil, &ProtocolError{"Protocol error: reply line without \\r"}
	}
	return line[:len(line)-2], nil
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
