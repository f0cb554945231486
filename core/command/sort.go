package command

import (
	"bytes"
	"cmp"
	"math"
	"slices"
	"strconv"

	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/rdb"
)

var sortHandlers = handlers{
	"sort":    func(c *Ctx) { c.sort(false) },
	"sort_ro": func(c *Ctx) { c.sort(true) },
}

var verbRPush = []byte("RPUSH")

// sortQuery is what a SORT asks for.
type sortQuery struct {
	desc, alpha  bool
	unsorted     bool // BY a pattern without a star
	offset, most int64
	by           []byte // nil: by the elements themselves
	get          [][]byte
	store        []byte // nil: reply
}

// sorted is an element, and what it is sorted by.
type sorted struct {
	element []byte
	score   float64
	by      []byte // with ALPHA and BY; nil: there is no such key
}

// parseSort parses the options of SORT, or replies with what is wrong with them.
func (c *Ctx) parseSort(args [][]byte, readOnly bool) (q sortQuery, ok bool) {
	q.most = -1
	for i := 0; i < len(args); i++ {
		more := len(args) - i - 1
		switch a := args[i]; {
		case is(a, "asc"):
			q.desc = false
		case is(a, "desc"):
			q.desc = true
		case is(a, "alpha"):
			q.alpha = true
		case is(a, "limit") && more >= 2:
			if q.offset, ok = c.intArg(args[i+1]); !ok {
				return q, false
			}
			if q.most, ok = c.intArg(args[i+2]); !ok {
				return q, false
			}
			i += 2
		case is(a, "store") && more >= 1 && !readOnly:
			i++
			q.store = args[i]
		case is(a, "by") && more >= 1:
			i++
			q.by = args[i]
			q.unsorted = q.unsorted || bytes.IndexByte(q.by, '*') < 0
			if bytes.IndexByte(q.by, '*') >= 0 && c.Cluster {
				c.Out.Error("ERR BY option of SORT denied in Cluster mode.")
				return q, false
			}
			if bytes.IndexByte(q.by, '*') >= 0 && !c.mayReadEveryKey() {
				c.Out.Error("ERR BY option of SORT denied due to insufficient ACL permissions.")
				return q, false
			}
		case is(a, "get") && more >= 1:
			i++
			q.get = append(q.get, args[i])
			if c.Cluster {
				c.Out.Error("ERR GET option of SORT denied in Cluster mode.")
				return q, false
			}
			if !c.mayReadEveryKey() {
				c.Out.Error("ERR GET option of SORT denied due to insufficient ACL permissions.")
				return q, false
			}
		default:
			c.Out.Error(errSyntax)
			return q, false
		}
	}
	return q, true
}

func (c *Ctx) sort(readOnly bool) {
	q, ok := c.parseSort(c.Args[2:], readOnly)
	if !ok {
		return
	}
	e, found := c.lookup(c.Args[1])
	if found && e.Type() != keyspace.List && e.Type() != keyspace.Set && e.Type() != keyspace.ZSet {
		c.Out.Error(errWrongType)
		return
	}
	if found && q.store == nil && !hasPattern(c.Args) && c.detach(c.db(c.Args[1]).Size(c.Args[1], e.Type()), c.Args[1]) {
		return
	}
	if found && e.Type() == keyspace.Set && q.unsorted && (q.store != nil || c.InScript) {
		// A set has no order of its own that could be stored, or that a script could rely on.
		q.unsorted, q.alpha, q.by = false, true, nil
	}
	var all []sorted
	if found {
		all = c.elements(e.Type())
		if q.unsorted && q.desc && e.Type() != keyspace.Set {
			slices.Reverse(all)
		}
	}
	if !q.unsorted && !c.sortElements(&q, all) {
		return
	}
	all = q.limit(all)
	if q.store != nil {
		c.storeSorted(&q, all)
		return
	}
	c.Out.Array(len(all) * max(len(q.get), 1))
	for _, s := range all {
		if len(q.get) == 0 {
			c.Out.Bulk(s.element)
		}
		for _, pattern := range q.get {
			if v := c.byPattern(pattern, s.element); v != nil {
				c.Out.Bulk(v)
			} else {
				c.Out.Null()
			}
		}
	}
}

// elements copies the elements of the key that is sorted, in the order they have.
func (c *Ctx) elements(t keyspace.Type) (all []sorted) {
	key := c.Args[1]
	bytes := members{bytes: []byte{}} // so that no element is nil
	add := func(v []byte) bool {
		bytes.add(v)
		return true
	}
	switch d := c.db(key); t {
	case keyspace.List:
		d.List(key).Each(0, false, add)
	case keyspace.Set:
		d.Set(key).Each(add)
	case keyspace.ZSet:
		z := d.ZSet(key)
		z.EachRank(0, z.Len()-1, false, func(m []byte, _ float64) bool { return add(m) })
	default:
		panic(rdb.UnknownType(t))
	}
	all = make([]sorted, bytes.len())
	for i := range all {
		all[i].element = bytes.at(i)
	}
	return all
}

// limit takes the part of the elements that is asked for.
func (q *sortQuery) limit(all []sorted) []sorted {
	n := int64(len(all))
	from, most := min(max(q.offset, 0), n), min(max(q.most, -1), n)
	if most < 0 {
		most = n
	}
	return all[from:min(from+most, n)]
}

// sortElements sorts, or replies that elements are not numbers.
func (c *Ctx) sortElements(q *sortQuery, all []sorted) bool {
	numbers := true
	for i := range all {
		by := all[i].element
		if q.by != nil {
			if by = c.byPattern(q.by, by); by == nil {
				continue
			}
		}
		if q.alpha {
			all[i].by = by
			continue
		}
		var ok bool
		all[i].score, ok = sortScore(by)
		numbers = numbers && ok
	}
	if !numbers {
		c.Out.Error("ERR One or more scores can't be converted into double")
		return false
	}
	compare := bytes.Compare
	if q.store == nil {
		compare = collate
	}
	slices.SortStableFunc(all, func(a, b sorted) (n int) {
		switch {
		case !q.alpha:
			if n = cmp.Compare(a.score, b.score); n == 0 {
				n = bytes.Compare(a.element, b.element)
			}
		case a.by == nil || b.by == nil:
			n = cmp.Compare(present(a.by), present(b.by))
		default:
			n = compare(a.by, b.by)
		}
		if q.desc {
			return -n
		}
		return n
	})
	return true
}

func present(b []byte) int {
	if b == nil {
		return 0
	}
	return 1
}

// collate compares as strcoll does in the C locale: up to a zero byte.
func collate(a, b []byte) int { return bytes.Compare(clip(a, len(a)), clip(b, len(b))) }

// sortScore reads a number as C's strtod does, up to a zero byte. Nothing is 0.
func sortScore(b []byte) (float64, bool) {
	b = clip(b, len(b))
	if len(b) == 0 {
		return 0, true
	}
	text := string(bytes.TrimLeft(b, " \t\n\v\f\r"))
	if bytes.IndexByte(b, '_') >= 0 {
		return 0, false
	}
	unsigned := bytes.TrimLeft([]byte(text), "+-")
	if len(unsigned) > 1 && unsigned[0] == '0' && lower(unsigned[1]) == 'x' && !bytes.ContainsAny(unsigned, "pP") {
		text += "p0" // Go wants an exponent
	}
	f, err := strconv.ParseFloat(text, 64)
	return f, err == nil && !math.IsNaN(f)
}

// byPattern returns the value of the key that a pattern names with an element in
// place of its star, or of a field of it behind "->", or the element itself for "#";
// nil when there is none. The value is a copy.
func (c *Ctx) byPattern(pattern, element []byte) []byte {
	if string(pattern) == "#" {
		return element
	}
	before, after, star := bytes.Cut(pattern, []byte("*"))
	if !star {
		return nil
	}
	var field []byte
	if name, f, arrow := bytes.Cut(after, []byte("->")); arrow && len(f) > 0 {
		after, field = name, f
	}
	c.scratch = append(append(append(c.scratch[:0], before...), element...), after...)
	key := c.scratch
	e, found := c.lookup(key)
	var v []byte
	switch {
	case !found:
		return nil
	case field == nil && e.Type() == keyspace.String:
		v = e.Bytes()
	case field != nil && e.Type() == keyspace.Hash:
		if v, found = c.field(c.db(key).Hash(key), key, field); !found {
			return nil
		}
	default:
		return nil
	}
	return append([]byte{}, v...)
}

// storeSorted writes elements, or what GET reads of them, to a list. Logged is the
// list.
func (c *Ctx) storeSorted(q *sortQuery, all []sorted) {
	var values members
	for _, s := range all {
		if len(q.get) == 0 {
			values.add(s.element)
		}
		for _, pattern := range q.get {
			values.add(c.byPattern(pattern, s.element))
		}
	}
	dst := q.store
	replaced := c.makeRoom(dst)
	if replaced {
		c.LogAs(verbDel, dst)
	}
	l := c.db(dst).List(dst)
	for i := range values.len() {
		l.PushBack(values.at(i))
	}
	switch {
	case values.len() > 0:
		c.ChangedN(dst, eventSortStore, values.len())
		c.logMembers(verbRPush, dst, &values)
	case replaced:
		c.Changed(dst, eventDel)
	}
	c.Out.Int(int64(values.len()))
}

// mayReadEveryKey tells whether the client's user may read the keys that patterns
// name.
func (c *Ctx) mayReadEveryKey() bool {
	return c.Client == nil || c.Client.MayReadEveryKey(Lookup(c.Args[0]), c.Args)
}
