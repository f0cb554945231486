package command

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// debugHandlers are those of the commands for finding out what is wrong.
var debugHandlers = handlers{
	"debug|sleep":             debugSleep,
	"debug|reload":            func(c *Ctx) { c.replyDone("OK", c.Engine.Reload()) },
	"debug|object":            debugObject,
	"debug|set-active-expire": debugSetActiveExpire,
	"debug|help":              help,

	"memory|usage": memoryUsage,
	"memory|help":  help,

	"slowlog|get":   slowlogGet,
	"slowlog|len":   func(c *Ctx) { c.Out.Int(int64(c.Engine.SlowLog().Len())) },
	"slowlog|reset": func(c *Ctx) { c.Engine.SlowLog().Reset(); c.Out.OK() },
	"slowlog|help":  help,

	"latency|latest":  latencyLatest,
	"latency|history": latencyHistoryOf,
	"latency|reset":   latencyReset,
	"latency|doctor":  latencyDoctor,
	"latency|help":    help,
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

func latencyLatest(c *Ctx) {
	events := c.Engine.Latency().Events()
	c.Out.Array(len(events))
	for _, e := range events {
		last := e.Samples[len(e.Samples)-1]
		c.Out.Array(4)
		c.Out.BulkString(e.Name)
		c.Out.Int(last.Time)
		c.Out.Int(last.Took.Milliseconds())
		c.Out.Int(e.Max.Milliseconds())
	}
}

func latencyHistoryOf(c *Ctx) {
	for _, e := range c.Engine.Latency().Events() {
		if is(c.Args[2], e.Name) {
			c.Out.Array(len(e.Samples))
			for _, s := range e.Samples {
				c.Out.Array(2)
				c.Out.Int(s.Time)
				c.Out.Int(s.Took.Milliseconds())
			}
			return
		}
	}
	c.Out.Array(0)
}

func latencyReset(c *Ctx) {
	var names []string
	for _, a := range c.Args[2:] {
		names = append(names, strings.ToLower(string(a)))
	}
	c.Out.Int(int64(c.Engine.Latency().Reset(names...)))
}

func latencyDoctor(c *Ctx) {
	m := c.Engine.Latency()
	var b strings.Builder
	switch events := m.Events(); {
	case m.Threshold() == 0:
		b.WriteString("Latency monitoring is off: CONFIG SET latency-monitor-threshold <milliseconds> turns it on.\n")
	case len(events) == 0:
		b.WriteString("No latency spike was observed since monitoring was turned on.\n")
	default:
		for i, e := range events {
			var sum time.Duration
			for _, s := range e.Samples {
				sum += s.Took
			}
			fmt.Fprintf(&b, "%d. %s: %d latency spikes (average %dms). Worst all time event %dms.\n",
				i+1, e.Name, len(e.Samples), (sum / time.Duration(len(e.Samples))).Milliseconds(), e.Max.Milliseconds())
		}
	}
	c.Out.Verbatim("txt", b.String())
}
