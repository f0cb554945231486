package script

import (
	lua "github.com/yuin/gopher-lua"
)

// A read-only table is an empty one whose metatable shows the real one: everything
// that is written to it goes to __newindex, which refuses it. The functions that go
// round metatables (next, pairs, rawget, table.insert …) know both.

const errReadOnlyTable = "Attempt to modify a readonly table"

// readOnly returns the read-only face of a table, and of all tables in it.
func (in *Interp) readOnly(t *lua.LTable) *lua.LTable {
	if face := in.front[t]; face != nil {
		return face
	}
	L := in.L
	face, meta := L.NewTable(), L.NewTable()
	in.front[t], in.behind[face] = face, t
	meta.RawSetString("__index", t)
	meta.RawSetString("__newindex", L.NewFunction(refuseWrite))
	face.Metatable = meta
	t.ForEach(func(k, v lua.LValue) {
		if inner, ok := v.(*lua.LTable); ok && in.behind[inner] == nil {
			t.RawSet(k, in.readOnly(inner))
		}
	})
	return face
}

func refuseWrite(L *lua.LState) int {
	fail(L, errReadOnlyTable)
	return 0
}

// plain is the table that v shows, or v.
func (in *Interp) plain(t *lua.LTable) *lua.LTable {
	if behind := in.behind[t]; behind != nil {
		return behind
	}
	return t
}

// writable raises an error for a read-only table, when a function of Go writes to it.
func (in *Interp) writable(L *lua.LState, t *lua.LTable) {
	if in.behind[t] != nil || in.front[t] != nil {
		raise(L, lua.LString(errReadOnlyTable))
	}
}

// guard has a table raise an error when what is not in it is read. Where it has the table
// redis, server is another name for that, as in Valkey, which a list of the globals, that
// of Redis 7.0, does not show.
func (in *Interp) guard(t *lua.LTable) {
	meta := in.L.NewTable()
	meta.RawSetString("__index", in.L.NewFunction(func(L *lua.LState) int {
		if redis := t.RawGetString("redis"); redis != lua.LNil && L.Get(2) == lua.LString("server") {
			L.Push(redis)
			return 1
		}
		return missingGlobal(L)
	}))
	t.Metatable = meta
}

func missingGlobal(L *lua.LState) int {
	name, ok := text(L.Get(2))
	if !ok {
		fail(L, "Second argument to luaProtectedTableError must be a string or number")
	}
	// What is named is in the script, which is two levels up.
	fail(L, "Script attempted to access nonexistent global variable '%s'", name)
	return 0
}

// openLibs fills in the globals that all scripts have.
func (in *Interp) openLibs() {
	L := in.L
	g := L.NewTable()
	in.globals = g
	set := func(t *lua.LTable, fns map[string]lua.LGFunction) *lua.LTable {
		for name, fn := range fns {
			t.RawSetString(name, L.NewFunction(fn))
		}
		return t
	}
	set(g, in.baseLib())
	g.RawSetString(hiddenCat, L.NewFunction(in.concat))
	g.RawSetString(hiddenLen, L.NewFunction(in.lenOf))
	g.RawSetString(hiddenFor, L.NewFunction(bound))
	g.RawSetString("_VERSION", lua.LString("Lua 5.1"))
	str := set(L.NewTable(), in.stringLib())
	g.RawSetString("string", str)
	g.RawSetString("table", set(L.NewTable(), in.tableLib()))
	g.RawSetString("math", in.mathLib())
	g.RawSetString("coroutine", in.coroutineLib())
	g.RawSetString("bit", set(L.NewTable(), bitLib()))
	g.RawSetString("struct", set(L.NewTable(), in.structLib()))
	g.RawSetString("cmsgpack", in.msgpackLib())
	g.RawSetString("cjson", in.jsonLib(newJSONConfig()))
	g.RawSetString("redis", in.redisLib())
	ofStrings := L.NewTable()
	ofStrings.RawSetString("__index", str)
	L.SetMetatable(lua.LString(""), ofStrings)
	in.front[ofStrings] = nil
}

// seal closes the globals: what is in them stays.
func (in *Interp) seal() {
	L := in.L
	in.guard(in.globals)
	in.env = L.NewTable()
	in.envMeta = L.NewTable()
	in.envMeta.RawSetString("__index", in.globals)
	in.envMeta.RawSetString("__newindex", L.NewFunction(refuseWrite))
	in.env.Metatable = in.envMeta
	in.behind[in.env], in.front[in.globals] = in.globals, in.env
	in.globals.ForEach(func(k, v lua.LValue) {
		if t, ok := v.(*lua.LTable); ok && in.behind[t] == nil {
			in.globals.RawSet(k, in.readOnly(t))
		}
	})
	in.globals.RawSetString("_G", in.env)
	ofStrings := L.GetMetatable(lua.LString("")).(*lua.LTable)
	delete(in.front, ofStrings)
	in.readOnly(ofStrings)
	L.Env, L.G.Global = in.env, in.env
}

// metatable is what getmetatable shows of a value.
func (in *Interp) metatable(L *lua.LState, v lua.LValue) lua.LValue {
	if t, ok := v.(*lua.LTable); ok {
		v = in.plain(t)
	}
	m := L.GetMetatable(v)
	if t, ok := m.(*lua.LTable); ok {
		if v == in.globals {
			return in.readOnly(t)
		}
		if face := in.front[t]; face != nil {
			return face
		}
	}
	return m
}
