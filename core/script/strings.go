package script

import (
	"bytes"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// The library string.

// maxString bounds the strings that a script makes.
const maxString = 512 << 20

func (in *Interp) stringLib() map[string]lua.LGFunction {
	return map[string]lua.LGFunction{
		"byte": strByte, "char": strChar, "dump": strDump, "find": in.strFind, "format": in.strFormat, "gmatch": in.strGmatch,
		"gfind": in.strGmatch, "gsub": in.strGsub, "len": strLen, "lower": strLower, "match": in.strMatch, "rep": in.strRep,
		"reverse": strReverse, "sub": strSub, "upper": strUpper,
	}
}

// relative is a position in a string of length n; a negative one is from its end.
func relative(pos, n int) int {
	if pos < 0 {
		pos += n + 1
	}
	return max(pos, 0)
}

func strByte(L *lua.LState) int {
	s := argString(L, 1)
	from := relative(optInt(L, 2, 1), len(s))
	to := relative(optInt(L, 3, from), len(s))
	from, to = max(from, 1), min(to, len(s))
	if from > to {
		return 0
	}
	if to-from+1 > maxResults {
		fail(L, "string slice too long")
	}
	for i := from; i <= to; i++ {
		L.Push(lua.LNumber(s[i-1]))
	}
	return to - from + 1
}

func strChar(L *lua.LState) int {
	b := make([]byte, L.GetTop())
	for i := range b {
		c := argInt32(L, i+1)
		if c < 0 || c > 255 {
			badArg(L, i+1, "invalid value")
		}
		b[i] = byte(c)
	}
	L.Push(lua.LString(b))
	return 1
}

// strDump returns what no function can be made of again: compiled code is not loaded.
func strDump(L *lua.LState) int {
	f, ok := L.Get(1).(*lua.LFunction)
	if !ok {
		typeError(L, 1, "function")
	}
	if f.IsG {
		fail(L, "unable to dump given function")
	}
	L.Push(lua.LString("\x1bLuaQ"))
	return 1
}

func (in *Interp) strFind(L *lua.LState) int  { return in.find(L, true) }
func (in *Interp) strMatch(L *lua.LState) int { return in.find(L, false) }

func (in *Interp) find(L *lua.LState, find bool) int {
	s, p := argString(L, 1), argString(L, 2)
	init := min(max(relative(optInt(L, 3, 1), len(s))-1, 0), len(s))
	if find && (lua.LVAsBool(L.Get(4)) || !strings.ContainsAny(p, "^$*+?.([%-")) {
		if i := strings.Index(s[init:], p); i >= 0 {
			L.Push(lua.LNumber(init + i + 1))
			L.Push(lua.LNumber(init + i + len(p)))
			return 2
		}
		L.Push(lua.LNil)
		return 1
	}
	m := &matcher{in: in, L: L, s: s, p: p}
	anchor := strings.HasPrefix(p, "^")
	if anchor {
		m.p = p[1:]
	}
	for at := init; at <= len(s); at++ {
		m.caps = m.caps[:0]
		if e := m.match(at, 0); e >= 0 {
			if find {
				L.Push(lua.LNumber(at + 1))
				L.Push(lua.LNumber(e))
				return 2 + m.push(at, e, false)
			}
			return m.push(at, e, true)
		}
		if anchor {
			break
		}
	}
	L.Push(lua.LNil)
	return 1
}

func (in *Interp) strGmatch(L *lua.LState) int {
	s, p := argString(L, 1), argString(L, 2)
	at := 0
	L.Push(L.NewFunction(func(L *lua.LState) int {
		m := &matcher{in: in, L: L, s: s, p: p}
		for ; at <= len(s); at++ {
			m.caps = m.caps[:0]
			if e := m.match(at, 0); e >= 0 {
				from := at
				if at = e; e == from {
					at++
				}
				return m.push(from, e, true)
			}
		}
		return 0
	}))
	return 1
}

func (in *Interp) strGsub(L *lua.LState) int {
	s, p := argString(L, 1), argString(L, 2)
	switch L.Get(3).(type) {
	case lua.LNumber, lua.LString, *lua.LTable, *lua.LFunction:
	default:
		badArg(L, 3, "string/function/table expected")
	}
	most := optInt32(L, 4, len(s)+1)
	anchor := strings.HasPrefix(p, "^")
	if anchor {
		p = p[1:]
	}
	m := &matcher{in: in, L: L, s: s, p: p}
	var out []byte
	at, n := 0, 0
	for n < most {
		m.caps = m.caps[:0]
		e := m.match(at, 0)
		if e >= 0 {
			n++
			before := len(out)
			out = in.replacement(m, out, at, e)
			in.bounded(L, len(out))
			if len(out)/bigPiece > before/bigPiece {
				in.charge(L, bigPiece)
			}
		}
		switch {
		case e >= 0 && e > at:
			at = e
		case at < len(s):
			out = append(out, s[at])
			at++
		default:
			at++
		}
		if at > len(s) || anchor {
			break
		}
	}
	if at < len(s) {
		out = append(out, s[at:]...)
	}
	in.charge(L, len(out))
	L.Push(lua.LString(out))
	L.Push(lua.LNumber(n))
	return 2
}

// replacement appends what stands for the match from s to e.
func (in *Interp) replacement(m *matcher, out []byte, s, e int) []byte {
	L := m.L
	var v lua.LValue
	switch r := L.Get(3).(type) {
	case *lua.LFunction:
		L.Push(r)
		in.call(L, m.push(s, e, true))
		v = L.Get(-1)
		L.Pop(1)
	case *lua.LTable:
		v = L.GetTable(r, m.value(0, s, e))
	default:
		t, _ := text(r)
		for i := 0; i < len(t); i++ {
			if t[i] != '%' {
				out = append(out, t[i])
				continue
			}
			if i++; i >= len(t) {
				break
			}
			switch {
			case !isDigit(t[i]):
				out = append(out, t[i])
			case t[i] == '0':
				out = append(out, m.s[s:e]...)
			default:
				c, _ := text(m.value(int(t[i]-'1'), s, e))
				out = append(out, c...)
			}
		}
		return out
	}
	if !lua.LVAsBool(v) {
		return append(out, m.s[s:e]...)
	}
	t, ok := text(v)
	if !ok {
		fail(L, "invalid replacement value (a %s)", v.Type().String())
	}
	return append(out, t...)
}

func strLen(L *lua.LState) int {
	L.Push(lua.LNumber(len(argString(L, 1))))
	return 1
}

func mapBytes(L *lua.LState, f func(byte) byte) int {
	b := []byte(argString(L, 1))
	for i, c := range b {
		b[i] = f(c)
	}
	L.Push(lua.LString(b))
	return 1
}

func strLower(L *lua.LState) int {
	return mapBytes(L, func(c byte) byte {
		if c >= 'A' && c <= 'Z' {
			return c + 32
		}
		return c
	})
}

func strUpper(L *lua.LState) int {
	return mapBytes(L, func(c byte) byte {
		if c >= 'a' && c <= 'z' {
			return c - 32
		}
		return c
	})
}

func (in *Interp) strRep(L *lua.LState) int {
	s, n := argString(L, 1), argInt32(L, 2)
	if n <= 0 || s == "" {
		L.Push(lua.LString(""))
		return 1
	}
	if n > maxString/len(s) {
		in.bounded(L, maxString+1)
	}
	in.charge(L, n*len(s))
	L.Push(lua.LString(strings.Repeat(s, n)))
	return 1
}

func strReverse(L *lua.LState) int {
	b := []byte(argString(L, 1))
	for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
		b[i], b[j] = b[j], b[i]
	}
	L.Push(lua.LString(b))
	return 1
}

func strSub(L *lua.LState) int {
	s := argString(L, 1)
	from, to := relative(argInt(L, 2), len(s)), relative(optInt(L, 3, -1), len(s))
	from, to = max(from, 1), min(to, len(s))
	if from > to {
		L.Push(lua.LString(""))
		return 1
	}
	L.Push(lua.LString(s[from-1 : to]))
	return 1
}

// bounded raises an error when a string would become longer than a string may.
func (in *Interp) bounded(L *lua.LState, n int) {
	if n > maxString {
		raise(L, lua.LString(errMemory))
	}
}

// concat is what the operator .. is compiled to: it makes text of numbers as Lua
// does, and bounds what comes out.
func (in *Interp) concat(L *lua.LState) int {
	n := L.GetTop()
	var few [8]string
	parts, size := few[:0], 0
	for i := 1; i <= n; i++ {
		s, ok := text(L.Get(i))
		if !ok {
			return in.concatMeta(L, n)
		}
		parts = append(parts, s)
		size += len(s)
	}
	in.bounded(L, size)
	in.charge(L, size)
	var b strings.Builder
	b.Grow(size)
	for _, s := range parts {
		b.WriteString(s)
	}
	L.Push(lua.LString(b.String()))
	return 1
}

// concatMeta concatenates from the right, pair by pair, with metamethods.
func (in *Interp) concatMeta(L *lua.LState, n int) int {
	v := L.Get(n)
	for i := n - 1; i >= 1; i-- {
		left := L.Get(i)
		a, ok1 := text(left)
		b, ok2 := text(v)
		if ok1 && ok2 {
			in.bounded(L, len(a)+len(b))
			in.charge(L, len(a)+len(b))
			v = lua.LString(a + b)
			continue
		}
		op := L.GetMetaField(left, "__concat")
		if op == lua.LNil {
			op = L.GetMetaField(v, "__concat")
		}
		if op == lua.LNil {
			wrong := left
			if ok1 {
				wrong = v
			}
			fail(L, "%s", in.named(L, "concatenate", wrong))
		}
		L.Push(op)
		L.Push(left)
		L.Push(v)
		in.call(L, 2)
		v = L.Get(-1)
		L.Pop(1)
	}
	L.Push(v)
	return 1
}

func containsNUL(s string) int { return bytes.IndexByte([]byte(s), 0) }
