package model

import (
	"maps"
	"slices"
)

func setCommands() map[string]command {
	return map[string]command{
		"sadd": {3, true, func(k *call) Reply {
			v := k.edit(k.args[1], kindSet)
			before := len(v.hash)
			for _, m := range k.args[2:] {
				v.hash[m] = ""
			}
			k.put(k.args[1], v)
			return count(len(v.hash) - before)
		}},
		"srem": {3, true, func(k *call) Reply {
			v := k.edit(k.args[1], kindSet)
			before := len(v.hash)
			for _, m := range k.args[2:] {
				delete(v.hash, m)
			}
			k.put(k.args[1], v)
			return count(before - len(v.hash))
		}},
		"scard": {2, false, func(k *call) Reply { return count(len(k.members(k.args[1]))) }},
		"sismember": {3, false, func(k *call) Reply {
			_, is := k.members(k.args[1])[k.args[2]]
			return truth(is)
		}},
		"smembers": {2, false, func(k *call) Reply {
			return texts(slices.Sorted(maps.Keys(k.members(k.args[1]))), anyOrder)
		}},
		"spop": {2, true, spop},
		"smove": {4, true, func(k *call) Reply {
			if k.get(k.args[1]) == nil {
				return integer(0) // whatever the destination is
			}
			from, to := k.edit(k.args[1], kindSet), k.edit(k.args[2], kindSet)
			if _, is := from.hash[k.args[3]]; !is {
				return integer(0)
			}
			if k.args[1] != k.args[2] {
				delete(from.hash, k.args[3])
				to.hash[k.args[3]] = ""
				k.put(k.args[1], from)
				k.put(k.args[2], to)
			}
			return integer(1)
		}},
		"sinterstore": {3, true, func(k *call) Reply {
			return k.combine(func(acc, s map[string]string) {
				maps.DeleteFunc(acc, func(m, _ string) bool { _, is := s[m]; return !is })
			})
		}},
		"sunionstore": {3, true, func(k *call) Reply { return k.combine(func(acc, s map[string]string) { maps.Copy(acc, s) }) }},
		"sdiffstore": {3, true, func(k *call) Reply {
			return k.combine(func(acc, s map[string]string) {
				maps.DeleteFunc(acc, func(m, _ string) bool { _, is := s[m]; return is })
			})
		}},
	}
}

// combine folds the sets at the source keys and stores the result.
func (k *call) combine(fold func(acc, s map[string]string)) Reply {
	v := &value{kind: kindSet, hash: k.members(k.args[2])}
	for _, key := range k.args[3:] {
		fold(v.hash, k.members(key))
	}
	return k.store(k.args[1], v)
}

// spop takes one member, or as many as it is told, whichever they are.
func spop(k *call) Reply {
	n := 1
	if len(k.args) > 2 {
		c := k.int(k.args[2])
		k.require(c >= 0, "ERR value is out of range, must be positive")
		n = int(min(c, 1<<20))
	}
	v := k.edit(k.args[1], kindSet)
	left := slices.Sorted(maps.Keys(v.hash))
	var took []string
	// Which ones, not in which order: each choice is behind the one before.
	for n = min(n, len(left)); n > 0; n-- {
		i := k.choose(len(left) - n + 1)
		took = append(took, left[i])
		delete(v.hash, left[i])
		left = left[i+1:]
	}
	k.put(k.args[1], v)
	if len(k.args) > 2 {
		return texts(took, anyOrder)
	}
	if len(took) == 0 {
		return nul
	}
	return text(took[0])
}
