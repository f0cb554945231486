package script

import (
	"math"

	lua "github.com/yuin/gopher-lua"
)

// The library bit, after Mike Pall's BitOp 1.0.2: operations on 32 bits.

func bitLib() map[string]lua.LGFunction {
	fold := func(f func(a, b uint32) uint32) lua.LGFunction {
		return func(L *lua.LState) int {
			b := bitArg(L, 1)
			for i := L.GetTop(); i > 1; i-- {
				b = f(b, bitArg(L, i))
			}
			return bitPush(L, b)
		}
	}
	shift := func(f func(b, n uint32) uint32) lua.LGFunction {
		return func(L *lua.LState) int { return bitPush(L, f(bitArg(L, 1), bitArg(L, 2)&31)) }
	}
	return map[string]lua.LGFunction{
		"tobit":   func(L *lua.LState) int { return bitPush(L, bitArg(L, 1)) },
		"bnot":    func(L *lua.LState) int { return bitPush(L, ^bitArg(L, 1)) },
		"band":    fold(func(a, b uint32) uint32 { return a & b }),
		"bor":     fold(func(a, b uint32) uint32 { return a | b }),
		"bxor":    fold(func(a, b uint32) uint32 { return a ^ b }),
		"lshift":  shift(func(b, n uint32) uint32 { return b << n }),
		"rshift":  shift(func(b, n uint32) uint32 { return b >> n }),
		"arshift": shift(func(b, n uint32) uint32 { return uint32(int32(b) >> n) }),
		"rol":     shift(func(b, n uint32) uint32 { return b<<n | b>>(32-n) }),
		"ror":     shift(func(b, n uint32) uint32 { return b<<(32-n) | b>>n }),
		"bswap": func(L *lua.LState) int {
			b := bitArg(L, 1)
			return bitPush(L, b>>24|b>>8&0xff00|b&0xff00<<8|b<<24)
		},
		"tohex": bitToHex,
	}
}

// bitArg is a number modulo 2^32, rounded to an even integer if it has a fraction.
func bitArg(L *lua.LState, n int) uint32 {
	f, ok := number(L.Get(n))
	b := uint32(math.Float64bits(f + 6755399441055744.0))
	if !ok {
		typeError(L, n, "number")
	}
	return b
}

func bitPush(L *lua.LState, b uint32) int {
	L.Push(lua.LNumber(int32(b)))
	return 1
}

func bitToHex(L *lua.LState) int {
	b, n, digits := bitArg(L, 1), int32(8), "0123456789abcdef"
	if L.GetTop() >= 2 {
		n = int32(bitArg(L, 2))
	}
	if n < 0 {
		if n == math.MinInt32 {
			n++
		}
		n, digits = -n, "0123456789ABCDEF"
	}
	out := make([]byte, min(n, 8))
	for i := len(out) - 1; i >= 0; i-- {
		out[i] = digits[b&15]
		b >>= 4
	}
	L.Push(lua.LString(out))
	return 1
}
