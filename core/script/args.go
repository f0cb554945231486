package script

import (
	"fmt"

	lua "github.com/yuin/gopher-lua"
)

// What a function in Go asks of its arguments, with the errors of Lua's C library.

// fail raises an error that says where the function was called.
func fail(L *lua.LState, format string, args ...any) {
	msg := fmt.Sprintf(format, args...)
	if d, ok := L.GetStack(1); ok {
		if _, err := L.GetInfo("Sl", d, lua.LNil); err == nil && d.CurrentLine > 0 {
			msg = fmt.Sprintf("%s:%d: %s", d.Source, d.CurrentLine, msg)
		}
	}
	raise(L, lua.LString(msg))
}

// raise raises a value as it is.
func raise(L *lua.LState, v lua.LValue) { L.Error(v, 0) }

func badArg(L *lua.LState, n int, msg string) {
	name := "?"
	if d, ok := L.GetStack(0); ok {
		if _, err := L.GetInfo("n", d, lua.LNil); err == nil && d.Name != "" && d.Name[0] != '(' && d.Name[0] != '<' && d.Name != "main chunk" && d.Name != "corountine" {
			name = d.Name
		}
	}
	if isMethod(L, name) {
		if n--; n == 0 {
			fail(L, "calling '%s' on bad self (%s)", name, msg)
		}
	}
	fail(L, "bad argument #%d to '%s' (%s)", n, name, msg)
}

// isMethod tells whether the running function was called as a method: self is no
// argument that is counted.
func isMethod(L *lua.LState, name string) bool {
	d, ok := L.GetStack(1)
	if !ok {
		return false
	}
	_, _ = L.GetInfo("Sl", d, lua.LNil)
	in := L.G.Registry.RawGetString(registryKey).(*lua.LUserData).Value.(*Interp)
	n := in.notes[d.Source]
	if n == nil {
		return false
	}
	method := false
	for _, c := range n.calls[d.CurrentLine] {
		switch c.name {
		case "method '" + name + "'":
			method = true
		case "field '" + name + "'":
			return false
		}
	}
	return method
}

func typeName(L *lua.LState, n int) string {
	if n > L.GetTop() {
		return "no value"
	}
	return L.Get(n).Type().String()
}

func typeError(L *lua.LState, n int, want string) {
	badArg(L, n, want+" expected, got "+typeName(L, n))
}

func argString(L *lua.LState, n int) string {
	s, ok := text(L.Get(n))
	if !ok {
		typeError(L, n, "string")
	}
	return s
}

func argNumber(L *lua.LState, n int) float64 {
	f, ok := number(L.Get(n))
	if !ok {
		typeError(L, n, "number")
	}
	return f
}

func argInt(L *lua.LState, n int) int { return int(integer(argNumber(L, n))) }

// argInt32 is for what the C library takes as an int.
func argInt32(L *lua.LState, n int) int { return int(int32(argInt(L, n))) }

func optInt32(L *lua.LState, n, otherwise int) int { return int(int32(optInt(L, n, otherwise))) }

func optInt(L *lua.LState, n, otherwise int) int {
	if L.Get(n) == lua.LNil {
		return otherwise
	}
	return argInt(L, n)
}

func optString(L *lua.LState, n int, otherwise string) string {
	if L.Get(n) == lua.LNil {
		return otherwise
	}
	return argString(L, n)
}

func argTable(L *lua.LState, n int) *lua.LTable {
	t, ok := L.Get(n).(*lua.LTable)
	if !ok {
		typeError(L, n, "table")
	}
	return t
}

func argAny(L *lua.LState, n int) lua.LValue {
	if n > L.GetTop() {
		badArg(L, n, "value expected")
	}
	return L.Get(n)
}
