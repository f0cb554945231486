package script

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// The basic functions.

func (in *Interp) baseLib() map[string]lua.LGFunction {
	lib := map[string]lua.LGFunction{
		"assert": in.baseAssert, "collectgarbage": in.baseCollect, "error": baseError, "gcinfo": baseGCInfo, "getmetatable": in.baseGetMetatable,
		"ipairs": in.baseIpairs, "load": in.baseLoad, "loadstring": in.baseLoadString, "next": in.baseNext, "pairs": in.basePairs,
		"pcall": in.basePcall, "rawequal": baseRawEqual, "rawget": in.baseRawGet, "rawset": in.baseRawSet, "select": baseSelect,
		"setmetatable": in.baseSetMetatable, "tonumber": baseToNumber, "tostring": in.baseToString, "type": baseType, "unpack": in.baseUnpack,
		"xpcall": in.baseXpcall,
	}
	if in.deprecated {
		lib["getfenv"], lib["setfenv"], lib["newproxy"] = in.baseGetFenv, in.baseSetFenv, baseNewProxy
	}
	return lib
}

func (in *Interp) baseAssert(L *lua.LState) int {
	if !lua.LVAsBool(argAny(L, 1)) {
		msg := optString(L, 2, "assertion failed!")
		fail(L, "%s", msg)
	}
	return L.GetTop()
}

func (in *Interp) collect() { runtime.GC() }

func (in *Interp) baseCollect(L *lua.LState) int {
	switch what := optString(L, 1, "collect"); what {
	case "collect":
		L.Push(lua.LNumber(0))
	case "count":
		L.Push(lua.LNumber(float64(heapBytes()) / 1024))
	case "step":
		L.Push(lua.LTrue)
	case "stop", "restart":
		L.Push(lua.LNumber(0))
	case "setpause", "setstepmul":
		L.Push(lua.LNumber(200))
	default:
		badArg(L, 1, fmt.Sprintf("invalid option '%s'", what))
	}
	return 1
}

func baseGCInfo(L *lua.LState) int {
	L.Push(lua.LNumber(heapBytes() / 1024))
	return 1
}

func baseError(L *lua.LState) int {
	level := optInt32(L, 2, 1)
	v := L.Get(1)
	if s, ok := text(v); ok && level > 0 {
		if d, there := L.GetStack(level); there {
			if _, err := L.GetInfo("Sl", d, lua.LNil); err == nil && d.CurrentLine > 0 {
				s = fmt.Sprintf("%s:%d: %s", d.Source, d.CurrentLine, s)
			}
		}
		v = lua.LString(s)
	}
	raise(L, v)
	return 0
}

func (in *Interp) baseGetMetatable(L *lua.LState) int {
	L.Push(in.metatable(L, argAny(L, 1)))
	return 1
}

func (in *Interp) baseSetMetatable(L *lua.LState) int {
	t := argTable(L, 1)
	m := L.Get(2)
	if m.Type() != lua.LTNil && m.Type() != lua.LTTable || L.GetTop() < 2 {
		badArg(L, 2, "nil or table expected")
	}
	if old, ok := t.Metatable.(*lua.LTable); ok && old.RawGetString("__metatable") != lua.LNil {
		fail(L, "cannot change a protected metatable")
	}
	in.writable(L, t)
	t.Metatable = m
	L.SetTop(1)
	return 1
}

func (in *Interp) baseNext(L *lua.LState) int {
	t := in.plain(argTable(L, 1))
	k, v := t.Next(L.Get(2))
	for isHidden(k) {
		k, v = t.Next(k)
	}
	if k == lua.LNil {
		L.Push(lua.LNil)
		return 1
	}
	L.Push(k)
	L.Push(v)
	return 2
}

// isHidden tells whether a key is the name of a hidden function.
func isHidden(k lua.LValue) bool {
	s, ok := k.(lua.LString)
	return ok && s != "" && s[0] == 0 && slices.Contains(hidden, string(s))
}

func (in *Interp) basePairs(L *lua.LState) int {
	t := argTable(L, 1)
	L.Push(in.globals.RawGetString("next"))
	L.Push(t)
	L.Push(lua.LNil)
	return 3
}

func (in *Interp) baseIpairs(L *lua.LState) int {
	t := argTable(L, 1)
	L.Push(L.NewFunction(in.ipairsNext))
	L.Push(t)
	L.Push(lua.LNumber(0))
	return 3
}

func (in *Interp) ipairsNext(L *lua.LState) int {
	i := argInt(L, 2) + 1
	v := in.plain(argTable(L, 1)).RawGet(lua.LNumber(i))
	if v == lua.LNil {
		L.Push(lua.LNil)
		return 1
	}
	L.Push(lua.LNumber(i))
	L.Push(v)
	return 2
}

func (in *Interp) baseLoad(L *lua.LState) int {
	f, ok := L.Get(1).(*lua.LFunction)
	if !ok {
		typeError(L, 1, "function")
	}
	name := optString(L, 2, "=(load)")
	var src strings.Builder
	for {
		L.Push(f)
		in.call(L, 0)
		v := L.Get(-1)
		L.Pop(1)
		if v == lua.LNil {
			break
		}
		piece, ok := text(v)
		if !ok {
			L.Push(lua.LNil)
			L.Push(lua.LString("reader function must return a string"))
			return 2
		}
		if piece == "" {
			break
		}
		src.WriteString(piece)
		in.bounded(L, src.Len())
	}
	return in.loadSource(L, src.String(), name)
}

func (in *Interp) baseLoadString(L *lua.LState) int {
	src := argString(L, 1)
	return in.loadSource(L, src, optString(L, 2, src))
}

func (in *Interp) loadSource(L *lua.LState, src, name string) int {
	proto, n, err := compile(src, chunkName(name))
	if err != nil {
		L.Push(lua.LNil)
		L.Push(lua.LString(err.Error()))
		return 2
	}
	in.sources[proto.SourceName] = name
	L.Push(in.function(proto, n))
	return 1
}

// protected is pcall and xpcall: it runs a function on a thread of its own, and leaves
// true and its results, or false and the error.
func (in *Interp) protected(L *lua.LState, fn lua.LValue, args []lua.LValue, handler func(*lua.LState, lua.LValue) lua.LValue) int {
	nesting := in.nesting
	in.nest(L)
	th := in.newThread(maxNestedCalls)
	in.within[th] = L
	results, wrong, failed := in.protect(th, fn, args, lua.MultRet, handler)
	delete(in.within, th)
	delete(in.callbacks, th)
	in.nesting = nesting
	L.SetTop(0)
	if failed {
		L.Push(lua.LFalse)
		L.Push(wrong)
		return 2
	}
	L.Push(lua.LTrue)
	for _, v := range results {
		L.Push(v)
	}
	return 1 + len(results)
}

// worded is an error's value in Lua's words.
func (in *Interp) worded(_ *lua.LState, v lua.LValue) lua.LValue {
	if s, ok := v.(lua.LString); ok {
		return lua.LString(in.translate(string(s)))
	}
	return v
}

// basePcall is Redis's: of an error that is a table it returns the message.
func (in *Interp) basePcall(L *lua.LState) int {
	fn := argAny(L, 1)
	var args []lua.LValue
	for i := 2; i <= L.GetTop(); i++ {
		args = append(args, L.Get(i))
	}
	return in.protected(L, fn, args, func(th *lua.LState, v lua.LValue) lua.LValue {
		if t, ok := v.(*lua.LTable); ok {
			if s, ok := text(th.GetField(t, "err")); ok {
				return lua.LString(s)
			}
		}
		return in.worded(th, v)
	})
}

func (in *Interp) baseXpcall(L *lua.LState) int {
	argAny(L, 2)
	handler := L.Get(2)
	return in.protected(L, L.Get(1), nil, func(th *lua.LState, v lua.LValue) lua.LValue {
		th.Push(handler)
		th.Push(in.worded(th, v))
		in.call(th, 1)
		return th.Get(-1)
	})
}

func baseRawEqual(L *lua.LState) int {
	L.Push(lua.LBool(L.RawEqual(argAny(L, 1), argAny(L, 2))))
	return 1
}

func (in *Interp) baseRawGet(L *lua.LState) int {
	t := in.plain(argTable(L, 1))
	L.Push(t.RawGet(argAny(L, 2)))
	return 1
}

func (in *Interp) baseRawSet(L *lua.LState) int {
	t := argTable(L, 1)
	in.writable(L, t)
	argAny(L, 3)
	in.rawSet(L, t, L.Get(2), L.Get(3))
	L.SetTop(1)
	return 1
}

// rawSet refuses the keys that no table has.
func (in *Interp) rawSet(L *lua.LState, t *lua.LTable, k, v lua.LValue) {
	if k == lua.LNil {
		raise(L, lua.LString("table index is nil"))
	}
	if n, ok := k.(lua.LNumber); ok && math.IsNaN(float64(n)) {
		raise(L, lua.LString("table index is NaN"))
	}
	t.RawSet(k, v)
}

func baseSelect(L *lua.LState) int {
	n := L.GetTop()
	if s, ok := L.Get(1).(lua.LString); ok && strings.HasPrefix(string(s), "#") {
		L.Push(lua.LNumber(n - 1))
		return 1
	}
	i := argInt32(L, 1)
	if i < 0 {
		i += n
	} else if i > n {
		i = n
	}
	if i < 1 {
		badArg(L, 1, "index out of range")
	}
	return n - i
}

func baseToNumber(L *lua.LState) int {
	base := optInt32(L, 2, 10)
	if base == 10 {
		if f, ok := number(argAny(L, 1)); ok {
			L.Push(lua.LNumber(f))
			return 1
		}
		L.Push(lua.LNil)
		return 1
	}
	s := argString(L, 1)
	if base < 2 || base > 36 {
		badArg(L, 2, "base out of range")
	}
	s = strings.TrimFunc(s, func(r rune) bool { return r < 128 && isSpace(byte(r)) })
	negative := strings.HasPrefix(s, "-")
	if negative || strings.HasPrefix(s, "+") {
		s = s[1:]
	}
	if base == 16 && hasPrefixFold(s, "0x") && len(s) > 2 {
		s = s[2:]
	}
	var n uint64
	over := false
	for i := range len(s) {
		c := s[i]
		var d int
		switch {
		case isDigit(c):
			d = int(c - '0')
		case isAlpha(c):
			d = int(c|0x20-'a') + 10
		default:
			d = 99
		}
		if d >= base {
			L.Push(lua.LNil)
			return 1
		}
		if n > (1<<64-1-uint64(d))/uint64(base) {
			over = true
		}
		n = n*uint64(base) + uint64(d)
	}
	if s == "" {
		L.Push(lua.LNil)
		return 1
	}
	if over {
		n = 1<<64 - 1
	} else if negative {
		n = -n
	}
	L.Push(lua.LNumber(n))
	return 1
}

// tostring is the function of that name.
func (in *Interp) tostring(L *lua.LState, v lua.LValue) string {
	if m := L.GetMetaField(v, "__tostring"); m != lua.LNil {
		L.Push(m)
		L.Push(v)
		in.call(L, 1)
		s, ok := text(L.Get(-1))
		L.Pop(1)
		if ok {
			return s
		}
	}
	if s, ok := text(v); ok {
		return s
	}
	if v == in.null {
		return "userdata: (nil)"
	}
	if f, ok := v.(*lua.LFunction); ok && f.IsG {
		return strings.Replace(v.String(), "function: ", "function: builtin: ", 1)
	}
	return v.String()
}

func (in *Interp) baseToString(L *lua.LState) int {
	v := argAny(L, 1)
	if m := L.GetMetaField(v, "__tostring"); m != lua.LNil {
		L.Push(m)
		L.Push(v)
		in.call(L, 1)
		return 1
	}
	L.Push(lua.LString(in.tostring(L, v)))
	return 1
}

func baseType(L *lua.LState) int {
	L.Push(lua.LString(argAny(L, 1).Type().String()))
	return 1
}

func (in *Interp) baseUnpack(L *lua.LState) int {
	t := in.plain(argTable(L, 1))
	from, to := optInt(L, 2, 1), length(t)
	if L.Get(3) != lua.LNil {
		to = argInt(L, 3)
	}
	from, to = int(int32(from)), int(int32(to))
	if from > to {
		return 0
	}
	if n := to - from + 1; n >= 1<<31-1 || n+L.GetTop() > maxResults {
		fail(L, "too many results to unpack")
	}
	for i := from; i <= to; i++ {
		L.Push(t.RawGet(lua.LNumber(i)))
	}
	return to - from + 1
}

// The deprecated functions, which a parameter brings back.

func (in *Interp) baseGetFenv(L *lua.LState) int {
	if f, ok := L.Get(1).(*lua.LFunction); ok && !f.IsG {
		L.Push(f.Env)
		return 1
	}
	L.Push(in.env)
	return 1
}

func (in *Interp) baseSetFenv(L *lua.LState) int {
	env := argTable(L, 2)
	f, ok := L.Get(1).(*lua.LFunction)
	if !ok {
		level := argInt(L, 1)
		d, there := L.GetStack(level)
		if !there || level < 1 {
			badArg(L, 1, "invalid level")
		}
		v, _ := L.GetInfo("f", d, lua.LNil)
		f, ok = v.(*lua.LFunction)
	}
	if !ok || f.IsG {
		fail(L, "'setfenv' cannot change environment of given object")
	}
	f.Env = env
	L.Push(f)
	return 1
}

func baseNewProxy(L *lua.LState) int {
	u := L.NewUserData()
	switch v := L.Get(1).(type) {
	case lua.LBool:
		if bool(v) {
			u.Metatable = L.NewTable()
		}
	case *lua.LUserData:
		u.Metatable = v.Metatable
	}
	L.Push(u)
	return 1
}
