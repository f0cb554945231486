package command

import (
	"errors"
	"math"
	"strconv"
)

// parseFloat reads a floating-point number as Redis's string2d does: all of b, hexadecimal
// ones too, no blanks, no NaN, nothing too large, and nothing so small that it becomes 0.
func parseFloat(b []byte) (float64, bool) {
	f, n, exact := strtod(b)
	if n == 0 || n < len(b) || b[0] <= ' ' || math.IsNaN(f) {
		return 0, false
	}
	return f, exact || f != 0 && !math.IsInf(f, 0)
}

// parseBound reads what Redis reads with strtod alone: blanks in front are left out, nothing
// is 0, what is too large is infinite, and behind a zero byte nothing is read.
func parseBound(b []byte) (float64, bool) {
	b = clip(b, len(b))
	f, n, _ := strtod(b)
	return f, n == len(b) && !math.IsNaN(f)
}

// strtod reads the number that b begins with as C's strtod does in the locale C, and tells
// how many bytes that takes, none if there is no number. exact is false where C says ERANGE:
// what is too large has become infinite, what is too small 0 or a number of less digits.
func strtod(b []byte) (f float64, n int, exact bool) {
	if f, ok := wholeFloat(b); ok {
		return f, len(b), true
	}
	start := 0
	for start < len(b) && (b[start] == ' ' || '\t' <= b[start] && b[start] <= '\r') {
		start++
	}
	i := start
	if i < len(b) && (b[i] == '+' || b[i] == '-') {
		i++
	}
	if i < len(b) && (lower(b[i]) == 'i' || lower(b[i]) == 'n') {
		f, n := namedFloat(b[i:])
		if n == 0 {
			return 0, 0, true
		}
		if b[start] == '-' {
			f = -f
		}
		return f, i + n, true
	}
	digit, exponent, hexadecimal := isDigit, byte('e'), false
	if len(b)-i > 2 && b[i] == '0' && lower(b[i+1]) == 'x' && (isHex(b[i+2]) || b[i+2] == '.' && len(b)-i > 3 && isHex(b[i+3])) {
		digit, exponent, hexadecimal = isHex, 'p', true
		i += 2
	}
	digits, zero := 0, true
	for point := false; i < len(b) && (digit(b[i]) || b[i] == '.' && !point); i++ {
		if b[i] == '.' {
			point = true
			continue
		}
		digits++
		zero = zero && b[i] == '0'
	}
	if digits == 0 {
		return 0, 0, true
	}
	end, bare := i, true
	if i < len(b) && lower(b[i]) == exponent {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		for ; i < len(b) && isDigit(b[i]); i++ {
			end, bare = i+1, false
		}
	}
	text := string(b[start:end])
	if hexadecimal && bare {
		text += "p0" // which Go wants
	}
	f, err := strconv.ParseFloat(text, 64)
	return f, end, !errors.Is(err, strconv.ErrRange) && (zero || math.Abs(f) >= smallestNormal)
}

// wholeFloat is strtod of what scores mostly are: all of b is decimal digits, few enough for a float64 to
// keep them all, perhaps behind a minus. A ZADD of a score of twelve digits takes a ninth fewer instructions with it.
func wholeFloat(b []byte) (f float64, ok bool) {
	const most = 15 // 2^53 has one more
	digits := b
	if len(b) > 0 && b[0] == '-' {
		digits = b[1:]
	}
	if len(digits) == 0 || len(digits) > most {
		return 0, false
	}
	n := int64(0)
	for _, c := range digits {
		if c -= '0'; c > 9 {
			return 0, false
		}
		n = n*10 + int64(c)
	}
	if f = float64(n); len(digits) < len(b) {
		f = -f // also of zero
	}
	return f, true
}

// smallestNormal is the least positive number that has all digits.
const smallestNormal = 0x1p-1022

// namedFloat reads the numbers that have names: inf, infinity and nan, the last with
// anything of letters, digits and underscores in parentheses behind it.
func namedFloat(b []byte) (float64, int) {
	switch {
	case len(b) >= 8 && is(b[:8], "infinity"):
		return math.Inf(1), 8
	case len(b) >= 3 && is(b[:3], "inf"):
		return math.Inf(1), 3
	case len(b) >= 3 && is(b[:3], "nan"):
		if len(b) > 3 && b[3] == '(' {
			for i := 4; i < len(b); i++ {
				if b[i] == ')' {
					return math.NaN(), i + 1
				}
				if ch := lower(b[i]); !isDigit(ch) && ch != '_' && (ch < 'a' || ch > 'z') {
					break
				}
			}
		}
		return math.NaN(), 3
	}
	return 0, 0
}

func isDigit(ch byte) bool { return '0' <= ch && ch <= '9' }

func isHex(ch byte) bool { return isDigit(ch) || 'a' <= lower(ch) && lower(ch) <= 'f' }
