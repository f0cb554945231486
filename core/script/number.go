package script

import (
	"math"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// formatNumber is a number as Lua 5.1 writes it: C's %.14g.
func formatNumber(f float64) string { return formatG(f, 14) }

// formatG is C's %.{precision}g.
func formatG(f float64, precision int) string {
	switch {
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	case math.IsNaN(f):
		if math.Signbit(f) {
			return "-nan"
		}
		return "nan"
	}
	return strconv.FormatFloat(f, 'g', max(precision, 1), 64)
}

// quietNaN is the not-a-number of C, which differs from Go's in its bits.
var quietNaN = math.Float64frombits(0x7ff8 << 48)

// text is a string or number as Lua converts it to a string.
func text(v lua.LValue) (string, bool) {
	switch v := v.(type) {
	case lua.LString:
		return string(v), true
	case lua.LNumber:
		return formatNumber(float64(v)), true
	}
	return "", false
}

// number is a number, or what a string converts to.
func number(v lua.LValue) (float64, bool) {
	switch v := v.(type) {
	case lua.LNumber:
		return float64(v), true
	case lua.LString:
		return parseNumber(string(v))
	}
	return 0, false
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

// parseNumber is Lua's conversion of a string: all of it is a number, but for white
// space around it.
func parseNumber(s string) (float64, bool) {
	s = cString(s)
	f, n := scanNumber(s)
	if n == 0 {
		return 0, false
	}
	for n < len(s) && isSpace(s[n]) {
		n++
	}
	return f, n == len(s)
}

// scanNumber is C's strtod: the number that s begins with, and how long that is, 0
// when there is none.
func scanNumber(s string) (float64, int) {
	i := 0
	for i < len(s) && isSpace(s[i]) {
		i++
	}
	start := i
	if i < len(s) && (s[i] == '+' || s[i] == '-') {
		i++
	}
	negative := i > start && s[start] == '-'
	rest := s[i:]
	sign := 1.0
	if negative {
		sign = -1
	}
	switch {
	case hasPrefixFold(rest, "infinity"):
		return math.Inf(int(sign)), i + 8
	case hasPrefixFold(rest, "inf"):
		return math.Inf(int(sign)), i + 3
	case hasPrefixFold(rest, "nan"):
		return math.Copysign(quietNaN, sign), i + 3
	case len(rest) > 2 && rest[0] == '0' && rest[1]|0x20 == 'x':
		if f, n := scanHex(rest[2:]); n > 0 {
			return sign * f, i + 2 + n
		}
		return sign * 0, i + 1
	}
	digits := 0
	for i < len(s) && isDigit(s[i]) {
		i, digits = i+1, digits+1
	}
	if i < len(s) && s[i] == '.' {
		i++
		for i < len(s) && isDigit(s[i]) {
			i, digits = i+1, digits+1
		}
	}
	if digits == 0 {
		return 0, 0
	}
	if i < len(s) && s[i]|0x20 == 'e' {
		j := i + 1
		if j < len(s) && (s[j] == '+' || s[j] == '-') {
			j++
		}
		if j < len(s) && isDigit(s[j]) {
			for j < len(s) && isDigit(s[j]) {
				j++
			}
			i = j
		}
	}
	f, _ := strconv.ParseFloat(s[start:i], 64) // out of range is infinite, as in C
	return f, i
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

func isHex(c byte) bool { return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' }

// scanHex is the part of a hexadecimal floating-point number behind 0x.
func scanHex(s string) (float64, int) {
	i, digits, dot := 0, 0, false
	for i < len(s) && (isHex(s[i]) || s[i] == '.' && !dot) {
		if s[i] == '.' {
			dot = true
		} else {
			digits++
		}
		i++
	}
	if digits == 0 {
		return 0, 0
	}
	mantissa, exponent, end := s[:i], "p0", i
	if i < len(s) && s[i]|0x20 == 'p' {
		j := i + 1
		if j < len(s) && (s[j] == '+' || s[j] == '-') {
			j++
		}
		if j < len(s) && isDigit(s[j]) {
			for j < len(s) && isDigit(s[j]) {
				j++
			}
			exponent, end = s[i:j], j
		}
	}
	f, _ := strconv.ParseFloat("0x"+mantissa+exponent, 64)
	return f, end
}

// integer is C's conversion of a double to a 64-bit integer as amd64 does it: what does
// not fit is the least one.
func integer(f float64) int64 {
	if f >= -9223372036854775808 && f < 9223372036854775808 {
		return int64(f)
	}
	return math.MinInt64
}

// unsigned is C's conversion of a double to an unsigned 64-bit integer.
func unsigned(f float64) uint64 {
	if f >= 9223372036854775808 {
		return uint64(integer(f-9223372036854775808)) ^ 1<<63
	}
	return uint64(integer(f))
}

// int32Of is C's conversion of a double to an int as amd64 does it: what does not fit
// is the least one.
func int32Of(f float64) int32 {
	if f > math.MinInt32-1 && f < math.MaxInt32+1 {
		return int32(f)
	}
	return math.MinInt32
}
