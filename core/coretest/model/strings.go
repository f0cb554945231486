package model

import (
	"fmt"
	"math"
	"strings"

	"github.com/zeebo/xxh3"
)

func stringCommands() map[string]command {
	return map[string]command{
		"get": {2, false, func(k *call) Reply { return k.string(k.args[1]) }},
		"set": {3, true, set},
		"setnx": {3, true, func(k *call) Reply {
			if k.get(k.args[1]) != nil {
				return integer(0)
			}
			k.setString(k.args[1], k.args[2], 0)
			return integer(1)
		}},
		"setex":  {4, true, func(k *call) Reply { return k.setFor(1000) }},
		"psetex": {4, true, func(k *call) Reply { return k.setFor(1) }},
		"getset": {3, true, func(k *call) Reply {
			old := k.string(k.args[1])
			k.setString(k.args[1], k.args[2], 0)
			return old
		}},
		"getdel": {2, true, func(k *call) Reply {
			old := k.string(k.args[1])
			k.remove(k.args[1])
			return old
		}},
		"getex": {2, true, getex},
		"mget": {2, false, func(k *call) Reply {
			r := array()
			for _, key := range k.args[1:] {
				if v := k.get(key); v != nil && v.kind == kindString {
					r.elems = append(r.elems, text(v.str))
				} else {
					r.elems = append(r.elems, nul)
				}
			}
			return r
		}},
		"digest": {2, false, func(k *call) Reply {
			if v := k.read(k.args[1], kindString); v != nil {
				return text(digestOf(v.str))
			}
			return nul
		}},
		"delex":  {2, true, delex},
		"msetex": {4, true, msetex},
		"mset": {3, true, func(k *call) Reply {
			k.setPairs()
			return ok
		}},
		"msetnx": {3, true, func(k *call) Reply {
			for i := 1; i < len(k.args); i += 2 {
				if k.get(k.args[i]) != nil {
					return integer(0)
				}
			}
			k.setPairs()
			return integer(1)
		}},
		"append": {3, true, func(k *call) Reply {
			v := k.edit(k.args[1], kindString)
			v.str += k.args[2]
			k.put(k.args[1], v)
			return count(len(v.str))
		}},
		"strlen": {2, false, func(k *call) Reply {
			if v := k.read(k.args[1], kindString); v != nil {
				return count(len(v.str))
			}
			return integer(0)
		}},
		"setrange": {4, true, setrange},
		"getrange": {4, false, func(k *call) Reply {
			start, stop := k.int(k.args[2]), k.int(k.args[3])
			v := k.read(k.args[1], kindString)
			if v == nil || start < 0 && stop < 0 && start > stop {
				return text("")
			}
			n := int64(len(v.str))
			if stop < 0 {
				stop = max(stop+n, 0) // unlike LRANGE's
			}
			from, to := span(start, stop, len(v.str))
			return text(v.str[from:to])
		}},
		"incr":        {2, true, func(k *call) Reply { return k.add(1) }},
		"decr":        {2, true, func(k *call) Reply { return k.add(-1) }},
		"incrby":      {3, true, func(k *call) Reply { return k.add(k.int(k.args[2])) }},
		"decrby":      {3, true, func(k *call) Reply { return k.add(-k.int(k.args[2])) }},
		"incrbyfloat": {3, true, incrbyfloat},
	}
}

// string replies with the string at a key.
func (k *call) string(key string) Reply {
	if v := k.read(key, kindString); v != nil {
		return text(v.str)
	}
	return nul
}

func (k *call) setString(key, s string, deadline int64) {
	k.put(key, &value{kind: kindString, str: s, deadline: deadline})
}

func (k *call) setPairs() {
	k.require(len(k.args)%2 == 1, "ERR wrong number of arguments")
	for i := 1; i < len(k.args); i += 2 {
		k.setString(k.args[i], k.args[i+1], 0)
	}
}

// setFor is SETEX and PSETEX: key, time, value.
func (k *call) setFor(unit int64) Reply {
	n := k.int(k.args[2])
	k.require(n > 0, "ERR invalid expire time")
	k.setString(k.args[1], k.args[3], k.now+n*unit)
	return ok
}

// deadline reads an expiry option and its argument; it tells whether a is one.
func (k *call) deadline(a, arg string) (int64, bool) {
	var base, unit int64
	switch strings.ToLower(a) {
	case "ex":
		base, unit = k.now, 1000
	case "px":
		base, unit = k.now, 1
	case "exat":
		unit = 1000
	case "pxat":
		unit = 1
	default:
		return 0, false
	}
	n := k.int(arg)
	k.require(n > 0, "ERR invalid expire time")
	return base + n*unit, true
}

func set(k *call) Reply {
	key := k.args[1]
	var nx, xx, get, keep bool
	condition, other := "", ""
	deadline := int64(0)
	for i := 3; i < len(k.args); i++ {
		switch a := strings.ToLower(k.args[i]); a {
		case "nx":
			nx = true
		case "xx":
			xx = true
		case "get":
			get = true
		case "keepttl":
			keep = true
		case "ifeq", "ifne", "ifdeq", "ifdne":
			k.require(i+1 < len(k.args), errSyntax)
			condition, other = a, k.args[i+1]
			i++
		default:
			k.require(i+1 < len(k.args), errSyntax)
			d, is := k.deadline(a, k.args[i+1])
			k.require(is, errSyntax)
			deadline = d
			i++
		}
	}
	k.require(!(nx && xx) && !((nx || xx) && condition != ""), errSyntax)
	old := k.get(key)
	met := !(nx && old != nil || xx && old == nil)
	if condition != "" {
		k.read(key, kindString)
		met = k.holds(condition, other, old)
	}
	reply := ok
	if get {
		reply = k.string(key)
	}
	if !met {
		if get {
			return reply
		}
		return nul
	}
	if keep && old != nil {
		deadline = old.deadline
	}
	k.setString(key, k.args[2], deadline)
	if deadline != 0 && deadline <= k.now {
		k.remove(key)
	}
	return reply
}

// digestOf is the digest of a string that DIGEST tells.
func digestOf(s string) string { return fmt.Sprintf("%016x", xxh3.HashString(s)) }

// holds tells whether a condition holds of a string, nil for none, which equals nothing.
func (k *call) holds(condition, other string, v *value) bool {
	same := false
	if digest := condition == "ifdeq" || condition == "ifdne"; v != nil && digest {
		k.require(len(other) == 16, "ERR must be exactly 16 hexadecimal characters")
		same = strings.EqualFold(digestOf(v.str), other)
	} else if v != nil {
		same = v.str == other
	}
	if condition == "ifne" || condition == "ifdne" {
		return !same
	}
	return v != nil && same
}

// delex is DELEX key [condition value].
func delex(k *call) Reply {
	key := k.args[1]
	k.require(len(k.args) == 2 || len(k.args) == 4, "ERR wrong number of arguments")
	v := k.get(key)
	if v == nil {
		return integer(0)
	}
	if len(k.args) == 4 {
		k.require(v.kind == kindString, "ERR Key should be of string type if conditions are specified")
		if !k.holds(strings.ToLower(k.args[2]), k.args[3], v) {
			return integer(0)
		}
	}
	k.remove(key)
	return integer(1)
}

// msetex is MSETEX numkeys key value … [NX|XX] [KEEPTTL or a deadline].
func msetex(k *call) Reply {
	end := 2 + 2*int(k.int(k.args[1]))
	k.require(end <= len(k.args), errSyntax)
	pairs := k.args[2:end]
	keep, deadline := false, int64(0)
	for i := end; i < len(k.args); i++ {
		switch a := strings.ToLower(k.args[i]); a {
		case "nx", "xx":
			for n := 0; n < len(pairs); n += 2 {
				if (k.get(pairs[n]) != nil) != (a == "xx") {
					return integer(0)
				}
			}
		case "keepttl":
			keep = true
		default:
			k.require(i+1 < len(k.args), errSyntax)
			d, is := k.deadline(a, k.args[i+1])
			k.require(is, errSyntax)
			deadline = d
			i++
		}
	}
	for n := 0; n < len(pairs); n += 2 {
		until := deadline
		if old := k.get(pairs[n]); keep && old != nil {
			until = old.deadline
		}
		k.setString(pairs[n], pairs[n+1], until)
	}
	return integer(1)
}

func getex(k *call) Reply {
	key := k.args[1]
	r := k.string(key)
	v := k.get(key)
	if v == nil || len(k.args) == 2 {
		return r
	}
	v = v.copy()
	if strings.EqualFold(k.args[2], "persist") {
		v.deadline = 0
	} else {
		k.require(len(k.args) == 4, errSyntax)
		d, is := k.deadline(k.args[2], k.args[3])
		k.require(is, errSyntax)
		v.deadline = d
	}
	k.put(key, v)
	return r
}

func setrange(k *call) Reply {
	off := k.int(k.args[2])
	k.require(off >= 0, "ERR offset is out of range")
	v := k.edit(k.args[1], kindString)
	with := k.args[3]
	if with == "" {
		return count(len(v.str))
	}
	b := []byte(v.str)
	for int64(len(b)) < off+int64(len(with)) {
		b = append(b, 0)
	}
	copy(b[off:], with)
	v.str = string(b)
	k.put(k.args[1], v)
	return count(len(b))
}

func (k *call) add(n int64) Reply {
	v := k.edit(k.args[1], kindString)
	old := int64(0)
	if k.get(k.args[1]) != nil {
		old = k.int(v.str)
	}
	k.require(!(n > 0 && old > math.MaxInt64-n) && !(n < 0 && old < math.MinInt64-n), "ERR increment or decrement would overflow")
	r := integer(old + n)
	v.str = r.text
	k.put(k.args[1], v)
	return r
}

func incrbyfloat(k *call) Reply {
	v := k.edit(k.args[1], kindString)
	old := 0.0
	if k.get(k.args[1]) != nil {
		old = k.float(v.str)
	}
	v.str = formatFloat(old + k.float(k.args[2]))
	k.put(k.args[1], v)
	return text(v.str)
}
