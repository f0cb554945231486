package script

import (
	"strings"
	"unicode/utf8"

	lua "github.com/yuin/gopher-lua"
)

// jsonToken is a token of JSON, by cjson's name.
type jsonToken struct {
	kind  string // "T_STRING" …; T_ERROR has its reason in text
	text  string
	num   float64
	yes   bool
	index int
}

// jsonDecoder is one call of cjson.decode.
type jsonDecoder struct {
	in    *Interp
	L     *lua.LState
	c     *jsonConfig
	s     string
	pos   int
	depth int
	n     int // of values
}

func (in *Interp) jsonDecode(L *lua.LState, c *jsonConfig) int {
	if L.GetTop() != 1 {
		badArg(L, 1, "expected 1 argument")
	}
	s := argString(L, 1)
	if len(s) >= 2 && (s[0] == 0 || s[1] == 0) {
		fail(L, "JSON parser does not support UTF-16 or UTF-32")
	}
	d := &jsonDecoder{in: in, L: L, c: c, s: s}
	v := d.value(d.next())
	if t := d.next(); t.kind != "T_END" {
		d.refuse("the end", t)
	}
	L.Push(v)
	return 1
}

func (d *jsonDecoder) refuse(want string, t jsonToken) {
	found := t.kind
	if t.kind == "T_ERROR" {
		found = t.text
	}
	fail(d.L, "Expected %s but found %s at character %d", want, found, t.index+1)
}

func (d *jsonDecoder) descend() {
	if d.depth++; d.depth > int(d.c.decodeDepth.Load()) {
		fail(d.L, "Found too many nested data structures (%d) at character %d", d.depth, d.pos)
	}
}

func (d *jsonDecoder) value(t jsonToken) lua.LValue {
	if d.n++; d.n%ticksEvery == 0 {
		d.in.tickIn(d.L)
	}
	switch t.kind {
	case "T_STRING":
		return lua.LString(t.text)
	case "T_NUMBER":
		return lua.LNumber(t.num)
	case "T_BOOLEAN":
		return lua.LBool(t.yes)
	case "T_OBJ_BEGIN":
		return d.object()
	case "T_ARR_BEGIN":
		return d.array()
	case "T_NULL":
		return d.in.null
	}
	d.refuse("value", t)
	return nil
}

func (d *jsonDecoder) object() lua.LValue {
	d.descend()
	defer func() { d.depth-- }()
	o := d.L.NewTable()
	t := d.next()
	if t.kind == "T_OBJ_END" {
		return o
	}
	for {
		if t.kind != "T_STRING" {
			d.refuse("object key string", t)
		}
		key := t.text
		if t = d.next(); t.kind != "T_COLON" {
			d.refuse("colon", t)
		}
		o.RawSetString(key, d.value(d.next()))
		if t = d.next(); t.kind == "T_OBJ_END" {
			return o
		}
		if t.kind != "T_COMMA" {
			d.refuse("comma or object end", t)
		}
		t = d.next()
	}
}

func (d *jsonDecoder) array() lua.LValue {
	d.descend()
	defer func() { d.depth-- }()
	a := d.L.NewTable()
	t := d.next()
	if t.kind == "T_ARR_END" {
		return a
	}
	for i := 1; ; i++ {
		a.RawSetInt(i, d.value(t))
		if t = d.next(); t.kind == "T_ARR_END" {
			return a
		}
		if t.kind != "T_COMMA" {
			d.refuse("comma or array end", t)
		}
		t = d.next()
	}
}

// at is the byte at i, 0 behind the end, as in C.
func (d *jsonDecoder) at(i int) byte {
	if i < len(d.s) {
		return d.s[i]
	}
	return 0
}

func (d *jsonDecoder) next() jsonToken {
	for {
		if c := d.at(d.pos); c != ' ' && c != '\t' && c != '\n' && c != '\r' {
			break
		}
		d.pos++
	}
	t := jsonToken{index: d.pos}
	c := d.at(d.pos)
	single := map[byte]string{'{': "T_OBJ_BEGIN", '}': "T_OBJ_END", '[': "T_ARR_BEGIN", ']': "T_ARR_END", ',': "T_COMMA", ':': "T_COLON"}[c]
	rest := d.s[min(d.pos, len(d.s)):]
	switch {
	case c == 0:
		t.kind = "T_END"
	case single != "":
		t.kind = single
		d.pos++
	case c == '"':
		return d.string(t)
	case c == '-' || isDigit(c):
		if d.c.decodeInvalid.Load() == 0 && d.invalidNumber() {
			return d.wrong("invalid number")
		}
		return d.number(t)
	case strings.HasPrefix(rest, "true"):
		t.kind, t.yes = "T_BOOLEAN", true
		d.pos += 4
	case strings.HasPrefix(rest, "false"):
		t.kind = "T_BOOLEAN"
		d.pos += 5
	case strings.HasPrefix(rest, "null"):
		t.kind = "T_NULL"
		d.pos += 4
	case strings.IndexByte("fiInNt+", c) >= 0 && d.c.decodeInvalid.Load() != 0 && d.invalidNumber():
		return d.number(t)
	default:
		return d.wrong("invalid token")
	}
	return t
}

func (d *jsonDecoder) wrong(reason string) jsonToken {
	return jsonToken{kind: "T_ERROR", text: reason, index: d.pos}
}

// invalidNumber tells whether C takes for a number what JSON does not.
func (d *jsonDecoder) invalidNumber() bool {
	p := d.pos
	if d.at(p) == '+' {
		return true
	}
	if d.at(p) == '-' {
		p++
	}
	switch c := d.at(p); {
	case c == '0':
		next := d.at(p + 1)
		return next|0x20 == 'x' || isDigit(next)
	case c <= '9':
		return false
	}
	return hasPrefixFold(d.s[p:], "inf") || hasPrefixFold(d.s[p:], "nan")
}

func (d *jsonDecoder) number(t jsonToken) jsonToken {
	f, n := scanNumber(d.s[d.pos:])
	if n == 0 {
		return d.wrong("invalid number")
	}
	t.kind, t.num = "T_NUMBER", f
	d.pos += n
	return t
}

func (d *jsonDecoder) string(t jsonToken) jsonToken {
	d.pos++
	start := d.pos
	if i := strings.IndexAny(d.s[start:], "\"\\\x00"); i >= 0 && d.s[start+i] == '"' { // nothing is escaped
		d.pos = start + i + 1
		t.kind, t.text = "T_STRING", d.s[start:start+i]
		return t
	}
	var out []byte
	for {
		c := d.at(d.pos)
		switch c {
		case '"':
			d.pos++
			t.kind, t.text = "T_STRING", string(out)
			return t
		case 0:
			return d.wrong("unexpected end of string")
		case '\\':
			switch e := d.at(d.pos + 1); e {
			case '"', '\\', '/':
				c = e
			case 'b':
				c = '\b'
			case 't':
				c = '\t'
			case 'n':
				c = '\n'
			case 'f':
				c = '\f'
			case 'r':
				c = '\r'
			case 'u':
				r, n := d.unicode()
				if n == 0 {
					return d.wrong("invalid unicode escape code")
				}
				out = appendRune(out, r)
				d.pos += n
				continue
			default:
				return d.wrong("invalid escape code")
			}
			d.pos++
		}
		out = append(out, c)
		d.pos++
	}
}

// appendRune is UTF-8 without the refusal of surrogates.
func appendRune(out []byte, r rune) []byte {
	if r >= 0xD800 && r < 0xE000 {
		return append(out, byte(r>>12)|0xE0, byte(r>>6)&0x3F|0x80, byte(r)&0x3F|0x80)
	}
	return utf8.AppendRune(out, r)
}

// unicode reads \uXXXX, or two of them, and returns how long that is, 0 when it is wrong.
func (d *jsonDecoder) unicode() (rune, int) {
	r := d.hex4(d.pos + 2)
	if r < 0 {
		return 0, 0
	}
	if r&0xF800 != 0xD800 {
		return r, 6
	}
	if r&0x400 != 0 || d.at(d.pos+6) != '\\' || d.at(d.pos+7) != 'u' {
		return 0, 0
	}
	low := d.hex4(d.pos + 8)
	if low < 0 || low&0xFC00 != 0xDC00 {
		return 0, 0
	}
	return (r&0x3FF<<10 | low&0x3FF) + 0x10000, 12
}

func (d *jsonDecoder) hex4(at int) rune {
	var r rune
	for i := range 4 {
		c := d.at(at + i)
		switch {
		case isDigit(c):
			r = r<<4 | rune(c-'0')
		case isHex(c):
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return -1
		}
	}
	return r
}
