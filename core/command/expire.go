package command

import "math"

var expireHandlers = handlers{
	"expire":      expireCommand,
	"pexpire":     pexpireCommand,
	"expireat":    expireatCommand,
	"pexpireat":   pexpireatCommand,
	"ttl":         ttlCommand,
	"pttl":        pttlCommand,
	"expiretime":  expiretimeCommand,
	"pexpiretime": pexpiretimeCommand,
	"persist":     persistCommand,
}

// past tells whether a deadline asked for is over already. While replaying,
// none is: the removal has its own place in the log.
func (c *Ctx) past(deadline int64) bool { return !c.Replaying && deadline <= c.Now }

// setDeadline gives a live key a deadline, or removes it when that is past.
func (c *Ctx) setDeadline(key []byte, deadline int64) {
	if c.past(deadline) {
		c.remove(key)
		c.LogAs(verbDel, key)
		return
	}
	deadline = max(deadline, 1) // 0 would be none; only a replayed log can say so
	c.db(key).SetDeadline(key, deadline)
	c.Changed(key, eventExpire)
	var tmp [20]byte
	c.LogAs(verbPExpireAt, key, appendInt(tmp[:0], deadline))
}

// persist takes a live key's deadline away.
func (c *Ctx) persist(key []byte) {
	c.db(key).SetDeadline(key, 0)
	c.Changed(key, eventPersist)
	c.LogAs(verbPersist, key)
}

func expireCommand(c *Ctx)    { c.expireGeneric(c.Now, true, "expire") }
func pexpireCommand(c *Ctx)   { c.expireGeneric(c.Now, false, "pexpire") }
func expireatCommand(c *Ctx)  { c.expireGeneric(0, true, "expireat") }
func pexpireatCommand(c *Ctx) { c.expireGeneric(0, false, "pexpireat") }

// expireGeneric is the four EXPIRE commands: base is added to the argument.
func (c *Ctx) expireGeneric(base int64, seconds bool, name string) {
	key := c.Args[1]
	var nx, xx, gt, lt bool
	for _, a := range c.Args[3:] {
		switch {
		case is(a, "nx"):
			nx = true
		case is(a, "xx"):
			xx = true
		case is(a, "gt"):
			gt = true
		case is(a, "lt"):
			lt = true
		default:
			c.Out.Error("ERR Unsupported option " + string(clip(a, len(a))))
			return
		}
	}
	if nx && (xx || gt || lt) {
		c.Out.Error("ERR NX and XX, GT or LT options at the same time are not compatible")
		return
	}
	if gt && lt {
		c.Out.Error("ERR GT and LT options at the same time are not compatible")
		return
	}
	when, ok := c.intArg(c.Args[2])
	if !ok {
		return
	}
	invalid := false
	if seconds {
		invalid = when > math.MaxInt64/1000 || when < math.MinInt64/1000
		when *= 1000
	}
	if invalid || when > math.MaxInt64-base {
		c.Out.Error("ERR invalid expire time in '" + name + "' command")
		return
	}
	when += base
	e, found := c.lookupWrite(key)
	if !found {
		c.Out.Int(0)
		return
	}
	old := e.Deadline() // 0 stands for never
	if nx && old != 0 || xx && old == 0 ||
		gt && (old == 0 || when <= old) || lt && old != 0 && when >= old {
		c.Out.Int(0)
		return
	}
	c.setDeadline(key, when)
	c.Out.Int(1)
}

func ttlCommand(c *Ctx)         { c.replyDeadline(true, true) }
func pttlCommand(c *Ctx)        { c.replyDeadline(true, false) }
func expiretimeCommand(c *Ctx)  { c.replyDeadline(false, true) }
func pexpiretimeCommand(c *Ctx) { c.replyDeadline(false, false) }

// replyDeadline replies with a key's deadline, -2 without the key and -1
// without a deadline.
func (c *Ctx) replyDeadline(relative, seconds bool) {
	e, found := c.peek(c.Args[1])
	if !found {
		c.Out.Int(-2)
		return
	}
	ms := e.Deadline()
	if ms == 0 {
		c.Out.Int(-1)
		return
	}
	if relative {
		ms = max(ms-c.Now, 0)
	}
	if seconds {
		if ms <= math.MaxInt64-500 {
			ms += 500
		}
		ms /= 1000
	}
	c.Out.Int(ms)
}

func persistCommand(c *Ctx) {
	e, found := c.lookupWrite(c.Args[1])
	if !found || e.Deadline() == 0 {
		c.Out.Int(0)
		return
	}
	c.persist(c.Args[1])
	c.Out.Int(1)
}
