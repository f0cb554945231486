package command

import (
	"bytes"
	"math"

	"github.com/spillwaydb/spillway/core/command/hll"
	"github.com/spillwaydb/spillway/core/keyspace"
)

var hyperloglogHandlers = handlers{
	"pfadd":      pfaddCommand,
	"pfcount":    pfcountCommand,
	"pfmerge":    pfmergeCommand,
	"pfdebug":    pfdebugCommand,
	"pfselftest": pfselftestCommand,
}

const (
	errNotHLL     = "WRONGTYPE Key is not a valid HyperLogLog string value."
	errCorruptHLL = "INVALIDOBJ Corrupted HLL object detected"
)

var (
	verbPFDebug = []byte("PFDEBUG")
	wordToDense = []byte("TODENSE")
)

// sketch checks what a lookup has found at a key: a HyperLogLog, or nothing. It
// replies when it is something else.
func (c *Ctx) sketch(e keyspace.Entry, found bool) (b []byte, ok bool) {
	if !found {
		return nil, true
	}
	if _, _, ok := c.checkType(e, found, keyspace.String); !ok {
		return nil, false
	}
	if b = e.Bytes(); !hll.Valid(b) {
		c.Out.Error(errNotHLL)
		return nil, false
	}
	return b, true
}

// ownSketch is sketch for a command that may write to the string.
func (c *Ctx) ownSketch(key []byte, e keyspace.Entry, found bool) (b []byte, ok bool) {
	if b, ok = c.sketch(e, found); found && ok {
		c.makeRaw(key, e)
		b = c.stringBytes(key)
	}
	return b, ok
}

// sparseLimit is up to how many bytes a HyperLogLog is sparse. A log says itself
// where one has become dense, see logDense.
func (c *Ctx) sparseLimit() int {
	if c.Replaying {
		return math.MaxInt
	}
	return c.KS.Limits().HLLSparse
}

// logDense logs the command, and that with it the HyperLogLog at key has become
// dense for being too long: how long it may be can be another limit when the log is
// replayed.
func (c *Ctx) logDense(key []byte) {
	c.LogAs(c.Args...)
	c.LogAs(verbPFDebug, wordToDense, key)
}

func pfaddCommand(c *Ctx) {
	key := c.Args[1]
	e, found := c.lookupWrite(key)
	old, ok := c.ownSketch(key, e, found)
	if !ok {
		return
	}
	if found && hll.Dense(old) {
		c.addDense(key, c.Args[2:])
		return
	}
	c.scratch = append(c.scratch[:0], old...)
	updated, b := 0, c.scratch
	if !found {
		updated, b = 1, hll.New()
		hll.Forget(b)
	}
	for _, element := range c.Args[2:] {
		register, value := hll.Place(element)
		out, changed, err := hll.Set(b, register, value, c.sparseLimit())
		if err != nil {
			c.Out.Error(errCorruptHLL)
			return
		}
		if b = out; changed {
			updated++
		}
	}
	c.scratch = b
	if updated > 0 {
		c.db(key).ReplaceString(key, b)
		c.ChangedN(key, eventPFAdd, updated)
		if hll.Dense(b) {
			c.logDense(key)
		}
	}
	c.replyBool(updated > 0)
}

// addDense adds elements to a dense HyperLogLog, of which it writes what changes.
func (c *Ctx) addDense(key []byte, elements [][]byte) {
	updated, d := 0, c.db(key)
	for _, element := range elements {
		register, value := hll.Place(element)
		if at, part, n := hll.Raised(c.stringBytes(key), register, value); n > 0 {
			d.SetRange(key, at, part[:n])
			updated++
		}
	}
	if updated > 0 {
		c.forget(key)
		c.ChangedN(key, eventPFAdd, updated)
	}
	c.replyBool(updated > 0)
}

// forget marks the cardinality that the HyperLogLog at key keeps as not known.
func (c *Ctx) forget(key []byte) {
	n, known := hll.Cached(c.stringBytes(key))
	if known {
		var tmp [8]byte
		c.db(key).SetRange(key, hll.CacheAt, hll.AppendCache(tmp[:0], n|1<<63))
	}
}

func pfcountCommand(c *Ctx) {
	if len(c.Args) > 2 {
		m, _, ok := c.mergeSketches(c.Args[1:])
		if ok {
			c.Out.Int(int64(m.Count())) // an estimate of what can be counted
		}
		return
	}
	key := c.Args[1]
	e, found := c.lookup(key)
	b, ok := c.ownSketch(key, e, found)
	if !ok {
		return
	}
	if !found {
		c.Out.Int(0)
		return
	}
	n, known := hll.Cached(b)
	if !known {
		var err error
		if n, err = hll.Count(b); err != nil {
			c.Out.Error(errCorruptHLL)
			return
		}
		var tmp [8]byte
		var at [20]byte
		cache := hll.AppendCache(tmp[:0], n)
		c.db(key).SetRange(key, hll.CacheAt, cache)
		c.Changed(key, eventCached)
		c.LogAs(verbSetRange, key, appendInt(at[:0], hll.CacheAt), cache)
	}
	c.Out.Int(int64(n)) // its highest bit says that it is not known
}

// mergeSketches merges the HyperLogLogs at some keys, and tells whether any of
// them is dense. ok is false when it has replied what is wrong with one.
func (c *Ctx) mergeSketches(keys [][]byte) (m *hll.Max, dense, ok bool) {
	m = new(hll.Max)
	for _, key := range keys {
		e, found := c.lookup(key)
		b, ok := c.sketch(e, found)
		if !ok {
			return nil, false, false
		}
		if !found {
			continue
		}
		dense = dense || hll.Dense(b)
		if m.Merge(b) != nil {
			c.Out.Error(errCorruptHLL)
			return nil, false, false
		}
	}
	return m, dense, true
}

func pfmergeCommand(c *Ctx) {
	key := c.Args[1]
	m, dense, ok := c.mergeSketches(c.Args[1:])
	if !ok {
		return
	}
	b := hll.New()
	if e, found := c.lookupWrite(key); found {
		b = bytes.Clone(e.Bytes())
	}
	var err error
	if dense {
		b, err = hll.ToDense(b)
	}
	for i, v := range m {
		if v > 0 && err == nil {
			b, _, err = hll.Set(b, i, v, c.sparseLimit())
		}
	}
	if err != nil {
		c.Out.Error(errCorruptHLL)
		return
	}
	hll.Forget(b)
	c.db(key).ReplaceString(key, b)
	c.Changed(key, eventPFAdd)
	if !dense && hll.Dense(b) {
		c.logDense(key)
	}
	c.Out.OK()
}

func pfdebugCommand(c *Ctx) {
	what, key := c.Args[1], c.Args[2]
	e, found := c.lookupWrite(key)
	if !found {
		c.Out.Error("ERR The specified key does not exist")
		return
	}
	b, ok := c.ownSketch(key, e, found)
	if !ok {
		return
	}
	switch {
	case is(what, "getreg"):
		if _, ok := c.makeDense(key, b); !ok {
			return
		}
		b = c.stringBytes(key)
		c.Out.Array(hll.Registers)
		for i := range hll.Registers {
			c.Out.Int(int64(hll.Register(b, i)))
		}
	case is(what, "decode"):
		if hll.Dense(b) {
			c.Out.Error("ERR HLL encoding is not sparse")
			return
		}
		c.Out.BulkString(hll.Decode(b))
	case is(what, "encoding"):
		if hll.Dense(b) {
			c.Out.SimpleString("dense")
		} else {
			c.Out.SimpleString("sparse")
		}
	case is(what, "todense"):
		if made, ok := c.makeDense(key, b); ok {
			c.replyBool(made)
		}
	default:
		c.Out.Errorf("ERR Unknown PFDEBUG subcommand '%s'", clip(what, len(what)))
	}
}

// makeDense makes the HyperLogLog at key dense, and tells whether it was not. ok is
// false when it has replied that it is corrupt.
func (c *Ctx) makeDense(key, b []byte) (made, ok bool) {
	if hll.Dense(b) {
		return false, true
	}
	dense, err := hll.ToDense(b)
	if err != nil {
		c.Out.Error(errCorruptHLL)
		return false, false
	}
	c.db(key).ReplaceString(key, dense)
	c.dirty++
	c.LogAs(verbPFDebug, wordToDense, key)
	return true, true
}

func pfselftestCommand(c *Ctx) {
	if err := hll.SelfTest(c.Rand, c.KS.Limits().HLLSparse); err != nil {
		c.Out.Error("ERR " + err.Error())
		return
	}
	c.Out.OK()
}
