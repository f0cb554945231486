package command

import (
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/spillwaydb/spillway/core/keyspace"
)

func appendInt(dst []byte, n int64) []byte { return strconv.AppendInt(dst, n, 10) }

func incrCommand(c *Ctx) { c.incr(1) }
func decrCommand(c *Ctx) { c.incr(-1) }

func incrbyCommand(c *Ctx) {
	if n, ok := c.intArg(c.Args[2]); ok {
		c.incr(n)
	}
}

func decrbyCommand(c *Ctx) {
	n, ok := c.intArg(c.Args[2])
	if !ok {
		return
	}
	if n == math.MinInt64 {
		c.Out.Error("ERR decrement would overflow")
		return
	}
	c.incr(-n)
}

// incr adds to the integer at c.Args[1], keeping its deadline.
func (c *Ctx) incr(by int64) {
	key := c.Args[1]
	e, found, ok := c.typedWrite(key, keyspace.String)
	if !ok {
		return
	}
	var n, deadline int64
	if found {
		if n, ok = c.intArg(e.Bytes()); !ok {
			return
		}
		deadline = e.Deadline()
	}
	if by < 0 && n < math.MinInt64-by || by > 0 && n > math.MaxInt64-by {
		c.Out.Error(errOverflow)
		return
	}
	n += by
	c.scratch = appendInt(c.scratch[:0], n)
	if found && e.Rewrite(c.scratch) {
		c.Changed(key, eventIncrBy)
	} else {
		c.setString(key, c.scratch, deadline, eventIncrBy)
	}
	c.Out.Int(n)
}

func incrbyfloatCommand(c *Ctx) {
	key := c.Args[1]
	e, found, ok := c.typedWrite(key, keyspace.String)
	if !ok {
		return
	}
	old := []byte("0")
	var deadline int64
	if found {
		old, deadline = e.Bytes(), e.Deadline()
	}
	sum, msg := addDecimals(old, c.Args[2])
	if msg != "" {
		c.Out.Error(msg)
		return
	}
	c.setString(key, sum, deadline, eventIncrByFloat)
	c.LogAs(verbSet, key, sum, wordKeepTTL)
	c.Out.Bulk(sum)
}

// longDouble is the precision of C's long double on x86-64, in which Redis
// adds floats; with less, 10.5 + 0.1 would print as 10.59999999999999964.
const longDouble = 64

// addDecimals adds two floating-point numbers given in decimal, as INCRBYFLOAT
// and HINCRBYFLOAT do, and prints the sum as Redis does. msg is the error
// reply when they cannot be added.
func addDecimals(a, b []byte) (sum []byte, msg string) {
	x, infX, ok := parseLongDouble(a)
	if !ok {
		return nil, errNotFloat
	}
	y, infY, ok := parseLongDouble(b)
	if !ok {
		return nil, errNotFloat
	}
	if infX || infY {
		return nil, errNaN
	}
	x.Add(x, y)
	if x.MantExp(nil) > 16384 {
		return nil, errNaN
	}
	out := x.Append(nil, 'f', 17)
	for out[len(out)-1] == '0' {
		out = out[:len(out)-1]
	}
	if out[len(out)-1] == '.' {
		out = out[:len(out)-1]
	}
	if string(out) == "-0" {
		out = out[1:]
	}
	return out, ""
}

// parseLongDouble reads what strtold reads and Redis accepts: all of b, no
// blanks, no NaN, nothing out of range.
func parseLongDouble(b []byte) (f *big.Float, inf, ok bool) {
	if len(b) == 0 || len(b) >= 5<<10 {
		return nil, false, false
	}
	s := strings.ToLower(string(b))
	switch strings.TrimLeft(s, "+-") {
	case "inf", "infinity":
		return nil, true, len(s)-len(strings.TrimLeft(s, "+-")) <= 1
	}
	if h := strings.TrimLeft(s, "+-"); strings.HasPrefix(h, "0x") {
		f, ok = parseHexFloat(s, h[2:])
		return f, false, ok
	}
	for i, ch := range s {
		switch {
		case '0' <= ch && ch <= '9' || ch == '.' || ch == '+' || ch == '-':
		case ch == 'e':
			// An exponent this far out is refused below; parsing it would cost
			// time in proportion to its value.
			n, err := strconv.Atoi(s[i+1:])
			if err != nil || n > 5500 || n < -5500 {
				return nil, false, false
			}
		default:
			return nil, false, false
		}
	}
	f, _, err := big.ParseFloat(s, 10, longDouble, big.ToNearestEven)
	return f, false, err == nil && inLongDouble(f)
}

// parseHexFloat reads a hexadecimal number, which is s, and digits what comes
// behind its 0x.
func parseHexFloat(s, digits string) (*big.Float, bool) {
	for i, ch := range digits {
		switch {
		case '0' <= ch && ch <= '9' || 'a' <= ch && ch <= 'f' || ch == '.':
			continue
		case ch != 'p':
			return nil, false
		}
		if n, err := strconv.Atoi(digits[i+1:]); err != nil || n > 40000 || n < -40000 {
			return nil, false
		}
		break
	}
	f, _, err := big.ParseFloat(s, 0, longDouble, big.ToNearestEven)
	return f, err == nil && inLongDouble(f)
}

// inLongDouble tells whether a C long double can hold f.
func inLongDouble(f *big.Float) bool {
	exp := f.MantExp(nil)
	return exp <= 16384 && (f.Sign() == 0 || exp >= -16444)
}
