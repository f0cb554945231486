package command

import (
	"fmt"
	"math"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/spillwaydb/spillway/core/param"
)

// debugHandlers are those of the commands for finding out what is wrong.
var debugHandlers = handlers{
	"debug|sleep":                      debugSleep,
	"debug|reload":                     func(c *Ctx) { c.replyDone("OK", c.Engine.Reload()) },
	"debug|loadaof":                    func(c *Ctx) { c.replyDone("OK", c.Engine.Reload()) },
	"debug|object":                     debugObject,
	"debug|digest":                     debugDigest,
	"debug|digest-value":               debugDigestValue,
	"debug|quicklist-packed-threshold": debugPackedThreshold,
	"debug|change-repl-id":             func(c *Ctx) { c.Out.OK() },
	"debug|error":                      func(c *Ctx) { c.Out.Error(string(c.Args[2])) },
	"debug|set-active-expire":          debugSetActiveExpire,
	"debug|help":                       help,

	"memory|usage":        memoryUsage,
	"memory|help":         help,
	"memory|purge":        func(c *Ctx) { debug.FreeOSMemory(); c.Out.OK() },
	"memory|malloc-stats": memoryMallocStats,

	"slowlog|get":   slowlogGet,
	"slowlog|len":   func(c *Ctx) { c.Out.Int(int64(c.Engine.SlowLog().Len())) },
	"slowlog|reset": func(c *Ctx) { c.Engine.SlowLog().Reset(); c.Out.OK() },
	"slowlog|help":  help,
}

func debugSleep(c *Ctx) {
	f, ok := parseFloat(c.Args[2])
	if !ok || f < 0 || f > math.MaxInt32 {
		c.Out.Error(errNotFloat)
		return
	}
	c.Engine.Sleep(time.Duration(f * float64(time.Second)))
	c.Out.OK()
}

func debugObject(c *Ctx) {
	e, found := c.inspect(c.Args[2])
	if !found {
		c.Out.Error(errNoSuchKey)
		return
	}
	payload, err := encode(c.db(c.Args[2]), c.Args[2], e)
	if err != nil {
		c.Out.Error("ERR " + err.Error())
		return
	}
	c.Out.SimpleString(fmt.Sprintf("Value at:0x0 refcount:1 encoding:%s serializedlength:%d lru:0 lru_seconds_idle:%d",
		e.Encoding(), len(payload)-1, e.Idle(c.Now))) // without its type
}

// debugPackedThreshold accepts what Redis accepts. Elements of a list are packed by
// list-max-listpack-size alone here.
func debugPackedThreshold(c *Ctx) {
	text, err := param.Memory{}.Parse(string(c.Args[2]))
	if n, ok := parseInt([]byte(text)); err != nil || !ok || n > math.MaxUint32 {
		c.Out.Error("ERR argument must be a memory value bigger than 1 and smaller than 4gb")
		return
	}
	c.Out.OK()
}

func debugSetActiveExpire(c *Ctx) {
	n, ok := parseInt(c.Args[2])
	if !ok {
		c.Out.Error(errNotInt)
		return
	}
	c.Engine.SetActiveExpire(n != 0)
	c.Out.OK()
}

func memoryUsage(c *Ctx) {
	switch {
	case len(c.Args) == 3:
	case len(c.Args) == 5 && is(c.Args[3], "samples"):
		n, ok := c.intArg(c.Args[4])
		if !ok {
			return
		}
		if n < 0 {
			c.Out.Error(errSyntax)
			return
		}
	default:
		c.Out.Error(errSyntax)
		return
	}
	if e, found := c.inspect(c.Args[2]); found {
		c.Out.Int(e.Mem())
	} else {
		c.Out.Null()
	}
}

func memoryMallocStats(c *Ctx) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	c.Out.Verbatim("txt", fmt.Sprintf("keyspace: %d bytes\nheap: %d bytes in %d objects, %d bytes reserved, %d of them free\n"+
		"stacks: %d bytes\nreserved by the runtime: %d bytes\ncollections: %d, %d us of pauses\n",
		c.KS.UsedBytes(), m.HeapAlloc, m.HeapObjects, m.HeapSys, m.HeapIdle-m.HeapReleased, m.StackInuse, m.Sys, m.NumGC, m.PauseTotalNs/1000))
}

func slowlogGet(c *Ctx) {
	n := int64(10)
	if len(c.Args) > 3 {
		c.Out.Error(errSyntax)
		return
	}
	if len(c.Args) == 3 {
		var ok bool
		if n, ok = parseInt(c.Args[2]); !ok || n < -1 {
			c.Out.Error("ERR count should be greater than or equal to -1")
			return
		}
	}
	entries := c.Engine.SlowLog().Latest(int(min(n, math.MaxInt32)))
	c.Out.Array(len(entries))
	for _, e := range entries {
		c.Out.Array(6)
		c.Out.Int(e.ID)
		c.Out.Int(e.Time)
		c.Out.Int(e.Duration.Microseconds())
		c.Out.Array(len(e.Args))
		for _, a := range e.Args {
			c.Out.BulkString(a)
		}
		c.Out.BulkString(e.Addr)
		c.Out.BulkString(e.Name)
	}
}
