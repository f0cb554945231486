package server

import (
	"bytes"
	"sync"
	"time"
)

// What speaks another protocol gets a clear end. A browser can be made to send
// a web page's lines to any port, and RESP skips lines that are no commands: so
// the first line that only HTTP has ends the connection, before anything that
// follows it, and before what came with it is answered.

// crossProtocol tells the first word of a line that HTTP has and RESP has not,
// the way Redis does.
func crossProtocol(name []byte) bool {
	switch len(name) {
	case 4:
		return name[0]|0x20 == 'p' && bytes.EqualFold(name, []byte("post"))
	case 5:
		return name[0]|0x20 == 'h' && bytes.EqualFold(name, []byte("host:"))
	}
	return false
}

// attacked ends a connection that speaks HTTP.
func (c *conn) attacked() {
	if n, ok := c.srv.attacks.due(c.now()); ok {
		c.srv.log.Warn("Possible SECURITY ATTACK detected. It looks like somebody is sending POST or Host: commands to Spillway. "+
			"This is likely due to an attacker attempting to use Cross Protocol Scripting to compromise your Spillway instance. Connection aborted.",
			"client", c.ID(), "addr", c.addr(), "since_the_last_line", n)
	}
}

// greet looks at the first byte that a client sends: one that no request
// begins with is another protocol's, of which it makes no sense to wait for the
// end of a line. It is told so, and nothing that it has sent is executed.
func (c *conn) greet() {
	if c.spoke || c.r == c.w {
		return
	}
	c.spoke = true
	first := c.in[c.r]
	if first >= ' ' && first < 0x7f || first >= '\t' && first <= '\r' {
		return
	}
	what := "binary data"
	if first == 0x16 { // a TLS record with a handshake; its version's first byte, 3, may not be here yet
		what = "a TLS handshake"
	}
	c.out.Error("ERR Protocol error: expected a RESP request, got " + what)
	if n, ok := c.srv.strangers.due(c.now()); ok {
		c.srv.log.Warn("client closed: it does not speak RESP", "client", c.ID(), "addr", c.addr(), "sent", what, "since_the_last_line", n)
	}
	c.closing = true
}

// alarmEvery is how often an alarm is logged: an attacker must not fill the disk.
const alarmEvery = time.Minute

// alarm is an event that is logged once in a while, however often it occurs.
type alarm struct {
	mu     sync.Mutex
	last   time.Time
	missed int
}

// due tells whether to log, and of how many events since the last time nothing
// was said.
func (a *alarm) due(now time.Time) (missed int, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.last.IsZero() && now.Sub(a.last) < alarmEvery {
		a.missed++
		return 0, false
	}
	missed, a.last, a.missed = a.missed, now, 0
	return missed, true
}
