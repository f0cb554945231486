package script

import (
	"fmt"
	"math"
	"sync/atomic"

	lua "github.com/yuin/gopher-lua"
)

// The library cjson, after Mark Pulford's 2.1.0: its settings and its encoder.
// json_decode.go has the decoder.

// jsonConfig are the settings of a cjson table.
type jsonConfig struct {
	sparseConvert, sparseRatio, sparseSafe atomic.Int64
	encodeDepth, decodeDepth, precision    atomic.Int64
	keepBuffer                             atomic.Int64
	encodeInvalid, decodeInvalid           atomic.Int64 // encoding: 0 off, 1 on, 2 null
}

func newJSONConfig() *jsonConfig {
	c := new(jsonConfig)
	c.sparseRatio.Store(2)
	c.sparseSafe.Store(10)
	c.encodeDepth.Store(1000)
	c.decodeDepth.Store(1000)
	c.precision.Store(14)
	c.keepBuffer.Store(1)
	c.decodeInvalid.Store(1)
	return c
}

func (in *Interp) jsonLib(c *jsonConfig) *lua.LTable {
	L := in.L
	t := L.NewTable()
	for name, fn := range map[string]lua.LGFunction{
		"encode": func(L *lua.LState) int { return in.jsonEncode(L, c) },
		"decode": func(L *lua.LState) int { return in.jsonDecode(L, c) },
		"encode_sparse_array": func(L *lua.LState) int {
			jsonArgs(L, 3)
			jsonSwitch(L, 1, &c.sparseConvert)
			jsonInteger(L, 2, &c.sparseRatio, 0, math.MaxInt32)
			jsonInteger(L, 3, &c.sparseSafe, 0, math.MaxInt32)
			return 3
		},
		"encode_max_depth": func(L *lua.LState) int {
			jsonArgs(L, 1)
			jsonInteger(L, 1, &c.encodeDepth, 1, math.MaxInt32)
			return 1
		},
		"decode_max_depth": func(L *lua.LState) int {
			jsonArgs(L, 1)
			jsonInteger(L, 1, &c.decodeDepth, 1, math.MaxInt32)
			return 1
		},
		"encode_number_precision": func(L *lua.LState) int {
			jsonArgs(L, 1)
			jsonInteger(L, 1, &c.precision, 1, 14)
			return 1
		},
		"encode_keep_buffer": func(L *lua.LState) int {
			jsonArgs(L, 1)
			jsonSwitch(L, 1, &c.keepBuffer)
			return 1
		},
		"encode_invalid_numbers": func(L *lua.LState) int {
			jsonArgs(L, 1)
			jsonChoice(L, 1, &c.encodeInvalid, "off", "on", "null")
			return 1
		},
		"decode_invalid_numbers": func(L *lua.LState) int {
			jsonArgs(L, 1)
			jsonSwitch(L, 1, &c.decodeInvalid)
			return 1
		},
		"new": func(L *lua.LState) int {
			L.Push(in.jsonLib(newJSONConfig()))
			return 1
		},
	} {
		t.RawSetString(name, L.NewFunction(fn))
	}
	t.RawSetString("null", in.null)
	t.RawSetString("_NAME", lua.LString("cjson"))
	t.RawSetString("_VERSION", lua.LString("2.1.0"))
	return t
}

// jsonArgs refuses more than n arguments.
func jsonArgs(L *lua.LState, n int) {
	if L.GetTop() > n {
		badArg(L, n+1, "found too many arguments")
	}
	L.SetTop(n)
}

func jsonInteger(L *lua.LState, n int, setting *atomic.Int64, least, most int64) {
	if L.Get(n) != lua.LNil {
		v := int64(int32(argInt(L, n)))
		if v < least || v > most {
			badArg(L, 1, fmt.Sprintf("expected integer between %d and %d", least, most))
		}
		setting.Store(v)
	}
	L.Push(lua.LNumber(setting.Load()))
}

func jsonSwitch(L *lua.LState, n int, setting *atomic.Int64) { jsonChoice(L, n, setting, "off", "on") }

func jsonChoice(L *lua.LState, n int, setting *atomic.Int64, options ...string) {
	switch v := L.Get(n).(type) {
	case *lua.LNilType:
	case lua.LBool:
		setting.Store(0)
		if bool(v) {
			setting.Store(1)
		}
	default:
		s, found := argString(L, n), false
		for i, o := range options {
			if s == o {
				setting.Store(int64(i))
				found = true
			}
		}
		if !found {
			badArg(L, n, "invalid option '"+s+"'")
		}
	}
	switch v := setting.Load(); v {
	case 0, 1:
		L.Push(lua.LBool(v == 1))
	default:
		L.Push(lua.LString(options[v]))
	}
}

// jsonEncoder is one call of cjson.encode.
type jsonEncoder struct {
	in  *Interp
	L   *lua.LState
	c   *jsonConfig
	out []byte
}

func (in *Interp) jsonEncode(L *lua.LState, c *jsonConfig) int {
	if L.GetTop() != 1 {
		badArg(L, 1, "expected 1 argument")
	}
	e := &jsonEncoder{in: in, L: L, c: c}
	e.value(L.Get(1), 0)
	in.charge(L, len(e.out))
	L.Push(lua.LString(e.out))
	return 1
}

func (e *jsonEncoder) refuse(v lua.LValue, reason string) {
	fail(e.L, "Cannot serialise %s: %s", v.Type().String(), reason)
}

func (e *jsonEncoder) value(v lua.LValue, depth int) {
	e.in.bounded(e.L, len(e.out))
	switch v := v.(type) {
	case lua.LString:
		e.string(string(v))
	case lua.LNumber:
		e.number(v)
	case lua.LBool:
		e.out = fmt.Append(e.out, bool(v))
	case *lua.LNilType:
		e.out = append(e.out, "null"...)
	case *lua.LTable:
		e.table(e.in.plain(v), depth+1)
	default:
		if v != e.in.null {
			e.refuse(v, "type not supported")
		}
		e.out = append(e.out, "null"...)
	}
}

func (e *jsonEncoder) table(t *lua.LTable, depth int) {
	if depth > int(e.c.encodeDepth.Load()) {
		fail(e.L, "Cannot serialise, excessive nesting (%d)", depth)
	}
	if n := e.arrayLen(t); n > 0 {
		e.out = append(e.out, '[')
		for i := 1; i <= n; i++ {
			if i > 1 {
				e.out = append(e.out, ',')
			}
			e.value(t.RawGet(lua.LNumber(i)), depth)
		}
		e.out = append(e.out, ']')
		return
	}
	e.out = append(e.out, '{')
	first := true
	for k, v := t.Next(lua.LNil); k != lua.LNil; k, v = t.Next(k) {
		if !first {
			e.out = append(e.out, ',')
		}
		first = false
		switch k := k.(type) {
		case lua.LNumber:
			e.out = append(e.out, '"')
			e.number(k)
			e.out = append(e.out, '"', ':')
		case lua.LString:
			e.string(string(k))
			e.out = append(e.out, ':')
		default:
			e.refuse(k, "table key must be a number or string")
		}
		e.value(v, depth)
	}
	e.out = append(e.out, '}')
}

// arrayLen is the length of an array, -1 when the table is none.
func (e *jsonEncoder) arrayLen(t *lua.LTable) int {
	most, items := 0, 0
	for k, _ := t.Next(lua.LNil); k != lua.LNil; k, _ = t.Next(k) {
		n, ok := k.(lua.LNumber)
		if !ok || n < 1 || math.Floor(float64(n)) != float64(n) {
			return -1
		}
		if float64(n) > float64(most) {
			most = int(int32Of(float64(n)))
		}
		items++
	}
	ratio := int(e.c.sparseRatio.Load())
	if ratio > 0 && most > items*ratio && most > int(e.c.sparseSafe.Load()) {
		if e.c.sparseConvert.Load() == 0 {
			e.refuse(t, "excessively sparse array")
		}
		return -1
	}
	return most
}

func (e *jsonEncoder) number(n lua.LNumber) {
	f := float64(n)
	if math.IsInf(f, 0) || math.IsNaN(f) {
		switch e.c.encodeInvalid.Load() {
		case 0:
			e.refuse(n, "must not be NaN or Inf")
		case 1:
			if math.IsNaN(f) {
				e.out = append(e.out, "nan"...)
				return
			}
		default:
			e.out = append(e.out, "null"...)
			return
		}
	}
	e.out = append(e.out, formatG(f, int(e.c.precision.Load()))...)
}

func (e *jsonEncoder) string(s string) {
	const hex = "0123456789abcdef"
	e.out = append(e.out, '"')
	for i := range len(s) {
		c := s[i]
		switch {
		case c == '"' || c == '\\' || c == '/':
			e.out = append(e.out, '\\', c)
		case c == '\b':
			e.out = append(e.out, '\\', 'b')
		case c == '\t':
			e.out = append(e.out, '\\', 't')
		case c == '\n':
			e.out = append(e.out, '\\', 'n')
		case c == '\f':
			e.out = append(e.out, '\\', 'f')
		case c == '\r':
			e.out = append(e.out, '\\', 'r')
		case c < ' ' || c == 0x7f:
			e.out = append(e.out, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			e.out = append(e.out, c)
		}
	}
	e.out = append(e.out, '"')
}
