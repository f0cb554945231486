package script

import (
	"bytes"
	"strconv"

	lua "github.com/yuin/gopher-lua"

	"github.com/spillwaydb/spillway/core/resp"
)

// decoder makes Lua values of a reply, which is whole and well-formed.
type decoder struct {
	in    *Interp
	b     []byte
	depth int
}

const maxReplyDepth = 1000 // of replies within each other

func (d *decoder) line() []byte {
	i := bytes.Index(d.b, []byte("\r\n"))
	if i < 0 {
		line := d.b
		d.b = nil
		return line
	}
	line := d.b[:i]
	d.b = d.b[i+2:]
	return line
}

// take takes n bytes and the end of line behind them.
func (d *decoder) take(n int) []byte {
	n = min(n, len(d.b))
	s := d.b[:n]
	d.b = d.b[min(n+2, len(d.b)):]
	return s
}

func (d *decoder) single(key string, v lua.LValue) lua.LValue {
	t := d.in.L.NewTable()
	t.RawSetString(key, v)
	return t
}

func (d *decoder) value() lua.LValue {
	if len(d.b) == 0 || d.depth > maxReplyDepth {
		return lua.LNil
	}
	d.depth++
	defer func() { d.depth-- }()
	line := d.line()
	if len(line) == 0 {
		return lua.LNil
	}
	kind, rest := line[0], string(line[1:])
	n, _ := strconv.Atoi(rest)
	more := min(n, len(d.b)) // each value has a byte at least
	switch kind {
	case '+':
		return d.single("ok", lua.LString(rest))
	case '-':
		t := errorTable(d.in.L, "-"+rest)
		t.RawSetString("ignore_error_stats_update", lua.LTrue)
		return t
	case ':':
		i, _ := strconv.ParseInt(rest, 10, 64)
		return lua.LNumber(i)
	case '$':
		if n < 0 {
			return lua.LFalse
		}
		return lua.LString(d.take(n))
	case '*':
		if n < 0 {
			return lua.LFalse
		}
		return d.array(more)
	case '_':
		return lua.LNil
	case '#':
		return lua.LBool(rest == "t")
	case ',':
		f, _ := scanNumber(rest)
		return d.single("double", lua.LNumber(f))
	case '(':
		return d.single("big_number", lua.LString(rest))
	case '=':
		s := d.take(n)
		t := d.in.L.NewTable()
		if len(s) >= 4 {
			t.RawSetString("string", lua.LString(s[4:]))
			t.RawSetString("format", lua.LString(s[:3]))
		}
		return d.single("verbatim_string", t)
	case '%':
		t := d.in.L.NewTable()
		for range more {
			k := d.value()
			if v := d.value(); k != lua.LNil {
				t.RawSet(k, v)
			}
		}
		return d.single("map", t)
	case '~', '>':
		t := d.in.L.NewTable()
		for range more {
			if k := d.value(); k != lua.LNil {
				t.RawSet(k, lua.LTrue)
			}
		}
		return d.single("set", t)
	case '|':
		for range more {
			d.value()
			d.value()
		}
		return d.value()
	}
	return lua.LNil
}

func (d *decoder) array(n int) lua.LValue {
	t := d.in.L.CreateTable(n, 0)
	for i := range n {
		if v := d.value(); v != lua.LNil {
			t.RawSetInt(i+1, v)
		}
	}
	return t
}

// encoder makes a reply of Lua values.
type encoder struct {
	in    *Interp
	out   *resp.Writer
	depth int
}

func (e *encoder) value(v lua.LValue) {
	if e.depth > maxReplyDepth {
		e.out.Error("ERR reached lua stack limit")
		return
	}
	e.depth++
	defer func() { e.depth-- }()
	switch v := v.(type) {
	case lua.LString:
		e.out.BulkString(string(v))
	case lua.LBool:
		switch {
		case e.in.proto != 2:
			e.out.Bool(bool(v))
		case bool(v):
			e.out.Int(1)
		default:
			e.out.Null()
		}
	case lua.LNumber:
		e.out.Int(integer(float64(v)))
	case *lua.LTable:
		e.table(e.in.plain(v))
	default:
		e.out.Null()
	}
}

func (e *encoder) table(t *lua.LTable) {
	if _, ok := t.RawGetString("err").(lua.LString); ok {
		s, _ := text(t.RawGetString("err"))
		e.error(s, t.RawGetString("ignore_error_stats_update") == lua.LTrue)
		return
	}
	if s, ok := t.RawGetString("ok").(lua.LString); ok {
		e.out.SimpleString(cString(string(s)))
		return
	}
	if f, ok := t.RawGetString("double").(lua.LNumber); ok {
		e.out.Double(float64(f))
		return
	}
	if s, ok := t.RawGetString("big_number").(lua.LString); ok {
		e.out.BigNumber(spaced(string(s)))
		return
	}
	if vt, ok := t.RawGetString("verbatim_string").(*lua.LTable); ok {
		format, ok1 := vt.RawGetString("format").(lua.LString)
		s, ok2 := vt.RawGetString("string").(lua.LString)
		if ok1 && ok2 {
			e.out.Verbatim(string(format), string(s))
			return
		}
	}
	if m, ok := t.RawGetString("map").(*lua.LTable); ok {
		e.pairs(e.in.plain(m))
		return
	}
	if s, ok := t.RawGetString("set").(*lua.LTable); ok {
		e.keys(e.in.plain(s))
		return
	}
	n := 0
	for t.RawGet(lua.LNumber(n+1)) != lua.LNil {
		n++
	}
	e.out.Array(n)
	for i := range n {
		e.value(t.RawGet(lua.LNumber(i + 1)))
	}
}

func (e *encoder) pairs(t *lua.LTable) {
	n := 0
	t.ForEach(func(lua.LValue, lua.LValue) { n++ })
	e.out.Map(n)
	for k, v := t.Next(lua.LNil); k != lua.LNil; k, v = t.Next(k) {
		e.value(k)
		e.value(v)
	}
}

func (e *encoder) keys(t *lua.LTable) {
	n := 0
	t.ForEach(func(lua.LValue, lua.LValue) { n++ })
	e.out.Set(n)
	for k, _ := t.Next(lua.LNil); k != lua.LNil; k, _ = t.Next(k) {
		e.value(k)
	}
}

// error replies with an error, which is not counted again if it was counted before.
func (e *encoder) error(msg string, counted bool) {
	if counted {
		e.out.ErrorAgain(cString(msg))
	} else {
		e.out.Error(cString(msg))
	}
}

// cString is a string as C sees it: up to the first NUL.
func cString(s string) string {
	if i := containsNUL(s); i >= 0 {
		return s[:i]
	}
	return s
}

func spaced(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c == '\r' || c == '\n' {
			b[i] = ' '
		}
	}
	return string(b)
}
