package command

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

func objectRefcount(c *Ctx) {
	if _, found := c.inspect(c.Args[2]); found {
		c.Out.Int(1)
	} else {
		c.Out.Null()
	}
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
