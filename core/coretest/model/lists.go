package model

import (
	"slices"
	"strings"
)

func listCommands() map[string]command {
	return map[string]command{
		"rpush":  {3, true, func(k *call) Reply { return k.push(false, false) }},
		"lpush":  {3, true, func(k *call) Reply { return k.push(true, false) }},
		"rpushx": {3, true, func(k *call) Reply { return k.push(false, true) }},
		"lpushx": {3, true, func(k *call) Reply { return k.push(true, true) }},
		"lpop":   {2, true, func(k *call) Reply { return k.pop(true) }},
		"rpop":   {2, true, func(k *call) Reply { return k.pop(false) }},
		"llen":   {2, false, func(k *call) Reply { return count(len(k.items(k.args[1]))) }},
		"lrange": {4, false, func(k *call) Reply {
			start, stop := k.int(k.args[2]), k.int(k.args[3])
			l := k.items(k.args[1])
			from, to := span(start, stop, len(l))
			return texts(l[from:to], inOrder)
		}},
		"lindex": {3, false, func(k *call) Reply {
			l := k.items(k.args[1])
			if i, is := position(k.int(k.args[2]), len(l)); is {
				return text(l[i])
			}
			return nul
		}},
		"lset": {4, true, func(k *call) Reply {
			v := k.edit(k.args[1], kindList)
			k.require(len(v.list) > 0, "ERR no such key")
			i, is := position(k.int(k.args[2]), len(v.list))
			k.require(is, "ERR index out of range")
			v.list[i] = k.args[3]
			k.put(k.args[1], v)
			return ok
		}},
		"linsert": {5, true, linsert},
		"lrem":    {4, true, lrem},
		"ltrim": {4, true, func(k *call) Reply {
			start, stop := k.int(k.args[2]), k.int(k.args[3])
			v := k.edit(k.args[1], kindList)
			from, to := span(start, stop, len(v.list))
			v.list = v.list[from:to]
			k.put(k.args[1], v)
			return ok
		}},
		"lmove": {5, true, func(k *call) Reply {
			return k.moveItem(strings.EqualFold(k.args[3], "left"), strings.EqualFold(k.args[4], "left"))
		}},
		"rpoplpush": {3, true, func(k *call) Reply { return k.moveItem(false, true) }},
	}
}

func (k *call) items(key string) []string {
	if v := k.read(key, kindList); v != nil {
		return v.list
	}
	return nil
}

func position(i int64, n int) (int, bool) {
	if i < 0 {
		i += int64(n)
	}
	return int(i), i >= 0 && i < int64(n)
}

func (k *call) push(left, onlyExisting bool) Reply {
	v := k.edit(k.args[1], kindList)
	if onlyExisting && len(v.list) == 0 {
		return integer(0)
	}
	for _, a := range k.args[2:] {
		v.insert(a, left)
	}
	k.put(k.args[1], v)
	return count(len(v.list))
}

func (v *value) insert(s string, left bool) {
	if left {
		v.list = slices.Insert(v.list, 0, s)
	} else {
		v.list = append(v.list, s)
	}
}

func (v *value) take(left bool) string {
	i := len(v.list) - 1
	if left {
		i = 0
	}
	s := v.list[i]
	v.list = slices.Delete(v.list, i, i+1)
	return s
}

func (k *call) pop(left bool) Reply {
	n := int64(-1)
	if len(k.args) > 2 {
		n = k.int(k.args[2])
		k.require(n >= 0, "ERR value is out of range, must be positive")
	}
	v := k.edit(k.args[1], kindList)
	if len(v.list) == 0 {
		return nul
	}
	if n < 0 {
		s := v.take(left)
		k.put(k.args[1], v)
		return text(s)
	}
	var out []string
	for range min(n, int64(len(v.list))) {
		out = append(out, v.take(left))
	}
	k.put(k.args[1], v)
	return texts(out, inOrder)
}

func linsert(k *call) Reply {
	v := k.edit(k.args[1], kindList)
	if len(v.list) == 0 {
		return integer(0)
	}
	i := slices.Index(v.list, k.args[3])
	if i < 0 {
		return integer(-1)
	}
	switch strings.ToLower(k.args[2]) {
	case "before":
	case "after":
		i++
	default:
		k.fail(errSyntax)
	}
	v.list = slices.Insert(v.list, i, k.args[4])
	k.put(k.args[1], v)
	return count(len(v.list))
}

func lrem(k *call) Reply {
	n := k.int(k.args[2])
	v := k.edit(k.args[1], kindList)
	left, removed := n, 0
	if n < 0 {
		left = -n
		slices.Reverse(v.list)
	}
	v.list = slices.DeleteFunc(v.list, func(s string) bool {
		if s != k.args[3] || n != 0 && left == 0 {
			return false
		}
		left--
		removed++
		return true
	})
	if n < 0 {
		slices.Reverse(v.list)
	}
	k.put(k.args[1], v)
	return count(removed)
}

func (k *call) moveItem(fromLeft, toLeft bool) Reply {
	src := k.edit(k.args[1], kindList)
	if len(src.list) == 0 {
		return nul
	}
	k.read(k.args[2], kindList)
	s := src.take(fromLeft)
	k.put(k.args[1], src)
	dst := k.edit(k.args[2], kindList)
	if k.args[1] == k.args[2] {
		dst = src
	}
	dst.insert(s, toLeft)
	k.put(k.args[2], dst)
	return text(s)
}
