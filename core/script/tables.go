package script

import (
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// The library table.

func (in *Interp) tableLib() map[string]lua.LGFunction {
	return map[string]lua.LGFunction{
		"concat": in.tabConcat, "foreach": in.tabForeach, "foreachi": in.tabForeachi, "getn": in.tabGetn, "insert": in.tabInsert,
		"maxn": in.tabMaxn, "remove": in.tabRemove, "setn": tabSetn, "sort": in.tabSort,
	}
}

// length is a border of a table: an index that is set, with none behind it.
func length(t *lua.LTable) int {
	n := t.Len()
	if n < maxIndex-1 || t.RawGet(lua.LNumber(n+1)) == lua.LNil {
		return n
	}
	high := 2 * n
	for t.RawGet(lua.LNumber(high)) != lua.LNil {
		n, high = high, 2*high
	}
	for high-n > 1 {
		if mid := (n + high) / 2; t.RawGet(lua.LNumber(mid)) == lua.LNil {
			high = mid
		} else {
			n = mid
		}
	}
	return n
}

// lenOf is what the operator # is compiled to.
func (in *Interp) lenOf(L *lua.LState) int {
	switch v := L.Get(1).(type) {
	case lua.LString:
		L.Push(lua.LNumber(len(v)))
	case *lua.LTable:
		L.Push(lua.LNumber(length(v)))
	default:
		fail(L, "%s", in.named(L, "get length of", v))
	}
	return 1
}

// bound is a bound of a numeric for: text that is a number counts as one. What is
// no number stays as it is, for the loop to refuse.
func bound(L *lua.LState) int {
	v := L.Get(1)
	if n, ok := number(v); ok {
		v = lua.LNumber(n)
	}
	L.Push(v)
	return 1
}

func tabSetn(L *lua.LState) int {
	argTable(L, 1)
	fail(L, "'setn' is obsolete")
	return 0
}

func (in *Interp) tabConcat(L *lua.LState) int {
	t := in.plain(argTable(L, 1))
	sep := optString(L, 2, "")
	from, to := optInt32(L, 3, 1), length(t)
	if L.Get(4) != lua.LNil {
		to = argInt32(L, 4)
	}
	var b strings.Builder
	for i := from; i <= to; i++ {
		s, ok := text(t.RawGet(lua.LNumber(i)))
		if !ok {
			fail(L, "invalid value (%s) at index %d in table for 'concat'", t.RawGet(lua.LNumber(i)).Type().String(), i)
		}
		in.bounded(L, b.Len()+len(s)+len(sep))
		b.WriteString(s)
		if i < to {
			b.WriteString(sep)
		}
	}
	in.charge(L, b.Len())
	L.Push(lua.LString(b.String()))
	return 1
}

func (in *Interp) tabForeach(L *lua.LState) int {
	t := in.plain(argTable(L, 1))
	for k, v := t.Next(lua.LNil); k != lua.LNil; k, v = t.Next(k) {
		if in.visit(L, k, v) {
			return 1
		}
	}
	return 0
}

func (in *Interp) tabForeachi(L *lua.LState) int {
	t := in.plain(argTable(L, 1))
	for i := range length(t) {
		if in.visit(L, lua.LNumber(i+1), t.RawGet(lua.LNumber(i+1))) {
			return 1
		}
	}
	return 0
}

func (in *Interp) visit(L *lua.LState, k, v lua.LValue) (done bool) {
	if _, ok := L.Get(2).(*lua.LFunction); !ok {
		typeError(L, 2, "function")
	}
	L.Push(L.Get(2))
	L.Push(k)
	L.Push(v)
	in.call(L, 2)
	if L.Get(-1) != lua.LNil {
		return true
	}
	L.Pop(1)
	return false
}

func (in *Interp) tabGetn(L *lua.LState) int {
	L.Push(lua.LNumber(length(in.plain(argTable(L, 1)))))
	return 1
}

func (in *Interp) tabMaxn(L *lua.LState) int {
	t := in.plain(argTable(L, 1))
	most := 0.0
	t.ForEach(func(k, _ lua.LValue) {
		if n, ok := k.(lua.LNumber); ok {
			most = max(most, float64(n))
		}
	})
	L.Push(lua.LNumber(most))
	return 1
}

func (in *Interp) tabInsert(L *lua.LState) int {
	t := argTable(L, 1)
	in.writable(L, t)
	e := length(t) + 1
	switch L.GetTop() {
	case 2:
		t.RawSet(lua.LNumber(e), L.Get(2))
	case 3:
		pos := argInt32(L, 2)
		if pos >= 1 && pos <= length(t) && length(t) < maxIndex {
			t.Insert(pos, L.Get(3))
			break
		}
		if pos > e {
			e = pos
		}
		if pos < 1 && e-pos > maxIndex {
			raise(L, lua.LString(errMemory))
		}
		for i := e; i > pos; i-- {
			t.RawSet(lua.LNumber(i), t.RawGet(lua.LNumber(i-1)))
		}
		t.RawSet(lua.LNumber(pos), L.Get(3))
	default:
		fail(L, "wrong number of arguments to 'insert'")
	}
	return 0
}

func (in *Interp) tabRemove(L *lua.LState) int {
	t := argTable(L, 1)
	e := length(t)
	pos := optInt32(L, 2, e)
	if pos < 1 || pos > e {
		return 0
	}
	in.writable(L, t)
	v := t.RawGet(lua.LNumber(pos))
	if pos < e && e < maxIndex {
		t.Remove(pos)
	} else {
		for ; pos < e; pos++ {
			t.RawSet(lua.LNumber(pos), t.RawGet(lua.LNumber(pos+1)))
		}
		t.RawSet(lua.LNumber(pos), lua.LNil)
	}
	L.Push(v)
	return 1
}

// sorter sorts as Lua 5.1 does, whatever the function says.
type sorter struct {
	in *Interp
	L  *lua.LState
	t  *lua.LTable
	fn lua.LValue
}

func (in *Interp) tabSort(L *lua.LState) int {
	t := argTable(L, 1)
	fn := L.Get(2)
	if fn != lua.LNil {
		if _, ok := fn.(*lua.LFunction); !ok {
			typeError(L, 2, "function")
		}
	}
	s := &sorter{in, L, t, fn}
	s.sort(1, length(t))
	return 0
}

func (s *sorter) get(i int) lua.LValue { return s.t.RawGet(lua.LNumber(i)) }

func (s *sorter) swap(i, j int) {
	a, b := s.get(i), s.get(j)
	s.t.RawSet(lua.LNumber(i), b)
	s.t.RawSet(lua.LNumber(j), a)
}

func (s *sorter) less(a, b lua.LValue) bool {
	if s.fn == lua.LNil {
		return s.in.lessThan(s.L, a, b)
	}
	s.L.Push(s.fn)
	s.L.Push(a)
	s.L.Push(b)
	s.in.call(s.L, 2)
	res := lua.LVAsBool(s.L.Get(-1))
	s.L.Pop(1)
	return res
}

func (s *sorter) sort(l, u int) {
	for l < u {
		if s.less(s.get(u), s.get(l)) {
			s.swap(l, u)
		}
		if u-l == 1 {
			return
		}
		i := (l + u) / 2
		if s.less(s.get(i), s.get(l)) {
			s.swap(i, l)
		} else if s.less(s.get(u), s.get(i)) {
			s.swap(i, u)
		}
		if u-l == 2 {
			return
		}
		p := s.get(i)
		s.swap(i, u-1)
		i, j := l, u-1
		for {
			for i++; s.less(s.get(i), p); i++ {
				if i > u {
					fail(s.L, "invalid order function for sorting")
				}
			}
			for j--; s.less(p, s.get(j)); j-- {
				if j < l {
					fail(s.L, "invalid order function for sorting")
				}
			}
			if j < i {
				break
			}
			s.swap(i, j)
		}
		s.swap(u-1, i)
		if i-l < u-i {
			s.sort(l, i-1)
			l = i + 1
		} else {
			s.sort(i+1, u)
			u = i - 1
		}
	}
}

// lessThan is the operator <.
func (in *Interp) lessThan(L *lua.LState, a, b lua.LValue) bool {
	if x, ok := a.(lua.LNumber); ok {
		if y, ok := b.(lua.LNumber); ok {
			return x < y
		}
	}
	if x, ok := a.(lua.LString); ok {
		if y, ok := b.(lua.LString); ok {
			return x < y
		}
	}
	if a.Type() == b.Type() {
		if m := L.GetMetaField(a, "__lt"); m != lua.LNil && m == L.GetMetaField(b, "__lt") {
			L.Push(m)
			L.Push(a)
			L.Push(b)
			in.call(L, 2)
			res := lua.LVAsBool(L.Get(-1))
			L.Pop(1)
			return res
		}
		raise(L, lua.LString("attempt to compare two "+a.Type().String()+" values"))
	}
	raise(L, lua.LString("attempt to compare "+a.Type().String()+" with "+b.Type().String()))
	return false
}
