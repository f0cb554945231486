package model

import "strings"

// Deadlines of fields are kept beside the fields. The model takes none of them to pass:
// when Redis removes what has expired, and what HLEN says until then, depends on who asks.
// Random gives deadlines that are far off, and ones that are over.

// fieldCommands are what is done with the deadlines of fields.
func fieldCommands() map[string]command {
	return map[string]command{
		"hpexpire":   {6, true, func(k *call) Reply { return k.expireFields(k.now) }},
		"hpexpireat": {6, true, func(k *call) Reply { return k.expireFields(0) }},
		"hpexpiretime": {5, false, func(k *call) Reply {
			v := k.edit(k.args[1], kindHash)
			return k.eachField(2, func(f string) Reply {
				if _, there := v.hash[f]; !there {
					return integer(-2)
				}
				if v.dates[f] == 0 {
					return integer(-1)
				}
				return integer(v.dates[f])
			})
		}},
		"hpersist": {5, true, func(k *call) Reply {
			v := k.edit(k.args[1], kindHash)
			r := k.eachField(2, func(f string) Reply {
				if _, there := v.hash[f]; !there {
					return integer(-2)
				}
				if v.dates[f] == 0 {
					return integer(-1)
				}
				v.date(f, 0)
				return integer(1)
			})
			k.put(k.args[1], v)
			return r
		}},
		"hgetdel": {5, true, func(k *call) Reply {
			v := k.edit(k.args[1], kindHash)
			r := k.eachField(2, func(f string) Reply {
				s, there := v.hash[f]
				if !there {
					return nul
				}
				v.drop(f)
				return text(s)
			})
			k.put(k.args[1], v)
			return r
		}},
		"hgetex": {5, true, getFields},
		"hsetex": {6, true, setFields},
	}
}

// date gives a field a deadline, 0 for none.
func (v *value) date(field string, deadline int64) {
	if v.dates == nil {
		v.dates = map[string]int64{}
	}
	if v.dates[field] = deadline; deadline == 0 {
		delete(v.dates, field)
	}
}

// drop removes a field.
func (v *value) drop(field string) {
	delete(v.hash, field)
	delete(v.dates, field)
}

// eachField calls fn for the fields behind FIELDS and their number at position at.
func (k *call) eachField(at int, fn func(f string) Reply) Reply {
	k.require(len(k.args) > at+2 && strings.EqualFold(k.args[at], "fields"), errSyntax)
	k.require(k.int(k.args[at+1]) == int64(len(k.args)-at-2), errSyntax)
	r := array()
	for _, f := range k.args[at+2:] {
		r.elems = append(r.elems, fn(f))
	}
	return r
}

// expireFields is HPEXPIRE and HPEXPIREAT.
func (k *call) expireFields(base int64) Reply {
	v, when, at, cond := k.edit(k.args[1], kindHash), base+k.int(k.args[2]), 3, ""
	if !strings.EqualFold(k.args[3], "fields") {
		at, cond = 4, strings.ToLower(k.args[3])
	}
	r := k.eachField(at, func(f string) Reply {
		if _, there := v.hash[f]; !there {
			return integer(-2)
		}
		old, refuse := v.dates[f], false
		switch cond {
		case "nx":
			refuse = old != 0
		case "xx":
			refuse = old == 0
		case "gt":
			refuse = old == 0 || when <= old
		case "lt":
			refuse = old != 0 && when >= old
		}
		if refuse {
			return integer(0)
		}
		if when <= k.now {
			v.drop(f)
			return integer(2)
		}
		v.date(f, when)
		return integer(1)
	})
	k.put(k.args[1], v)
	return r
}

// getFields is HGETEX with PX, PERSIST or neither.
func getFields(k *call) Reply {
	v, at, when := k.edit(k.args[1], kindHash), 2, int64(-1)
	switch strings.ToLower(k.args[2]) {
	case "px":
		at, when = 4, k.now+k.int(k.args[3])
	case "persist":
		at, when = 3, 0
	}
	r := k.eachField(at, func(f string) Reply {
		s, there := v.hash[f]
		switch {
		case !there:
			return nul
		case when > k.now || when == 0:
			v.date(f, when)
		case when > 0:
			v.drop(f)
		}
		return text(s)
	})
	k.put(k.args[1], v)
	return r
}

// setFields is HSETEX with a condition, PX, KEEPTTL or none of them.
func setFields(k *call) Reply {
	v, at, when, keep, cond := k.edit(k.args[1], kindHash), 2, int64(0), false, ""
	for ; !strings.EqualFold(k.args[at], "fields"); at++ {
		switch word := strings.ToLower(k.args[at]); word {
		case "fnx", "fxx":
			cond = word
		case "keepttl":
			keep = true
		case "px":
			at++
			when = k.now + k.int(k.args[at])
		default:
			k.fail(errSyntax)
		}
	}
	pairs := k.args[at+2:]
	for i := 0; i < len(pairs) && cond != ""; i += 2 {
		if _, there := v.hash[pairs[i]]; there != (cond == "fxx") {
			return integer(0)
		}
	}
	for i := 0; i < len(pairs); i += 2 {
		v.hash[pairs[i]] = pairs[i+1]
		switch {
		case keep:
		case when != 0 && when <= k.now:
			v.drop(pairs[i])
		default:
			v.date(pairs[i], when)
		}
	}
	k.put(k.args[1], v)
	return integer(1)
}
