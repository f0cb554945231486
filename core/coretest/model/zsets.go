package model

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

func zsetCommands() map[string]command {
	return map[string]command{
		"zadd": {4, true, zadd},
		"zincrby": {4, true, func(k *call) Reply {
			by := k.float(k.args[2])
			v := k.edit(k.args[1], kindZSet)
			v.zset[k.args[3]] += by
			k.put(k.args[1], v)
			return text(formatFloat(v.zset[k.args[3]]))
		}},
		"zrem": {3, true, func(k *call) Reply {
			v := k.edit(k.args[1], kindZSet)
			before := len(v.zset)
			for _, m := range k.args[2:] {
				delete(v.zset, m)
			}
			k.put(k.args[1], v)
			return count(before - len(v.zset))
		}},
		"zcard": {2, false, func(k *call) Reply { return count(len(k.edit(k.args[1], kindZSet).zset)) }},
		"zscore": {3, false, func(k *call) Reply {
			if f, is := k.edit(k.args[1], kindZSet).zset[k.args[2]]; is {
				return text(formatFloat(f))
			}
			return nul
		}},
		"zrange": {4, false, func(k *call) Reply {
			start, stop := k.int(k.args[2]), k.int(k.args[3])
			k.require(len(k.args) == 4 || len(k.args) == 5 && strings.EqualFold(k.args[4], "withscores"), errSyntax)
			v := k.edit(k.args[1], kindZSet)
			ranked := v.ranked()
			from, to := span(start, stop, len(ranked))
			r := array()
			for _, m := range ranked[from:to] {
				r.elems = append(r.elems, text(m))
				if len(k.args) == 5 {
					r.elems = append(r.elems, text(formatFloat(v.zset[m])))
				}
			}
			return r
		}},
		"zpopmin": {2, true, func(k *call) Reply { return k.zpop(false) }},
		"zpopmax": {2, true, func(k *call) Reply { return k.zpop(true) }},
		"zremrangebyrank": {4, true, func(k *call) Reply {
			start, stop := k.int(k.args[2]), k.int(k.args[3])
			v := k.edit(k.args[1], kindZSet)
			ranked := v.ranked()
			from, to := span(start, stop, len(ranked))
			for _, m := range ranked[from:to] {
				delete(v.zset, m)
			}
			k.put(k.args[1], v)
			return count(to - from)
		}},
		"zremrangebyscore": {4, true, func(k *call) Reply {
			lo, hi := k.float(k.args[2]), k.float(k.args[3])
			v := k.edit(k.args[1], kindZSet)
			before := len(v.zset)
			maps.DeleteFunc(v.zset, func(_ string, f float64) bool { return f >= lo && f <= hi })
			k.put(k.args[1], v)
			return count(before - len(v.zset))
		}},
		"zunionstore": {4, true, zunionstore},
	}
}

// ranked lists the members by score, then by name.
func (v *value) ranked() []string {
	return slices.SortedFunc(maps.Keys(v.zset), func(a, b string) int {
		return cmp.Or(cmp.Compare(v.zset[a], v.zset[b]), strings.Compare(a, b))
	})
}

func zadd(k *call) Reply {
	var nx, xx, gt, lt, ch bool
	i := 2
options:
	for ; i < len(k.args); i++ {
		switch strings.ToLower(k.args[i]) {
		case "nx":
			nx = true
		case "xx":
			xx = true
		case "gt":
			gt = true
		case "lt":
			lt = true
		case "ch":
			ch = true
		default:
			break options
		}
	}
	pairs := k.args[i:]
	k.require(len(pairs) > 0 && len(pairs)%2 == 0, errSyntax)
	k.require(!(nx && (xx || gt || lt)) && !(gt && lt), errSyntax)
	for j := 0; j < len(pairs); j += 2 {
		k.float(pairs[j])
	}
	v := k.edit(k.args[1], kindZSet)
	added, changed := 0, 0
	for j := 0; j < len(pairs); j += 2 {
		score, m := k.float(pairs[j]), pairs[j+1]
		old, there := v.zset[m]
		switch {
		case there && nx, !there && xx, there && gt && score <= old, there && lt && score >= old:
			continue
		case !there:
			added++
		case score != old:
			changed++
		}
		v.zset[m] = score
	}
	k.put(k.args[1], v)
	if ch {
		return count(added + changed)
	}
	return count(added)
}

func (k *call) zpop(highest bool) Reply {
	n := int64(1)
	if len(k.args) > 2 {
		n = k.int(k.args[2])
		k.require(n >= 0, "ERR value is out of range, must be positive")
	}
	v := k.edit(k.args[1], kindZSet)
	ranked := v.ranked()
	if highest {
		slices.Reverse(ranked)
	}
	r := array()
	for _, m := range ranked[:min(n, int64(len(ranked)))] {
		r.elems = append(r.elems, text(m), text(formatFloat(v.zset[m])))
		delete(v.zset, m)
	}
	k.put(k.args[1], v)
	return r
}

// zunionstore knows the plain form: destination, number of keys, keys.
func zunionstore(k *call) Reply {
	n := k.int(k.args[2])
	k.require(n > 0 && int(n) == len(k.args)-3, errSyntax)
	v := newValue(kindZSet)
	for _, key := range k.args[3:] {
		src := k.get(key)
		switch {
		case src == nil:
		case src.kind == kindSet: // every score is 1
			for m := range src.hash {
				v.zset[m]++
			}
		default:
			for m, f := range k.edit(key, kindZSet).zset {
				v.zset[m] += f
			}
		}
	}
	return k.store(k.args[1], v)
}
