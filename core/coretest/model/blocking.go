package model

// blockingCommands are those that wait when there is nothing to take. Here they
// reply null then: who asks knows whether that means to wait, see Reply.IsNull.
func blockingCommands() map[string]command {
	return map[string]command{
		"blpop":    {3, true, func(k *call) Reply { return k.firstOf(commands["lpop"]) }},
		"brpop":    {3, true, func(k *call) Reply { return k.firstOf(commands["rpop"]) }},
		"bzpopmin": {3, true, func(k *call) Reply { return k.firstOf(commands["zpopmin"]) }},
		"blmove":   {6, true, func(k *call) Reply { return commands["lmove"].run(k) }},
	}
}

// firstOf takes from the first key that there is. The last argument is how long to
// wait.
func (k *call) firstOf(pop command) Reply {
	for _, key := range k.args[1 : len(k.args)-1] {
		if k.get(key) == nil {
			continue
		}
		k.args = []string{"", key}
		r := pop.run(k)
		if len(r.elems) == 0 { // one element and not several
			r = array(r)
		}
		return array(append([]Reply{text(key)}, r.elems...)...)
	}
	return nul
}
