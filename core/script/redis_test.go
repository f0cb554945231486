package script

import (
	"bufio"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/internal/testutil"
)

// redisServer starts a real redis-server and returns a connection to it.
func redisServer(t *testing.T) *redisConn {
	t.Helper()
	c := &redisConn{t: t, conn: testutil.Redis(t)()}
	c.in = bufio.NewReader(&tee{c})
	return c
}

// redisConn is a connection that keeps the bytes of the last reply.
type redisConn struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
	raw  []byte
}

type tee struct{ c *redisConn }

func (r *tee) Read(b []byte) (int, error) {
	n, err := r.c.conn.Read(b)
	r.c.raw = append(r.c.raw, b[:n]...)
	return n, err
}

// do returns the bytes of a reply.
func (c *redisConn) do(args ...string) string {
	c.t.Helper()
	words := make([][]byte, len(args))
	for i, a := range args {
		words[i] = []byte(a)
	}
	c.raw = c.raw[:0]
	if _, err := c.conn.Write(resp.AppendCommand(nil, words...)); err != nil {
		c.t.Fatal(err)
	}
	if _, err := resp.ReadReply(c.in); err != nil {
		c.t.Fatal(err)
	}
	return string(c.raw)
}

// TestScriptsAreAsRedisRunsThem: each script of testdata/scripts.lua gets, byte for
// byte, the reply that a redis-server gives, in both protocols.
func TestScriptsAreAsRedisRunsThem(t *testing.T) {
	src, err := os.ReadFile("testdata/scripts.lua")
	if err != nil {
		t.Fatal(err)
	}
	redis := redisServer(t)
	for _, proto := range []int{2, 3} {
		redis.do("HELLO", fmt.Sprint(proto))
		s := newScripts()
		for _, script := range strings.Split(string(src), "\n---\n") {
			want := redis.do("EVAL", script, "0")
			began := time.Now()
			got := eval(t, s, &fakeHost{}, script, proto)
			if d := time.Since(began); d > time.Second {
				t.Logf("SLOW %v: %s", d, script)
			}
			if got != want {
				t.Errorf("RESP%d, of\n%s\n got %q\nwant %q", proto, script, got, want)
			}
		}
	}
}

// prelude is what the expressions of a random script are called with: what comes out,
// or the error, as text.
const prelude = `
local out = {}
local function t(f)
  local r = {pcall(f)}
  for i = 1, 12 do
    local v = r[i]
    if type(v) == 'string' then r[i] = 's:' .. v
    elseif type(v) == 'number' then r[i] = string.format('n:%.17g', v)
    elseif type(v) == 'table' then r[i] = 't:' .. cmsgpack.pack(v)
    else r[i] = tostring(v) end
  end
  out[#out+1] = table.concat(r, '|')
end
`

// TestRandomValues: the libraries in Go do to random values what the C libraries do,
// errors included.
func TestRandomValues(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 1))}
	redis := redisServer(t)
	s := newScripts()
	for range 60 {
		var lines []string
		for range 40 {
			lines = append(lines, "t(function() return "+g.expr()+" end)")
		}
		script := prelude + strings.Join(lines, "\n") + "\nreturn out"
		want := redis.do("EVAL", script, "0")
		got := eval(t, s, &fakeHost{}, script, 2)
		if got == want {
			continue
		}
		a, _ := resp.ReadReply(bufio.NewReader(strings.NewReader(got)))
		b, _ := resp.ReadReply(bufio.NewReader(strings.NewReader(want)))
		if len(a.Elems) != len(lines) || len(b.Elems) != len(lines) {
			t.Fatalf("seed %d: %s\n got %.300q\nwant %.300q", seed, script, got, want)
		}
		for i := range lines {
			if x, y := string(a.Elems[i].Str), string(b.Elems[i].Str); x != y {
				t.Errorf("seed %d: %s\n got %q\nwant %q", seed, lines[i], x, y)
			}
		}
		if t.Failed() {
			return
		}
	}
}

// generator makes Lua source of random values.
type generator struct {
	*rand.Rand
	noNull bool // null is nil once it is unpacked, and arrays with holes have no order
}

func (g *generator) pick(of ...string) string { return of[g.IntN(len(of))] }

// packed are random bytes for cmsgpack, without maps of several pairs, which have no
// order.
func (g *generator) packed() string {
	b := []byte(g.bytes(12))
	for i, c := range b {
		if c > 0x81 && c < 0x90 || c == 0xde || c == 0xdf {
			b[i] = 0x81
		}
	}
	return string(b)
}

func (g *generator) number() string {
	switch g.IntN(9) {
	case 0:
		return fmt.Sprint(g.IntN(300) - 150)
	case 1:
		return fmt.Sprint(g.Int64() >> g.IntN(63))
	case 2:
		return fmt.Sprint(-1 - (g.Int64() >> g.IntN(63)))
	case 3:
		return g.pick("0", "tonumber('-0')", "1/0", "-1/0", "1e15", "1e14", "1e100", "5e-324", "2^53", "2^63", "-2^63", "2^64", "2^31", "2^32", "0.1", "1e16", "123456789012345", "1e-5", "1e-4")
	case 4:
		return fmt.Sprintf("%.*g", 1+g.IntN(17), g.NormFloat64()*math.Pow(10, float64(g.IntN(40)-20)))
	case 5:
		return fmt.Sprint(float64(g.IntN(1000)) / 8)
	case 6:
		return fmt.Sprintf("%d/%d", g.IntN(100)+1, 1+g.IntN(30))
	case 7:
		return fmt.Sprint(1<<g.IntN(34) - 1 + g.IntN(3))
	}
	return fmt.Sprint(g.IntN(10))
}

// lit is a string as Lua source.
func lit(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		if c := s[i]; c >= ' ' && c < 0x7f && c != '"' && c != '\\' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "\\%03d", c)
		}
	}
	return b.String() + `"`
}

func (g *generator) bytes(most int) string {
	b := make([]byte, g.IntN(most+1))
	for i := range b {
		switch g.IntN(4) {
		case 0:
			b[i] = byte(g.IntN(256))
		case 1:
			b[i] = "ab01 %()[]{}\",:\\-+.enf\x00"[g.IntN(23)]
		default:
			b[i] = byte('a' + g.IntN(4))
		}
	}
	return string(b)
}

func (g *generator) value(depth int) string {
	switch n := g.IntN(9); {
	case n < 2:
		return g.number()
	case n < 4:
		return lit(g.bytes(40))
	case n == 4 && g.noNull:
		return g.pick("true", "false")
	case n == 4:
		return g.pick("true", "false", "cjson.null")
	case depth <= 0:
		return g.number()
	case n == 5: // one pair only: the order of several is not promised
		return fmt.Sprintf("{[%s]=%s}", g.pick(g.number(), lit(g.bytes(5)), "1", "2", "3", "12", "true"), g.value(depth-1))
	}
	var parts []string
	for range g.IntN(1 + 6*depth) {
		parts = append(parts, g.value(depth-1))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func (g *generator) json() string {
	switch g.IntN(12) {
	case 0:
		return g.pick("true", "false", "null", "nul", "tru", "falsey", "nan", "NaN", "-nan", "inf", "Infinity", "-Infinity", "+1", "", " ")
	case 1:
		return g.pick("0x10", "0x1p4", "01", "-", "1.", ".5", "1e", "1e5", "1E+2", "-0", "0.1e-3", "--1", "0x", "1e999", "123abc")
	case 2, 3:
		return fmt.Sprintf("%.*g", 1+g.IntN(17), g.NormFloat64()*math.Pow(10, float64(g.IntN(40)-20)))
	case 4, 5:
		s := g.bytes(12)
		return `"` + strings.NewReplacer("\x00", "", `"`, `\"`).Replace(s) + g.pick(`"`, `"`, `"`, "")
	case 6:
		return `"` + g.pick(`\u00e9`, `\ud83d\ude00`, `\ud83d`, `\udc00`, `\u12`, `\uD83Dx`, `\n\t\b\f\r\/\\\"`, `\x`, `\u0000`, `\uffff`) + `"`
	case 7:
		return "{" + g.pick(`"a":`, `"a"`, `a:`, `"":`, `1:`) + g.json() + g.pick("}", "}", "}", "", ",}", "]")
	case 8:
		return g.pick("[1,2,3]", "[]", "{}", "[,]", "[1,]", "{,}", "[null,1]", "[1 2]", `{"a":1 "b":2}`, "[[[]]]", `{"a":{"b":[1,{"c":null}]}}`)
	}
	var parts []string
	for range g.IntN(4) {
		parts = append(parts, g.json())
	}
	return "[" + strings.Join(parts, g.pick(",", ",", ", ", " ")) + g.pick("]", "]", "]", "}", "")
}

func (g *generator) format() string {
	return "%" + g.pick("", "", "-", "+", " ", "#", "0", "-0", "+ ") + g.pick("", "", "5", "12", "1", "100") + g.pick("", "", ".", ".0", ".3", ".14", ".99", ".100") +
		g.pick("d", "i", "u", "x", "X", "o", "c", "e", "E", "f", "g", "G", "s", "q", "%", "y")
}

func (g *generator) structFormat() string {
	var b strings.Builder
	for range 1 + g.IntN(5) {
		b.WriteString(g.pick("<", ">", "!", "!4", "!3", " ", "x", "b", "B", "h", "H", "l", "L", "T", "i", "I", "i3", "I5", "i8", "i16", "I33", "c0", "c", "c5", "s", "f", "d", "z"))
	}
	return b.String()
}

func (g *generator) pattern() string {
	var b strings.Builder
	for range 1 + g.IntN(6) {
		b.WriteString(g.pick("a", "b", ".", "%a", "%d", "%s", "%w", "%p", "%x", "%z", "%A", "%%", "[ab]", "[^a]", "[a-c]", "[%a0]", "[]]", "(", ")", "()", "^", "$", "%b()", "%f[a]", "%1", "[", "%"))
		b.WriteString(g.pick("", "", "", "*", "+", "-", "?"))
	}
	return b.String()
}

func (g *generator) args(n int) string {
	var parts []string
	for range n {
		parts = append(parts, g.pick(g.number(), g.number(), lit(g.bytes(12)), "nil", "true"))
	}
	return strings.Join(parts, ",")
}

func (g *generator) expr() string {
	switch g.IntN(18) {
	case 0, 1:
		return "cjson.encode(" + g.value(3) + ")"
	case 2, 3:
		return "cjson.decode(" + lit(g.json()) + ")"
	case 4:
		return "cmsgpack.pack(" + g.value(3) + "," + g.value(2) + ")"
	case 5:
		g.noNull = true
		v := g.value(2)
		g.noNull = false
		return "cmsgpack.unpack(cmsgpack.pack(" + v + "))"
	case 6:
		return g.pick("cmsgpack.unpack(", "cmsgpack.unpack_one(", "cmsgpack.unpack_limit(") + lit(g.packed()) + g.pick(")", ",1)", ",0)", ",2,1)", ",-1)")
	case 7:
		return "struct.pack(" + lit(g.structFormat()) + "," + g.args(5) + ")"
	case 8:
		return "struct.unpack(" + lit(g.structFormat()) + "," + lit(g.bytes(60)) + g.pick("", ",2", ",0", ",-1", ",100") + ")"
	case 9:
		return "struct.size(" + lit(g.structFormat()) + ")"
	case 10:
		return "bit." + g.pick("tobit", "bnot", "band", "bor", "bxor", "lshift", "rshift", "arshift", "rol", "ror", "bswap", "tohex") + "(" + g.args(1+g.IntN(3)) + ")"
	case 11:
		return "string.format(" + lit(g.format()) + "," + g.args(1) + ")"
	case 12:
		return g.pick("tostring(", "'' .. (", "tonumber(") + g.pick(g.number(), lit(g.pick("1", " 1 ", "0x1f", "1e2", "abc", "", " ", "1 2", "0x", "inf", "nan", "1.5.2", "-7"))) + ")"
	case 13:
		return "string.find(" + lit(g.bytes(20)) + "," + lit(g.pattern()) + g.pick("", ",2", ",-3", ",1,true", ",100") + ")"
	case 14:
		return "string.gsub(" + lit(g.bytes(20)) + "," + lit(g.pattern()) + "," + g.pick(lit("<%0>"), lit("%1%%"), "{a='x',b=1}", "function(x) return x end", lit("%9"), "string.upper") + g.pick("", ",1", ",0") + ")"
	case 15:
		return "string.match(" + lit(g.bytes(20)) + "," + lit(g.pattern()) + g.pick("", ",3") + ")"
	case 16:
		return "tonumber(" + lit(g.pick("10", "zz", "ff", "0x1f", "-7", "8", "", "99999999999999999999")) + "," + g.pick("2", "8", "16", "36", "10", "1", "37") + ")"
	}
	return "string." + g.pick("sub", "byte", "rep", "reverse", "upper", "lower", "len", "char") + "(" + g.pick(lit(g.bytes(10)), g.number()) + "," + fmt.Sprint(g.IntN(20)-10) + "," + fmt.Sprint(g.IntN(20)-10) + ")"
}
