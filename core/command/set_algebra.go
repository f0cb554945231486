package command

import (
	"slices"

	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/resp"
)

// operand is one key of a set operation; set is meaningful when found.
type operand struct {
	set   keyspace.SetRef
	found bool
}

// operands looks up the keys of a set operation, or replies that one of them
// is no set. Every key is looked up before any set is read, for looking up may
// change the store.
func (c *Ctx) operands(keys [][]byte) ([]operand, bool) {
	out := make([]operand, len(keys))
	for i, key := range keys {
		_, found, ok := c.typed(key, keyspace.Set)
		if !ok {
			return nil, false
		}
		out[i].found = found
	}
	for i, key := range keys {
		if out[i].found {
			out[i].set = c.db(key).Set(key)
		}
	}
	return out, true
}

// readOperands is operands for a command that changes nothing. It is false, too, when
// the command is called again for many members, see detach.
func (c *Ctx) readOperands(keys [][]byte) ([]operand, bool) {
	ops, ok := c.operands(keys)
	return ops, ok && !c.detach(sizeOf(ops), keys...)
}

// sizeOf is how many members operands have together.
func sizeOf(ops []operand) (n int) {
	for _, o := range ops {
		if o.found {
			n += o.set.Len()
		}
	}
	return n
}

// An algebra calls emit for every member of the result, once, until emit
// returns false. What it emits is the store's.
type algebra func(ops []operand, emit func(m []byte) bool)

func intersection(ops []operand, emit func(m []byte) bool) {
	for _, o := range ops {
		if !o.found {
			return
		}
	}
	ops = slices.Clone(ops)
	slices.SortStableFunc(ops, func(a, b operand) int { return a.set.Len() - b.set.Len() })
	ops[0].set.Each(func(m []byte) bool {
		for _, o := range ops[1:] {
			if !o.set.Has(m) {
				return true
			}
		}
		return emit(m)
	})
}

func union(ops []operand, emit func(m []byte) bool) {
	for i, o := range ops {
		if !o.found {
			continue
		}
		more := true
		o.set.Each(func(m []byte) bool {
			if !hasAny(ops[:i], m) {
				more = emit(m)
			}
			return more
		})
		if !more {
			return
		}
	}
}

func difference(ops []operand, emit func(m []byte) bool) {
	if !ops[0].found {
		return
	}
	ops[0].set.Each(func(m []byte) bool { return hasAny(ops[1:], m) || emit(m) })
}

// hasAny tells whether a member is in any of the sets.
func hasAny(ops []operand, m []byte) bool {
	for _, o := range ops {
		if o.found && o.set.Has(m) {
			return true
		}
	}
	return false
}

func sinterCommand(c *Ctx) { c.setOperation(intersection) }
func sunionCommand(c *Ctx) { c.setOperation(union) }
func sdiffCommand(c *Ctx)  { c.setOperation(difference) }

func (c *Ctx) setOperation(op algebra) {
	ops, ok := c.readOperands(c.Args[1:])
	if !ok {
		return
	}
	n := 0
	body := resp.Writer{Buf: c.scratch[:0]}
	op(ops, func(m []byte) bool {
		body.Bulk(m)
		n++
		return true
	})
	c.scratch = body.Buf
	c.Out.Set(n)
	c.Out.Raw(body.Buf)
}

func sinterstoreCommand(c *Ctx) { c.setOperationStore(intersection, eventSInterStore) }
func sunionstoreCommand(c *Ctx) { c.setOperationStore(union, eventSUnionStore) }
func sdiffstoreCommand(c *Ctx)  { c.setOperationStore(difference, eventSDiffStore) }

func (c *Ctx) setOperationStore(op algebra, ev Event) {
	dst, keys := c.Args[1], c.Args[2:]
	ops, ok := c.operands(keys)
	if !ok || c.detachToStore(sizeOf(ops), keys...) {
		return
	}
	if aside := c.result(); aside != nil {
		s := aside.Set(dst)
		op(ops, func(m []byte) bool {
			s.Add(m)
			return true
		})
		return
	}
	if c.putMade(dst, keyspace.Set, keys, ev) {
		return
	}
	var result members
	op(ops, func(m []byte) bool {
		result.add(m)
		return true
	})
	replaced := c.makeRoom(dst)
	s := c.db(dst).Set(dst)
	for i := range result.len() {
		s.Add(result.at(i))
	}
	c.stored(dst, replaced, result.len(), ev)
	c.Out.Int(int64(result.len()))
}

// intercardArgs parses "numkeys key [key …] [LIMIT n]" of SINTERCARD.
func (c *Ctx) intercardArgs() (keys [][]byte, limit int64, ok bool) {
	n, ok := c.atLeast(c.Args[1], 1, errNumKeys)
	if !ok {
		return nil, 0, false
	}
	if n > int64(len(c.Args)-2) {
		c.Out.Error("ERR Number of keys can't be greater than number of args")
		return nil, 0, false
	}
	keys = c.Args[2 : 2+n]
	rest := c.Args[2+n:]
	for i := 0; i < len(rest); i += 2 {
		if !is(rest[i], "limit") || i+1 == len(rest) {
			c.Out.Error(errSyntax)
			return nil, 0, false
		}
		if limit, ok = c.atLeast(rest[i+1], 0, errLimit); !ok {
			return nil, 0, false
		}
	}
	return keys, limit, true
}

func sintercardCommand(c *Ctx) {
	keys, limit, ok := c.intercardArgs()
	if !ok {
		return
	}
	ops, ok := c.readOperands(keys)
	if !ok {
		return
	}
	n := int64(0)
	intersection(ops, func([]byte) bool {
		n++
		return n != limit
	})
	c.Out.Int(n)
}
