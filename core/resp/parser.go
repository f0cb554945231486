package resp

import (
	"bytes"
	"errors"
	"fmt"
	"math"
)

// Redis's limits, used where a Parser's own are zero.
const (
	DefaultMaxBulk      = 512 << 20
	DefaultMaxMultibulk = math.MaxInt32
	DefaultMaxInline    = 64 << 10

	unauthMaxBulk      = 16384 // what a client may send before AUTH
	unauthMaxMultibulk = 10
)

// ErrIncomplete says that the buffer ends inside a command: call Next again
// with more bytes behind the same ones.
var ErrIncomplete = errors.New("resp: incomplete command")

// ProtocolError is input that is not RESP. The connection cannot be used any
// further, since nobody knows where the next command begins.
type ProtocolError struct {
	Msg string // Redis's words, "Protocol error: invalid bulk length"
}

// Error returns Msg; a server replies "-ERR " and this text.
func (e *ProtocolError) Error() string { return e.Msg }

// Parser cuts commands out of a buffer. The zero value is ready and has
// Redis's limits. It remembers where it stopped in an incomplete command, so
// feeding a large one in small reads costs no more than its length. It is not
// safe for concurrent use, and belongs to one stream of bytes.
type Parser struct {
	MaxBulk      int64 // longest argument; 0 means DefaultMaxBulk
	MaxMultibulk int   // most arguments of a command; 0 means DefaultMaxMultibulk
	MaxInline    int   // longest line; 0 means DefaultMaxInline
	// Unauthenticated applies the small limits Redis has for a client that
	// has yet to give its password.
	Unauthenticated bool

	// What is known of the incomplete command at the start of the buffer,
	// in offsets, since the caller may move the bytes between calls.
	pos   int   // where to go on
	left  int   // arguments still to come; 0 means that no header was read
	bulk  int   // length of the argument at pos, -1 before its header
	need  int   // see Need
	spans []int // start, end of each argument read so far
}

// Need is, after ErrIncomplete, how many more bytes are wanted at the least.
func (p *Parser) Need() int { return max(p.need, 1) }

// Reset forgets an incomplete command, for a Parser that gets another stream.
func (p *Parser) Reset() {
	p.pos, p.left, p.need = 0, 0, 0
	p.spans = p.spans[:0]
}

// Next parses the command at the start of buf, appends its arguments to args
// and returns how many bytes it took. The arguments alias buf. An empty line
// and an empty array yield no argument, some bytes and no error.
//
// After ErrIncomplete the next call must get the same bytes followed by more;
// they may have moved. After a *ProtocolError the stream is of no more use.
func (p *Parser) Next(buf []byte, args [][]byte) (out [][]byte, n int, err error) {
	if p.left == 0 {
		if len(buf) == 0 {
			p.need = 1
			return args, 0, ErrIncomplete
		}
		if buf[0] != '*' {
			return p.inline(buf, args)
		}
		if out, n := p.plain(buf, args); n > 0 {
			return out, n, nil
		}
		if n, err := p.header(buf); p.left == 0 {
			return args, n, err
		}
	}
	pos, left, bulk, spans := p.pos, p.left, p.bulk, p.spans
	for left > 0 {
		if bulk < 0 {
			if pos >= len(buf) {
				return p.suspend(args, pos, left, -1, spans, 4)
			}
			if c := buf[pos]; c != '$' {
				p.Reset()
				return args, 0, &ProtocolError{fmt.Sprintf("Protocol error: expected '$', got '%s'", []byte{c})}
			}
			v, next, st := number(buf, pos+1)
			if st != numOK || v < 0 || v > p.maxBulk() {
				if st == numMore {
					return p.suspend(args, pos, left, -1, spans, 1)
				}
				p.Reset()
				if st == numTooLong {
					return args, 0, &ProtocolError{"Protocol error: too big bulk count string"}
				}
				if st == numOK && v > 0 && p.Unauthenticated && v <= p.authBulk() {
					return args, 0, &ProtocolError{"Protocol error: unauthenticated bulk length"}
				}
				return args, 0, &ProtocolError{"Protocol error: invalid bulk length"}
			}
			pos, bulk = next, int(v)
		}
		if end := pos + bulk + 2; end > len(buf) {
			return p.suspend(args, pos, left, bulk, spans, end-len(buf))
		}
		spans = append(spans, pos, pos+bulk)
		pos += bulk + 2
		bulk = -1
		left--
	}
	for i := 0; i < len(spans); i += 2 {
		args = append(args, buf[spans[i]:spans[i+1]:spans[i+1]])
	}
	p.spans = spans[:0]
	p.pos, p.left, p.need = 0, 0, 0
	return args, pos, nil
}

// A command is plain that is all there, and has at most plainArgs arguments, none of which is empty or longer
// than plainBulk: as most are.
const (
	plainArgs = 99
	plainBulk = 999
)

// plain is Next for a command that is plain, in half of the time (BenchmarkParser). n is 0, and nothing has
// happened, where it is another, or none.
func (p *Parser) plain(buf []byte, args [][]byte) (out [][]byte, n int) {
	if len(buf) < 5 || buf[1]-'1' > 8 || p.MaxBulk != 0 && p.MaxBulk < plainBulk || p.MaxMultibulk != 0 && p.MaxMultibulk < plainArgs {
		return args, 0
	}
	left, rest := buf[1]-'0', buf[4:]
	if buf[2] != '\r' {
		d := buf[2] - '0'
		if left = left*10 + d; d > 9 || buf[3] != '\r' || left > unauthMaxMultibulk && p.Unauthenticated {
			return args, 0
		}
		rest = buf[5:]
	}
	out = args
	for ; left > 0; left-- {
		if len(rest) < 6 || rest[0] != '$' || rest[1] == '0' {
			return args, 0
		}
		size, begin := uint(rest[1]-'0'), uint(2)
		if d := rest[2] - '0'; d <= 9 {
			size, begin = size*10+uint(d), 3
			if d := rest[3] - '0'; d <= 9 {
				size, begin = size*10+uint(d), 4
			}
		}
		end := begin + 2 + size
		if rest[1]-'0' > 9 || rest[begin] != '\r' || end+2 > uint(len(rest)) {
			return args, 0
		}
		out = append(out, rest[begin+2:end:end])
		rest = rest[end+2:]
	}
	return out, len(buf) - len(rest)
}

// header reads "*n\r\n". It leaves p.left at zero when there is nothing to go
// on with: an empty array, an error, or not enough bytes.
func (p *Parser) header(buf []byte) (n int, err error) {
	v, next, st := number(buf, 1)
	limit := int64(p.MaxMultibulk)
	if limit <= 0 {
		limit = DefaultMaxMultibulk
	}
	switch {
	case st == numMore:
		p.need = 1
		return 0, ErrIncomplete
	case st == numTooLong:
		return 0, &ProtocolError{"Protocol error: too big mbulk count string"}
	case st == numBad || v > limit:
		return 0, &ProtocolError{"Protocol error: invalid multibulk length"}
	case v <= 0:
		return next, nil
	case p.Unauthenticated && v > unauthMaxMultibulk:
		return 0, &ProtocolError{"Protocol error: unauthenticated multibulk length"}
	}
	p.pos, p.left, p.bulk = next, int(v), -1
	p.spans = p.spans[:0]
	return 0, nil
}

func (p *Parser) suspend(args [][]byte, pos, left, bulk int, spans []int, need int) ([][]byte, int, error) {
	p.pos, p.left, p.bulk, p.spans, p.need = pos, left, bulk, spans, need
	return args, 0, ErrIncomplete
}

func (p *Parser) authBulk() int64 {
	if p.MaxBulk > 0 {
		return p.MaxBulk
	}
	return DefaultMaxBulk
}

func (p *Parser) maxBulk() int64 {
	if p.Unauthenticated {
		return min(p.authBulk(), unauthMaxBulk)
	}
	return p.authBulk()
}

const (
	numOK = iota
	numMore
	numBad
	numTooLong
)

// number reads a decimal and the line end behind it, as strictly as Redis: no
// leading zero, no plus. Of the line end only the \r is looked at, and, as in
// Redis, nothing is said about the line before it is there.
func number(buf []byte, i int) (v int64, next, status int) {
	line, n := buf[i:], 0
	for ; n < len(line) && n < 18 && line[n]-'0' <= 9; n++ {
		v = v*10 + int64(line[n]-'0')
	}
	if n > 0 && n+1 < len(line) && line[n] == '\r' && line[0] != '0' {
		return v, i + n + 2, numOK
	}
	return oddNumber(line, i)
}

// oddNumber is number for a line at i that is not just some digits: zero, a negative
// number, what is not all there, or none.
func oddNumber(line []byte, i int) (v int64, next, status int) {
	neg := len(line) > 0 && line[0] == '-'
	digits := line
	if neg {
		digits = line[1:]
	}
	n := 0
	for ; n < len(digits) && digits[n]-'0' <= 9; n++ {
		if n >= 18 || n > 0 && v == 0 {
			return 0, 0, badLine(line)
		}
		v = v*10 + int64(digits[n]-'0')
	}
	end := len(line) - len(digits) + n
	switch {
	case end == len(line):
		return 0, 0, numMore
	case line[end] != '\r' || n == 0 || neg && v == 0:
		return 0, 0, badLine(line)
	case end+1 == len(line):
		return 0, 0, numMore
	}
	if neg {
		v = -v
	}
	return v, i + end + 2, numOK
}

// badLine is the status of a line that cannot become a number.
func badLine(line []byte) int {
	switch i := bytes.IndexByte(line, '\r'); {
	case i >= 0 && i+1 < len(line):
		return numBad
	case i < 0 && len(line) > DefaultMaxInline:
		return numTooLong
	}
	return numMore
}

// inline parses a line of words. p.pos is how much of it was already searched
// for its end.
func (p *Parser) inline(buf []byte, args [][]byte) ([][]byte, int, error) {
	limit := p.MaxInline
	if limit <= 0 {
		limit = DefaultMaxInline
	}
	i := bytes.IndexByte(buf[p.pos:], '\n')
	if i < 0 || bytes.IndexByte(buf[:p.pos+i], 0) >= 0 { // in Redis no line end is found behind a NUL
		if len(buf) > limit {
			p.Reset()
			return args, 0, &ProtocolError{"Protocol error: too big inline request"}
		}
		p.pos, p.need = len(buf), 1
		return args, 0, ErrIncomplete
	}
	end := p.pos + i
	p.pos = 0
	line := buf[:end]
	if end > 0 && line[end-1] == '\r' {
		line = line[:end-1]
	}
	if len(line) > limit {
		return args, 0, &ProtocolError{"Protocol error: too big inline request"}
	}
	out, ok := SplitArgs(line, args)
	if !ok {
		return args, 0, &ProtocolError{"Protocol error: unbalanced quotes in request"}
	}
	return out, end + 1, nil
}
