package script

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	lua "github.com/yuin/gopher-lua"

	"github.com/spillwaydb/spillway/core/resp"
)

// Library is a function library that is compiled.
type Library struct {
	Name      string
	Code      []byte
	Functions []*Function // in the order of their names
}

// Function is a function of a library.
type Function struct {
	Name        string
	Description string
	Described   bool
	Flags       Flags
	fn          *lua.LFunction
}

// Libraries are the function libraries of an engine and the one interpreter that they
// share, in which they keep what they keep. It belongs to one goroutine at a time.
type Libraries struct {
	deprecated func() bool
	random     *rand48
	in         *Interp
	api        *lua.LTable // the globals of a library that is being loaded

	libs  []*Library
	byFn  map[string]*Function
	owner map[string]*Library
}

// NewLibraries returns no libraries yet. They share what is random with scripts.
func NewLibraries(s *Scripts) *Libraries {
	return &Libraries{deprecated: s.deprecated, random: s.random, byFn: map[string]*Function{}, owner: map[string]*Library{}}
}

// loading is a library that is being loaded.
type loading struct {
	functions map[string]*Function
}

// loadTimeout bounds the loading of a library, as in Redis.
const loadTimeout = 500 * time.Millisecond

// All returns the libraries, in the order of their names.
func (l *Libraries) All() []*Library { return l.libs }

// Function returns a function by its name, in any case.
func (l *Libraries) Function(name string) *Function { return l.byFn[strings.ToLower(name)] }

// Remove removes a library.
func (l *Libraries) Remove(name string) {
	l.libs = slices.DeleteFunc(l.libs, func(lib *Library) bool {
		if lib.Name != name {
			return false
		}
		for _, f := range lib.Functions {
			delete(l.byFn, strings.ToLower(f.Name))
		}
		return true
	})
}

// Clear removes all libraries, and with them the interpreter.
func (l *Libraries) Clear() {
	l.libs, l.in = nil, nil
	clear(l.byFn)
}

// Compile compiles a library of this name without adding it. now bounds how long it
// may take; nil does not. The error's text is Redis's, without a code.
func (l *Libraries) Compile(host Host, name string, code []byte, now func() time.Time) (*Library, error) {
	line := strings.IndexByte(string(code), '\n')
	proto, n, err := compile(string(code[max(line, 0):]), "user_function")
	if err != nil {
		return nil, fmt.Errorf("Error compiling function: %w", err)
	}
	if l.in == nil {
		l.start()
	}
	in := l.in
	in.load = &loading{functions: map[string]*Function{}}
	in.envMeta.RawSetString("__index", l.api)
	functions := in.load.functions
	_, failed := in.run(&loadHost{Host: host, now: now}, in.function(proto, n))
	in.load = nil
	in.envMeta.RawSetString("__index", in.globals)
	if failed != nil {
		return nil, errors.New("Error registering functions: " + failed.msg)
	}
	if len(functions) == 0 {
		return nil, errors.New("No functions registered")
	}
	lib := &Library{Name: name, Code: code}
	for _, f := range functions {
		lib.Functions = append(lib.Functions, f)
	}
	slices.SortFunc(lib.Functions, func(a, b *Function) int { return strings.Compare(a.Name, b.Name) })
	return lib, nil
}

// Collides returns the name of a function that a library has and others than those
// that are left out have too, "" for none.
func (l *Libraries) Collides(lib *Library, without func(*Library) bool) string {
	for _, other := range l.libs {
		if without(other) {
			continue
		}
		for _, f := range lib.Functions {
			for _, g := range other.Functions {
				if strings.EqualFold(f.Name, g.Name) {
					return f.Name
				}
			}
		}
	}
	return ""
}

// Add adds a library, in place of the one of its name.
func (l *Libraries) Add(lib *Library) {
	l.Remove(lib.Name)
	l.libs = append(l.libs, lib)
	slices.SortFunc(l.libs, func(a, b *Library) int { return strings.Compare(a.Name, b.Name) })
	for _, f := range lib.Functions {
		l.byFn[strings.ToLower(f.Name)] = f
	}
}

// Run executes a function and appends its reply to out.
func (l *Libraries) Run(host Host, f *Function, keys, args [][]byte, out *resp.Writer) {
	in := l.in
	v, failed := in.run(host, f.fn, in.list(keys), in.list(args))
	in.reply(v, failed, f.Name, out)
	clear(in.sources)
}

func (l *Libraries) start() {
	in := newInterp(l.random, l.deprecated())
	l.in = in
	redis := in.L.NewTable()
	redis.RawSetString("register_function", in.L.NewFunction(in.registerFunction))
	in.addLogAndVersion(redis)
	in.guard(redis)
	l.api = in.L.NewTable()
	l.api.RawSetString("redis", redis)
	for _, name := range hidden {
		l.api.RawSetString(name, in.globals.RawGetString(name))
	}
	in.guard(l.api)
	in.seal()
	l.api.RawSetString("redis", in.readOnly(redis))
}

// loadHost ends a loading that takes too long.
type loadHost struct {
	Host
	now   func() time.Time
	began time.Time
}

func (h *loadHost) Tick() error {
	if h.now == nil {
		return nil
	}
	if h.began.IsZero() {
		h.began = h.now()
	} else if h.now().Sub(h.began) > loadTimeout {
		return errors.New("FUNCTION LOAD timeout")
	}
	return nil
}

// registerFunction is redis.register_function: a name and a function, or a table.
func (in *Interp) registerFunction(L *lua.LState) int {
	if in.load == nil {
		raiseTable(L, "redis.register_function can only be called on FUNCTION LOAD command")
	}
	var f *Function
	switch L.GetTop() {
	case 1:
		f = in.namedFunction(L)
	case 2:
		name, ok := text(L.Get(1))
		if !ok {
			raiseTable(L, "first argument to redis.register_function must be a string")
		}
		fn, ok := L.Get(2).(*lua.LFunction)
		if !ok {
			raiseTable(L, "second argument to redis.register_function must be a function")
		}
		f = &Function{Name: name, fn: fn}
	default:
		raiseTable(L, "wrong number of arguments to redis.register_function")
	}
	if !validName(f.Name) {
		raiseTable(L, "Library names can only contain letters, numbers, or underscores(_) and must be at least one character long")
	}
	if in.load.functions[f.Name] != nil {
		raiseTable(L, "Function already exists in the library")
	}
	in.load.functions[f.Name] = f
	return 0
}

func validName(s string) bool {
	for i := range len(s) {
		if !isLetter(s[i]) && !isDigit(s[i]) {
			return false
		}
	}
	return s != ""
}

func (in *Interp) namedFunction(L *lua.LState) *Function {
	t, ok := L.Get(1).(*lua.LTable)
	if !ok {
		raiseTable(L, "calling redis.register_function with a single argument is only applicable to Lua table (representing named arguments).")
	}
	f, named := new(Function), false
	for k, v := t.Next(lua.LNil); k != lua.LNil; k, v = t.Next(k) {
		key, ok := text(k)
		if !ok {
			raiseTable(L, "named argument key given to redis.register_function is not a string")
		}
		switch strings.ToLower(key) {
		case "function_name":
			if f.Name, named = text(v); !named {
				raiseTable(L, "function_name argument given to redis.register_function must be a string")
			}
		case "description":
			if f.Description, f.Described = text(v); !f.Described {
				raiseTable(L, "description argument given to redis.register_function must be a string")
			}
		case "callback":
			if f.fn, ok = v.(*lua.LFunction); !ok {
				raiseTable(L, "callback argument given to redis.register_function must be a function")
			}
		case "flags":
			list, ok := v.(*lua.LTable)
			if !ok {
				raiseTable(L, "flags argument to redis.register_function must be a table representing function flags")
			}
			for i := 1; ; i++ {
				item := list.RawGet(lua.LNumber(i))
				if item == lua.LNil {
					break
				}
				name, _ := text(item)
				flag := parseFlag(strings.ToLower(name))
				if flag == 0 {
					raiseTable(L, "unknown flag given")
				}
				f.Flags |= flag
			}
		default:
			raiseTable(L, "unknown argument given to redis.register_function")
		}
	}
	if !named {
		raiseTable(L, "redis.register_function must get a function name argument")
	}
	if f.fn == nil {
		raiseTable(L, "redis.register_function must get a callback argument")
	}
	return f
}
