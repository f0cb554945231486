package keyspace

import (
	"math"
	"runtime"
	"strconv"

	"github.com/spillwaydb/spillway/core/rdb"
)

// yieldPages is after how many pages an encoder lets other goroutines run.
const yieldPages = 16

// Encode writes every database of the view to w: SelectDB, ResizeDB, objects.
// Header and End are the caller's. progress, which may be nil, is told now and
// then how many more keys were written. It returns how many there were, and
// the first error of w, at which it stops.
func (v *View) Encode(w *rdb.Writer, progress func(n int64)) (keys int64, err error) {
	for i := range v.dbs {
		d := &v.dbs[i]
		w.SelectDB(d.db)
		w.ResizeDB(d.keys, d.expires)
		err = d.each(func(b blob) error {
			d.encode(w, b)
			return nil
		}, v.pageDone(&keys, progress, w.Err))
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
			runtime.Gosched()
		}
		return failed()
	}
}

func (d *dbView) encode(w *rdb.Writer, b blob) {
	if ms := b.deadline(); ms != 0 {
		w.Expire(ms)
	}
	t, key := b.typ(), b.key()
	if t == String {
		w.String(key, b.payload())
		return
	}
	switch {
	case b.enc() == encIntset:
		w.Intset(key, b.ints())
	case b.packed() && t != Set:
		w.Listpack(rdbTypes[t], key, b.list())
	case b.packed():
		d.encodeElements(w, t, b, b.list().Len())
	case t == List:
		c := d.object(b).(*chunks)
		w.BeginQuicklist(key, c.n)
		c.tree.each(0, false, func(e *chunk) bool {
			w.Node(e.items)
			return w.Err() == nil
		})
	default:
		d.encodeElements(w, t, b, d.object(b).size())
	}
}

var rdbTypes = [...]rdb.Type{String: rdb.TypeString, List: rdb.TypeList, Set: rdb.TypeSet, ZSet: rdb.TypeZSet, Hash: rdb.TypeHash}

// encodeElements writes a set, hash or sorted set element by element.
func (d *dbView) encodeElements(w *rdb.Writer, t Type, b blob, n int) {
	key := b.key()
	switch t {
	case Set:
		w.BeginSet(key, n)
	case ZSet:
		w.BeginZSet(key, n)
	default:
		w.BeginHash(key, n)
	}
	var num texts
	d.eachElement(b, &num, func(a, b []byte, score float64) bool {
		w.Item(a)
		switch t {
		case Hash:
			w.Item(b)
		case ZSet:
			w.Score(score)
		}
		num = num[:0]
		return w.Err() == nil
	})
}

// itemsPerCommand is how many elements one command of EncodeCommands adds, as
// Redis's AOF_REWRITE_ITEMS_PER_CMD.
const itemsPerCommand = 64

// EncodeCommands gives emit the commands that build the view in an empty
// keyspace: SELECT, SET, RPUSH, SADD, ZADD, HSET, PEXPIREAT. The arguments are
// valid during the call only. progress and results are as for Encode.
func (v *View) EncodeCommands(emit func(args [][]byte) error, progress func(n int64)) (keys int64, err error) {
	c := commands{emit: emit}
	for i := range v.dbs {
		d := &v.dbs[i]
		if err := emit([][]byte{[]byte("SELECT"), strconv.AppendInt(nil, int64(d.db), 10)}); err != nil {
			return keys, err
		}
		err = d.each(func(b blob) error { return c.add(d, b) },
			v.pageDone(&keys, progress, func() error { return nil }))
		if err != nil {
			return keys, err
		}
	}
	return keys, nil
}

// commands makes the commands for one key after the other. Scratch space is
// reused.
type commands struct {
	emit func(args [][]byte) error
	args [][]byte
	num  texts // of one command's integers and scores
	err  error
}

var (
	verbSet       = []byte("SET")
	verbPExpireAt = []byte("PEXPIREAT")
	addVerbs      = [...][]byte{List: []byte("RPUSH"), Set: []byte("SADD"), ZSet: []byte("ZADD"), Hash: []byte("HSET")}
)

func (c *commands) add(d *dbView, b blob) error {
	t, key := b.typ(), b.key()
	if t == String {
		c.args = append(c.args[:0], verbSet, key, b.payload())
		if err := c.emit(c.args); err != nil {
			return err
		}
	} else if err := c.collection(d, t, key, b); err != nil {
		return err
	}
	if ms := b.deadline(); ms != 0 {
		c.args = append(c.args[:0], verbPExpireAt, key, strconv.AppendInt(nil, ms, 10))
		return c.emit(c.args)
	}
	return nil
}

func (c *commands) collection(d *dbView, t Type, key []byte, b blob) error {
	n := 0
	c.err = nil
	c.args, c.num = append(c.args[:0], addVerbs[t], key), c.num[:0]
	d.eachElement(b, &c.num, func(a, b []byte, score float64) bool {
		switch t {
		case ZSet:
			c.args = append(c.args, c.score(score), a)
		case Hash:
			c.args = append(c.args, a, b)
		default:
			c.args = append(c.args, a)
		}
		if n++; n == itemsPerCommand {
			n = 0
			c.err = c.emit(c.args)
			c.args, c.num = c.args[:2], c.num[:0]
		}
		return c.err == nil
	})
	if n > 0 && c.err == nil {
		c.err = c.emit(c.args)
	}
	return c.err
}

// score formats a score so that it reads back as the same number.
func (c *commands) score(f float64) []byte {
	start := len(c.num)
	switch {
	case math.IsInf(f, 1):
		c.num = append(c.num, "inf"...)
	case math.IsInf(f, -1):
		c.num = append(c.num, "-inf"...)
	default:
		c.num = strconv.AppendFloat(c.num, f, 'g', -1, 64)
	}
	return c.num[start:len(c.num):len(c.num)]
}
