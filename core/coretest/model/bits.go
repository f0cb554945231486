package model

import (
	"math"
	"math/bits"
	"strconv"
	"strings"
)

func bitCommands() map[string]command {
	return map[string]command{
		"setbit": {4, true, func(k *call) Reply {
			v := k.edit(k.args[1], kindString)
			old := field{width: 1}.of(v.str, k.int(k.args[2]))
			v.str = field{width: 1}.put(v.str, k.int(k.args[2]), k.int(k.args[3]))
			k.put(k.args[1], v)
			return integer(old)
		}},
		"getbit": {3, false, func(k *call) Reply {
			return integer(field{width: 1}.of(k.edit(k.args[1], kindString).str, k.int(k.args[2])))
		}},
		"bitcount": {2, false, func(k *call) Reply {
			n := 0
			for _, b := range []byte(k.edit(k.args[1], kindString).str) {
				n += bits.OnesCount8(b)
			}
			return count(n)
		}},
		"bitop":    {4, true, bitop},
		"bitfield": {2, true, bitfield},
	}
}

// bitop is BITOP operation destination source…
func bitop(k *call) Reply {
	var from []string
	long := 0
	for _, key := range k.args[3:] {
		s := k.edit(key, kindString).str
		from = append(from, s)
		long = max(long, len(s))
	}
	out := make([]byte, long)
	for i := range out {
		at := make([]byte, len(from))
		for n, s := range from {
			if i < len(s) {
				at[n] = s[i]
			}
		}
		out[i] = combine(strings.ToLower(k.args[1]), at)
	}
	k.put(k.args[2], nil)
	if long > 0 {
		k.setString(k.args[2], string(out), 0)
	}
	return count(long)
}

// combine is what an operation makes of a byte of each source.
func combine(op string, from []byte) byte {
	first, others := from[0], byte(0)
	all, odd, once, twice := first, first, first, byte(0)
	for _, b := range from[1:] {
		others |= b
		all &= b
		odd ^= b
		twice |= once & b
		once |= b
	}
	return map[string]byte{
		"and": all, "or": once, "xor": odd, "not": ^first,
		"diff": first &^ others, "diff1": others &^ first, "andor": first & others, "one": once &^ twice,
	}[op]
}

// field is a type of BITFIELD's.
type field struct {
	signed bool
	width  int64
}

// bit is where in a string a bit is, the highest of a byte first.
func bit(at int64) (index int, mask byte) { return int(at / 8), 0x80 >> (at % 8) }

// of reads the field at a bit; what is beyond the string is zero.
func (f field) of(s string, at int64) (n int64) {
	for i := range f.width {
		index, mask := bit(at + i)
		n <<= 1
		if index < len(s) && s[index]&mask != 0 {
			n |= 1
		}
	}
	if f.signed && n&(1<<(f.width-1)) != 0 {
		n -= 1 << f.width
	}
	return n
}

// put writes the field and makes the string as long as it has to be.
func (f field) put(s string, at, n int64) string {
	b := []byte(s)
	last, _ := bit(at + f.width - 1)
	if last >= len(b) {
		b = append(b, make([]byte, last+1-len(b))...)
	}
	for i := range f.width {
		index, mask := bit(at + i)
		b[index] &^= mask
		if n>>(f.width-1-i)&1 != 0 {
			b[index] |= mask
		}
	}
	return string(b)
}

// bounded is n as OVERFLOW says, ok is false where FAIL refuses it.
func (f field) bounded(n int64, overflow string) (_ int64, ok bool) {
	low, high := int64(0), int64(1)<<f.width-1
	if f.signed {
		low, high = -1<<(f.width-1), 1<<(f.width-1)-1
	}
	if n >= low && n <= high {
		return n, true
	}
	switch overflow {
	case "fail":
		return 0, false
	case "sat":
		return min(max(n, low), high), true
	}
	n &= 1<<f.width - 1
	if f.signed && n > high {
		n -= 1 << f.width
	}
	return n, true
}

// bitfield knows types of less than 32 bits, and offsets without "#".
func bitfield(k *call) Reply {
	v := k.edit(k.args[1], kindString)
	r, overflow := array(), "wrap"
	for a := k.args[2:]; len(a) > 0; {
		verb := strings.ToLower(a[0])
		if verb == "overflow" {
			overflow, a = strings.ToLower(a[1]), a[2:]
			continue
		}
		width, err := strconv.Atoi(a[1][1:])
		k.require(err == nil && width < 32, errSyntax)
		f, at := field{a[1][0] == 'i', int64(width)}, k.int(a[2])
		old := f.of(v.str, at)
		if verb == "get" {
			r.elems, a = append(r.elems, integer(old)), a[3:]
			continue
		}
		n, says := k.int(a[3]), old
		switch {
		case verb == "incrby":
			k.require(n < math.MaxInt32 && n > math.MinInt32, errSyntax)
			n += old
		case !f.signed:
			n &= math.MaxInt64 // a negative number is a large one
		}
		n, fits := f.bounded(n, overflow)
		if verb == "incrby" {
			says = n
		}
		if fits {
			r.elems = append(r.elems, integer(says))
		} else {
			n = old // the string gets its length all the same
			r.elems = append(r.elems, nul)
		}
		v.str = f.put(v.str, at, n)
		k.put(k.args[1], v)
		a = a[4:]
	}
	return r
}
