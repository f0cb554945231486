package model

import (
	"maps"
	"strings"
)

func keyCommands() map[string]command {
	del := func(k *call) Reply {
		n := 0
		for _, key := range k.args[1:] {
			if k.remove(key) {
				n++
			}
		}
		return count(n)
	}
	return map[string]command{
		"ping": {1, false, func(*call) Reply { return text("PONG") }},
		"select": {2, false, func(k *call) Reply {
			k.db = k.database(k.args[1])
			return ok
		}},
		"keys": {2, false, func(k *call) Reply {
			k.require(k.args[1] == "*", "ERR the model knows KEYS * only")
			return texts(k.st.keys(k.db, k.now), anyOrder)
		}},
		"flushdb": {1, true, func(k *call) Reply {
			k.st.dbs[k.db] = nil
			return ok
		}},
		"flushall": {1, true, func(k *call) Reply {
			*k.st = State{}
			return ok
		}},
		"swapdb": {3, true, func(k *call) Reply {
			a, b := k.database(k.args[1]), k.database(k.args[2])
			k.st.dbs[a], k.st.dbs[b] = k.st.dbs[b], k.st.dbs[a]
			return ok
		}},
		"del":    {2, true, del},
		"unlink": {2, true, del},
		"exists": {2, false, func(k *call) Reply {
			n := 0
			for _, key := range k.args[1:] {
				if k.get(key) != nil {
					n++
				}
			}
			return count(n)
		}},
		"type": {2, false, func(k *call) Reply {
			if v := k.get(k.args[1]); v != nil {
				return text(string(v.kind))
			}
			return text("none")
		}},
		"rename": {3, true, func(k *call) Reply {
			k.rename()
			return ok
		}},
		"renamenx": {3, true, func(k *call) Reply {
			k.require(k.get(k.args[1]) != nil, "ERR no such key")
			if k.get(k.args[2]) != nil {
				return integer(0)
			}
			k.rename()
			return integer(1)
		}},
		"copy": {3, true, copyKey},
		"move": {3, true, func(k *call) Reply {
			key, to := k.args[1], k.database(k.args[2])
			k.require(to != k.db, "ERR source and destination objects are the same")
			v := k.get(key)
			if v == nil || k.st.get(to, key, k.now) != nil {
				return integer(0)
			}
			k.st.put(to, key, v)
			k.put(key, nil)
			return integer(1)
		}},
		"expire":      {3, true, func(k *call) Reply { return k.expire(k.now, 1000) }},
		"pexpire":     {3, true, func(k *call) Reply { return k.expire(k.now, 1) }},
		"expireat":    {3, true, func(k *call) Reply { return k.expire(0, 1000) }},
		"pexpireat":   {3, true, func(k *call) Reply { return k.expire(0, 1) }},
		"pttl":        {2, false, func(k *call) Reply { return k.left(k.now) }},
		"pexpiretime": {2, false, func(k *call) Reply { return k.left(0) }},
		"persist": {2, true, func(k *call) Reply {
			v := k.get(k.args[1])
			if v == nil || v.deadline == 0 {
				return integer(0)
			}
			v = v.copy()
			v.deadline = 0
			k.put(k.args[1], v)
			return integer(1)
		}},
	}
}

// database reads the number of a database.
func (k *call) database(s string) int {
	n := k.int(s)
	k.require(n >= 0 && n < Databases, "ERR DB index is out of range")
	return int(n)
}

func (k *call) rename() {
	v := k.get(k.args[1])
	k.require(v != nil, "ERR no such key")
	k.put(k.args[1], nil)
	k.put(k.args[2], v)
}

func copyKey(k *call) Reply {
	to, replace := k.db, false
	for i := 3; i < len(k.args); i++ {
		switch {
		case strings.EqualFold(k.args[i], "replace"):
			replace = true
		case strings.EqualFold(k.args[i], "db") && i+1 < len(k.args):
			to = k.database(k.args[i+1])
			i++
		default:
			k.fail(errSyntax)
		}
	}
	k.require(to != k.db || k.args[1] != k.args[2], "ERR source and destination objects are the same")
	v := k.get(k.args[1])
	if v == nil || !replace && k.st.get(to, k.args[2], k.now) != nil {
		return integer(0)
	}
	k.st.put(to, k.args[2], v)
	return integer(1)
}

// expire is the four EXPIRE commands.
func (k *call) expire(base, unit int64) Reply {
	when := base + k.int(k.args[2])*unit
	v := k.get(k.args[1])
	if v == nil {
		return integer(0)
	}
	for _, a := range k.args[3:] {
		refuse := false
		switch strings.ToLower(a) {
		case "nx":
			refuse = v.deadline != 0
		case "xx":
			refuse = v.deadline == 0
		case "gt":
			refuse = v.deadline == 0 || when <= v.deadline
		case "lt":
			refuse = v.deadline != 0 && when >= v.deadline
		default:
			k.fail(errSyntax)
		}
		if refuse {
			return integer(0)
		}
	}
	if when <= k.now {
		k.remove(k.args[1])
		return integer(1)
	}
	v = v.copy()
	v.deadline = when
	k.put(k.args[1], v)
	return integer(1)
}

// left is PTTL and PEXPIRETIME.
func (k *call) left(base int64) Reply {
	v := k.get(k.args[1])
	switch {
	case v == nil:
		return integer(-2)
	case v.deadline == 0:
		return integer(-1)
	}
	return integer(v.deadline - base)
}

// store makes key hold v alone, without a deadline, and replies with its size.
func (k *call) store(key string, v *value) Reply {
	k.put(key, v)
	return count(len(v.hash) + len(v.zset) + len(v.list))
}

// members returns the members of the set at key.
func (k *call) members(key string) map[string]string {
	if v := k.read(key, kindSet); v != nil {
		return maps.Clone(v.hash)
	}
	return map[string]string{}
}
