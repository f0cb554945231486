package command

import (
	"fmt"
	"math"
	"runtime"
	"runtime/debug"
)

// diagnoseHandlers are those of the commands for finding out what is wrong.
var diagnoseHandlers = handlers{
	"memory|usage":        memoryUsage,
	"memory|help":         help,
	"memory|purge":        func(c *Ctx) { debug.FreeOSMemory(); c.Out.OK() },
	"memory|malloc-stats": memoryMallocStats,
	"memory|stats":        memoryStats,
	"memory|doctor":       memoryDoctor,

	"slowlog|get":   slowlogGet,
	"slowlog|len":   func(c *Ctx) { c.Out.Int(int64(c.Engine.SlowLog().Len())) },
	"slowlog|reset": func(c *Ctx) { c.Engine.SlowLog().Reset(); c.Out.OK() },
	"slowlog|help":  help,
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
