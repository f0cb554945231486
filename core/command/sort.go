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
	if !q.readsKeys() && c.putSorted(&q) {
		return
	}
	s := c.sorting // what was read under the locks
	if s == nil || c.detached == nil {
		if !q.readsKeys() && c.detachFor(q.store, n, key) {
			return
		}
		if s, ok = c.readSort(&q, t); !ok {
			c.replyNoNumbers()
			return
		}
		if q.readsKeys() && c.detachFor(q.store, n, key) {
			c.sorting = s
			return
		}
	}
	aside := c.result()
	if aside == nil && c.sorting != nil && s.readsSame(c.sorting) && c.putSorted(&q) {
		return
	}
	switch ok := s.order(&q); {
	case !ok && aside != nil:
		c.giveUpMade() // that is replied under the locks
	case !ok:
		c.replyNoNumbers()
	case q.store != nil:
		c.storeSorted(&q, s)
	default:
		c.replySorted(&q, s)
	}
}

// putSorted puts the list in its place that was made of the collection, if there is one.
func (c *Ctx) putSorted(q *sortQuery) bool {
	return q.store != nil && c.putMadeLogged(q.store, keyspace.List, c.Args[1:2], eventSortStore)
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

// mayReadEveryKey tells whether the client's user may read the keys that patterns
// name.
func (c *Ctx) mayReadEveryKey() bool {
	return c.Client == nil || c.Client.MayReadEveryKey(Lookup(c.Args[0]), c.Args)
}
