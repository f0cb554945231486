package script

import (
	"encoding/binary"
	"math"

	lua "github.com/yuin/gopher-lua"
)

// The library cmsgpack, after Salvatore Sanfilippo's lua-cmsgpack 0.4.0.

const (
	maxPacking   = 16 // tables within each other; what is deeper is nil
	maxUnpacking = 5000
)

func (in *Interp) msgpackLib() *lua.LTable {
	L := in.L
	t := L.NewTable()
	for name, fn := range map[string]lua.LGFunction{
		"pack":   in.msgpackPack,
		"unpack": func(L *lua.LState) int { return in.msgpackUnpack(L, 0, 0) },
		"unpack_one": func(L *lua.LState) int {
			return in.msgpackUnpack(L, 1, optInt(L, 2, 0))
		},
		"unpack_limit": func(L *lua.LState) int {
			limit := argInt(L, 2)
			return in.msgpackUnpack(L, limit, optInt(L, 3, 0))
		},
	} {
		t.RawSetString(name, L.NewFunction(fn))
	}
	t.RawSetString("_NAME", lua.LString("cmsgpack"))
	t.RawSetString("_VERSION", lua.LString("lua-cmsgpack 0.4.0"))
	t.RawSetString("_COPYRIGHT", lua.LString("Copyright (C) 2012, Salvatore Sanfilippo"))
	t.RawSetString("_DESCRIPTION", lua.LString("MessagePack C implementation for Lua"))
	return t
}

// packer is one call of cmsgpack.pack.
type packer struct {
	in  *Interp
	L   *lua.LState
	out []byte
}

func (in *Interp) msgpackPack(L *lua.LState) int {
	n := L.GetTop()
	if n == 0 {
		badArg(L, 0, "MessagePack pack needs input.")
	}
	p := &packer{in: in, L: L}
	for i := 1; i <= n; i++ {
		p.value(L.Get(i), 0)
	}
	in.charge(L, len(p.out))
	L.Push(lua.LString(p.out))
	return 1
}

func (p *packer) value(v lua.LValue, level int) {
	p.in.bounded(p.L, len(p.out))
	switch v := v.(type) {
	case lua.LString:
		p.header(len(v), 0xa0, 32, 0xd9, 0xda, 0xdb)
		p.out = append(p.out, v...)
	case lua.LBool:
		p.out = append(p.out, 0xc2)
		if bool(v) {
			p.out[len(p.out)-1] = 0xc3
		}
	case lua.LNumber:
		p.number(float64(v))
	case *lua.LTable:
		if level == maxPacking {
			p.out = append(p.out, 0xc0)
			return
		}
		p.table(p.in.plain(v), level)
	default:
		p.out = append(p.out, 0xc0)
	}
}

// header writes a length: within the first byte when it is below small, else behind
// one of three, the first of which is 0 when there is no form with a single byte.
func (p *packer) header(n int, fix byte, small int, one, two, four byte) {
	switch {
	case n < small:
		p.out = append(p.out, fix|byte(n))
	case n <= 0xff && one != 0:
		p.out = append(p.out, one, byte(n))
	case n <= 0xffff:
		p.out = binary.BigEndian.AppendUint16(append(p.out, two), uint16(n))
	default:
		p.out = binary.BigEndian.AppendUint32(append(p.out, four), uint32(n))
	}
}

func (p *packer) number(f float64) {
	if n := integer(f); float64(n) == f && f < 9223372036854775808 {
		p.integer(n)
		return
	}
	if f == float64(float32(f)) {
		p.out = binary.BigEndian.AppendUint32(append(p.out, 0xca), math.Float32bits(float32(f)))
		return
	}
	p.out = binary.BigEndian.AppendUint64(append(p.out, 0xcb), math.Float64bits(f))
}

func (p *packer) integer(n int64) {
	switch {
	case n >= 0 && n <= 127, n < 0 && n >= -32:
		p.out = append(p.out, byte(n))
	case n >= 0 && n <= 0xff:
		p.out = append(p.out, 0xcc, byte(n))
	case n >= 0 && n <= 0xffff:
		p.out = binary.BigEndian.AppendUint16(append(p.out, 0xcd), uint16(n))
	case n >= 0 && n <= 0xffffffff:
		p.out = binary.BigEndian.AppendUint32(append(p.out, 0xce), uint32(n))
	case n >= 0:
		p.out = binary.BigEndian.AppendUint64(append(p.out, 0xcf), uint64(n))
	case n >= math.MinInt8:
		p.out = append(p.out, 0xd0, byte(n))
	case n >= math.MinInt16:
		p.out = binary.BigEndian.AppendUint16(append(p.out, 0xd1), uint16(n))
	case n >= math.MinInt32:
		p.out = binary.BigEndian.AppendUint32(append(p.out, 0xd2), uint32(n))
	default:
		p.out = binary.BigEndian.AppendUint64(append(p.out, 0xd3), uint64(n))
	}
}

func (p *packer) table(t *lua.LTable, level int) {
	count, most, array := 0, 0.0, true
	for k, _ := t.Next(lua.LNil); k != lua.LNil; k, _ = t.Next(k) {
		n, ok := k.(lua.LNumber)
		if !ok || n <= 0 || float64(int32Of(float64(n))) != float64(n) {
			array = false
		}
		most = max(most, float64(n))
		count++
	}
	if array && most == float64(count) {
		p.header(count, 0x90, 16, 0, 0xdc, 0xdd)
		for i := 1; i <= count; i++ {
			p.value(t.RawGet(lua.LNumber(i)), level+1)
		}
		return
	}
	p.header(count, 0x80, 16, 0, 0xde, 0xdf)
	for k, v := t.Next(lua.LNil); k != lua.LNil; k, v = t.Next(k) {
		p.value(k, level+1)
		p.value(v, level+1)
	}
}

// unpacker is one call of cmsgpack.unpack.
type unpacker struct {
	in    *Interp
	L     *lua.LState
	s     string
	depth int
	n     int // of values
}

func (in *Interp) msgpackUnpack(L *lua.LState, limit, offset int) int {
	s := argString(L, 1)
	all := limit == 0 && offset == 0
	switch {
	case offset < 0 || limit < 0:
		fail(L, "Invalid request to unpack with offset of %d and limit of %d.", int32(offset), len(s))
	case offset > len(s):
		fail(L, "Start offset %d greater than input length %d.", offset, len(s))
	}
	if all {
		limit = math.MaxInt32
	}
	u := &unpacker{in: in, L: L, s: s[offset:]}
	var values []lua.LValue
	for len(u.s) > 0 && len(values) < limit {
		if len(values) >= maxResults {
			fail(L, "stack overflow (too many return values at once; use unpack_one or unpack_limit instead.)")
		}
		values = append(values, u.value())
	}
	n := len(values)
	if !all {
		n++
		if len(u.s) == 0 {
			L.Push(lua.LNumber(-1))
		} else {
			L.Push(lua.LNumber(len(s) - len(u.s)))
		}
	}
	for _, v := range values {
		L.Push(v)
	}
	return n
}

// take takes n bytes behind the first skip.
func (u *unpacker) take(skip, n int) string {
	if n > len(u.s)-skip {
		fail(u.L, "Missing bytes in input.")
	}
	s := u.s[skip : skip+n]
	u.s = u.s[skip+n:]
	return s
}

// uint takes the first byte and a number of n bytes behind it.
func (u *unpacker) uint(n int) uint64 {
	var v uint64
	for _, c := range []byte(u.take(1, n)) {
		v = v<<8 | uint64(c)
	}
	return v
}

func (u *unpacker) value() lua.LValue {
	if len(u.s) == 0 {
		fail(u.L, "Missing bytes in input.")
	}
	if u.n++; u.n%ticksEvery == 0 {
		u.in.tickIn(u.L)
	}
	switch c := u.s[0]; c {
	case 0xcc:
		return lua.LNumber(u.uint(1))
	case 0xcd:
		return lua.LNumber(u.uint(2))
	case 0xce:
		return lua.LNumber(u.uint(4))
	case 0xcf:
		return lua.LNumber(int64(u.uint(8)))
	case 0xd0:
		return lua.LNumber(int8(u.uint(1)))
	case 0xd1:
		return lua.LNumber(int16(u.uint(2)))
	case 0xd2:
		return lua.LNumber(int32(u.uint(4)))
	case 0xd3:
		return lua.LNumber(int64(u.uint(8)))
	case 0xc0:
		u.take(1, 0)
		return lua.LNil
	case 0xc2, 0xc3:
		u.take(1, 0)
		return lua.LBool(c == 0xc3)
	case 0xca:
		return lua.LNumber(math.Float32frombits(uint32(u.uint(4))))
	case 0xcb:
		return lua.LNumber(math.Float64frombits(u.uint(8)))
	case 0xd9:
		return u.string(int(u.uint(1)))
	case 0xda:
		return u.string(int(u.uint(2)))
	case 0xdb:
		return u.string(int(u.uint(4)))
	case 0xdc:
		return u.array(int(u.uint(2)))
	case 0xdd:
		return u.array(int(u.uint(4)))
	case 0xde:
		return u.table(int(u.uint(2)))
	case 0xdf:
		return u.table(int(u.uint(4)))
	default:
		switch {
		case c&0x80 == 0:
			u.take(1, 0)
			return lua.LNumber(c)
		case c&0xe0 == 0xe0:
			u.take(1, 0)
			return lua.LNumber(int8(c))
		case c&0xe0 == 0xa0:
			u.take(1, 0)
			return u.string(int(c & 0x1f))
		case c&0xf0 == 0x90:
			u.take(1, 0)
			return u.array(int(c & 0xf))
		case c&0xf0 == 0x80:
			u.take(1, 0)
			return u.table(int(c & 0xf))
		}
	}
	fail(u.L, "Bad data format in input.")
	return nil
}

func (u *unpacker) string(n int) lua.LValue { return lua.LString(u.take(0, n)) }

func (u *unpacker) descend() {
	if u.depth++; u.depth > maxUnpacking {
		fail(u.L, "stack overflow (too many return values at once; use unpack_one or unpack_limit instead.)")
	}
}

func (u *unpacker) array(n int) lua.LValue {
	u.descend()
	t := u.L.NewTable()
	for i := 1; i <= n; i++ {
		if v := u.value(); v != lua.LNil {
			t.RawSetInt(i, v)
		}
	}
	u.depth--
	return t
}

func (u *unpacker) table(n int) lua.LValue {
	u.descend()
	t := u.L.NewTable()
	for range n {
		k, v := u.value(), u.value()
		u.in.rawSet(u.L, t, k, v)
	}
	u.depth--
	return t
}
