package rdb

import (
	"fmt"
	"math"
	"strconv"
)

// itemsPerCommand is how many elements one command adds, as Redis's
// AOF_REWRITE_ITEMS_PER_CMD.
const itemsPerCommand = 64

// Commands makes the commands that build values in an empty database, as Redis
// writes them when it rewrites its append-only file: SET, RPUSH, SADD, ZADD, HSET,
// PEXPIREAT, HPEXPIREAT, and FUNCTION LOAD for what is no key. It is called as a [Writer] is, remembers the first error of what it
// emits to and does nothing after it. It allocates little for a key: scratch
// space is used again.
type Commands struct {
	emit func(args [][]byte) error
	args [][]byte
	num  []byte // numbers in the command that is being made
	t    traits // of the open collection
	n    int    // of its elements, in that command
	left int    // elements still to come
	err  error
}

// NewCommands returns a Commands that gives emit one command after the other. The
// arguments are valid during the call only.
func NewCommands(emit func(args [][]byte) error) *Commands { return &Commands{emit: emit} }

var (
	verbSelect    = []byte("SELECT")
	verbFunction  = []byte("FUNCTION")
	verbLoad      = []byte("LOAD")
	verbPExpireAt = []byte("PEXPIREAT")

	verbHPExpireAt = []byte("HPEXPIREAT")
	wordFields     = []byte("FIELDS")
)

// Function loads a function library, which is of no database.
func (c *Commands) Function(code []byte) { c.write(verbFunction, verbLoad, code) }

// SelectDB says which database what follows lives in.
func (c *Commands) SelectDB(n int) { c.write(verbSelect, c.int(int64(n))) }

// String builds a string.
func (c *Commands) String(key, val []byte) { c.write(declared[TypeString].verb, key, val) }

// Begin begins a collection of n elements; n calls of Element follow.
func (c *Commands) Begin(t Type, key []byte, n int) {
	c.boundary()
	c.t, c.left, c.n = t.traits(), n, 0
	switch {
	case c.t.items == 0:
		c.misuse("build key %.100q: %w", key, UnknownType(t))
		return
	case n <= 0:
		c.misuse("build key %.100q: a collection of %d elements", key, n)
		return
	}
	c.args = append(c.args[:0], c.t.verb, key)
}

// Element adds an element to the collection: an item, a member, a field a and its
// value b, a member and its score. It keeps a and b, and the key, until it returns
// true.
func (c *Commands) Element(a, b []byte, score float64) (done bool) {
	if c.left <= 0 {
		c.misuse("an element that was not announced")
		return true
	}
	if c.t.scored {
		c.args = append(c.args, c.score(score))
	}
	c.args = append(c.args, a)
	if c.t.items == 2 {
		c.args = append(c.args, b)
	}
	c.left--
	if c.n++; c.n < itemsPerCommand && c.left > 0 {
		return false
	}
	c.flush()
	return true
}

// Expire gives the key that was built last a deadline in unix milliseconds.
func (c *Commands) Expire(key []byte, ms int64) {
	c.write(verbPExpireAt, key, c.int(ms))
}

// FieldExpire gives a field of the hash that was built last a deadline in unix
// milliseconds.
func (c *Commands) FieldExpire(key, field []byte, ms int64) {
	c.boundary()
	c.num = append(strconv.AppendInt(c.num[:0], ms, 10), '1')
	n := len(c.num) - 1
	c.args = append(c.args[:0], verbHPExpireAt, key, c.num[:n:n], wordFields, c.num[n:], field)
	c.flush()
}

// Object builds o and gives it its deadline. Its database is the caller's to
// select; when it was last used, commands cannot say.
func (c *Commands) Object(o *Object) {
	c.build(o)
	if o.ExpireMS != 0 {
		c.Expire(o.Key, o.ExpireMS)
	}
}

func (c *Commands) build(o *Object) {
	if o.Type == TypeString {
		c.String(o.Key, o.Str)
		return
	}
	if o.Type == TypeStream {
		c.Stream(o.Key, o.Stream)
		return
	}
	c.elements(o)
}

func (c *Commands) elements(o *Object) {
	if err := o.check(); err != nil {
		c.misuse("build key %.100q: %w", o.Key, err)
		return
	}
	c.Begin(o.Type, o.Key, o.Len())
	o.each(func(a, b []byte, score float64) bool {
		c.Element(a, b, score)
		return c.err == nil
	})
	for i, ms := range o.Expires {
		if ms != 0 {
			c.FieldExpire(o.Key, o.Items[2*i], ms)
		}
	}
}

// Err returns the first error so far.
func (c *Commands) Err() error { return c.err }

// End returns the first error. Only nil means that every value was built to its
// last element.
func (c *Commands) End() error {
	c.boundary()
	return c.err
}

// boundary is called where no collection may be open.
func (c *Commands) boundary() {
	if c.left != 0 {
		c.misuse("%d elements are missing", c.left)
	}
}

func (c *Commands) write(args ...[]byte) {
	c.boundary()
	c.args = append(c.args[:0], args...)
	c.flush()
}

// flush emits the command that is made, and begins one of the same key.
func (c *Commands) flush() {
	if c.err == nil {
		c.err = c.emit(c.args)
	}
	c.args, c.num, c.n = c.args[:min(2, len(c.args))], c.num[:0], 0
}

func (c *Commands) misuse(format string, args ...any) {
	if c.left = 0; c.err == nil {
		c.err = fmt.Errorf("%w: %w", ErrMisuse, fmt.Errorf(format, args...))
	}
}

func (c *Commands) int(n int64) []byte {
	c.num = strconv.AppendInt(c.num[:0], n, 10)
	return c.num
}

// score formats a score so that it reads back as the same number.
func (c *Commands) score(f float64) []byte {
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
