package command

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

func serverSub(arity int, flags Flags, since, summary string, h Handler) *Command {
	return &Command{
		Arity: arity, Flags: flags | Loading | Stale, Handler: h,
		Group: groupServer, Since: since, Complexity: "O(1)", Summary: summary,
	}
}

func keyed(cmd *Command, at int) *Command {
	cmd.First, cmd.Last, cmd.Step = at, at, 1
	return cmd
}

// sortedSubs are a container's subcommands by name.
func sortedSubs(cmd *Command) []*Command {
	subs := make([]*Command, 0, len(cmd.Sub))
	for _, s := range cmd.Sub {
		subs = append(subs, s)
	}
	slices.SortFunc(subs, func(a, b *Command) int { return cmp.Compare(a.Name, b.Name) })
	return subs
}

var debugCommand = &Command{
	Name: "debug", Arity: -2, Flags: Admin | NoScript | Loading | Stale, Group: groupServer, Since: "1.0.0", Complexity: "Depends on subcommand.", Summary: "A container for debugging commands",
	Sub: map[string]*Command{
		"sleep":             serverSub(3, Admin|NoScript|NoMulti, "1.0.0", "Stop this client for <seconds>", debugSleep),
		"reload":            serverSub(-2, Admin|NoScript|NoMulti, "1.0.0", "Save the checkpoint and load it back", func(c *Ctx) { c.replyDone("OK", c.Engine.Reload()) }),
		"object":            keyed(serverSub(-3, Admin|NoScript, "1.0.0", "Show low level info about a key", debugObject), 2),
		"set-active-expire": serverSub(3, Admin|NoScript, "1.0.0", "Turn active expiry on or off", debugSetActiveExpire),
		"help":              serverSub(2, 0, "1.0.0", "Show helpful text about the different subcommands", helpFor("DEBUG", "OBJECT <key>", "RELOAD", "SET-ACTIVE-EXPIRE <0|1>", "SLEEP <seconds>")),
	},
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
	e, found := c.peek(c.Args[2])
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

var memoryCommand = &Command{
	Name: "memory", Arity: -2, Group: groupServer, Since: "4.0.0", Complexity: "Depends on subcommand.", Summary: "A container for memory diagnostics commands",
	Sub: map[string]*Command{
		"usage": keyed(&Command{Arity: -3, Flags: ReadOnly, Handler: memoryUsage, Group: groupServer, Since: "4.0.0", Complexity: "O(1)", Summary: "Estimate the memory usage of a key"}, 2),
		"help":  serverSub(2, 0, "4.0.0", "Show helpful text about the different subcommands", helpFor("MEMORY", "USAGE <key> [SAMPLES <count>]")),
	},
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
	if e, found := c.peek(c.Args[2]); found {
		c.Out.Int(e.Mem())
	} else {
		c.Out.Null()
	}
}

var slowlogCommand = &Command{
	Name: "slowlog", Arity: -2, Group: groupServer, Since: "2.2.12", Complexity: "Depends on subcommand.", Summary: "A container for slow log commands",
	Sub: map[string]*Command{
		"get":   serverSub(-2, Admin, "2.2.12", "Get the slow log's entries", slowlogGet),
		"len":   serverSub(2, Admin, "2.2.12", "Get the slow log's length", func(c *Ctx) { c.Out.Int(int64(c.Engine.SlowLog().Len())) }),
		"reset": serverSub(2, Admin, "2.2.12", "Clear all entries from the slow log", func(c *Ctx) { c.Engine.SlowLog().Reset(); c.Out.OK() }),
		"help":  serverSub(2, 0, "6.2.0", "Show helpful text about the different subcommands", helpFor("SLOWLOG", "GET [<count>]", "LEN", "RESET")),
	},
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

var latencyCommand = &Command{
	Name: "latency", Arity: -2, Group: groupServer, Since: "2.8.13", Complexity: "Depends on subcommand.", Summary: "A container for latency diagnostics commands",
	Sub: map[string]*Command{
		"latest":  serverSub(2, Admin|NoScript, "2.8.13", "Return the latest latency samples for all events.", latencyLatest),
		"history": serverSub(3, Admin|NoScript, "2.8.13", "Return timestamp-latency samples for the event.", latencyHistoryOf),
		"reset":   serverSub(-2, Admin|NoScript, "2.8.13", "Reset latency data for one or more events.", latencyReset),
		"doctor":  serverSub(2, Admin|NoScript, "2.8.13", "Return a human readable latency analysis report.", latencyDoctor),
		"help":    serverSub(2, 0, "2.8.13", "Show helpful text about the different subcommands.", helpFor("LATENCY", "DOCTOR", "HISTORY <event>", "LATEST", "RESET [<event> ...]")),
	},
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
