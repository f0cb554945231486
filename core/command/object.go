package command

import (
	"math"

	"github.com/spillwaydb/spillway/core/keyspace"
)

var objectHandlers = handlers{
	"object|encoding": objectEncoding,
	"object|freq":     objectFreq,
	"object|idletime": objectIdletime,
	"object|refcount": objectRefcount,
	"object|help":     help,
}

func objectEncoding(c *Ctx) {
	if e, found := c.inspect(c.Args[2]); found {
		c.Out.BulkString(e.Encoding())
	} else {
		c.Out.Null()
	}
}

// objectRefcount tells of the small integers that Redis keeps once for all keys that
// have one, as it does, although here every key has its own: clients and tests take it
// for a sign of how a value is stored.
func objectRefcount(c *Ctx) {
	if e, found := c.inspect(c.Args[2]); found {
		c.Out.Int(c.refcount(e))
	} else {
		c.Out.Null()
	}
}

// What Redis shares: it has one object for each of the integers below, and counts no
// references to it.
const (
	sharedIntegers = 10000
	sharedCount    = math.MaxInt32
)

// refcount is how many references to the value Redis would count. A value has a time or
// a frequency of its own, and is not shared, while keys are evicted by those.
func (c *Ctx) refcount(e keyspace.Entry) int64 {
	if e.Type() != keyspace.String || e.Encoding() != "int" || c.Engine.ClocksCount() {
		return 1
	}
	if n, ok := parseInt(e.Bytes()); !ok || n < 0 || n >= sharedIntegers {
		return 1
	}
	return sharedCount
}

const lruLfuNote = " Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust."

func objectIdletime(c *Ctx) {
	e, found := c.inspect(c.Args[2])
	switch {
	case !found:
		c.Out.Null()
	case c.KS.LFU():
		c.Out.Error("ERR An LFU maxmemory policy is selected, idle time not tracked." + lruLfuNote)
	default:
		c.Out.Int(e.Idle(c.Now))
	}
}

func objectFreq(c *Ctx) {
	e, found := c.inspect(c.Args[2])
	switch {
	case !found:
		c.Out.Null()
	case !c.KS.LFU():
		c.Out.Error("ERR An LFU maxmemory policy is not selected, access frequency not tracked." + lruLfuNote)
	default:
		c.Out.Int(int64(e.Freq(c.Now)))
	}
}
