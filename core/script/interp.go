package script

import (
	"context"
	"errors"
	"fmt"
	"runtime/metrics"

	lua "github.com/yuin/gopher-lua"
)

// Host is what a script reaches of the engine around it. It is called by the goroutine
// that runs the script.
type Host interface {
	// Call executes a command and returns its reply, encoded for protocol proto. A
	// command that is refused is not executed; refused is then why, in Redis's words,
	// with a minus and a code ahead or without both.
	Call(args [][]byte, proto int) (reply []byte, refused string)
	// Permitted tells whether the user may execute a command; known is false when
	// there is no such command.
	Permitted(args [][]byte) (allowed, known bool)
	// Log writes a line to the engine's log, at one of Redis's levels.
	Log(level int, msg string)
	// Tick is called every so often while the script runs. An error ends it, and
	// the script cannot catch that.
	Tick() error
}

// Limits of a run.
const (
	maxNestedCalls = 10_000    // within a pcall or a coroutine
	maxNesting     = 100       // of those within each other, each of which has a stack
	maxCalls       = 20_000    // within each other; Lua's LUAI_MAXCALLS
	maxSlots       = 1_000_000 // of the stack
	maxResults     = 8_000     // that a function returns at once; Lua's LUAI_MAXCSTACK
	maxGrowth      = 1 << 30   // bytes by which the heap may grow
	tickEvery      = 10_000    // instructions
	bigPiece       = 1 << 20   // bytes after which memory is looked at
	errMemory      = "not enough memory"
	maxIndex       = 1<<20 - 1    // of tables' array part: gopher-lua fills it up to an index that is set
	hiddenCat      = "\x00concat" // what the operator .. calls; no source can name it
	hiddenLen      = "\x00len"    // and the operator #
	hiddenFor      = "\x00for"    // and a numeric for, with each of its bounds
)

// hidden are the functions that no source can name.
var hidden = []string{hiddenCat, hiddenLen, hiddenFor}

// registryKey is where a function finds the interpreter.
const registryKey = "\x00interp"

func init() { lua.MaxArrayIndex = maxIndex }

// Interp is an interpreter.
type Interp struct {
	L          *lua.LState
	host       Host   // of the run; nil while there is none
	proto      int    // that the script has asked for
	growth     uint64 // bytes by which the heap may grow
	ticker     *ticker
	load       *loading // of the library that is being loaded, nil
	globals    *lua.LTable
	env        *lua.LTable // that scripts have for globals
	envMeta    *lua.LTable
	behind     map[*lua.LTable]*lua.LTable // the table behind a read-only one
	front      map[*lua.LTable]*lua.LTable // and back
	notes      map[string]*notes           // of chunks, by what messages call them
	sources    map[string]string           // of chunks that scripts have loaded
	random     *rand48
	null       *lua.LUserData // cjson.null
	deprecated bool

	thread    *lua.LState                 // that runs are on, nil after one has failed
	nesting   int                         // of Go functions that run Lua
	within    map[*lua.LState]*lua.LState // the thread that a pcall on a thread is within
	callbacks map[*lua.LState]int         // by Go functions, that a thread is in
}

// newInterp makes an interpreter without globals. random is shared by those of an engine.
func newInterp(random *rand48, deprecated bool) *Interp {
	in := &Interp{
		L: lua.NewState(lua.Options{
			CallStackSize: maxNestedCalls, RegistrySize: 256, RegistryMaxSize: maxSlots, RegistryGrowStep: 1 << 12,
			SkipOpenLibs: true, MinimizeStackMemory: true,
		}),
		behind: map[*lua.LTable]*lua.LTable{}, front: map[*lua.LTable]*lua.LTable{},
		within: map[*lua.LState]*lua.LState{}, callbacks: map[*lua.LState]int{},
		notes: map[string]*notes{}, sources: map[string]string{},
		random: random, deprecated: deprecated, growth: maxGrowth,
	}
	in.null = &lua.LUserData{Metatable: lua.LNil}
	in.L.G.Registry.RawSetString(registryKey, &lua.LUserData{Value: in, Metatable: lua.LNil})
	in.ticker = &ticker{Context: context.Background(), in: in}
	in.openLibs()
	return in
}

// ticker is the context of an interpreter: gopher-lua asks it before every
// instruction whether it is done, and so it counts them.
type ticker struct {
	context.Context
	in     *Interp
	n      int
	heap   uint64 // at the beginning of the run
	err    error  // why the run ends
	closed chan struct{}
}

// Done implements context.Context.
func (t *ticker) Done() <-chan struct{} {
	if t.n++; t.n >= tickEvery || t.err != nil {
		t.tick()
		return t.closed
	}
	return nil
}

// Err implements context.Context.
func (t *ticker) Err() error {
	if t.err != nil {
		return t.err
	}
	return errors.New("stopped")
}

func (t *ticker) begin() {
	t.n, t.err, t.closed, t.heap = 0, nil, nil, heapBytes()
}

func (t *ticker) tick() {
	t.n = 0
	if t.err != nil {
		return
	}
	if t.in.host != nil {
		t.err = t.in.host.Tick()
	}
	if t.err == nil && heapBytes() > t.heap+t.in.growth {
		t.err = errors.New(errMemory)
	}
	if t.err != nil {
		t.closed = make(chan struct{})
		close(t.closed)
	}
}

// tickIn is for what takes long within one instruction.
func (in *Interp) tickIn(L *lua.LState) {
	if in.ticker.tick(); in.ticker.err != nil {
		raise(L, lua.LString(in.ticker.err.Error()))
	}
}

// charge is told of n bytes that a function is about to take.
func (in *Interp) charge(L *lua.LState, n int) {
	if n >= bigPiece && heapBytes()+uint64(n) > in.ticker.heap+in.growth {
		if in.collect(); heapBytes()+uint64(n) > in.ticker.heap+in.growth {
			raise(L, lua.LString(errMemory))
		}
	}
}

var heapMetric = "/memory/classes/heap/objects:bytes"

// heapBytes is what objects on the heap take, dead ones that were not collected yet
// among them.
func heapBytes() uint64 {
	s := [1]metrics.Sample{{Name: heapMetric}}
	metrics.Read(s[:])
	return s[0].Value.Uint64()
}

// failure is how a run has failed.
type failure struct {
	msg          string // with its code
	source, line string // where; may be empty
	counted      bool   // it was counted as an error before
}

// run calls a function with arguments. The result is its first.
func (in *Interp) run(host Host, fn *lua.LFunction, args ...lua.LValue) (lua.LValue, *failure) {
	in.host, in.proto, in.nesting = host, 2, 0
	in.ticker.begin()
	defer func() {
		in.host = nil
		clear(in.within)
		clear(in.callbacks)
	}()
	if in.thread == nil {
		in.thread = in.newThread(maxCalls)
	}
	results, wrong, failed := in.protect(in.thread, fn, args, 1, in.located)
	if failed {
		in.thread = nil
		return nil, in.failed(wrong)
	}
	return results[0], nil
}

// newThread returns what a function can be run on, with a stack of its own.
func (in *Interp) newThread(calls int) *lua.LState {
	in.L.Options.CallStackSize = calls
	th, _ := in.L.NewThread()
	in.L.Options.CallStackSize = maxNestedCalls
	th.SetContext(in.ticker)
	th.Panic = func(L *lua.LState) { panic(&lua.ApiError{Type: lua.ApiErrorRun, Object: L.Get(-1)}) }
	return th
}

// protect calls a function on a thread, and returns nret results or the error's value.
// handler, if any, turns that into another while the stack is as it was. After an
// error the thread must not be used again: gopher-lua's own PCall, which goes on with
// it, takes locals from closures that still need them.
func (in *Interp) protect(th *lua.LState, fn lua.LValue, args []lua.LValue, nret int, handler func(*lua.LState, lua.LValue) lua.LValue) (results []lua.LValue, wrong lua.LValue, failed bool) {
	g := in.L.G
	before, nesting := g.CurrentThread, in.nesting
	g.CurrentThread = th
	defer func() {
		g.CurrentThread, in.nesting = before, nesting
		if r := recover(); r != nil {
			failed, wrong = true, thrown(r)
			if handler != nil {
				wrong = in.handle(th, handler, wrong)
			}
		}
	}()
	th.SetTop(0)
	th.Push(fn)
	for _, a := range args {
		th.Push(a)
	}
	th.Call(len(args), nret)
	for i := range th.GetTop() {
		results = append(results, th.Get(i+1))
	}
	th.SetTop(0)
	return results, nil, false
}

// thrown is the value of what was recovered. What is no error of Lua is one of
// gopher-lua, in words.
func thrown(r any) lua.LValue {
	api, ok := r.(*lua.ApiError)
	switch {
	case !ok:
		return lua.LString(fmt.Sprint(r))
	case api.Object == nil:
		return lua.LNil
	}
	return api.Object
}

// handle calls a handler, which must not fail.
func (in *Interp) handle(th *lua.LState, handler func(*lua.LState, lua.LValue) lua.LValue, v lua.LValue) (out lua.LValue) {
	defer func() {
		if recover() != nil {
			out = lua.LString("error in error handling")
		}
	}()
	return handler(th, v)
}

// nest counts Go functions that call Lua: each needs room on Go's stack, which may not
// run out.
func (in *Interp) nest(L *lua.LState) {
	if in.nesting++; in.nesting > maxNesting {
		in.nesting = 0 // for the handler
		fail(L, "C stack overflow")
	}
}

// call is L.Call with one result, for a function in Go: what it calls cannot yield.
func (in *Interp) call(L *lua.LState, nargs int) {
	in.callbacks[L]++
	L.Call(nargs, 1)
	in.callbacks[L]--
}

// failed is the failure of a run by the value of its error.
func (in *Interp) failed(v lua.LValue) *failure {
	t, ok := v.(*lua.LTable)
	if !ok {
		msg, _ := text(v)
		if msg == "" {
			msg = "execution failure"
		}
		return &failure{msg: "ERR " + in.translate(msg)}
	}
	f := &failure{msg: "ERR unknown"}
	if s, ok := text(t.RawGetString("err")); ok {
		f.msg = s
	}
	f.source, _ = text(t.RawGetString("source"))
	f.line, _ = text(t.RawGetString("line"))
	f.counted = t.RawGetString("ignore_error_stats_update") == lua.LTrue
	return f
}

// handleError is the function __redis__err__handler.
func (in *Interp) handleError(L *lua.LState) int {
	L.Push(in.located(L, L.Get(1)))
	return 1
}

// located makes a table of an error, with the place where it was raised.
func (in *Interp) located(L *lua.LState, v lua.LValue) lua.LValue {
	t, ok := v.(*lua.LTable)
	if !ok {
		msg, isText := text(v)
		if !isText {
			msg = in.tostring(L, v)
		}
		if in.ticker.err != nil {
			msg = in.ticker.err.Error() // without the place that gopher-lua has put ahead
		}
		t = L.NewTable()
		t.RawSetString("err", lua.LString("ERR "+in.translate(msg)))
	}
	if in.behind[t] != nil || in.front[t] != nil {
		t = L.NewTable()
	}
	if source, line, ok := in.place(L, 0); ok {
		t.RawSetString("source", lua.LString(source))
		t.RawSetString("line", lua.LNumber(line))
	}
	return t
}

// place is where the function at a level of the stack is, or the one that called it if
// it is one of Go.
func (in *Interp) place(L *lua.LState, level int) (source string, line int, ok bool) {
	for i := range 2 {
		d, there := L.GetStack(level + i)
		if !there {
			return source, line, ok
		}
		_, _ = L.GetInfo("Sl", d, lua.LNil)
		source, line, ok = d.Source, d.CurrentLine, true
		if d.Source != "" {
			break
		}
	}
	switch {
	case source == "":
		return "=[C]", -1, ok
	case in.sources[source] != "":
		return in.sources[source], line, ok
	}
	return "@" + source, line, ok
}
