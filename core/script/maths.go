package script

import (
	"math"
	"sync"

	lua "github.com/yuin/gopher-lua"
)

// The libraries math and coroutine.

// rand48 is the generator of Redis's math.random: that of POSIX's lrand48, so that a
// seed gives the same numbers everywhere.
type rand48 struct {
	mu sync.Mutex
	x  uint64
}

func newRand48() *rand48 { return &rand48{x: 0x1234ABCD330E} }

func (r *rand48) seed(n int32) {
	r.mu.Lock()
	r.x = uint64(uint32(n))<<16 + 0x330E
	r.mu.Unlock()
}

func (r *rand48) next() int32 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.x = (r.x*0x5DEECE66D + 0xB) & (1<<48 - 1)
	return int32(r.x >> 17)
}

func (in *Interp) mathLib() *lua.LTable {
	t := in.L.NewTable()
	for name, f := range map[string]func(float64) float64{
		"abs": math.Abs, "acos": math.Acos, "asin": math.Asin, "atan": math.Atan, "ceil": math.Ceil, "cos": math.Cos, "cosh": math.Cosh,
		"exp": math.Exp, "floor": math.Floor, "log": math.Log, "log10": math.Log10, "sin": math.Sin, "sinh": math.Sinh,
		"sqrt": math.Sqrt, "tan": math.Tan, "tanh": math.Tanh,
		"deg": func(f float64) float64 { return f / (math.Pi / 180) }, "rad": func(f float64) float64 { return f * (math.Pi / 180) },
	} {
		t.RawSetString(name, in.L.NewFunction(func(L *lua.LState) int {
			L.Push(lua.LNumber(f(argNumber(L, 1))))
			return 1
		}))
	}
	for name, f := range map[string]func(a, b float64) float64{"atan2": math.Atan2, "fmod": math.Mod, "mod": math.Mod, "pow": math.Pow} {
		t.RawSetString(name, in.L.NewFunction(func(L *lua.LState) int {
			L.Push(lua.LNumber(f(argNumber(L, 1), argNumber(L, 2))))
			return 1
		}))
	}
	for name, f := range map[string]lua.LGFunction{
		"frexp": mathFrexp, "ldexp": mathLdexp, "max": mathMax, "min": mathMin, "modf": mathModf, "random": in.mathRandom, "randomseed": in.mathSeed,
	} {
		t.RawSetString(name, in.L.NewFunction(f))
	}
	t.RawSetString("pi", lua.LNumber(math.Pi))
	t.RawSetString("huge", lua.LNumber(math.Inf(1)))
	return t
}

func mathFrexp(L *lua.LState) int {
	f, e := math.Frexp(argNumber(L, 1))
	L.Push(lua.LNumber(f))
	L.Push(lua.LNumber(e))
	return 2
}

func mathLdexp(L *lua.LState) int {
	L.Push(lua.LNumber(math.Ldexp(argNumber(L, 1), int(int32(argInt(L, 2))))))
	return 1
}

func mathModf(L *lua.LState) int {
	f := argNumber(L, 1)
	if math.IsInf(f, 0) {
		L.Push(lua.LNumber(f))
		L.Push(lua.LNumber(0))
		return 2
	}
	whole, frac := math.Modf(f)
	L.Push(lua.LNumber(whole))
	L.Push(lua.LNumber(frac))
	return 2
}

func mathMax(L *lua.LState) int {
	m := argNumber(L, 1)
	for i := 2; i <= L.GetTop(); i++ {
		if f := argNumber(L, i); f > m {
			m = f
		}
	}
	L.Push(lua.LNumber(m))
	return 1
}

func mathMin(L *lua.LState) int {
	m := argNumber(L, 1)
	for i := 2; i <= L.GetTop(); i++ {
		if f := argNumber(L, i); f < m {
			m = f
		}
	}
	L.Push(lua.LNumber(m))
	return 1
}

func (in *Interp) mathRandom(L *lua.LState) int {
	if in.host == nil {
		fail(L, "math.random can only be called inside a script invocation")
	}
	r := float64(in.random.next()%math.MaxInt32) / math.MaxInt32
	switch L.GetTop() {
	case 0:
		L.Push(lua.LNumber(r))
	case 1:
		u := int32(argInt(L, 1))
		if u < 1 {
			badArg(L, 1, "interval is empty")
		}
		L.Push(lua.LNumber(math.Floor(r*float64(u)) + 1))
	case 2:
		l, u := int32(argInt(L, 1)), int32(argInt(L, 2))
		if l > u {
			badArg(L, 2, "interval is empty")
		}
		L.Push(lua.LNumber(math.Floor(r*float64(u-l+1)) + float64(l)))
	default:
		fail(L, "wrong number of arguments")
	}
	return 1
}

func (in *Interp) mathSeed(L *lua.LState) int {
	if in.host == nil {
		fail(L, "math.randomseed can only be called inside a script invocation")
	}
	in.random.seed(int32(argInt(L, 1)))
	return 0
}

// coroutineLib is gopher-lua's, with coroutines that are counted and ended as the
// script is.
func (in *Interp) coroutineLib() *lua.LTable {
	L := in.L
	L.Push(L.NewFunction(lua.OpenCoroutine))
	L.Call(0, 1)
	t := L.Get(-1).(*lua.LTable)
	L.Pop(1)
	create := t.RawGetString("create").(*lua.LFunction).GFunction
	wrap := t.RawGetString("wrap").(*lua.LFunction).GFunction
	t.RawSetString("create", L.NewFunction(func(L *lua.LState) int {
		if f, ok := L.Get(1).(*lua.LFunction); !ok || f.IsG {
			badArg(L, 1, "Lua function expected")
		}
		n := create(L)
		L.Get(-1).(*lua.LState).SetContext(in.ticker)
		return n
	}))
	resume := t.RawGetString("resume").(*lua.LFunction).GFunction
	t.RawSetString("resume", L.NewFunction(func(L *lua.LState) int {
		co, ok := L.Get(1).(*lua.LState)
		if !ok {
			badArg(L, 1, "coroutine expected")
		}
		if status := L.Status(co); status != "suspended" {
			L.Push(lua.LFalse)
			L.Push(lua.LString("cannot resume " + status + " coroutine"))
			return 2
		}
		co.SetContext(in.ticker)
		in.nest(L)
		defer func() { in.nesting-- }()
		n := resume(L)
		if s, ok := L.Get(-1).(lua.LString); ok && n == 2 && L.Get(-2) == lua.LFalse {
			L.Pop(1)
			L.Push(lua.LString(in.translate(string(s))))
		}
		return n
	}))
	yield := t.RawGetString("yield").(*lua.LFunction).GFunction
	t.RawSetString("yield", L.NewFunction(func(L *lua.LState) int {
		if L.Parent == nil || in.callbacks[L] > 0 {
			raise(L, lua.LString("attempt to yield across metamethod/C-call boundary"))
		}
		return yield(L)
	}))
	t.RawSetString("running", L.NewFunction(func(L *lua.LState) int {
		for in.within[L] != nil {
			L = in.within[L]
		}
		if L == in.thread {
			return 0
		}
		L.Push(L)
		return 1
	}))
	t.RawSetString("wrap", L.NewFunction(func(L *lua.LState) int {
		if f, ok := L.Get(1).(*lua.LFunction); !ok || f.IsG {
			badArg(L, 1, "Lua function expected")
		}
		n := wrap(L)
		wrapped := L.Get(-1).(*lua.LFunction)
		co := wrapped.Upvalues[0].Value().(*lua.LState)
		co.SetContext(in.ticker)
		next := wrapped.GFunction
		wrapped.GFunction = func(L *lua.LState) int {
			if status := L.Status(co); status != "suspended" {
				fail(L, "cannot resume %s coroutine", status)
			}
			in.nest(L)
			defer func() { in.nesting-- }()
			return next(L)
		}
		return n
	}))
	return t
}
