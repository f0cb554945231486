package keyspace

import (
	"github.com/spillwaydb/spillway/core/rdb"
	"github.com/spillwaydb/spillway/internal/turn"
)

// yieldPages is after how many pages an encoder lets other goroutines run.
const yieldPages = 16

// Encode writes the view to w: what is no key, then every database: SelectDB,
// ResizeDB, objects.
// Header, or DatedHeader where the view is Dated, and End are the caller's. progress, which may be nil, is told now and
// then how many more keys were written. It returns how many there were, and
// the first error of w, at which it stops.
func (v *View) Encode(w *rdb.Writer, progress func(n int64)) (keys int64, err error) {
	if v.following.State != FollowNothing {
		w.Aux(AuxFollowing, v.following.String())
	}
	for _, l := range v.libraries {
		w.Function(l.Code)
	}
	for i := range v.dbs {
		d := &v.dbs[i]
		w.SelectDB(d.db)
		w.ResizeDB(d.keys, d.expires)
		err = d.each(func(b blob) error { return d.encode(w, b) }, v.pageDone(&keys, progress, w.Err))
		if err != nil {
			return keys, err
		}
	}
	return keys, w.Err()
}

// pageDone returns what is called after every page: it counts, yields, and
// stops at an error.
func (v *View) pageDone(keys *int64, progress func(n int64), failed func() error) func(int) error {
	pages := 0
	return func(n int) error {
		*keys += int64(n)
		if progress != nil {
			progress(int64(n))
		}
		if pages++; pages%yieldPages == 0 {
			turn.Yield()
		}
		return failed()
	}
}

func (d *dbView) encode(w *rdb.Writer, b blob) error {
	if ms := b.deadline(); ms != 0 {
		w.Expire(ms)
	}
	switch t, key := b.typ(), b.key(); {
	case t == String:
		w.String(key, b.payload())
	case b.enc() == encIntset:
		w.Intset(key, b.ints())
	case b.dated() && d.fieldDeadline(b) != 0:
		w.DatedListpack(key, b.list())
	case b.packed() && !b.dated() && t.HasListpack():
		w.Listpack(t, key, b.list())
	case b.packed():
		return d.encodeElements(w, b)
	default:
		switch o := d.object(b).(type) {
		case *chunks:
			encodeChunks(w, key, o)
		case *StreamValue:
			w.Stream(key, o.value())
		default:
			return d.encodeElements(w, b)
		}
	}
	return nil
}

// encodeChunks writes a large list as it lies there.
func encodeChunks(w *rdb.Writer, key []byte, c *chunks) {
	w.BeginQuicklist(key, c.n)
	c.tree.each(0, false, func(e *chunk) bool {
		w.Node(e.items())
		return w.Err() == nil
	})
}

func (d *dbView) encodeElements(w *rdb.Writer, b blob) error {
	n, err := d.size(b)
	if err != nil {
		return err
	}
	if first := d.fieldDeadline(b); first != 0 {
		w.BeginDated(b.key(), n, first)
	} else {
		w.Begin(b.typ(), b.key(), n)
	}
	var num texts
	d.eachElement(b, &num, func(a, b []byte, score float64) bool {
		w.Element(a, b, score)
		num = num[:0]
		return w.Err() == nil
	})
	return nil
}

// EncodeCommands gives emit the commands that build the view in an empty
// keyspace: FUNCTION LOAD, SELECT, SET, RPUSH, SADD, ZADD, HSET, HPEXPIREAT, those of streams, PEXPIREAT. The
// arguments are valid during the call only. progress and results are as for Encode.
func (v *View) EncodeCommands(emit func(args [][]byte) error, progress func(n int64)) (keys int64, err error) {
	if v.following.State != FollowNothing {
		if err := emit(FollowingCommand(v.following)); err != nil {
			return 0, err
		}
	}
	c := rdb.NewCommands(emit)
	for _, l := range v.libraries {
		c.Function(l.Code)
	}
	for i := range v.dbs {
		d := &v.dbs[i]
		c.SelectDB(d.db)
		err = d.each(func(b blob) error { return d.build(c, b) }, v.pageDone(&keys, progress, c.Err))
		if err != nil {
			return keys, err
		}
	}
	return keys, c.End()
}

// build makes the commands for one key.
func (d *dbView) build(c *rdb.Commands, b blob) error {
	key := b.key()
	if b.typ() == String {
		c.String(key, b.payload())
	} else if s, isStream := d.stream(b); isStream {
		c.Stream(key, s.value())
	} else if err := d.buildElements(c, b); err != nil {
		return err
	}
	if ms := b.deadline(); ms != 0 {
		c.Expire(key, ms)
	}
	return c.Err()
}

// stream returns the stream that b holds.
func (d *dbView) stream(b blob) (s *StreamValue, ok bool) {
	if !b.packed() {
		s, ok = d.object(b).(*StreamValue)
	}
	return s, ok
}

func (d *dbView) buildElements(c *rdb.Commands, b blob) error {
	n, err := d.size(b)
	if err != nil {
		return err
	}
	c.Begin(b.typ(), b.key(), n)
	var num texts // of the integers in the command that is being made
	d.eachElement(b, &num, func(a, b []byte, score float64) bool {
		if c.Element(a, b, score) {
			num = num[:0]
		}
		return c.Err() == nil
	})
	if d.fieldDeadline(b) != 0 {
		num = num[:0]
		d.eachElement(b, &num, func(f, _ []byte, deadline float64) bool {
			if deadline != 0 {
				c.FieldExpire(b.key(), f, int64(deadline))
			}
			num = num[:0]
			return c.Err() == nil
		})
	}
	return nil
}

// fieldDeadline is the first deadline among the fields of a hash, 0 for none.
func (d *dbView) fieldDeadline(b blob) int64 {
	return fieldDeadline(d.objects, b.typ(), b.enc(), b.payload())
}
