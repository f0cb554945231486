package script

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// strFormat is string.format, whose directives are those of C's printf.
func (in *Interp) strFormat(L *lua.LState) int {
	format := argString(L, 1)
	var out []byte
	arg := 1
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			out = append(out, format[i])
			continue
		}
		if i++; i < len(format) && format[i] == '%' {
			out = append(out, '%')
			continue
		}
		var d directive
		i = d.scan(L, format, i)
		if arg++; arg > L.GetTop() {
			badArg(L, arg, "no value")
		}
		var verb byte
		if i < len(format) {
			verb = format[i]
		}
		out = append(out, d.write(L, verb, arg)...)
		in.bounded(L, len(out))
	}
	in.charge(L, len(out))
	L.Push(lua.LString(out))
	return 1
}

// directive is what stands between % and the letter.
type directive struct {
	flags            string
	width, precision int // precision -1: none
}

func (d *directive) scan(L *lua.LState, format string, i int) int {
	start := i
	for i < len(format) && strings.IndexByte("-+ #0", format[i]) >= 0 {
		i++
	}
	if i-start > 5 {
		fail(L, "invalid format (repeated flags)")
	}
	d.flags, d.precision = format[start:i], -1
	digits := func() int {
		from := i
		for i < len(format) && i < from+2 && isDigit(format[i]) {
			i++
		}
		n, _ := strconv.Atoi("0" + format[from:i])
		return n
	}
	d.width = digits()
	if i < len(format) && format[i] == '.' {
		i++
		d.precision = digits()
	}
	if i < len(format) && isDigit(format[i]) {
		fail(L, "invalid format (width or precision too long)")
	}
	return i
}

func (d *directive) has(flag byte) bool { return strings.IndexByte(d.flags, flag) >= 0 }

func (d *directive) write(L *lua.LState, verb byte, arg int) string {
	switch verb {
	case 'c':
		return cString(d.pad(string([]byte{byte(int32Of(argNumber(L, arg)))})))
	case 'd', 'i':
		return d.integer(integer(argNumber(L, arg)))
	case 'o', 'u', 'x', 'X':
		return d.unsigned(verb, unsigned(argNumber(L, arg)))
	case 'e', 'E', 'f', 'g', 'G':
		return d.float(verb, argNumber(L, arg))
	case 'q':
		return quoted(argString(L, arg))
	case 's':
		s := argString(L, arg)
		if d.precision < 0 && len(s) >= 100 {
			return s
		}
		if n := strings.IndexByte(s, 0); n >= 0 {
			s = s[:n]
		}
		if d.precision >= 0 && d.precision < len(s) {
			s = s[:d.precision]
		}
		return d.pad(s)
	case 0:
		fail(L, "invalid option '%%' to 'format'")
	default:
		fail(L, "invalid option '%%%c' to 'format'", verb)
	}
	return ""
}

// pad fills up with blanks.
func (d *directive) pad(s string) string {
	fill := strings.Repeat(" ", max(0, d.width-len(s)))
	if d.has('-') {
		return s + fill
	}
	return fill + s
}

func (d *directive) sign(negative bool) string {
	switch {
	case negative:
		return "-"
	case d.has('+'):
		return "+"
	case d.has(' '):
		return " "
	}
	return ""
}

func (d *directive) integer(n int64) string {
	digits := strings.TrimPrefix(strconv.FormatInt(n, 10), "-")
	return d.digits(d.sign(n < 0), digits, n == 0)
}

func (d *directive) unsigned(verb byte, n uint64) string {
	base, prefix := 10, ""
	switch verb {
	case 'o':
		base = 8
	case 'x', 'X':
		base = 16
		if d.has('#') && n != 0 {
			prefix = "0x"
		}
	}
	digits := strconv.FormatUint(n, base)
	if verb == 'o' && d.has('#') && d.precision <= len(digits) { // one zero at least
		if n != 0 {
			digits = "0" + digits
		} else if d.precision == 0 {
			d.precision = 1
		}
	}
	s := d.digits(prefix, digits, n == 0)
	if verb == 'X' {
		s = strings.ToUpper(s)
	}
	return s
}

// digits puts a sign or prefix, zeros and digits together.
func (d *directive) digits(prefix, digits string, zero bool) string {
	if d.precision == 0 && zero {
		digits = ""
	}
	digits = strings.Repeat("0", max(0, d.precision-len(digits))) + digits
	if d.has('0') && !d.has('-') && d.precision < 0 {
		digits = strings.Repeat("0", max(0, d.width-len(prefix)-len(digits))) + digits
	}
	return d.pad(prefix + digits)
}

func (d *directive) float(verb byte, f float64) string {
	if math.IsInf(f, 0) || math.IsNaN(f) {
		s := "inf"
		if math.IsNaN(f) {
			s = "nan"
		}
		s = d.sign(math.Signbit(f)) + s
		if verb < 'a' {
			s = strings.ToUpper(s)
		}
		return d.pad(s)
	}
	precision := d.precision
	if precision < 0 {
		precision = 6
	}
	if verb|0x20 == 'g' {
		precision = max(precision, 1)
	}
	abs := math.Abs(f)
	var s string
	if d.has('#') {
		s = fmt.Sprintf("%#."+strconv.Itoa(precision)+string(verb), abs)
	} else {
		s = strconv.FormatFloat(abs, verb, precision, 64)
	}
	sign := d.sign(math.Signbit(f))
	if d.has('0') && !d.has('-') {
		s = strings.Repeat("0", max(0, d.width-len(sign)-len(s))) + s
	}
	return d.pad(sign + s)
}

// quoted is text as Lua source.
func quoted(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; c {
		case '"', '\\', '\n':
			b.WriteByte('\\')
			b.WriteByte(c)
		case '\r':
			b.WriteString("\\r")
		case 0:
			b.WriteString("\\000")
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
