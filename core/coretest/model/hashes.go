package model

func hashCommands() map[string]command {
	return map[string]command{
		"hset": {4, true, func(k *call) Reply {
			k.require(len(k.args)%2 == 0, "ERR wrong number of arguments")
			v := k.edit(k.args[1], kindHash)
			before := len(v.hash)
			for i := 2; i < len(k.args); i += 2 {
				v.hash[k.args[i]] = k.args[i+1]
				v.date(k.args[i], 0)
			}
			k.put(k.args[1], v)
			return count(len(v.hash) - before)
		}},
		"hsetnx": {4, true, func(k *call) Reply {
			v := k.edit(k.args[1], kindHash)
			if _, there := v.hash[k.args[2]]; there {
				return integer(0)
			}
			v.hash[k.args[2]] = k.args[3]
			k.put(k.args[1], v)
			return integer(1)
		}},
		"hget": {3, false, func(k *call) Reply {
			if s, there := k.edit(k.args[1], kindHash).hash[k.args[2]]; there {
				return text(s)
			}
			return nul
		}},
		"hexists": {3, false, func(k *call) Reply {
			_, there := k.edit(k.args[1], kindHash).hash[k.args[2]]
			return truth(there)
		}},
		"hlen": {2, false, func(k *call) Reply { return count(len(k.edit(k.args[1], kindHash).hash)) }},
		"hgetall": {2, false, func(k *call) Reply {
			r := Reply{kind: array().kind, order: anyPairs}
			for f, s := range k.edit(k.args[1], kindHash).hash {
				r.elems = append(r.elems, text(f), text(s))
			}
			return r
		}},
		"hdel": {3, true, func(k *call) Reply {
			v := k.edit(k.args[1], kindHash)
			before := len(v.hash)
			for _, f := range k.args[2:] {
				v.drop(f)
			}
			k.put(k.args[1], v)
			return count(before - len(v.hash))
		}},
		"hincrby": {4, true, func(k *call) Reply {
			n := k.int(k.args[3])
			v := k.edit(k.args[1], kindHash)
			if s, there := v.hash[k.args[2]]; there {
				n += k.int(s)
			}
			r := integer(n)
			v.hash[k.args[2]] = r.text
			k.put(k.args[1], v)
			return r
		}},
		"hincrbyfloat": {4, true, func(k *call) Reply {
			f := k.float(k.args[3])
			v := k.edit(k.args[1], kindHash)
			if s, there := v.hash[k.args[2]]; there {
				f += k.float(s)
			}
			v.hash[k.args[2]] = formatFloat(f)
			k.put(k.args[1], v)
			return text(formatFloat(f))
		}},
	}
}
