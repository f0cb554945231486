package command

import "math"

// hashExHandlers are the commands that read or write fields of a hash and, in the same
// step, say when they expire or remove them.
var hashExHandlers = handlers{
	"hgetex":  hgetexCommand,
	"hsetex":  hsetexCommand,
	"hgetdel": hgetdelCommand,
}

// expiryWords are the words of HGETEX and HSETEX that a time follows.
var expiryWords = map[string]struct{ seconds, relative bool }{
	"ex": {true, true}, "px": {false, true}, "exat": {true, false}, "pxat": {false, false},
}

// fieldExpiry takes the time behind a word that one follows.
func (c *Ctx) fieldExpiry(word, arg []byte, name string) (deadline int64, isOne, ok bool) {
	w, isOne := expiryWords[string(lowered(word))]
	if !isOne {
		return 0, false, true
	}
	base := int64(0)
	if w.relative {
		base = c.Now
	}
	deadline, ok = c.fieldDeadline(arg, base, w.seconds, name)
	return max(deadline, 1), true, ok
}

func hgetexCommand(c *Ctx) {
	h, _, ok := c.hashWrite()
	if !ok {
		return
	}
	deadline, dates, ok := c.fieldExpiry(c.Args[2], c.Args[3], "hgetex")
	if !ok {
		return
	}
	at, persists := 2, is(c.Args[2], "persist")
	switch {
	case dates:
		at = 4
	case persists:
		at = 3
	}
	fields, ok := c.fieldArgs(at, errFieldsPositive)
	if !ok {
		return
	}
	c.Out.Array(len(fields))
	d := dating{c: c, h: h, key: c.Args[1], deadline: deadline}
	if dates || persists {
		h.AllowDeadlines()
	}
	met := meeting{c: c, h: h, key: d.key}
	for _, field := range fields {
		val, found := met.field(field)
		if !found {
			c.Out.Null()
			continue
		}
		c.Out.Bulk(val)
		if _, old, _ := h.Field(field); dates || persists && old != 0 {
			d.date(field)
		}
	}
	met.tell()
	switch {
	case len(d.removed) > 0:
		c.ChangedN(d.key, eventHDel, 0)
	case len(d.set) > 0 && persists:
		c.ChangedN(d.key, eventHPersist, 0)
	case len(d.set) > 0:
		c.ChangedN(d.key, eventHExpire, 0)
	}
	if n := len(d.set) + len(d.removed); n > 0 {
		d.log(n)
	}
	if met.expired+len(d.removed) > 0 {
		c.keyGone(d.key)
	}
}

// hsetexArgs are the arguments of HSETEX.
type hsetexArgs struct {
	fnx, fxx, keep, dates bool
	deadline              int64
	pairs                 [][]byte // field, value, field, value
}

func (c *Ctx) parseHSetEx() (a hsetexArgs, ok bool) {
	for i := 2; i < len(c.Args); i++ {
		word := c.Args[i]
		_, timed := expiryWords[string(lowered(word))]
		switch {
		case is(word, "fields"):
			a.pairs, ok = c.pairArgs(i)
			return a, ok
		case is(word, "fnx"), is(word, "fxx"):
			if a.fnx || a.fxx {
				c.Out.Error("ERR Only one of FXX or FNX arguments can be specified")
				return a, false
			}
			a.fnx, a.fxx = is(word, "fnx"), is(word, "fxx")
		case timed, is(word, "keepttl"):
			if a.keep || a.dates {
				c.Out.Error("ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified")
				return a, false
			}
			if a.keep, a.dates = !timed, timed; a.keep {
				break
			}
			if i++; i == len(c.Args) {
				c.Out.Error("ERR missing expire time")
				return a, false
			}
			if a.deadline, _, ok = c.fieldExpiry(word, c.Args[i], "hsetex"); !ok {
				return a, false
			}
		default:
			c.Out.Error("ERR unknown argument: " + string(clip(word, len(word))))
			return a, false
		}
	}
	c.Out.Error(wrongArity(Lookup(c.Args[0])))
	return a, false
}

// pairArgs takes FIELDS, their number and as many fields and values from position at on.
func (c *Ctx) pairArgs(at int) (pairs [][]byte, ok bool) {
	if at >= len(c.Args)-3 {
		c.Out.Error(wrongArity(Lookup(c.Args[0])))
		return nil, false
	}
	n, ok := c.atLeast(c.Args[at+1], 1, "ERR invalid number of fields")
	if ok && n > math.MaxInt32 {
		c.Out.Error("ERR invalid number of fields")
		return nil, false
	}
	if !ok {
		return nil, false
	}
	if pairs = c.Args[at+2:]; int64(len(pairs)) != 2*n {
		c.Out.Error(wrongArity(Lookup(c.Args[0])))
		return nil, false
	}
	return pairs, true
}

func hsetexCommand(c *Ctx) {
	a, ok := c.parseHSetEx()
	if !ok {
		return
	}
	h, found, ok := c.hashWrite()
	if !ok {
		return
	}
	key := c.Args[1]
	holds, met := true, meeting{c: c, h: h, key: key}
	for i := 0; i < len(a.pairs) && holds && (a.fnx || a.fxx); i += 2 {
		there := false
		if found {
			_, there = met.field(a.pairs[i])
		}
		holds = there == a.fxx
	}
	met.tell()
	if !holds {
		if met.expired > 0 {
			c.keyGone(key)
		}
		c.Out.Int(0)
		return
	}
	d := dating{c: c, h: h, key: key, deadline: a.deadline}
	for i := 0; i < len(a.pairs); i += 2 {
		if field, val := a.pairs[i], a.pairs[i+1]; a.keep {
			h.SetKeeping(field, val)
		} else {
			h.Set(field, val)
		}
	}
	if a.dates {
		h.AllowDeadlines()
	}
	for i := 0; i < len(a.pairs) && a.dates; i += 2 {
		if _, _, there := h.Field(a.pairs[i]); there { // not when it is named twice and has been removed
			d.date(a.pairs[i])
		}
	}
	c.ChangedN(key, eventHSet, 0)
	switch {
	case len(d.removed) > 0:
		c.ChangedN(key, eventHDel, 0)
	case a.dates:
		c.ChangedN(key, eventHExpire, 0)
	}
	c.Counted(len(a.pairs) / 2)
	if len(d.removed) > 0 {
		c.logHDel(key, d.removed)
		c.keyGone(key)
	} else {
		c.logHSetEx(key, a.deadline, a.keep, a.pairs)
	}
	c.Out.Int(1)
}

// logHSetEx logs what HSETEX has set.
func (c *Ctx) logHSetEx(key []byte, deadline int64, keep bool, pairs [][]byte) {
	var when, count [20]byte
	args := [][]byte{verbHSetEx, key}
	switch {
	case keep:
		args = append(args, wordKeepTTL)
	case deadline != 0:
		args = append(args, wordPXAT, appendInt(when[:0], deadline))
	}
	args = append(args, wordFields, appendInt(count[:0], int64(len(pairs)/2)))
	c.LogAs(append(args, pairs...)...)
}

func hgetdelCommand(c *Ctx) {
	h, _, ok := c.hashWrite()
	if !ok {
		return
	}
	fields, ok := c.fieldArgs(2, errFieldsPositive)
	if !ok {
		return
	}
	key := c.Args[1]
	c.Out.Array(len(fields))
	met, removed := meeting{c: c, h: h, key: key}, [][]byte(nil)
	for _, field := range fields {
		val, found := met.field(field)
		if !found {
			c.Out.Null()
			continue
		}
		c.Out.Bulk(val)
		h.Del(field)
		removed = append(removed, field)
	}
	met.tell()
	if n := len(removed); n > 0 {
		c.ChangedN(key, eventHDel, n)
		c.logHDel(key, removed)
	} else if met.expired == 0 {
		return
	}
	c.keyGone(key)
}
