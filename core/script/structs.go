package script

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// The library struct, after Roberto Ierusalimschy's: values as C structures.

const (
	maxIntSize  = 32
	defaultSize = 4 // of an int
	nativeAlign = 8
)

func (in *Interp) structLib() map[string]lua.LGFunction {
	return map[string]lua.LGFunction{"pack": in.structPack, "unpack": structUnpack, "size": structSize}
}

// layout reads a format.
type layout struct {
	L     *lua.LState
	fmt   string
	big   bool
	align int
}

func (l *layout) num(otherwise int) int {
	if l.fmt == "" || !isDigit(l.fmt[0]) {
		return otherwise
	}
	n := 0
	for l.fmt != "" && isDigit(l.fmt[0]) {
		d := int(l.fmt[0] - '0')
		if n > math.MaxInt32/10 || n*10 > math.MaxInt32-d {
			fail(l.L, "integral size overflow")
		}
		n = n*10 + d
		l.fmt = l.fmt[1:]
	}
	return n
}

// next reads an option and its size.
func (l *layout) next() (opt byte, size int) {
	opt = l.fmt[0]
	l.fmt = l.fmt[1:]
	switch opt {
	case 'B', 'b', 'x':
		size = 1
	case 'H', 'h':
		size = 2
	case 'L', 'l', 'T', 'd':
		size = 8
	case 'f':
		size = 4
	case 'c':
		size = l.num(1)
	case 'i', 'I':
		if size = l.num(defaultSize); size > maxIntSize {
			fail(l.L, "integral size %d is larger than limit of %d", size, maxIntSize)
		}
	}
	return opt, size
}

// padding is what aligns an option at pos.
func (l *layout) padding(pos int, opt byte, size int) int {
	if size == 0 || opt == 'c' {
		return 0
	}
	size = min(size, l.align)
	return (size - pos&(size-1)) & (size - 1)
}

func (l *layout) control(opt byte) {
	switch opt {
	case ' ':
	case '>':
		l.big = true
	case '<':
		l.big = false
	case '!':
		a := l.num(nativeAlign)
		if a <= 0 || a&(a-1) != 0 {
			fail(l.L, "alignment %d is not a power of 2", a)
		}
		l.align = a
	default:
		badArg(l.L, 1, fmt.Sprintf("invalid format option '%c'", opt))
	}
}

func newLayout(L *lua.LState) *layout {
	return &layout{L: L, fmt: cString(argString(L, 1)), align: 1}
}

func (in *Interp) structPack(L *lua.LState) int {
	l := newLayout(L)
	var out []byte
	arg := 2
	for l.fmt != "" {
		opt, size := l.next()
		out = append(out, make([]byte, l.padding(len(out), opt, size))...)
		switch opt {
		case 'b', 'B', 'h', 'H', 'l', 'L', 'T', 'i', 'I':
			f := argNumber(L, arg)
			arg++
			v := uint64(integer(f))
			if !(f < 0) {
				v = unsigned(f)
			}
			out = l.integer(out, v, size)
		case 'x':
			out = append(out, 0)
		case 'f':
			out = l.ordered(out, binary.LittleEndian.AppendUint32(nil, math.Float32bits(float32(argNumber(L, arg)))))
			arg++
		case 'd':
			out = l.ordered(out, binary.LittleEndian.AppendUint64(nil, math.Float64bits(argNumber(L, arg))))
			arg++
		case 'c', 's':
			s := argString(L, arg)
			arg++
			if size == 0 {
				size = len(s)
			}
			if len(s) < size {
				badArg(L, arg, "string too short")
			}
			in.bounded(L, len(out)+size)
			out = append(out, s[:size]...)
			if opt == 's' {
				out = append(out, 0)
			}
		default:
			l.control(opt)
		}
	}
	L.Push(lua.LString(out))
	return 1
}

// integer appends the low bytes of v; those above it are zero.
func (l *layout) integer(out []byte, v uint64, size int) []byte {
	start := len(out)
	for range size {
		out = append(out, byte(v))
		v >>= 8
	}
	if l.big {
		slices.Reverse(out[start:])
	}
	return out
}

// ordered appends bytes that are least first.
func (l *layout) ordered(out, b []byte) []byte {
	if l.big {
		slices.Reverse(b)
	}
	return append(out, b...)
}

func structUnpack(L *lua.LState) int {
	l := newLayout(L)
	data := argString(L, 2)
	pos := optInt(L, 3, 1)
	if pos == 0 {
		badArg(L, 3, "offset must be 1 or greater")
	}
	pos--
	need := func(size int) {
		if size > len(data) || pos < 0 || pos > len(data)-size {
			badArg(L, 2, "data string too short")
		}
	}
	n, base := 0, L.GetTop()
	for l.fmt != "" {
		opt, size := l.next()
		pos += l.padding(pos, opt, size)
		need(size)
		if n >= maxResults {
			fail(L, "stack overflow (too many results)")
		}
		switch opt {
		case 'b', 'B', 'h', 'H', 'l', 'L', 'T', 'i', 'I':
			L.Push(lua.LNumber(l.read(data[pos:pos+size], opt >= 'a')))
			n++
		case 'x':
		case 'f':
			L.Push(lua.LNumber(math.Float32frombits(binary.LittleEndian.Uint32(l.bytes(data[pos : pos+4])))))
			n++
		case 'd':
			L.Push(lua.LNumber(math.Float64frombits(binary.LittleEndian.Uint64(l.bytes(data[pos : pos+8])))))
			n++
		case 'c':
			if size == 0 {
				f, ok := number(L.Get(-1))
				if n == 0 || !ok {
					fail(L, "format 'c0' needs a previous size")
				}
				if size = int(unsigned(f)); size < 0 {
					size = math.MaxInt
				}
				L.SetTop(base + n - 1)
				n--
				need(size)
			}
			L.Push(lua.LString(data[pos : pos+size]))
			n++
		case 's':
			e := strings.IndexByte(data[pos:], 0)
			if e < 0 {
				fail(L, "unfinished string in data")
			}
			L.Push(lua.LString(data[pos : pos+e]))
			size = e + 1
			n++
		default:
			l.control(opt)
		}
		pos += size
	}
	L.Push(lua.LNumber(pos + 1))
	return n + 1
}

// bytes are data with the least first.
func (l *layout) bytes(data string) []byte {
	b := []byte(data)
	if l.big {
		slices.Reverse(b)
	}
	return b
}

func (l *layout) read(data string, signed bool) float64 {
	b := l.bytes(data)
	var v uint64
	for i := len(b) - 1; i >= 0; i-- {
		v = v<<8 | uint64(b[i])
	}
	if !signed {
		return float64(v)
	}
	if shift := (len(b)*8 - 1) & 63; v>>shift&1 != 0 { // as x86 shifts by more than a register has
		v |= ^uint64(0) << shift
	}
	return float64(int64(v))
}

func structSize(L *lua.LState) int {
	l := newLayout(L)
	pos := 0
	for l.fmt != "" {
		opt, size := l.next()
		pos += l.padding(pos, opt, size)
		switch {
		case opt == 's':
			badArg(L, 1, "option 's' has no fixed size")
		case opt == 'c' && size == 0:
			badArg(L, 1, "option 'c0' has no fixed size")
		case !isAlpha(opt) && !isDigit(opt):
			l.control(opt)
		}
		pos += size
	}
	L.Push(lua.LNumber(pos))
	return 1
}
