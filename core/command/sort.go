package command

import (
	"bytes"

	"github.com/spillwaydb/spillway/core/keyspace"
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
	if c.putSorted(&q) {
		return
	}
	if c.gaveUp && q.readsKeys() {
		c.replyNoNumbers() // what was read meanwhile is not read again
		return
	}
	key := c.Args[1]
	e, found := c.lookup(key)
	if found && e.Type() != keyspace.List && e.Type() != keyspace.Set && e.Type() != keyspace.ZSet {
		c.Out.Error(errWrongType)
		return
	}
	if found && e.Type() == keyspace.Set && q.unsorted && (q.store != nil || c.InScript) {
		// A set has no order of its own that could be stored, or that a script could rely on.
		q.unsorted, q.alpha, q.by = false, true, nil
	}
	t, n := keyspace.String, 0
	if found {
		t, n = e.Type(), c.db(key).Size(key, e.Type())
	}
	if c.detachFor(q.store, q.looksAt(n), key) {
		return
	}
	s := c.elements(t)
	if !c.readBy(&q, s) {
		return
	}
	switch ok := s.order(&q); {
	case !ok && c.result() != nil:
		c.giveUpMade() // that is replied under the locks
	case !ok:
		c.replyNoNumbers()
	case !c.readGot(&q, s):
	case q.store != nil:
		c.storeSorted(&q, s)
	default:
		c.replySorted(&q, s)
	}
}

// putSorted puts the list in its place that was made of the collection, if there is one.
// A list that other keys were read for may be older than the collection, as what was read
// of them may be, unless it takes the place of the collection: nothing is lost that
// somebody has put there.
func (c *Ctx) putSorted(q *sortQuery) bool {
	from := c.Args[1:2]
	if q.readsKeys() && !bytes.Equal(q.store, from[0]) {
		from = nil
	}
	return q.store != nil && c.putMadeLogged(q.store, keyspace.List, from, eventSortStore)
}

func (c *Ctx) replyNoNumbers() {
	c.Out.Error("ERR One or more scores can't be converted into double")
}

// replySorted replies with the elements, or with what GET reads of them.
func (c *Ctx) replySorted(q *sortQuery, s *sorting) {
	c.Out.Array(len(s.all) * max(len(q.get), 1))
	s.each(q, func(v []byte) {
		if v != nil {
			c.Out.Bulk(v)
		} else {
			c.Out.Null()
		}
	})
}

// storeSorted writes elements, or what GET reads of them, to a list. Logged is the
// list.
func (c *Ctx) storeSorted(q *sortQuery, s *sorting) {
	values := s.values(q)
	c.storeLogged(q.store, values.len(), eventSortStore, func(d *keyspace.DB) {
		l := d.List(q.store)
		for i := range values.len() {
			l.PushBack(values.at(i))
		}
	}, func() { c.logMembers(verbRPush, q.store, values) })
}

// named returns the key that a pattern names with an element in place of its star, and
// the field behind "->", nil for none. The key is valid until the next call.
func (c *Ctx) named(pattern, element []byte) (key, field []byte) {
	before, after, _ := bytes.Cut(pattern, []byte("*"))
	if name, f, arrow := bytes.Cut(after, []byte("->")); arrow && len(f) > 0 {
		after, field = name, f
	}
	c.scratch = append(append(append(c.scratch[:0], before...), element...), after...)
	return c.scratch, field
}

// byPattern returns the value of the key that a pattern names with an element in
// place of its star, or of a field of it behind "->", or the element itself for "#";
// nil when there is none. The value is valid until the next change.
func (c *Ctx) byPattern(pattern, element []byte) (v []byte) {
	if !namesKeys(pattern) {
		if string(pattern) == "#" {
			return element
		}
		return nil
	}
	key, field := c.named(pattern, element)
	e, found := c.lookup(key)
	switch {
	case !found:
		return nil
	case field == nil && e.Type() == keyspace.String:
		v = e.Bytes()
	case field != nil && e.Type() == keyspace.Hash:
		v, found = c.field(c.db(key).Hash(key), key, field)
	default:
		return nil
	}
	if found && v == nil {
		v = []byte{}
	}
	return v
}

// mayReadEveryKey tells whether the client's user may read the keys that patterns
// name.
func (c *Ctx) mayReadEveryKey() bool {
	return c.Client == nil || c.Client.MayReadEveryKey(Lookup(c.Args[0]), c.Args)
}
